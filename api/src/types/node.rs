//! A node.

use std::collections::BTreeMap;

use mainstay_protocol::code::Reason;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::room::NodeRoom;
use super::shapes::ReasonShape;
use super::words::Stray;
use crate::time::Time;

/// One machine that runs an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Node {
    /// Its name, unique in the cluster.
    pub name: String,
    /// Its identity: a machine that takes over a name is another.
    pub id: String,
    /// Online; Suspect when it is not heard, and nobody has seen it yet; AgentDown when its machine answers; Isolated when
    /// others see it; Lost when nobody waits for it any longer.
    pub state: String,
    /// What runs on it: agent, or agent+station.
    pub role: String,
    /// Version of its agent.
    pub build: String,
    /// Where its agent is reached; null where it said none.
    pub address: Option<String>,
    /// What placements can choose it by.
    pub labels: BTreeMap<String, String>,
    /// Whether new instances are placed on it.
    pub schedulable: bool,
    /// Whether it is in maintenance: whatever happens there is left as it is.
    pub maintenance: bool,
    /// When that ends by itself; null where nothing was said of that.
    pub maintenance_until: Option<Time>,
    /// Milliseconds since something was heard from it; null if nothing since the coordinator started.
    pub heard_ms: Option<u64>,
    /// How many instances it has, and how many are as wanted.
    pub instances: Counts,
    /// What instances may take of it, and what they take.
    pub room: NodeRoom,
    /// Why it is in this state; null where nothing is to be said.
    #[schemars(with = "Option<ReasonShape>")]
    pub reason: Option<Reason>,
    /// Since when it is in this state.
    pub since: Time,
    /// What runs on it and no command started.
    pub strays: Vec<Stray>,
    /// How its machine was restarted last, or is now; null where it never was.
    pub restart: Option<HostRestart>,
}

/// A machine that is restarted by its owners' commands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HostRestart {
    /// When somebody said so.
    pub at: Time,
    /// Who did.
    pub by: String,
    /// Why.
    pub why: String,
    /// UnderWay; Back, Off (it was switched off, and is not back), GivenUp or Failed.
    pub state: String,
    /// What is done, or what came of it.
    pub text: String,
    /// When it is tried again by itself; null where it is not.
    pub again: Option<Time>,
}

/// Why a node takes nothing new.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CordonRequest {
    /// What others shall know about it.
    #[serde(default)]
    pub reason: String,
}

/// Why a node is to be empty, or its machine restarted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DrainRequest {
    /// What others shall know about it.
    #[serde(default)]
    pub reason: String,
    /// Also where nothing, or too little, would be left of a placement.
    #[serde(default)]
    pub force: bool,
}

/// Work on a node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MaintenanceRequest {
    /// What others shall know about it.
    #[serde(default)]
    pub reason: String,
    /// It ends by itself after so many milliseconds; null: when somebody says so.
    #[serde(default)]
    pub for_ms: Option<u64>,
}

/// Labels of a node, over those that its agent brings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LabelsRequest {
    /// Those to be set; null takes one away.
    pub labels: BTreeMap<String, Option<String>>,
    /// Also where too little is left of what leaves the node for it.
    #[serde(default)]
    pub force: bool,
}

/// How many there are, and how many of them are as they should be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Counts {
    /// How many there are.
    pub total: u64,
    /// How many are as wanted.
    pub ok: u64,
}
