//! What goes into the agent core and what comes out of it.

use std::collections::BTreeMap;

use mainstay_protocol::command::{Answer, Command, Reconfigure, Start, Stop, TakeBack};
use mainstay_protocol::report::{Report, Reports, SysInfo, TypeDeclaration};
use mainstay_protocol::request::Refusal;
use mainstay_protocol::session::{Acknowledged, Welcome};
use mainstay_protocol::work::{Work, WorkAnswer};
use mainstay_protocol::{AgentRunId, BootId, CommandId, Epoch, Incarnation, InstanceKey, NodeName};

use crate::file::{Came, FileRecord};

/// Who this agent is; fixed for the life of its process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub node: NodeName,
    pub agent_run: AgentRunId,
    pub boot_id: BootId,
    pub build: String,
    pub address: String,
    pub sysinfo: SysInfo,
    pub provides: Vec<TypeDeclaration>,
}

/// Everything that can happen to the agent core.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// The station answered NodeUp: the outbox is sent from the watermark on.
    SessionUp(Welcome),
    SessionDown,
    /// The station answered a heartbeat that was sent at this moment: leases of this epoch count from then on.
    Renewed {
        from_ms: u64,
        epoch: Epoch,
    },
    Command(Command),
    Acknowledged(Acknowledged),
    Observed(Observation),
    /// The agent was asked to end: nothing comes after this. What of its instances ends with it, ended in order.
    Farewell,
    /// Nothing happened for a while: what could not be said for want of room is said now.
    Tick,
}

/// What the starter, the host or the supervisor saw. One that comes late (another incarnation lives, or none)
/// is dropped, so each may be said twice without harm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observation {
    /// What becomes a report. From the starter: `Started`, or `CouldNotStart` and `NameTaken` when nothing of the
    /// incarnation is left. From the supervisor, or from the host for what was never watched: how it ended, how it
    /// is, and who watches it.
    Seen(Report),
    /// From the host: stopping and aborting both failed; the task is still there and keeps its name.
    WillNotEnd {
        instance: InstanceKey,
        incarnation: Incarnation,
    },
    /// From the host: the configuration that a Reconfigure brought is in use, or why it is not.
    Reconfigured {
        command: CommandId,
        instance: InstanceKey,
        incarnation: Incarnation,
        outcome: Result<String, Refusal>,
    },
    /// From the host: what came of an activity that an instance was given.
    Worked {
        command: CommandId,
        answer: WorkAnswer,
    },
    /// From the host: the living incarnation that an Adopt is about, told as `Adopted`; none where it has not started
    /// yet, and says so by itself.
    ToldAgain {
        command: CommandId,
        instance: InstanceKey,
        incarnation: Incarnation,
        adopted: Option<Box<Report>>,
    },
}

/// What a new life of the agent found of an incarnation that an earlier one began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Survivor {
    /// It lives, as this began it.
    Lives(Start),
    /// It came to its end meanwhile: `Ended` or `Failed`, with nothing left.
    Ended(Report),
}

/// One of each instance at most.
pub type Survivors = BTreeMap<InstanceKey, Survivor>;

/// What the driver has to do, in this order, after `Output::persist` is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// The starter: take over what survived an earlier life of the agent. Only ever at the beginning of a life.
    Adopt { start: Start, came: Came },
    /// The starter: start it; the answer is Started, CouldNotStart, NameTaken or Failed.
    Start(Start),
    /// The host: ask, wait for the deadline, kill, confirm. Names the living incarnation, which may be older
    /// than the one the command names. A second one for the same incarnation may be harder: obey the harder.
    Stop(Stop),
    /// The host: give it another configuration; the answer is Reconfigured.
    Reconfigure {
        command: CommandId,
        change: Reconfigure,
    },
    /// The host: this is what it asked.
    Answer(Answer),
    /// The host: give it this activity of a run; the answer is Worked, whenever it comes.
    Work { command: CommandId, work: Box<Work> },
    /// The host: nobody wants it any more. The answer is the Worked of what is taken back, when nothing of it is at work.
    TakeBack(TakeBack),
    /// The host: tell of it anew, as adopted; the answer is ToldAgain.
    TellAgain {
        command: CommandId,
        instance: InstanceKey,
        incarnation: Incarnation,
    },
    /// To the station, at once: a heartbeat that asks for a renewal. The answer is `Renewed`.
    Renew,
    /// The host: what has a lease of this epoch may go on until so long after this moment.
    Renewed { from_ms: u64, epoch: Epoch },
    /// To the station. Only while a session is up, and only within its credits.
    Send(Reports),
    /// The session's other end is not to be followed.
    CloseSession { why: String },
}

/// The driver writes `persist` to the agent's file, then carries out `actions`.
#[must_use = "records must reach the file before the actions are carried out"]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    pub persist: Vec<FileRecord>,
    pub actions: Vec<Action>,
}
