//! What somebody sees who looks where a node's agent should be: another node that guards it, or a station that knocks. And
//! what another node sees of an instance that it watches.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::health::Health;
use crate::ids::{InstanceKey, NodeName};
use crate::numbers::Incarnation;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Sight {
    /// Its agent answers, and so does its supervisor: this incarnation of it.
    Watching { supervisor: u64 },
    /// Its agent answers, and says that its supervisor does not.
    Unwatched { supervisor: u64 },
    /// The machine answers, and no agent does.
    Machine,
    /// No answer.
    Nothing,
}

impl Sight {
    pub fn is_of_agent(self) -> bool {
        match self {
            Self::Watching { .. } | Self::Unwatched { .. } => true,
            Self::Machine | Self::Nothing => false,
        }
    }
}

/// As it follows on "n2 sees ".
impl fmt::Display for Sight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Watching { .. } => f.write_str("its agent"),
            Self::Unwatched { .. } => f.write_str("its agent, without a supervisor"),
            Self::Machine => f.write_str("its machine"),
            Self::Nothing => f.write_str("nothing of it"),
        }
    }
}

/// Whom an agent guards, and where they are (`HOST:PORT`, `unix:PATH`). Told behind a welcome, and whenever it changes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guards {
    pub nodes: BTreeMap<NodeName, String>,
}

/// What a node sees of an instance of another one that it Checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum InstanceSight {
    /// It answers its Check, and says so of itself.
    Answers { health: Health },
    /// Its agent is there, and it does not answer in time.
    NoAnswer,
    /// Its node's agent cannot be reached.
    NotReached,
    /// Its agent answers, and says that this incarnation does not run there.
    NotThere,
}

impl InstanceSight {
    pub fn is_of_it(self) -> bool {
        match self {
            Self::Answers { .. } => true,
            Self::NoAnswer | Self::NotReached | Self::NotThere => false,
        }
    }
}

/// As it follows on "n2 ".
impl fmt::Display for InstanceSight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answers { health } => write!(f, "is told that it is {}", health.as_str()),
            Self::NoAnswer => f.write_str("gets no answer from it in time"),
            Self::NotReached => f.write_str("does not reach its node"),
            Self::NotThere => f.write_str("is told that it is not there"),
        }
    }
}

/// The instances of other nodes that an agent Checks, and how. Told behind a welcome, and whenever it changes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watches {
    /// At most `limits::WATCHED_ELSEWHERE_MAX`.
    pub instances: BTreeMap<InstanceKey, Incarnation>,
    /// Where the agents of their nodes are (`HOST:PORT`, `unix:PATH`; empty where nobody can call them).
    pub addresses: BTreeMap<NodeName, String>,
    pub interval_ms: u64,
    pub deadline_ms: u64,
}
