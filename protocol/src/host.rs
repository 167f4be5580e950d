//! A command of the cluster's owners that an agent runs about a machine: its own, or another one (RFC 0024).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::{AgentRunId, NodeName};
use crate::numbers::Timestamp;

/// Asked again, it is the same one: an agent runs it once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostCommand {
    pub id: HostCommandId,
    /// Program and arguments.
    pub words: Vec<String>,
    pub environment: BTreeMap<String, String>,
    pub within_ms: u64,
    /// What restarts the agent's own machine is for this run of it alone: the next one is there because it was done.
    pub only: Option<AgentRunId>,
}

/// The machine, since when it is being restarted, and the how-manieth command that is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HostCommandId {
    pub node: NodeName,
    pub since: Timestamp,
    pub number: u32,
}
