//! What a service answers: to a start, to a message, to an end.

use std::fmt;

use mainstay_protocol::health::{Evidence, FailureKind};
use mainstay_protocol::request::Refusal;
use serde::Serialize;
use serde_json::Value;

/// Why `start` did not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CannotStart {
    /// The configuration is wrong: tried again only when the wish changes.
    Config(String),
    /// Not now (a port is taken, a disk is away): tried again, and counted.
    NotNow(String),
    /// Not on this node (a program is not installed, a right is missing): not tried again here until the wish changes.
    NotHere(String),
}

impl CannotStart {
    pub fn config(why: impl fmt::Display) -> Self {
        Self::Config(why.to_string())
    }

    pub fn not_now(why: impl fmt::Display) -> Self {
        Self::NotNow(why.to_string())
    }

    pub fn not_here(why: impl fmt::Display) -> Self {
        Self::NotHere(why.to_string())
    }
}

/// What was refused now may be granted later.
impl From<Refusal> for CannotStart {
    fn from(refusal: Refusal) -> Self {
        Self::not_now(format!("{} ({})", refusal.text, refusal.code))
    }
}

/// What became of another configuration that a running instance was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reconfigure {
    /// It is in use.
    Applied,
    /// It takes a restart; nothing has changed.
    Restart,
    /// It is no good; nothing has changed, and a restart would not help.
    Refused(String),
}

impl Reconfigure {
    pub fn refused(why: impl fmt::Display) -> Self {
        Self::Refused(why.to_string())
    }
}

/// The instance has failed: it ends, and is started again as its policy says. Any error becomes one with `?`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub kind: FailureKind,
    pub evidence: Evidence,
}

impl Failure {
    /// In its own words.
    pub fn new(text: impl Into<String>) -> Self {
        Self::seen(FailureKind::Reported, Evidence::text(text))
    }

    /// Of what it stands for, with what was seen of that.
    pub fn seen(kind: FailureKind, evidence: Evidence) -> Self {
        Self { kind, evidence }
    }

    pub fn text(&self) -> &str {
        &self.evidence.text
    }
}

impl<E: std::error::Error> From<E> for Failure {
    /// The error and its causes, as one line.
    fn from(error: E) -> Self {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        Self::new(text)
    }
}

/// The answer to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    Json(Value),
    /// The message is understood and not served; the instance is well.
    Refused {
        why: String,
    },
}

impl Reply {
    /// Anything serde can write. What it cannot write is refused, with serde's words.
    pub fn json(value: impl Serialize) -> Self {
        match serde_json::to_value(value) {
            Ok(value) => Self::Json(value),
            Err(error) => Self::refused(format!("the answer cannot be written as JSON: {error}")),
        }
    }

    pub fn text(text: impl Into<String>) -> Self {
        Self::Json(Value::String(text.into()))
    }

    /// Done, and nothing to say.
    pub fn done() -> Self {
        Self::Json(Value::Null)
    }

    pub fn refused(why: impl Into<String>) -> Self {
        Self::Refused { why: why.into() }
    }
}

/// What a service says of itself when asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatusText(pub String);

impl From<String> for StatusText {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for StatusText {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Display for StatusText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a service is asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StopReason {
    /// It called `ctx.end()`.
    Ended,
    /// It is no longer wanted.
    NotWanted,
    /// An operator asked for a restart.
    Restart,
    /// It reported a failure, or misses its Checks.
    Failed,
    /// Its agent ends.
    AgentStops,
    /// It is the only one in the cluster, and its lease was not renewed in time.
    LeaseRanOut,
}

impl StopReason {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ended => "ended by itself",
            Self::NotWanted => "not wanted",
            Self::Restart => "restart",
            Self::Failed => "failed",
            Self::AgentStops => "the agent stops",
            Self::LeaseRanOut => "its lease ran out",
        }
    }
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
