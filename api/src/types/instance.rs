//! An instance.

use mainstay_protocol::code::Reason;
use mainstay_protocol::health::Health;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::shapes::{HealthShape, ReasonShape};
use crate::time::Time;

/// One placement's service on one node. Each of its starts is an incarnation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Instance {
    /// What it is called: `placement@node`.
    #[serde(rename = "ref")]
    pub reference: String,
    /// The node it is on.
    pub node: String,
    /// The name it must hold on its node.
    pub name: String,
    /// Its service type.
    #[serde(rename = "type")]
    pub service_type: String,
    /// Version of the code that runs; null until it said so.
    pub version: Option<String>,
    /// Number of its latest start; 0 before the first.
    pub incarnation: u64,
    /// What is wanted of it: Running, Stopped or Absent.
    pub desired: String,
    /// What it does: Pending, Blocked, Starting, Running, Degraded, Unresponsive, Stopping, Stopped, Failed, Backoff, Quarantined or Unknown.
    pub state: String,
    /// What its Checks say: ok, degraded, failed, unresponsive or unknown.
    #[schemars(with = "HealthShape")]
    pub health: Health,
    /// Why it is in this state; null where nothing is to be said.
    #[schemars(with = "Option<ReasonShape>")]
    pub reason: Option<Reason>,
    /// Since when it is in this state.
    pub since: Time,
    /// Milliseconds since it was last checked; null if it was not, or the coordinator has not heard of it.
    pub checked_ms: Option<u64>,
    /// Restarts within the window, since it was last healthy for long.
    pub attempts: u64,
    /// When it is started again; null where nothing is planned.
    pub next_try: Option<Time>,
    /// The configuration it runs with; null before it first ran.
    pub config: Option<Value>,
    /// The configuration it shall run with and does not yet; null where both are the same.
    pub config_wanted: Option<Value>,
    /// The operating-system processes it stands for; an actor names that of its agent.
    pub process: Vec<Process>,
    /// The supervisor that watches it.
    pub supervisor: String,
    /// The placement whose wish it is.
    pub placement: String,
    /// Resources it holds or shares.
    pub uses: Vec<String>,
    /// What it uses of its machine; null where it was not asked for, does not live, or its node did not say in time.
    pub usage: Option<Usage>,
    /// Supervisors of other nodes that Check it as well, and what they say.
    pub watched_by: Vec<WatchedBy>,
}

/// A supervisor of another node that Checks an instance, and what it says since when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WatchedBy {
    /// Which one.
    pub supervisor: String,
    /// Whether it gets an answer from it; null until it said so.
    pub answers: Option<bool>,
    /// What it sees, in words; null until it said so.
    pub says: Option<String>,
    /// Since when it says that.
    pub since: Option<Time>,
}

/// What an instance uses of its machine, measured when it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Usage {
    /// Its starts after the first, whatever for.
    pub restarts: u64,
    /// When its present incarnation began.
    pub started: Time,
    /// Processor time of its processes and of what has ended of them; null for an actor, which has none of its own.
    pub cpu_ms: Option<u64>,
    /// Resident memory of its processes, where what they share counts in each; null for an actor, which has none of its own.
    pub memory_bytes: Option<u64>,
    /// How many processes it has; null for an actor.
    pub processes: Option<u64>,
    /// For how long its own code has worked on messages.
    pub busy_ms: u64,
    /// How many messages it has served.
    pub served: u64,
}

/// An operating-system process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Process {
    /// Its process id.
    pub pid: u32,
    /// When it started, by its machine's clock; null where that is not known.
    pub started: Option<Time>,
}
