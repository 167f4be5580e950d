//! Health, failures and their evidence: what a node can say about an instance.

use serde::{Deserialize, Serialize};

/// What a Check found. `Unresponsive` is a Check that missed its deadline; `Unknown` is no Check yet.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    #[default]
    Unknown,
    Ok,
    Degraded,
    Failed,
    Unresponsive,
}

impl Health {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Failed => "failed",
            Self::Unresponsive => "unresponsive",
        }
    }
}

/// How an instance failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// Its code panicked.
    Panic,
    /// It said so itself: `handle` returned an error, it reported a failure, or its probe said failed twice.
    Reported,
    /// It ended without being asked and without saying why.
    Vanished,
    /// The agent that hosted it ended.
    AgentEnded,
    /// It was killed from outside (chaos, or a person).
    Killed,
    /// An outside process ended with a code.
    Exit,
    /// An outside process ended by a signal.
    Signal,
    /// The kernel took it for its memory.
    OutOfMemory,
    /// It was stopped with the agent that hosted it, which was asked to end.
    AgentStopped,
    /// Its lease was not renewed in time: it was ended where it ran.
    LeaseRanOut,
}

/// What was seen when it failed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The panic's or failure's own words, cut at `limits::EVIDENCE_BYTES_MAX`.
    pub text: String,
    /// Where a panic happened: `file:line`.
    pub location: Option<String>,
    pub exit_code: Option<i32>,
    pub signal: Option<i32>,
    /// How long this incarnation had run.
    pub ran_ms: u64,
    /// The last of its standard error.
    pub stderr_tail: String,
}

impl Evidence {
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }
}

/// Why a start was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusedStart {
    /// The configuration is wrong: waits for a changed wish.
    Config,
    /// Not now: a counted attempt, tried again.
    NotNow,
    /// `start` did not return within its deadline: a counted attempt.
    Deadline,
    /// `start` panicked: a counted attempt.
    Panic,
    /// This agent does not have the type.
    NoSuchType,
    /// Something is missing or forbidden on this node: waits for a changed wish, or for another node.
    NotHere,
}

/// One operating-system process of an instance; actors have none of their own and name their agent's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessIdentity {
    pub pid: u32,
    /// Start time in clock ticks since boot, as the kernel counts: a pid alone is no proof.
    pub started: u64,
}

/// Linux shows every program the same clock, whatever the kernel's own is (`USER_HZ`).
const TICKS_PER_SECOND: u64 = 100;

impl ProcessIdentity {
    pub fn started_after_boot_ms(&self) -> u64 {
        self.started.saturating_mul(1000 / TICKS_PER_SECOND)
    }
}
