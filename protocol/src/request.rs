//! Requests: questions to an agent. Answered, not logged, at most once, each with a deadline.

use serde::{Deserialize, Serialize};

use crate::code::Code;
use crate::health::Health;
use crate::ids::InstanceKey;
use crate::numbers::Incarnation;
use crate::versioned::{Evolving, nested};

/// A question to an agent; matched to its answer by the frame's request id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    pub deadline_ms: u64,
    #[serde(with = "nested")]
    pub ask: Ask,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ask {
    /// Health, now, from the instance's probe.
    Check {
        instance: InstanceKey,
    },
    /// Write the status to the log now, and say the same here.
    Status {
        instance: InstanceKey,
    },
    /// A message of the type's own: kebab-case name and JSON body.
    Message {
        instance: InstanceKey,
        message: String,
        body: String,
    },
    /// Break something on purpose.
    Chaos {
        target: ChaosTarget,
        act: ChaosAct,
    },
    /// The supervisor's own Check and Status.
    SupervisorCheck,
    SupervisorStatus,
}

impl Evolving for Ask {
    const NAME: &'static str = "ask";
    const VERSION: u16 = 1;
    const COMPAT: u16 = 1;
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChaosTarget {
    Instance(InstanceKey),
    Supervisor,
    Agent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChaosAct {
    /// An instance or supervisor: its actor is killed. An agent: SIGKILL to itself.
    Kill,
    /// A panic in its own code.
    Panic,
    /// It stops answering (an agent: SIGSTOP to itself, continued after a bound).
    Hang,
    /// It ends cleanly, as if by itself.
    Stop,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    Health {
        health: Health,
        detail: String,
        took_ms: u64,
        incarnation: Incarnation,
    },
    Status {
        text: String,
    },
    /// A message's answer, as JSON.
    Reply {
        body: String,
    },
    Done {
        text: String,
    },
    Refused(Refusal),
}

/// Why there is no answer; never silence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    pub code: Code,
    pub text: String,
    /// The nearest valid names, where a name was wrong.
    pub nearest: Vec<String>,
}

impl Refusal {
    pub fn new(code: Code, text: impl Into<String>) -> Self {
        Self {
            code,
            text: text.into(),
            nearest: Vec::new(),
        }
    }
}
