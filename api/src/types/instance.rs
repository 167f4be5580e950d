//! An instance.

use mainstay_protocol::code::Reason;
use mainstay_protocol::health::Health;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::time::Time;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// `placement@node`
    #[serde(rename = "ref")]
    pub reference: String,
    pub node: String,
    /// The name it must hold.
    pub name: String,
    #[serde(rename = "type")]
    pub service_type: String,
    pub version: Option<String>,
    pub incarnation: u64,
    pub desired: String,
    pub state: String,
    pub health: Health,
    pub reason: Option<Reason>,
    pub since: Time,
    /// How long ago it was last checked; null if it was not, or the coordinator has not heard of it.
    pub checked_ms: Option<u64>,
    /// Restarts within the window, since it was last healthy for long.
    pub attempts: u64,
    pub next_try: Option<Time>,
    /// What it runs with.
    pub config: Option<Value>,
    /// What it shall run with and does not yet.
    pub config_wanted: Option<Value>,
    pub process: Vec<Process>,
    pub supervisor: String,
    pub placement: String,
    pub uses: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    pub pid: u32,
    /// Clock ticks since boot, as the kernel counts.
    pub started: u64,
}
