//! Types, names, supervisors, stations, configurations, the version.

use mainstay_protocol::code::Reason;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::time::Time;

/// A service type as its code declares it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceType {
    pub name: String,
    pub version: String,
    /// The fixed name; null for a type that takes it from its placement.
    pub holds: Option<String>,
    /// The nodes whose agent has it.
    pub nodes: Vec<String>,
    /// `always`, `on-failure` or `never`.
    pub restart: String,
    pub start_deadline_ms: u64,
    pub stop_deadline_ms: u64,
    pub may_use: Vec<String>,
    pub messages: Vec<MessageType>,
    /// JSON Schema of the configuration.
    pub schema: Value,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageType {
    pub name: String,
    pub schema: Value,
}

/// A name's slot on a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Name {
    pub node: String,
    pub name: String,
    /// `placement@node`; null if it is only waited for.
    pub holder: Option<String>,
    /// Who waits for it, oldest first.
    pub waiting: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Supervisor {
    pub node: String,
    pub state: String,
    pub incarnation: u64,
    /// The instances it watches.
    pub watches: Vec<String>,
    /// The supervisors that guard it.
    pub watched_by: Vec<String>,
    pub reason: Option<Reason>,
    pub since: Time,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Station {
    pub id: String,
    pub node: Option<String>,
    /// `leader` or `follower`.
    pub role: String,
    pub address: String,
    pub build: String,
    pub since: Time,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configuration {
    pub hash: String,
    pub config: Value,
    /// Placements and instances that have or want it.
    pub used_by: Vec<String>,
}

/// Any one resource: `value` is what its kind's list shows of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Described {
    /// `node`, `instance` ...
    pub kind: String,
    #[serde(rename = "ref")]
    pub reference: String,
    pub value: Value,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    pub build: String,
    pub api: String,
    pub cluster: Option<String>,
    pub cluster_id: Option<String>,
    pub station: Option<String>,
    /// Revision of the wire between agents and stations.
    pub revision: u32,
    /// The rules this station runs, in their order.
    pub rules: Vec<String>,
}
