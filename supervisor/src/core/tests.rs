//! The agent core, command by command: inputs in, reports and actions out.

mod commands;
mod leases;
mod outbox;
mod recovery;
mod room;
mod words;
mod work;

use mainstay_protocol::command::{CheckSchedule, Command, Order, Start, Stop, StopManner, StopWhy};
use mainstay_protocol::health::{Evidence, FailureKind, Health, RefusedStart};
use mainstay_protocol::report::{Ending, Presence, Report, SysInfo};
use mainstay_protocol::session::{Acknowledged, Welcome};
use mainstay_protocol::{
    AgentRunId, BootId, Epoch, Incarnation, Leadership, NodeEpoch, NodeId, NodeName, PlacementName,
    Revision, SlotName, Term, TypeName,
};
use uuid::Uuid;

use super::*;
use crate::file::{encode_record, replay};

/// An agent with its file, as a driver runs it.
pub(super) struct Agent {
    pub core: AgentCore,
    pub file: Vec<u8>,
}

impl Agent {
    pub fn new() -> Self {
        Self::on(Vec::new(), "boot-1").0
    }

    /// A life of the agent on this file; what it does at once comes along.
    pub fn on(file: Vec<u8>, boot: &str) -> (Self, Vec<Action>) {
        Self::begin(file, boot, Survivors::new())
    }

    /// A life that finds what outlived the last one.
    pub fn adopting(file: Vec<u8>, survivors: Survivors) -> (Self, Vec<Action>) {
        Self::begin(file, "boot-1", survivors)
    }

    fn begin(mut file: Vec<u8>, boot: &str, survivors: Survivors) -> (Self, Vec<Action>) {
        let recovered = replay(&file);
        file.truncate(recovered.valid_len as usize);
        let (core, output) = AgentCore::adopting(identity(boot), recovered, survivors);
        let mut agent = Self { core, file };
        let actions = agent.write(output);
        (agent, actions)
    }

    fn write(&mut self, output: Output) -> Vec<Action> {
        for record in &output.persist {
            self.file.extend(encode_record(record));
        }
        output.actions
    }

    pub fn step(&mut self, input: Input) -> Vec<Action> {
        self.step_at(0, input)
    }

    pub fn step_at(&mut self, now_ms: u64, input: Input) -> Vec<Action> {
        let output = self.core.step(now_ms, input);
        self.write(output)
    }

    pub fn command(&mut self, id: u64, order: Order) -> Vec<Action> {
        self.step(Input::Command(command(id, order)))
    }

    pub fn seen(&mut self, observation: Observation) -> Vec<Action> {
        self.step(Input::Observed(observation))
    }

    /// Starts `web` in this incarnation, up to Started.
    pub fn run_web(&mut self, command: u64, count: u64) {
        self.command(command, start("web", "web", count));
        self.seen(started("web", count));
    }

    /// What waits in the outbox, in words.
    pub fn outbox(&self) -> Vec<String> {
        self.core
            .state
            .outbox
            .iter()
            .map(|numbered| said(&numbered.report))
            .collect()
    }

    pub fn up(&mut self, node_epoch: u64, watermark: u64) -> Vec<Action> {
        self.step(Input::SessionUp(welcome(node_epoch, watermark)))
    }

    pub fn acknowledge(&mut self, up_to: u64) -> Vec<Action> {
        self.step(Input::Acknowledged(Acknowledged {
            node_epoch: NodeEpoch(1),
            up_to: Sequence(up_to),
        }))
    }
}

pub(super) fn said(report: &Report) -> String {
    let about = report
        .about()
        .map(|(instance, incarnation)| format!(" {}:{incarnation}", instance.placement))
        .unwrap_or_default();
    let more = match report {
        Report::CommandDone { command, outcome } => match outcome {
            CommandOutcome::Refused { code, .. } => format!(" {command} {code}"),
            CommandOutcome::Done
            | CommandOutcome::NotRunning
            | CommandOutcome::Stale
            | CommandOutcome::WillNotEnd => format!(" {command} {outcome:?}"),
        },
        Report::Failed { kind, presence, .. } => format!(" {kind:?} {presence:?}"),
        Report::NameTaken { holder, .. } => {
            let holder = holder.as_ref().map(|holder| holder.placement.as_str());
            format!(" {}", holder.unwrap_or("nobody"))
        }
        Report::Ended { ending, .. } => format!(" {ending:?}"),
        Report::HealthChanged { health, .. } => format!(" {}", health.as_str()),
        Report::Unresponsive { missed, limit, .. } => format!(" {missed}/{limit}"),
        Report::SupervisorChanged { incarnation, .. } => format!(" {incarnation}"),
        Report::ConfigChanged { config, .. } => format!(" {config}"),
        Report::Adopted { health, .. } => format!(" {}", health.as_str()),
        Report::Acquired { resource, .. } | Report::Released { resource, .. } => {
            format!(" {resource}")
        }
        Report::Asked { failure, .. } => format!(" {}", failure.name),
        Report::Announced { why, .. } => format!(" {why}"),
        Report::Recorded { name, .. } => format!(" {name}"),
        Report::GuardSaw { guarded, sight } => format!(" {guarded} {sight}"),
        Report::WatcherSaw {
            instance, sight, ..
        } => format!(" {instance} {sight}"),
        Report::Worked { step, answer, .. } => format!(" {step} {}", answer.name()),
        Report::Started { .. } | Report::CouldNotStart { .. } => String::new(),
    };
    format!("{}{about}{more}", report.name())
}

pub(super) fn identity(boot: &str) -> Identity {
    Identity {
        node: NodeName::new("n1").unwrap(),
        agent_run: AgentRunId(Uuid::from_u128(1)),
        boot_id: BootId(boot.to_owned()),
        build: "test".to_owned(),
        address: String::new(),
        sysinfo: SysInfo::default(),
        provides: Vec::new(),
    }
}

pub(super) fn key(placement: &str) -> InstanceKey {
    InstanceKey::new(
        NodeName::new("n1").unwrap(),
        PlacementName::new(placement).unwrap(),
    )
}

pub(super) fn incarnation(count: u64) -> Incarnation {
    Incarnation {
        epoch: Epoch(1),
        created: Revision(1),
        count,
    }
}

pub(super) fn leadership(term: u64) -> Leadership {
    Leadership {
        epoch: Epoch(1),
        term: Term(term),
    }
}

pub(super) fn command(id: u64, order: Order) -> Command {
    Command {
        id: CommandId(id),
        leadership: leadership(1),
        order,
    }
}

pub(super) fn start(placement: &str, name: &str, count: u64) -> Order {
    Order::Start(Start {
        instance: key(placement),
        incarnation: incarnation(count),
        service_type: TypeName::new("greeter").unwrap(),
        name: SlotName::new(name).unwrap(),
        config: "{}".to_owned(),
        start_deadline_ms: 30_000,
        stop_deadline_ms: 10_000,
        checks: CheckSchedule {
            first_ms: 1_000,
            interval_ms: 5_000,
            deadline_ms: 2_000,
            misses_max: 3,
        },
        lease: None,
        needs: Default::default(),
        addresses: Default::default(),
    })
}

pub(super) fn stop(placement: &str, count: u64) -> Order {
    Order::Stop(Stop {
        instance: key(placement),
        incarnation: incarnation(count),
        deadline_ms: 10_000,
        why: StopWhy::NotWanted,
        manner: StopManner::AskThenKill,
    })
}

pub(super) fn started(placement: &str, count: u64) -> Observation {
    Observation::Seen(Report::Started {
        instance: key(placement),
        incarnation: incarnation(count),
        version: "1.0.0".to_owned(),
        config: "{}".to_owned(),
        process: Vec::new(),
        ports: Default::default(),
    })
}

pub(super) fn ended(placement: &str, count: u64) -> Observation {
    Observation::Seen(Report::Ended {
        instance: key(placement),
        incarnation: incarnation(count),
        ending: Ending::Asked,
    })
}

pub(super) fn failed(placement: &str, count: u64, presence: Presence) -> Observation {
    Observation::Seen(Report::Failed {
        instance: key(placement),
        incarnation: incarnation(count),
        kind: FailureKind::Panic,
        presence,
        evidence: Evidence::text("boom"),
    })
}

pub(super) fn could_not_start(placement: &str, count: u64) -> Observation {
    Observation::Seen(Report::CouldNotStart {
        instance: key(placement),
        incarnation: incarnation(count),
        refused: RefusedStart::NotNow,
        text: "no".to_owned(),
    })
}

pub(super) fn health(placement: &str, count: u64, health: Health) -> Observation {
    Observation::Seen(Report::HealthChanged {
        instance: key(placement),
        incarnation: incarnation(count),
        health,
        detail: String::new(),
    })
}

pub(super) fn will_not_end(placement: &str, count: u64) -> Observation {
    Observation::WillNotEnd {
        instance: key(placement),
        incarnation: incarnation(count),
    }
}

pub(super) fn welcome(node_epoch: u64, watermark: u64) -> Welcome {
    Welcome {
        node_id: NodeId(Uuid::from_u128(7)),
        node_epoch: NodeEpoch(node_epoch),
        watermark: Sequence(watermark),
        leadership: leadership(1),
        credits: 256,
    }
}

/// The numbers sent by these actions.
pub(super) fn numbers(actions: &[Action]) -> Vec<u64> {
    actions
        .iter()
        .filter_map(|action| match action {
            Action::Send(reports) => Some(reports.reports.iter().map(|report| report.sequence.0)),
            Action::Adopt { .. }
            | Action::Start(_)
            | Action::Stop(_)
            | Action::Reconfigure { .. }
            | Action::Answer(_)
            | Action::TellAgain { .. }
            | Action::Work { .. }
            | Action::TakeBack(_)
            | Action::Renew
            | Action::Renewed { .. }
            | Action::CloseSession { .. } => None,
        })
        .flatten()
        .collect()
}

/// The actions that touch instances, in words.
pub(super) fn done(actions: &[Action]) -> Vec<String> {
    actions
        .iter()
        .filter_map(|action| match action {
            Action::Adopt { start, came } => Some(format!(
                "adopt {}:{} {came:?}",
                start.instance.placement, start.incarnation
            )),
            Action::Start(start) => Some(format!(
                "start {}:{}",
                start.instance.placement, start.incarnation
            )),
            Action::Stop(stop) => Some(format!(
                "stop {}:{}",
                stop.instance.placement, stop.incarnation
            )),
            Action::Reconfigure { command, change } => Some(format!(
                "reconfigure {}:{} {command}",
                change.instance.placement, change.incarnation
            )),
            Action::Answer(answer) => Some(format!(
                "answer {}:{} {}",
                answer.instance.placement, answer.incarnation, answer.question.0
            )),
            Action::TellAgain {
                command,
                instance,
                incarnation,
            } => Some(format!(
                "tell again {}:{incarnation} {command}",
                instance.placement
            )),
            Action::Work { work, .. } => Some(format!(
                "work {}:{} {}",
                work.instance.placement, work.incarnation, work.step
            )),
            Action::TakeBack(back) => Some(format!(
                "take back {} of {}:{}",
                back.work, back.instance.placement, back.incarnation
            )),
            Action::Renew => Some("renew".to_owned()),
            Action::Renewed { from_ms, .. } => Some(format!("renewed {from_ms}")),
            Action::Send(_) | Action::CloseSession { .. } => None,
        })
        .collect()
}
