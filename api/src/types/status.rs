//! The whole cluster at a glance.

use mainstay_protocol::code::Reason;
use serde::{Deserialize, Serialize};

use super::node::Counts;
use crate::time::Time;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    pub verdict: Verdict,
    pub quorum: bool,
    pub leader: Option<String>,
    pub term: Option<u64>,
    /// How old what is shown may be.
    pub data_age_ms: u64,
    pub nodes: Counts,
    pub instances: Counts,
    pub problems: Vec<StatusProblem>,
    /// What is under way now.
    pub working_on: Vec<Work>,
    /// What will happen, and when.
    pub scheduled: Vec<Work>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verdict {
    Healthy,
    /// Something is not as wanted.
    Degraded,
    /// Nothing that is wanted runs.
    Down,
    /// The station cannot say: it has no leader, or nodes are not heard.
    Unknown,
}

impl Verdict {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "HEALTHY",
            Self::Degraded => "DEGRADED",
            Self::Down => "DOWN",
            Self::Unknown => "UNKNOWN",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusProblem {
    #[serde(rename = "ref")]
    pub reference: String,
    pub reason: Option<Reason>,
    /// The reference at the bottom of it; its own, where it is the root.
    pub root: String,
    pub since: Time,
    /// The command that explains it.
    pub why: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    #[serde(rename = "ref")]
    pub reference: String,
    pub action: String,
    /// When, for what is scheduled; its deadline, for what is under way.
    pub at: Option<Time>,
    pub rule: Option<String>,
}
