//! Types, names, supervisors, stations, configurations, the version.

use mainstay_protocol::code::Reason;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::shapes::{AnyShape, ReasonShape};
use crate::time::Time;

/// A kind of service, as its code declares it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceType {
    /// Its name.
    pub name: String,
    /// Version of its code.
    pub version: String,
    /// The one name its instances hold; null for a type that takes it from its placement.
    pub holds: Option<String>,
    /// The nodes whose agent has it.
    pub nodes: Vec<String>,
    /// When an instance that ended is started again: always, on-failure or never.
    pub restart: String,
    /// Milliseconds a start may take.
    pub start_deadline_ms: u64,
    /// Milliseconds a stop may take before it becomes a kill.
    pub stop_deadline_ms: u64,
    /// Kinds of resources its instances may hold or share.
    pub may_use: Vec<String>,
    /// A running instance may take another configuration, without a restart.
    pub in_place: bool,
    /// The messages it answers, beside Check and Status.
    pub messages: Vec<MessageType>,
    /// JSON Schema of its configuration.
    pub schema: Value,
}

/// A message of a type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MessageType {
    /// What it is called by.
    pub name: String,
    /// JSON Schema of its content.
    pub schema: Value,
}

/// An exclusive slot on a node. It exists while it is held or waited for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Name {
    /// The node it is on.
    pub node: String,
    /// The name itself.
    pub name: String,
    /// The instance that holds it; null if it is only waited for.
    pub holder: Option<String>,
    /// The instances that wait for it, the oldest first.
    pub waiting: Vec<String>,
}

/// The part of a node's agent that watches instances and only reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Supervisor {
    /// The node it is on.
    pub node: String,
    /// Running; Silent when those who guard it find nobody at work; Unknown when its agent is not connected.
    pub state: String,
    /// Number of its latest start.
    pub incarnation: u64,
    /// The instances it watches.
    pub watches: Vec<String>,
    /// The supervisors that guard it.
    pub watched_by: Vec<String>,
    /// Why it is in this state; null where nothing is to be said.
    #[schemars(with = "Option<ReasonShape>")]
    pub reason: Option<Reason>,
    /// Since when it is in this state.
    pub since: Time,
}

/// A daemon with a replica of the graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Station {
    /// Its id; never used again.
    pub id: String,
    /// The node it runs on; null where that is not known.
    pub node: Option<String>,
    /// leader, follower, learner (it takes the log over and does not vote yet), none (it was removed).
    pub role: String,
    /// Running, Joining, Away when the leader does not hear it, Stopped when it ended in order, Removed.
    pub state: String,
    /// What there is to say of how it began; null where nothing is.
    #[schemars(with = "Option<ReasonShape>")]
    pub reason: Option<Reason>,
    /// Where agents reach it.
    pub address: String,
    /// Version of its code.
    pub build: String,
    /// Since when its process is in this state.
    pub since: Time,
}

/// A configuration, kept once however many use it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Configuration {
    /// What it is found by.
    pub hash: String,
    /// The configuration itself.
    pub config: Value,
    /// Placements and instances that have or want it.
    pub used_by: Vec<String>,
}

/// Everything under one cluster id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cluster {
    /// Its identity.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Raised by restore and recover: what is older is refused.
    pub epoch: u64,
    /// What rules measure against.
    pub settings: Value,
}

/// Any one resource: `value` is what its kind's list shows of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Described {
    /// `node`, `instance` ...
    pub kind: String,
    /// What it is called.
    #[serde(rename = "ref")]
    pub reference: String,
    /// What its kind's list shows of it.
    #[schemars(with = "AnyShape")]
    pub value: Value,
}

/// What a station is and runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Version {
    /// Version of its code.
    pub build: String,
    /// Version of the API.
    pub api: String,
    /// The cluster's name; null before it is founded.
    pub cluster: Option<String>,
    /// The cluster's identity; null before it is founded.
    pub cluster_id: Option<String>,
    /// Which station answers.
    pub station: Option<String>,
    /// Revision of the wire between agents and stations.
    pub revision: u32,
    /// The rules this station runs, in their order.
    pub rules: Vec<String>,
    /// What its clock says; null from a station that is too old to tell.
    pub now: Option<Time>,
}

/// A station that takes changes. One that does not answers with a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ready {
    /// True.
    pub ready: bool,
}
