//! Entries of the log: one delta with the decisions that made it. A report and its effects are one entry.

use mainstay_protocol::code::Code;
use mainstay_protocol::{Leadership, Revision, Timestamp};
use mainstay_resource_graph::{Delta, Key};
use serde::{Deserialize, Serialize};

/// The newest entry format this build writes and can replay.
pub const FORMAT: u16 = 1;

/// What the leader proposes and every station applies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub format: u16,
    pub leadership: Leadership,
    /// Log time: monotone, the only time rules know.
    pub log_time: Timestamp,
    /// For people's eyes only.
    pub wall_ms: u64,
    pub delta: Delta,
    pub decisions: Vec<Decision>,
}

/// What a proposal is known by: no two of one leadership have the same log time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProposalId {
    pub leadership: Leadership,
    pub log_time: Timestamp,
}

impl Entry {
    pub fn proposal(&self) -> ProposalId {
        ProposalId {
            leadership: self.leadership,
            log_time: self.log_time,
        }
    }
}

/// What a rule did, or declined to do, and what it saw. Kept; its id is (revision, number in the entry).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    pub rule: String,
    pub subject: Key,
    pub saw: Vec<Saw>,
    pub outcome: Outcome,
}

/// One thing that was read: with its revision, so that the decision can be replayed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saw {
    pub key: Key,
    pub rev: Revision,
    /// Its state in words, as it was then.
    pub text: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    Did { code: Code, text: String },
    Declined { code: Code, text: String },
}

impl Outcome {
    pub fn code(&self) -> &Code {
        match self {
            Self::Did { code, .. } | Self::Declined { code, .. } => code,
        }
    }
}
