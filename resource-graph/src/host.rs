//! A machine that is restarted by its owners' commands, and what came of it (RFC 0024).

use mainstay_protocol::{AgentRunId, NodeName, Timestamp};
use serde::{Deserialize, Serialize};

use crate::node::Said;

/// What was said of it last; it stays until somebody says it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostRestart {
    pub said: Said,
    /// Its owners want to be certain that it is off: its own agent is not asked.
    pub fence: bool,
    /// Which run of its agent there was: where there is another one, the machine is back.
    pub agent_run: AgentRunId,
    /// The newest command.
    pub command: Option<HostRun>,
    /// None while it is under way.
    pub ended: Option<HostEnded>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostRun {
    pub number: u32,
    pub what: HostAct,
    /// Whose agent runs it.
    pub on: NodeName,
    pub outcome: Option<HostOutcome>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum HostAct {
    /// By its own agent.
    Restart,
    /// By another one: when it is done, the machine was off.
    Fence,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum HostOutcome {
    Done,
    /// In words.
    Failed(String),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostEnded {
    pub at: Timestamp,
    pub how: HostEnding,
    pub text: String,
    /// When it is tried again, if it is by itself.
    pub again: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum HostEnding {
    /// Another run of its agent is here.
    Back,
    /// It was off, and is not back.
    Off,
    /// It was given up, and nobody can say that it is off.
    GivenUp,
    /// It is as it was.
    Failed,
}

impl HostEnding {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Back => "Back",
            Self::Off => "Off",
            Self::GivenUp => "GivenUp",
            Self::Failed => "Failed",
        }
    }
}

impl HostRestart {
    pub fn is_under_way(&self) -> bool {
        self.ended.is_none()
    }

    pub fn ended_with(&self, text: &str) -> bool {
        self.ended.as_ref().is_some_and(|ended| ended.text == text)
    }
}
