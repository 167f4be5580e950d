//! Requests: questions to an agent. Answered, not logged, at most once, each with a deadline.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::code::Code;
use crate::health::Health;
use crate::host::HostCommand;
use crate::ids::{InstanceKey, NodeName, SlotName};
use crate::limits;
use crate::numbers::Incarnation;
use crate::sight::Sight;
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
    /// A page of what an incarnation wrote, from a place on; from its beginning, if none is said.
    Logs {
        instance: InstanceKey,
        /// Its exclusive name, in whose slot its log is, whether it lives or not.
        name: SlotName,
        incarnation: Incarnation,
        of: LogOf,
        from: Option<LogPlace>,
    },
    /// What these instances use, at most `limits::USAGES_MAX` of them; measured when it is asked for, and only then.
    Usage {
        instances: Vec<InstanceKey>,
    },
    /// Have the agent's own certificate renewed now, on a connection of its own; done once the new one is kept.
    RenewCertificate,
    /// How the agent's own supervisor is; what its guards ask.
    Look,
    /// Look at another node now.
    LookAt {
        node: NodeName,
        /// Where its agent is: `HOST:PORT`, `unix:PATH`.
        address: String,
    },
    /// Of one instance to another, from agent to agent. Where an incarnation is named, no other one answers.
    Call {
        instance: InstanceKey,
        incarnation: Option<Incarnation>,
        what: Called,
    },
    /// The Check of an agent that watches it from another node; no other incarnation answers. It takes no caller's place.
    WatcherCheck {
        instance: InstanceKey,
        incarnation: Incarnation,
    },
    /// Run a command of the cluster's owners to its end; done if it exits with 0.
    HostCommand(HostCommand),
}

/// What an instance may ask another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Called {
    /// A message of the type's own: kebab-case name and JSON body.
    Message {
        message: String,
        body: String,
    },
    Check,
    Status,
}

impl Evolving for Ask {
    const NAME: &'static str = "ask";
    const VERSION: u16 = 1;
    const COMPAT: u16 = 1;
}

/// Which incarnation's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogOf {
    /// That of the incarnation that is named.
    This,
    /// That of the newest one before it that has one.
    Before,
}

/// A place in a log: its files are numbered from 1, and keep their numbers when they are put aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LogPlace {
    pub file: u64,
    pub offset: u64,
}

/// Whole lines of a log, at most `limits::LOG_PAGE_BYTES_MAX`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPage {
    pub incarnation: Incarnation,
    pub text: String,
    /// Where it goes on.
    pub next: LogPlace,
    /// Nothing more was there.
    pub end: bool,
    /// What was between the place that was asked for and this page is not kept any more.
    pub gap: bool,
}

/// What one incarnation uses. What its node cannot tell is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    pub incarnation: Incarnation,
    /// How long ago it began, in whatever life of its agent.
    pub age_ms: u64,
    /// Of the processes it stands for. An actor stands for none: it shares its agent's.
    pub outside: Option<OutsideUsage>,
    /// For how long its code has held the instance's task: messages, statuses.
    pub busy_ms: u64,
    /// How many of these it has served.
    pub served: u64,
}

/// What everything together uses that an instance stands for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutsideUsage {
    /// User and system, with what has ended already.
    pub cpu_ms: u64,
    /// Resident; what processes share counts in each of them.
    pub memory_bytes: u64,
    pub processes: u32,
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
    Log(LogPage),
    /// Of those that live there.
    Usage(BTreeMap<InstanceKey, Usage>),
    Sight(Sight),
}

impl Ask {
    /// Long enough to hold up what comes behind it.
    pub fn is_bulky(&self) -> bool {
        match self {
            Self::Message { body, .. }
            | Self::Call {
                what: Called::Message { body, .. },
                ..
            } => body.len() >= limits::BULKY_BYTES_MIN,
            Self::Usage { instances } => instances.len() >= USAGES_BULKY_MIN,
            Self::Check { .. }
            | Self::Status { .. }
            | Self::Chaos { .. }
            | Self::SupervisorCheck
            | Self::SupervisorStatus
            | Self::Look
            | Self::LookAt { .. }
            | Self::Call { .. }
            | Self::WatcherCheck { .. }
            | Self::RenewCertificate
            | Self::HostCommand(_)
            | Self::Logs { .. } => false,
        }
    }
}

impl Answer {
    /// Long enough to hold up what comes behind it.
    pub fn is_bulky(&self) -> bool {
        let bytes = match self {
            Self::Health { detail, .. } => detail.len(),
            Self::Status { text } | Self::Done { text } => text.len(),
            Self::Reply { body } => body.len(),
            Self::Log(page) => page.text.len(),
            Self::Usage(used) => return used.len() >= USAGES_BULKY_MIN,
            Self::Sight(_) => return false,
            Self::Refused(refusal) => refusal.text.len(),
        };
        bytes >= limits::BULKY_BYTES_MIN
    }
}

/// A key and its usage are hundred to two hundred bytes.
const USAGES_BULKY_MIN: usize = limits::BULKY_BYTES_MIN / 128;

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
