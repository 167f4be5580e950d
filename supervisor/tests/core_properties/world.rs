//! The world around an agent: a machine, a file, a station that commits. It asserts on every effect.
#![expect(
    clippy::unwrap_used,
    reason = "only tests use it, and the names in it are valid"
)]

use std::collections::{BTreeMap, BTreeSet};

use mainstay_protocol::code;
use mainstay_protocol::command::{
    CheckSchedule, Command, Order, Reconfigure, Start, Stop, StopManner, StopWhy,
};
use mainstay_protocol::report::{CommandOutcome, Presence, Report, SysInfo};
use mainstay_protocol::request::Refusal;
use mainstay_protocol::session::{Acknowledged, Welcome};
use mainstay_protocol::{
    AgentRunId, BootId, CommandId, Epoch, Incarnation, InstanceKey, Leadership, NodeEpoch, NodeId,
    NodeName, PlacementName, Revision, Sequence, SlotName, Term, TypeName,
};
use mainstay_supervisor::{
    Action, AgentCore, Identity, Input, Observation, Output, encode_record, replay,
};
use uuid::Uuid;

use super::seen::observation;
use super::{Act, Seen};

/// The station: it numbers epochs, commits reports in order and knows each command's answer.
#[derive(Default)]
pub struct Station {
    epoch: u64,
    watermark: u64,
    /// What arrived in this session beyond the watermark.
    arrived: BTreeMap<u64, Report>,
    connected: bool,
    term: u64,
    pub answers: BTreeMap<CommandId, CommandOutcome>,
    ends: BTreeMap<(InstanceKey, Incarnation), u32>,
}

pub struct World {
    pub core: AgentCore,
    file: Vec<u8>,
    boot: u64,
    /// What really lives on the machine, by what the agent was told to do.
    machine: BTreeMap<InstanceKey, (Incarnation, SlotName)>,
    pub station: Station,
    commands: Vec<Command>,
    /// Changes that the host was given, also those whose instance has ended.
    changes: Vec<(CommandId, InstanceKey, Incarnation)>,
    /// The newest incarnation ever given out, and the highest one stopped, per instance.
    newest: BTreeMap<InstanceKey, u64>,
    stopped: BTreeMap<InstanceKey, Incarnation>,
    begun: BTreeSet<(InstanceKey, Incarnation)>,
    /// Commands of whoever led when they arrived.
    pub obeyed: BTreeSet<CommandId>,
    last_sent: u64,
}

fn identity(boot: u64) -> Identity {
    Identity {
        node: NodeName::new("n1").unwrap(),
        agent_run: AgentRunId(Uuid::from_u128(1)),
        boot_id: BootId(boot.to_string()),
        build: String::new(),
        address: String::new(),
        sysinfo: SysInfo::default(),
        provides: Vec::new(),
    }
}

fn key(instance: u8) -> InstanceKey {
    let placement = PlacementName::new(format!("p{instance}")).unwrap();
    InstanceKey::new(NodeName::new("n1").unwrap(), placement)
}

fn incarnation(count: u64) -> Incarnation {
    Incarnation {
        epoch: Epoch(1),
        created: Revision(1),
        count,
    }
}

fn leadership(term: u64) -> Leadership {
    Leadership {
        epoch: Epoch(1),
        term: Term(term),
    }
}

impl World {
    pub fn new() -> Self {
        let (core, output) = AgentCore::new(identity(0), replay(&[]));
        let mut world = Self {
            core,
            file: Vec::new(),
            boot: 0,
            machine: BTreeMap::new(),
            station: Station {
                term: 1,
                ..Station::default()
            },
            commands: Vec::new(),
            changes: Vec::new(),
            newest: BTreeMap::new(),
            stopped: BTreeMap::new(),
            begun: BTreeSet::new(),
            obeyed: BTreeSet::new(),
            last_sent: 0,
        };
        world.carry_out(output);
        world.connect();
        world
    }

    fn carry_out(&mut self, output: Output) {
        for record in &output.persist {
            self.file.extend(encode_record(record));
        }
        for action in output.actions {
            match action {
                Action::Adopt { .. } => unreachable!("nothing survives on this machine"),
                Action::Start(start) => self.started_on_machine(start),
                Action::Stop(stop) => {
                    let lives = self.machine.get(&stop.instance).map(|(lives, _)| *lives);
                    assert_eq!(lives, Some(stop.incarnation), "a stop names what lives");
                }
                Action::Reconfigure { command, change } => {
                    let lives = self.machine.get(&change.instance).map(|(lives, _)| *lives);
                    assert_eq!(
                        lives,
                        Some(change.incarnation),
                        "only what lives is changed"
                    );
                    let newer = self.changes.iter().any(|(earlier, instance, incarnation)| {
                        (instance, *incarnation) == (&change.instance, change.incarnation)
                            && *earlier >= command
                    });
                    assert!(!newer, "a change that is past is not made again");
                    self.changes
                        .push((command, change.instance, change.incarnation));
                }
                Action::Answer(answer) => {
                    let lives = self.machine.get(&answer.instance).map(|(lives, _)| *lives);
                    assert_eq!(
                        lives,
                        Some(answer.incarnation),
                        "only what lives is answered"
                    );
                }
                Action::Renew | Action::Renewed { .. } => {
                    unreachable!("this station grants no leases")
                }
                Action::TellAgain { .. } => unreachable!("this station adopts nothing"),
                Action::Work { .. } | Action::TakeBack(_) => {
                    unreachable!("this station has no runs")
                }
                Action::Send(reports) => {
                    assert!(self.station.connected, "nothing is sent without a session");
                    assert_eq!(reports.node_epoch, NodeEpoch(self.station.epoch));
                    for numbered in reports.reports {
                        assert!(
                            numbered.sequence.0 > self.last_sent,
                            "numbers rise strictly"
                        );
                        self.last_sent = numbered.sequence.0;
                        self.station
                            .arrived
                            .insert(numbered.sequence.0, numbered.report);
                    }
                    assert!(
                        self.station.arrived.len() <= CREDITS,
                        "never beyond the credits"
                    );
                }
                Action::CloseSession { .. } => self.station.connected = false,
            }
        }
    }

    /// Invariants 1 and 2: one holder of each name, no incarnation twice, none below its floor.
    fn started_on_machine(&mut self, start: Start) {
        let instance = start.instance.clone();
        assert!(
            !self.machine.contains_key(&instance),
            "an instance has no twin"
        );
        let held = self.machine.values().any(|(_, name)| *name == start.name);
        assert!(!held, "{} has one holder", start.name);
        let floor = self.stopped.get(&instance).copied().unwrap_or_default();
        assert!(
            start.incarnation > floor,
            "what was stopped is not started later"
        );
        self.begun.insert((instance.clone(), start.incarnation));
        self.machine
            .insert(instance, (start.incarnation, start.name));
    }

    fn step(&mut self, input: Input) {
        let output = self.core.step(0, input);
        self.carry_out(output);
    }

    pub fn act(&mut self, act: &Act) {
        match act {
            Act::Start {
                instance,
                name,
                ahead,
                term,
            } => {
                self.give_start(*instance, *name, u64::from(*ahead), *term);
            }
            Act::Stop {
                instance,
                behind,
                term,
            } => {
                self.give_stop(*instance, u64::from(*behind), *term);
            }
            Act::Change {
                instance,
                behind,
                term,
            } => self.give_change(*instance, u64::from(*behind), *term),
            Act::Changed { which, taken } => self.changed(*which as usize, *taken),
            Act::Repeat(which) => {
                if !self.commands.is_empty() {
                    let command = self.commands[*which as usize % self.commands.len()].clone();
                    self.receive(command);
                }
            }
            Act::Observe { instance, what } => self.observe(&key(*instance), *what),
            Act::Lie {
                instance,
                count,
                what,
            } => {
                let lies = incarnation(u64::from(*count));
                let lives = self.machine.get(&key(*instance)).map(|(lives, _)| *lives);
                if lives != Some(lies) {
                    self.step(Input::Observed(observation(&key(*instance), lies, *what)));
                }
            }
            Act::Connect => self.connect(),
            Act::Disconnect => self.disconnect(),
            Act::Commit(many) => self.commit(*many as usize),
            Act::Crash { cut } => self.crash(*cut),
            Act::EndInOrder => {
                // What would still be sent goes down with the session.
                for record in self.core.step(0, Input::Farewell).persist {
                    self.file.extend(encode_record(&record));
                }
                self.live_again();
            }
            Act::Snapshot => {
                self.file = self
                    .core
                    .snapshot_records()
                    .iter()
                    .flat_map(encode_record)
                    .collect();
            }
            Act::Reboot => self.reboot(),
            Act::ForgetEpoch => {
                self.disconnect();
                self.new_epoch();
            }
        }
    }

    fn give_start(&mut self, instance: u8, name: u8, ahead: u64, term: u8) {
        let newest = self.newest.entry(key(instance)).or_default();
        *newest += ahead;
        let order = Order::Start(Start {
            instance: key(instance),
            incarnation: incarnation(*newest),
            service_type: TypeName::new("greeter").unwrap(),
            name: SlotName::new(format!("s{name}")).unwrap(),
            config: "{}".to_owned(),
            start_deadline_ms: 1,
            stop_deadline_ms: 1,
            checks: CheckSchedule {
                first_ms: 1,
                interval_ms: 1,
                deadline_ms: 1,
                misses_max: 1,
            },
            lease: None,
            needs: Default::default(),
            addresses: Default::default(),
        });
        self.give(order, term);
    }

    fn give_stop(&mut self, instance: u8, behind: u64, term: u8) {
        let newest = self.newest.get(&key(instance)).copied().unwrap_or_default();
        let order = Order::Stop(Stop {
            instance: key(instance),
            incarnation: incarnation(newest.saturating_sub(behind)),
            deadline_ms: 1,
            why: StopWhy::NotWanted,
            manner: StopManner::AskThenKill,
        });
        self.give(order, term);
    }

    /// To the newest, or to one that is past.
    fn give_change(&mut self, instance: u8, behind: u64, term: u8) {
        let newest = self.newest.get(&key(instance)).copied().unwrap_or_default();
        let order = Order::Reconfigure(Reconfigure {
            instance: key(instance),
            incarnation: incarnation(newest.saturating_sub(behind)),
            config: "{}".to_owned(),
            deadline_ms: 1,
        });
        self.give(order, term);
    }

    /// Most commands come from the leader, some from one that was deposed, some from the next.
    fn give(&mut self, order: Order, term: u8) {
        let term = match term {
            0 => self.station.term.saturating_sub(1),
            1 => {
                self.station.term += 1;
                self.station.term
            }
            _ => self.station.term,
        };
        let id = CommandId(self.commands.len() as u64 + 1);
        let command = Command {
            id,
            leadership: leadership(term),
            order,
        };
        self.commands.push(command.clone());
        self.receive(command);
    }

    fn receive(&mut self, command: Command) {
        let obeyed = command.leadership >= leadership(self.station.term);
        if obeyed {
            self.obeyed.insert(command.id);
        }
        if let Order::Stop(stop) = &command.order
            && obeyed
        {
            let floor = self.stopped.entry(stop.instance.clone()).or_default();
            *floor = stop.incarnation.max(*floor);
        }
        self.step(Input::Command(command));
    }

    fn observe(&mut self, instance: &InstanceKey, what: Seen) {
        let Some((lives, _)) = self.machine.get(instance).cloned() else {
            return;
        };
        match what {
            Seen::CouldNotStart | Seen::NameTaken if self.has_started(instance) => return,
            Seen::CouldNotStart | Seen::NameTaken | Seen::Ended | Seen::FailedGone => {
                self.machine.remove(instance);
            }
            Seen::Started
            | Seen::FailedLiving
            | Seen::Health(_)
            | Seen::Unresponsive
            | Seen::WillNotEnd => {}
        }
        self.step(Input::Observed(observation(instance, lives, what)));
    }

    fn changed(&mut self, which: usize, taken: bool) {
        let Some((command, instance, incarnation)) =
            self.changes.get(which % self.changes.len().max(1)).cloned()
        else {
            return;
        };
        let outcome = match taken {
            true => Ok("{}".to_owned()),
            false => Err(Refusal::new(code::NEEDS_RESTART, "later")),
        };
        self.step(Input::Observed(Observation::Reconfigured {
            command,
            instance,
            incarnation,
            outcome,
        }));
    }

    /// A starter says one thing only.
    fn has_started(&self, instance: &InstanceKey) -> bool {
        use mainstay_protocol::report::LiveState;
        let digest = self.core.digest();
        let live = digest.get(instance).and_then(|entry| entry.live.as_ref());
        live.is_some_and(|live| live.state != LiveState::Starting)
    }

    fn connect(&mut self) {
        self.disconnect();
        let up = self.core.node_up();
        if up.node_epoch != Some(NodeEpoch(self.station.epoch)) || self.station.epoch == 0 {
            self.new_epoch();
        }
        self.station.connected = true;
        self.last_sent = self.station.watermark;
        self.step(Input::SessionUp(Welcome {
            node_id: NodeId(Uuid::from_u128(7)),
            node_epoch: NodeEpoch(self.station.epoch),
            watermark: Sequence(self.station.watermark),
            leadership: leadership(self.station.term),
            credits: CREDITS as u32,
        }));
    }

    fn new_epoch(&mut self) {
        self.station.epoch += 1;
        self.station.watermark = 0;
    }

    fn disconnect(&mut self) {
        self.station.connected = false;
        self.station.arrived.clear();
        self.step(Input::SessionDown);
    }

    fn commit(&mut self, many: usize) {
        let arrived = &self.station.arrived;
        let Some(up_to) = arrived.keys().nth(many % arrived.len().max(1)).copied() else {
            return;
        };
        let rest = self.station.arrived.split_off(&(up_to + 1));
        for (_, report) in std::mem::replace(&mut self.station.arrived, rest) {
            self.record(report);
        }
        self.station.watermark = up_to;
        self.step(Input::Acknowledged(Acknowledged {
            node_epoch: NodeEpoch(self.station.epoch),
            up_to: Sequence(up_to),
        }));
    }

    /// A committed answer stands. A command that comes again after that may be answered once more, but never as
    /// if it had been carried out a second time.
    fn record(&mut self, report: Report) {
        match report {
            Report::CommandDone { command, outcome } => {
                let first = self.station.answers.get(&command);
                let again = matches!(outcome, CommandOutcome::Stale | CommandOutcome::NotRunning);
                // One that came before its instance was there may find it there when it comes again.
                let is_change = self
                    .commands
                    .iter()
                    .any(|one| one.id == command && matches!(one.order, Order::Reconfigure(_)));
                let early = is_change && first == Some(&CommandOutcome::NotRunning);
                assert!(
                    again
                        || early
                        || first.is_none_or(|first| *first == CommandOutcome::WillNotEnd),
                    "{command}: {first:?}, then {outcome:?}"
                );
                self.station.answers.entry(command).or_insert(outcome);
            }
            Report::Ended {
                instance,
                incarnation,
                ..
            }
            | Report::CouldNotStart {
                instance,
                incarnation,
                ..
            }
            | Report::Failed {
                instance,
                incarnation,
                presence: Presence::Gone,
                ..
            } => {
                let begun = self.begun.contains(&(instance.clone(), incarnation));
                let ends = self
                    .station
                    .ends
                    .entry((instance, incarnation))
                    .or_default();
                *ends += 1;
                // Begun in the file and killed before the action: it ends without ever having been there.
                assert!(*ends == 1 || !begun, "an incarnation ends once");
            }
            Report::Started { .. }
            | Report::NameTaken { .. }
            | Report::Failed { .. }
            | Report::HealthChanged { .. }
            | Report::Unresponsive { .. }
            | Report::ConfigChanged { .. }
            | Report::Adopted { .. }
            | Report::Acquired { .. }
            | Report::Released { .. }
            | Report::Asked { .. }
            | Report::Announced { .. }
            | Report::Recorded { .. }
            | Report::Worked { .. }
            | Report::GuardSaw { .. }
            | Report::WatcherSaw { .. }
            | Report::SupervisorChanged { .. } => {}
        }
    }

    /// Kill -9 while the last records are being written: all actors die with the process.
    fn crash(&mut self, cut: u16) {
        let whole = self.file.len();
        // A last step whose actions were carried out is whole in the file: only what comes now can be torn.
        let output = self.core.step(0, Input::SessionDown);
        assert!(output.actions.is_empty() && output.persist.is_empty());
        if let Some(command) = self.commands.last().cloned() {
            let repeat = Command {
                id: CommandId(command.id.0 + 1),
                ..command
            };
            let torn = self.core.step(0, Input::Command(repeat));
            for record in &torn.persist {
                self.file.extend(encode_record(record));
            }
            let grown = self.file.len() - whole;
            self.file.truncate(whole + cut as usize % (grown + 1));
            let id = self.commands.len() as u64 + 1;
            let lost = Command {
                id: CommandId(id),
                ..self.commands[self.commands.len() - 1].clone()
            };
            self.commands.push(lost);
        }
        self.live_again();
    }

    fn reboot(&mut self) {
        self.boot += 1;
        // Void: floors are gone with the file, and so is what they promised.
        self.stopped.clear();
        self.begun.clear();
        self.station.answers.clear();
        self.live_again();
        self.station.ends.clear();
    }

    fn live_again(&mut self) {
        self.machine.clear();
        self.changes.clear();
        self.station.connected = false;
        self.station.arrived.clear();
        let recovered = replay(&self.file);
        assert!(!recovered.damaged);
        self.file.truncate(recovered.valid_len as usize);
        let (core, output) = AgentCore::new(identity(self.boot), recovered);
        self.core = core;
        assert!(
            output.actions.is_empty(),
            "a new life starts nothing by itself"
        );
        self.carry_out(output);
    }

    pub fn check(&self) {
        let digest = self.core.digest();
        let living: BTreeMap<InstanceKey, Incarnation> = digest
            .iter()
            .filter_map(|(key, entry)| Some((key.clone(), entry.live.as_ref()?.incarnation)))
            .collect();
        let machine: BTreeMap<InstanceKey, Incarnation> = self
            .machine
            .iter()
            .map(|(key, (lives, _))| (key.clone(), *lives))
            .collect();
        assert_eq!(living, machine, "the agent knows what lives");
    }

    /// With everything ended and everything committed, each command the agent took is answered.
    pub fn settle(&mut self) {
        for _ in 0..10 {
            for instance in 0..4 {
                self.observe(&key(instance), Seen::Ended);
            }
        }
        self.connect();
        let mut rounds = 0;
        while self.core.outbox_depth() > 0 {
            self.commit(self.station.arrived.len().saturating_sub(1));
            rounds += 1;
            assert!(rounds < 10_000, "the outbox drains");
        }
    }
}

const CREDITS: usize = 16;
