//! A station in the graph, as whoever leads sees it.

use mainstay_protocol::{NodeName, StationId, StationRunId};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Station {
    pub id: StationId,
    pub address: String,
    /// The node it runs on, if its machine is one.
    pub node: Option<NodeName>,
    pub build: String,
    /// The newest life of its process that the leader knows of; none of it before it was heard once.
    pub run: Option<StationRunId>,
    pub state: StationState,
    pub began: StationBegan,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum StationState {
    Running,
    /// It ended in order. Left when the next life of it is heard.
    Stopped,
    /// It was added, takes the log over and does not vote yet.
    Joining,
    /// It is not heard: killed, cut off, or standing still.
    Away,
    /// It is no part of the group any more. Kept, because its number is never used again.
    Removed,
}

impl StationState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "Running",
            Self::Stopped => "Stopped",
            Self::Joining => "Joining",
            Self::Away => "Away",
            Self::Removed => "Removed",
        }
    }
}

/// What was known of the life before when this one began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum StationBegan {
    First,
    AfterOrderlyEnd,
    /// It was killed, or its machine failed: nothing says that it ended.
    AfterNoWord,
}
