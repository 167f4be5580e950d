//! The supervisor of a node: what its agent says of it, and what its guards do.

use std::collections::BTreeMap;

use mainstay_protocol::sight::{InstanceSight, Sight};
use mainstay_protocol::{NodeName, Timestamp};
use serde::{Deserialize, Serialize};

/// A part of the runtime, recorded from what its agent says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Supervisor {
    pub state: SupervisorState,
    pub incarnation: u64,
    pub watches: u32,
    /// What each node that guards it saw last.
    pub seen: BTreeMap<NodeName, Seen>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    pub sight: Sight,
    pub at: Timestamp,
}

/// What a node sees of an instance of another one, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenFrom {
    pub sight: InstanceSight,
    pub at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SupervisorState {
    /// Its agent says so, and nobody says otherwise.
    Running,
    /// Its node is away.
    Unknown,
    /// Its agent has a session, and whoever guards it finds nobody at work.
    Silent,
}

impl SupervisorState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "Running",
            Self::Unknown => "Unknown",
            Self::Silent => "Silent",
        }
    }
}
