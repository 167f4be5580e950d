//! Commands: instructions of the coordinator to an agent. Committed first, idempotent, repeated until answered.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::code::Code;
use crate::ids::{CommandId, InstanceKey, PlacementName, QuestionId, SlotName, TypeName};
use crate::numbers::{Epoch, Incarnation, Leadership, Revision};
use crate::room::Needs;
use crate::versioned::{Evolving, nested};
use crate::work::Work;

/// A command as it travels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    pub id: CommandId,
    pub leadership: Leadership,
    #[serde(with = "nested")]
    pub order: Order,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    Start(Start),
    Stop(Stop),
    Reconfigure(Reconfigure),
    Answer(Answer),
    Adopt(Adopt),
    /// An activity of a run: done when the instance has it, which answers by `Worked`. The agent may say both at once.
    Work(Box<Work>),
    TakeBack(TakeBack),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    pub instance: InstanceKey,
    pub incarnation: Incarnation,
    pub service_type: TypeName,
    pub name: SlotName,
    /// Canonical JSON.
    pub config: String,
    pub start_deadline_ms: u64,
    pub stop_deadline_ms: u64,
    pub checks: CheckSchedule,
    /// Of the only one in the cluster.
    pub lease: Option<Lease>,
    /// What it takes of the node, which refuses it where it has no such room.
    pub needs: Needs,
    /// `HOST:PORT` of an instance of each placement that its own depends on, as this start sees it.
    pub addresses: BTreeMap<PlacementName, String>,
}

/// The only one in the cluster runs for so long without a renewal of its node's session, and then is ended where it runs,
/// whoever lives there; a Start that carries one waits for a renewal that was asked for after it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Lease {
    pub ms: u64,
    /// How long it may take to end when the lease is over.
    pub stop_ms: u64,
    /// Of the leadership that granted it: one of another epoch does not renew it.
    pub epoch: Epoch,
    /// The revision that decided the Start.
    pub revision: Revision,
}

impl Lease {
    /// Above that of every earlier Start of its placement: outside systems refuse whoever shows a smaller one.
    pub fn fencing_token(&self) -> u64 {
        (self.epoch.0 << REVISION_BITS) | (self.revision.0 & ((1 << REVISION_BITS) - 1))
    }
}

/// A million revisions a second for eight years; what is left has room for sixty thousand epochs.
const REVISION_BITS: u32 = 48;

/// Stops this incarnation and everything older, and raises the floor: no older Start takes effect later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    pub instance: InstanceKey,
    pub incarnation: Incarnation,
    pub deadline_ms: u64,
    pub why: StopWhy,
    pub manner: StopManner,
}

/// Another configuration for this incarnation, which goes on with it or says that it cannot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reconfigure {
    pub instance: InstanceKey,
    pub incarnation: Incarnation,
    /// Canonical JSON.
    pub config: String,
    pub deadline_ms: u64,
}

/// What this incarnation asked is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    pub instance: InstanceKey,
    pub incarnation: Incarnation,
    pub question: QuestionId,
    pub answered: Answered,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answered {
    /// It has the resource.
    Granted,
    /// What to do about its failure, JSON that its type understands.
    Said(String),
    Refused {
        code: Code,
        text: String,
    },
}

/// An incarnation that runs and that no command started is wanted as it is: it is told again as started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adopt {
    pub instance: InstanceKey,
    pub incarnation: Incarnation,
}

/// Nobody wants an activity any more that was given to this incarnation: done when nothing of it is at work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakeBack {
    pub instance: InstanceKey,
    pub incarnation: Incarnation,
    /// The command that brought it.
    pub work: CommandId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopWhy {
    /// It is no longer wanted running.
    NotWanted,
    /// An operator asked for a restart.
    Restart,
    /// It failed but lives; the next incarnation needs its name.
    Failed,
    /// It misses its Checks.
    Unresponsive,
    /// It did not start in time.
    StartDeadline,
    /// It is started again with another configuration.
    Reconfigure,
}

/// Ask first and kill at the deadline, or kill at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopManner {
    AskThenKill,
    Kill,
}

/// When an instance is checked: at once after start, then 1, 2, 4 .. `interval_ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CheckSchedule {
    pub first_ms: u64,
    pub interval_ms: u64,
    pub deadline_ms: u64,
    /// So many misses in a row make `Unresponsive{missed = limit}`.
    pub misses_max: u32,
}

impl Evolving for Order {
    const NAME: &'static str = "order";
    const VERSION: u16 = 1;
    const COMPAT: u16 = 1;
}

impl Order {
    pub fn instance(&self) -> (&InstanceKey, Incarnation) {
        match self {
            Self::Start(start) => (&start.instance, start.incarnation),
            Self::Stop(stop) => (&stop.instance, stop.incarnation),
            Self::Reconfigure(change) => (&change.instance, change.incarnation),
            Self::Answer(answer) => (&answer.instance, answer.incarnation),
            Self::Adopt(adopt) => (&adopt.instance, adopt.incarnation),
            Self::Work(work) => (&work.instance, work.incarnation),
            Self::TakeBack(back) => (&back.instance, back.incarnation),
        }
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::Start(_) => "start",
            Self::Stop(_) => "stop",
            Self::Reconfigure(_) => "reconfigure",
            Self::Answer(_) => "answer",
            Self::Adopt(_) => "adopt",
            Self::Work(_) => "work",
            Self::TakeBack(_) => "take_back",
        }
    }
}
