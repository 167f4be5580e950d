//! The agent core: decides nothing about services, but keeps what a node must never get wrong: names, floors,
//! commands under way, reports not yet committed.
//!
//! ```text
//!   Start ---> name held, floor passed? --no--> CommandDone{Stale | Refused}
//!                | yes
//!                v
//!              Starting --Started--> Running
//!                |                     |      Stop: raises the floor, asks the host
//!                |                     +----------------> Stopping
//!                v                     v                     v
//!          CouldNotStart         Ended | Failed{Gone}  (or WillNotEnd: stays, keeps its name)
//!                '---------------------'---------------------'----> name free, a waiting Start begins
//! ```
//!
//! Answers. Start: `Done` once it was carried out, whatever came of it (the report in front of the answer says
//! what: Started, CouldNotStart, Failed, Ended); `Refused` when the name is held or there is no room, which ends
//! that incarnation too; `Stale` below the floor. A deposed leader's commands are neither obeyed nor answered.
//! Work: `Done` when its instance has it, told in front of what came of it where that is soon.
//! Stop: `Done` once the instance is gone, `NotRunning`, or `WillNotEnd`. A Start of a newer incarnation waits
//! while a Stop of the older one is under way; without such a Stop it is refused, with the instance itself as
//! holder. A repeat of a command whose answer is committed is judged anew: floors make that `Stale` or
//! `NotRunning`, and the coordinator no longer knows the command.
//!
//! Leases. A Start with a lease waits for a renewal that was asked for after it came: one that was late on its way, from
//! a leader that is none any more, never takes effect. The session's end forgets it, and it comes again. What has a
//! lease is ended by the host, or the hold beside it, never from here.

mod command;
mod floors;
mod input;
mod leases;
mod ledger;
mod names;
mod observation;
mod outbox;
mod recovery;
mod session;
mod state;

use std::collections::{BTreeMap, BTreeSet};

use mainstay_protocol::code::Code;
use mainstay_protocol::command::Start;
use mainstay_protocol::health::Health;
use mainstay_protocol::report::{
    CommandOutcome, DigestEntry, LiveInstance, NodeUp, Numbered, Report,
};
use mainstay_protocol::{CommandId, InstanceKey, Sequence, TypeName, limits};

use crate::file::{FileRecord, Life, Recovered};
use leases::Unleased;

pub use input::{Action, Identity, Input, Observation, Output, Survivor, Survivors};
pub use state::State;

/// The pure heart of an agent.
#[derive(Debug, Clone)]
pub struct AgentCore {
    identity: Identity,
    state: State,
    /// The Start of a newer incarnation, until the older one is gone.
    waiting: BTreeMap<InstanceKey, (CommandId, Start)>,
    /// Starts with a lease, until this session is renewed.
    unleased: BTreeMap<InstanceKey, Unleased>,
    now_ms: u64,
    /// Instances that will not end, since the last try to stop them.
    stuck: BTreeSet<InstanceKey>,
    /// Activities that were taken, of which nothing is said yet, and since when: most are done so soon that one word is
    /// enough.
    untold: BTreeMap<CommandId, u64>,
    /// Activities that nobody wants any more and that may be at work, with the command that said so.
    taken_back: BTreeMap<CommandId, CommandId>,
    /// What the last Check of each living instance said.
    pulses: BTreeMap<InstanceKey, Pulse>,
    /// The number of the supervisor that lives.
    supervisor: u64,
    supervisor_unsaid: Option<Report>,
    /// Some pulse has something unsaid.
    health_unsaid: bool,
    session: Option<session::Session>,
    /// The highest number ever sent in this epoch: what is above it may still be replaced by something newer.
    sent: Sequence,
    output: Output,
}

#[derive(Debug, Clone, Default)]
struct Pulse {
    health: Health,
    service_type: Option<TypeName>,
    /// The newest health report the full outbox had no room for.
    unsaid: Option<Report>,
}

impl AgentCore {
    /// Begins a life of the agent on what its file says, where nothing can have outlived the last one.
    pub fn new(identity: Identity, recovered: Recovered) -> (Self, Output) {
        Self::adopting(identity, recovered, Survivors::new())
    }

    /// Begins a life of the agent on what its file says; the driver has cut the file at `valid_len`.
    /// What was begun by an earlier life and did not survive it is concluded here: all its actors died with it.
    pub fn adopting(
        identity: Identity,
        recovered: Recovered,
        survivors: Survivors,
    ) -> (Self, Output) {
        let mut core = Self {
            identity,
            state: State::default(),
            waiting: BTreeMap::new(),
            unleased: BTreeMap::new(),
            now_ms: 0,
            stuck: BTreeSet::new(),
            untold: BTreeMap::new(),
            taken_back: BTreeMap::new(),
            pulses: BTreeMap::new(),
            supervisor: 1,
            supervisor_unsaid: None,
            health_unsaid: false,
            session: None,
            sent: Sequence(0),
            output: Output::default(),
        };
        core.recover(recovered, survivors);
        let output = std::mem::take(&mut core.output);
        (core, output)
    }

    /// Takes one input. The driver writes `persist`, then carries out `actions`. The time is that of the clock whose
    /// moments `Renewed` names.
    pub fn step(&mut self, now_ms: u64, input: Input) -> Output {
        self.now_ms = now_ms;
        match input {
            Input::SessionUp(welcome) => self.session_up(&welcome),
            Input::SessionDown => self.session_down(),
            Input::Renewed { from_ms, epoch } => self.renewed(from_ms, epoch),
            Input::Command(command) => self.command(command),
            Input::Acknowledged(acknowledged) => self.acknowledged(&acknowledged),
            Input::Observed(observation) => self.observed(observation),
            Input::Farewell => self.persist(FileRecord::Life(Life::EndedInOrder)),
            Input::Tick => {}
        }
        self.say_the_unsaid();
        self.send();
        std::mem::take(&mut self.output)
    }

    /// What this agent says of itself when a session opens.
    pub fn node_up(&self) -> NodeUp {
        NodeUp {
            node: self.identity.node.clone(),
            node_id: self.state.node_id,
            boot_id: self.identity.boot_id.clone(),
            agent_run: self.identity.agent_run,
            node_epoch: self.state.node_epoch,
            build: self.identity.build.clone(),
            address: self.identity.address.clone(),
            sysinfo: self.identity.sysinfo.clone(),
            provides: self.identity.provides.clone(),
            digest: self.digest(),
            supervisor: self.supervisor,
        }
    }

    /// Every instance of which this node has a floor or a living incarnation.
    pub fn digest(&self) -> BTreeMap<InstanceKey, DigestEntry> {
        let entry = |instance: &InstanceKey| {
            self.state.living.get(instance).map(|living| {
                let pulse = self.pulses.get(instance);
                LiveInstance {
                    incarnation: living.incarnation,
                    state: living.state,
                    health: pulse.map(|pulse| pulse.health).unwrap_or_default(),
                    service_type: pulse.and_then(|pulse| pulse.service_type.clone()),
                }
            })
        };
        self.state
            .floors
            .iter()
            .map(|(instance, floor)| {
                let live = entry(instance);
                (instance.clone(), DigestEntry { floor, live })
            })
            .collect()
    }

    /// Reports not yet acknowledged.
    pub fn outbox_depth(&self) -> u64 {
        self.state.outbox.len() as u64
    }

    /// Whether something is still to be said, for which there was no room or which has time: then it wants a tick now
    /// and then.
    pub fn has_unsaid(&self) -> bool {
        self.health_unsaid || self.supervisor_unsaid.is_some() || !self.untold.is_empty()
    }

    /// The whole file, shorter: written to a new file that then takes the old one's place.
    pub fn snapshot_records(&self) -> Vec<FileRecord> {
        self.state.records()
    }

    fn persist(&mut self, record: FileRecord) {
        self.state.apply(&record);
        self.output.persist.push(record);
    }

    /// Puts a report into the outbox; an older one that it makes superfluous and that was not sent goes.
    fn report(&mut self, report: Report) {
        let replaces = self.state.outbox.superseded(&report, self.sent);
        let numbered = Numbered {
            sequence: self.state.outbox.next(),
            report,
        };
        self.persist(FileRecord::Reported { numbered, replaces });
    }

    fn answer(&mut self, command: CommandId, outcome: CommandOutcome) {
        self.report(Report::CommandDone { command, outcome });
    }

    fn refuse(&mut self, command: CommandId, code: Code, text: String) {
        self.answer(command, CommandOutcome::Refused { code, text });
    }

    /// Nothing is known of its health yet.
    fn first_pulse(&mut self, start: &Start) {
        let pulse = Pulse {
            service_type: Some(start.service_type.clone()),
            ..Pulse::default()
        };
        self.pulses.insert(start.instance.clone(), pulse);
    }

    /// No room for what is not needed for safety.
    fn outbox_is_full(&self) -> bool {
        self.state.outbox.len() >= limits::OUTBOX_REPORTS_MAX
    }

    /// No room even for refusals: a command that would only be refused is not answered at all, and comes again.
    fn outbox_is_overfull(&self) -> bool {
        self.state.outbox.len() >= limits::OUTBOX_REPORTS_MAX + limits::OUTBOX_ANSWERS_MAX
    }
}

#[cfg(test)]
mod tests;
