//! The whole cluster at a glance.

use mainstay_protocol::code::Reason;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::node::Counts;
use super::shapes::ReasonShape;
use crate::time::Time;

/// The whole cluster at a glance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// HEALTHY, DEGRADED (something is not as wanted), DOWN (nothing that is wanted runs) or UNKNOWN (it cannot be said).
    pub verdict: Verdict,
    /// Whether a leader can decide.
    pub quorum: bool,
    /// The station that leads; null where none does.
    pub leader: Option<String>,
    /// Number of its leadership; null where none leads.
    pub term: Option<u64>,
    /// How old what is shown may be, in milliseconds.
    pub data_age_ms: u64,
    /// How many nodes there are, and how many are online.
    pub nodes: Counts,
    /// How many instances there are, and how many are as wanted.
    pub instances: Counts,
    /// What is not as wanted, the heaviest root first.
    pub problems: Vec<StatusProblem>,
    /// What is under way.
    pub working_on: Vec<Work>,
    /// What will happen, and when.
    pub scheduled: Vec<Work>,
    /// Rules that somebody switched off: what they would do is not done.
    pub rules_off: Vec<String>,
    /// What `chaos` broke and nobody has healed yet; null where another station leads, which alone knows.
    #[serde(default)]
    pub broken: Option<Vec<OnPurpose>>,
    /// Nodes that take nothing new, or are to be empty, as somebody said.
    #[serde(default)]
    pub set_aside: Vec<OnPurpose>,
}

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
/// What there is to say of the whole cluster in a word.
#[serde(rename_all = "UPPERCASE")]
pub enum Verdict {
    /// Everything is as wanted.
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

/// Something that is not as wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StatusProblem {
    /// What it is about.
    #[serde(rename = "ref")]
    pub reference: String,
    /// Why it is so; null where nothing is known.
    #[schemars(with = "Option<ReasonShape>")]
    pub reason: Option<Reason>,
    /// What is at the bottom of it; itself, where it is the root.
    pub root: String,
    /// Since when.
    pub since: Time,
    /// The command that explains it.
    pub why: String,
}

/// What is so because somebody wanted it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OnPurpose {
    /// What it is.
    #[serde(rename = "ref")]
    pub reference: String,
    /// How it is.
    pub how: String,
    /// The command that ends it.
    pub undo: String,
}

/// Something that is done, or will be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Work {
    /// What it is done to.
    #[serde(rename = "ref")]
    pub reference: String,
    /// What is done.
    pub action: String,
    /// When, for what is scheduled; its deadline, for what is under way.
    pub at: Option<Time>,
    /// The rule that does it.
    pub rule: Option<String>,
}
