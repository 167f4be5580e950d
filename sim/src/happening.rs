//! What can happen next: the entries of the one queue.

use mainstay_coordinator::{AskHost, ProposalId, Ticket};
use mainstay_protocol::command::Command;
use mainstay_protocol::health::Health;
use mainstay_protocol::request::Refusal;
use mainstay_protocol::session::{AgentMessage, StationMessage};
use mainstay_protocol::work::WorkAnswer;
use mainstay_protocol::{CommandId, StationId};
use mainstay_supervisor::Observation;

use crate::fault::Fault;
use crate::link::LinkId;
use crate::member::Word;
use crate::plan::Growth;
use crate::station::StationAt;

/// A node's place in the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeAt(pub usize);

/// One running actor of a simulated service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActorId(pub u64);

/// `life` is that of the process it was meant for: what comes after its death is dropped.
#[derive(Debug, Clone)]
pub enum Happening {
    ToStation {
        link: LinkId,
        message: AgentMessage,
    },
    ToAgent {
        link: LinkId,
        message: StationMessage,
    },
    /// A command that outlives the session that it was sent on.
    CommandStrays {
        node: NodeAt,
        command: Box<Command>,
    },
    StationSeesEnd(LinkId),
    AgentSeesEnd(LinkId),
    /// What had been written by then is synced.
    Synced {
        station: StationAt,
        life: u64,
        file: u64,
        up_to: usize,
    },
    LogSaysLost {
        station: StationAt,
        life: u64,
        proposal: ProposalId,
    },
    /// A word of another station arrives.
    StationSays {
        station: StationAt,
        from: StationId,
        word: Box<Word>,
    },
    Ticks {
        station: StationAt,
        life: u64,
    },
    StationWakes {
        station: StationAt,
        life: u64,
    },
    StationStarts(StationAt),
    AgentStarts {
        node: NodeAt,
        life: u64,
    },
    AgentConnects {
        node: NodeAt,
        life: u64,
    },
    /// Once a second while a session is up.
    Heartbeat {
        node: NodeAt,
        life: u64,
        link: LinkId,
    },
    Host {
        node: NodeAt,
        life: u64,
        actor: ActorId,
        act: Act,
    },
    /// The hold of something looks at its lease.
    LeaseEnds {
        node: NodeAt,
        boot: u64,
        actor: ActorId,
    },
    ChecksDue {
        node: NodeAt,
        life: u64,
    },
    Checked {
        node: NodeAt,
        life: u64,
        actor: ActorId,
        answer: Option<Health>,
    },
    SupervisorStarts {
        node: NodeAt,
        life: u64,
    },
    OperatorActs,
    /// Somebody works on a node.
    CarerActs,
    /// Somebody wants something of a run.
    ClientActs,
    OperatorTriesAgain {
        order: u64,
    },
    /// A station that does not lead passes an order on.
    OrderPassedOn {
        station: StationAt,
        order: u64,
        ticket: Ticket,
    },
    /// A command about a machine comes to its end.
    HostCommandEnds {
        station: StationAt,
        life: u64,
        ask: Box<AskHost>,
    },
    /// A station has looked for a node, and whoever it asked has.
    Looked {
        station: StationAt,
        life: u64,
        look: Box<mainstay_coordinator::Look>,
    },
    /// Somebody wants the group to grow or to shrink.
    ChangeWanted(Growth),
    /// And asks for that until it is told that it is so.
    ChangeAsked {
        number: u64,
    },
    /// Somebody throws a stone.
    Mischief,
    Calm,
    Look,
}

/// What a simulated service, or the host for it, does when its time has come.
#[derive(Debug, Clone)]
pub enum Act {
    /// `start` has returned, or was given up.
    StartOver(Observation),
    /// Its own behaviour changes.
    Misbehaves(Fault),
    /// It is gone.
    Gone(Observation),
    /// It has looked at another configuration; none: it panicked over it.
    ChangeOver {
        command: CommandId,
        outcome: Option<Result<String, Refusal>>,
    },
    /// What came of an activity that it was given.
    Works {
        command: CommandId,
        answer: WorkAnswer,
    },
    /// The kill did not end it either.
    KillOverdue,
}
