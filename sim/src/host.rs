//! The host of simulated services: starts whatever it is told, without a look at names, so that the oracle sees
//! what the agent core let through.

mod changes;
mod leases;
mod words;
mod works;

use std::collections::{BTreeMap, BTreeSet};

use mainstay_protocol::command::{Start, Stop, StopManner};
use mainstay_protocol::health::{Evidence, FailureKind, Health, RefusedStart};
use mainstay_protocol::report::{Ending, Presence, Report};
use mainstay_protocol::sight::InstanceSight;
use mainstay_protocol::{CommandId, Incarnation, InstanceKey};
use mainstay_supervisor::{Came, CheckTable, Input, Observation, Survivor, Survivors};

use crate::fault::Fault;
use crate::happening::{Act, ActorId, Happening, NodeAt};
use crate::plan;
use crate::trace;
use crate::world::{Held, World};

const MS: u64 = 1000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Starting,
    Running,
    Stopping,
}

/// Something that lives, whatever anybody believes.
#[derive(Debug, Clone)]
pub struct Actor {
    pub start: Start,
    pub phase: Phase,
    pub health: Health,
    pub hung: bool,
    /// Only a kill ends it.
    deaf: bool,
    /// Nothing ends it but the end of its process.
    pub endless: bool,
    pub lease: Option<leases::Lease>,
    pub at_work: BTreeSet<CommandId>,
}

impl Actor {
    fn outlives(&self) -> bool {
        self.start.service_type.as_str() == plan::OUTSIDE
    }
}

#[derive(Debug)]
pub struct Host {
    pub actors: BTreeMap<ActorId, Actor>,
    made: u64,
    pub checks: CheckTable,
    checks_wake: Option<u64>,
    pub supervisor_lives: bool,
    pub supervisor: u64,
    /// What happened while no supervisor lived.
    facts: Vec<Observation>,
}

impl Default for Host {
    fn default() -> Self {
        Self {
            actors: BTreeMap::new(),
            made: 0,
            checks: CheckTable::default(),
            checks_wake: None,
            supervisor_lives: true,
            supervisor: 1,
            facts: Vec::new(),
        }
    }
}

impl Host {
    fn find(&self, instance: &InstanceKey, incarnation: Incarnation) -> Option<ActorId> {
        self.actors
            .iter()
            .find(|(_, actor)| {
                actor.start.instance == *instance && actor.start.incarnation == incarnation
            })
            .map(|(id, _)| *id)
    }

    /// What an agent that Checks one of another node's is told of it here.
    pub fn seen(&self, instance: &InstanceKey, incarnation: Incarnation) -> InstanceSight {
        let actor = self.find(instance, incarnation).map(|id| &self.actors[&id]);
        match actor {
            None => InstanceSight::NotThere,
            Some(actor) if actor.hung => InstanceSight::NoAnswer,
            Some(actor) => InstanceSight::Answers {
                health: actor.health,
            },
        }
    }

    /// The agent dies: its actors with it, processes live on, and nobody watches them.
    pub fn without_agent(&mut self) {
        let mut actors = std::mem::take(&mut self.actors);
        actors.retain(|_, actor| actor.outlives() && !actor.is_dead());
        *self = Self {
            actors,
            made: self.made,
            ..Self::default()
        };
    }

    pub fn has_leases(&self) -> bool {
        self.actors.values().any(|actor| actor.lease.is_some())
    }

    /// What the next life of the agent finds.
    pub fn survivors(&self) -> Survivors {
        let found = self.actors.values().filter(|actor| !actor.is_dead());
        found
            .map(|actor| {
                let start = actor.start.clone();
                (start.instance.clone(), Survivor::Lives(start))
            })
            .collect()
    }

    /// The storm is over: services behave from now on. What cannot be ended stays so.
    pub fn behave(&mut self) {
        for actor in self.actors.values_mut() {
            actor.hung = false;
            actor.health = Health::Ok;
        }
    }
}

const START_FAULTS: [Fault; 9] = [
    Fault::StartSlow,
    Fault::StartSlow,
    Fault::StartSilent,
    Fault::StartConfig,
    Fault::StartNotNow,
    Fault::StartNotNow,
    Fault::StartPanic,
    Fault::StartPanic,
    Fault::StartNameTaken,
];
const LIFE_FAULTS: [Fault; 12] = [
    Fault::Panics,
    Fault::Panics,
    Fault::EndsCleanly,
    Fault::ReportsFailure,
    Fault::ReportsThenEnds,
    Fault::Hangs,
    Fault::Hangs,
    Fault::CheckFails,
    Fault::Degrades,
    Fault::UsesResource,
    Fault::UsesResource,
    Fault::Asks,
];
const STOP_FAULTS: [Fault; 5] = [
    Fault::StopSlow,
    Fault::StopSlow,
    Fault::StopUnanswered,
    Fault::StopUnanswered,
    Fault::NeverEnds,
];

impl World {
    fn host_later(&mut self, node: NodeAt, after: u64, actor: ActorId, act: Act) {
        let life = self.nodes[node.0].life;
        let happening = Happening::Host {
            node,
            life,
            actor,
            act,
        };
        self.queue.put(self.now + after, happening);
    }

    pub fn host_starts(&mut self, at: NodeAt, start: Start) -> Held {
        self.counts.starts += 1;
        trace!(
            self,
            "{} starts {}#{}", self.nodes[at.0].name, start.instance, start.incarnation
        );
        self.oracle.host_starts(&self.nodes[at.0], &start)?;
        let fault = if !self.calm && self.dice.per_mille(self.plan.start_fault_per_mille) {
            self.dice.pick(&START_FAULTS).copied()
        } else {
            None
        };
        if let Some(fault) = fault {
            self.counts.fault(fault);
        }
        let host = &mut self.nodes[at.0].host;
        host.made += 1;
        let id = ActorId(host.made);
        let actor = Actor {
            start: start.clone(),
            phase: Phase::Starting,
            health: Health::Ok,
            hung: false,
            deaf: fault == Some(Fault::StartSilent),
            endless: false,
            lease: None,
            at_work: BTreeSet::new(),
        };
        host.actors.insert(id, actor);
        self.lease_begins(at, id);
        self.is_only_one(at, id)?;
        self.has_room(at, id)?;
        self.decide_start(at, id, start, fault);
        Ok(())
    }

    /// What its `start` will come to, and when.
    fn decide_start(&mut self, at: NodeAt, id: ActorId, start: Start, fault: Option<Fault>) {
        let soon_ms = self.dice.between(1, 400);
        let Start {
            instance,
            incarnation,
            name,
            config,
            start_deadline_ms,
            ..
        } = start;
        let refusal = |refused| {
            Observation::Seen(Report::CouldNotStart {
                instance: instance.clone(),
                incarnation,
                refused,
                text: format!("the simulator says {refused:?}"),
            })
        };
        let (after_ms, over) = match fault {
            Some(Fault::StartSilent) => return,
            Some(Fault::StartSlow) => (start_deadline_ms, refusal(RefusedStart::Deadline)),
            Some(Fault::StartConfig) => (soon_ms, refusal(RefusedStart::Config)),
            Some(Fault::StartNotNow) => (soon_ms, refusal(RefusedStart::NotNow)),
            Some(Fault::StartPanic) => (soon_ms, refusal(RefusedStart::Panic)),
            Some(Fault::StartNameTaken) => {
                let taken = Observation::Seen(Report::NameTaken {
                    instance,
                    incarnation,
                    name,
                    holder: None,
                });
                (soon_ms, taken)
            }
            Some(other) => unreachable!("{other:?} is no fault of a start"),
            None if config.contains(plan::BAD_CONFIG) => (soon_ms, refusal(RefusedStart::Config)),
            None if config.contains(plan::BAD_START) => (soon_ms, refusal(RefusedStart::Panic)),
            None => {
                let started = Observation::Seen(Report::Started {
                    instance,
                    incarnation,
                    version: "1.0.0".to_owned(),
                    config,
                    process: Vec::new(),
                    ports: Default::default(),
                });
                (soon_ms, started)
            }
        };
        self.host_later(at, after_ms * MS, id, Act::StartOver(over));
    }

    /// Another life of the agent goes on with what it found.
    pub fn host_adopts(&mut self, at: NodeAt, start: Start, came: Came) {
        self.counts.fault(Fault::ProcessFound);
        let now_ms = self.now_ms();
        trace!(
            self,
            "{} takes over {}#{}, {came:?}",
            self.nodes[at.0].name,
            start.instance,
            start.incarnation
        );
        let host = &mut self.nodes[at.0].host;
        let Some(id) = host.find(&start.instance, start.incarnation) else {
            return;
        };
        let Some(actor) = host.actors.get_mut(&id) else {
            return;
        };
        match came {
            Came::Started => {
                actor.phase = Phase::Running;
                let host = &mut self.nodes[at.0].host;
                host.checks
                    .add(start.instance, start.incarnation, start.checks, now_ms);
                self.schedule_checks(at);
                self.misbehave_later(at, id);
            }
            Came::Begun if actor.deaf => {}
            Came::Begun => {
                actor.phase = Phase::Starting;
                self.decide_start(at, id, start, None);
            }
        }
    }

    pub fn host_stops(&mut self, at: NodeAt, stop: &Stop) -> Held {
        self.oracle.host_stops(&self.nodes[at.0], stop)?;
        let Some(id) = self.nodes[at.0].host.find(&stop.instance, stop.incarnation) else {
            return Ok(());
        };
        let fault = if !self.calm && self.dice.per_mille(self.plan.stop_fault_per_mille) {
            self.dice.pick(&STOP_FAULTS).copied()
        } else {
            None
        };
        if let Some(fault) = fault {
            self.counts.fault(fault);
        }
        let Some(actor) = self.nodes[at.0].host.actors.get_mut(&id) else {
            return Ok(());
        };
        actor.phase = Phase::Stopping;
        match fault {
            Some(Fault::NeverEnds) => actor.endless = true,
            Some(Fault::StopUnanswered) => actor.deaf = true,
            _ => {}
        }
        let (deaf, endless) = (actor.deaf, actor.endless);
        let slow = fault == Some(Fault::StopSlow) || actor.hung;
        let ended = |ending| {
            Act::Gone(Observation::Seen(Report::Ended {
                instance: stop.instance.clone(),
                incarnation: stop.incarnation,
                ending,
            }))
        };
        let deadline = stop.deadline_ms * MS;
        match stop.manner {
            _ if endless => {
                self.host_later(at, deadline, id, Act::KillOverdue);
                if self.dice.per_mille(500) {
                    let after = self.dice.between(3_000, 40_000) * MS;
                    self.host_later(at, after, id, ended(Ending::Killed));
                }
            }
            StopManner::Kill => {
                let after = self.dice.between(1, 20) * MS;
                self.host_later(at, after, id, ended(Ending::Killed));
            }
            StopManner::AskThenKill if deaf => {}
            StopManner::AskThenKill if slow => {
                self.host_later(at, deadline + MS, id, ended(Ending::Killed));
            }
            StopManner::AskThenKill => {
                let after = self.dice.between(1, 300) * MS;
                self.host_later(at, after, id, ended(Ending::Asked));
            }
        }
        Ok(())
    }

    pub fn host_acts(&mut self, at: NodeAt, life: u64, id: ActorId, act: Act) -> Held {
        let node = &mut self.nodes[at.0];
        if life != node.life || node.core.is_none() || !node.host.actors.contains_key(&id) {
            return Ok(());
        }
        match act {
            Act::StartOver(observation) => self.start_over(at, id, observation),
            Act::Misbehaves(fault) => self.misbehaves(at, id, fault),
            Act::Gone(observation) => self.gone(at, id, observation),
            Act::ChangeOver { command, outcome } => self.change_over(at, id, command, outcome),
            Act::Works { command, answer } => self.works(at, id, command, answer),
            Act::KillOverdue => {
                let start = &node.host.actors[&id].start;
                let observation = Observation::WillNotEnd {
                    instance: start.instance.clone(),
                    incarnation: start.incarnation,
                };
                self.agent_step(at, Input::Observed(observation))
            }
        }
    }

    fn start_over(&mut self, at: NodeAt, id: ActorId, observation: Observation) -> Held {
        let now_ms = self.now_ms();
        let host = &mut self.nodes[at.0].host;
        let Some(actor) = host.actors.get_mut(&id) else {
            return Ok(());
        };
        if actor.phase == Phase::Stopping {
            // A start that is being stopped says nothing any more; its end is told.
            return Ok(());
        }
        let started = matches!(observation, Observation::Seen(Report::Started { .. }));
        if !started {
            host.actors.remove(&id);
            return self.agent_step(at, Input::Observed(observation));
        }
        actor.phase = Phase::Running;
        let (instance, incarnation) = (actor.start.instance.clone(), actor.start.incarnation);
        let schedule = actor.start.checks;
        host.checks.add(instance, incarnation, schedule, now_ms);
        self.schedule_checks(at);
        self.misbehave_later(at, id);
        self.agent_step(at, Input::Observed(observation))
    }

    fn misbehave_later(&mut self, at: NodeAt, id: ActorId) {
        if self.calm {
            return;
        }
        let after = self.dice.between(100, self.plan.misbehave_ms_max) * MS;
        if let Some(fault) = self.dice.pick(&LIFE_FAULTS).copied() {
            self.host_later(at, after, id, Act::Misbehaves(fault));
        }
    }

    fn misbehaves(&mut self, at: NodeAt, id: ActorId, fault: Fault) -> Held {
        if self.calm {
            return Ok(());
        }
        let Some(actor) = self.nodes[at.0].host.actors.get_mut(&id) else {
            return Ok(());
        };
        let (instance, incarnation) = (actor.start.instance.clone(), actor.start.incarnation);
        let failed = |kind, presence, text: &str| {
            Observation::Seen(Report::Failed {
                instance: instance.clone(),
                incarnation,
                kind,
                presence,
                evidence: Evidence::text(text),
            })
        };
        self.counts.fault(fault);
        match fault {
            Fault::Panics => {
                let panic = failed(FailureKind::Panic, Presence::Gone, "a panic");
                return self.gone(at, id, panic);
            }
            Fault::EndsCleanly => {
                let ended = Observation::Seen(Report::Ended {
                    instance,
                    incarnation,
                    ending: Ending::ByItself,
                });
                return self.gone(at, id, ended);
            }
            Fault::ReportsFailure => {
                let living = failed(FailureKind::Reported, Presence::Living, "it said so");
                self.supervise(at, living)?;
            }
            Fault::ReportsThenEnds => {
                let living = failed(FailureKind::Reported, Presence::Living, "it said so");
                let gone = failed(FailureKind::Vanished, Presence::Gone, "and ended");
                let after = self.dice.between(0, 300) * MS;
                self.host_later(at, after, id, Act::Gone(gone));
                self.supervise(at, living)?;
            }
            Fault::Hangs => actor.hung = !actor.hung,
            Fault::CheckFails => actor.health = Health::Failed,
            Fault::Degrades => {
                actor.health = if actor.health == Health::Degraded {
                    Health::Ok
                } else {
                    Health::Degraded
                };
            }
            Fault::UsesResource => self.uses_resource(at, instance, incarnation)?,
            Fault::Asks => self.asks(at, instance, incarnation)?,
            other => unreachable!("{other:?} is no turn of a life"),
        }
        self.misbehave_later(at, id);
        Ok(())
    }

    fn gone(&mut self, at: NodeAt, id: ActorId, observation: Observation) -> Held {
        let host = &mut self.nodes[at.0].host;
        if let Some(actor) = host.actors.remove(&id) {
            host.checks.remove(&actor.start.instance);
        }
        self.supervise(at, observation)
    }

    /// What the supervisor sees, or would.
    fn supervise(&mut self, at: NodeAt, observation: Observation) -> Held {
        let host = &mut self.nodes[at.0].host;
        if host.supervisor_lives {
            return self.agent_step(at, Input::Observed(observation));
        }
        host.facts.push(observation);
        Ok(())
    }

    pub fn supervisor_dies(&mut self, at: NodeAt) {
        let node = &mut self.nodes[at.0];
        if node.core.is_none() || !node.host.supervisor_lives {
            return;
        }
        self.counts.fault(Fault::SupervisorDied);
        node.host.supervisor_lives = false;
        let happening = Happening::SupervisorStarts {
            node: at,
            life: node.life,
        };
        let after = self.dice.between(20, 1500) * MS;
        self.queue.put(self.now + after, happening);
    }

    pub fn supervisor_starts(&mut self, at: NodeAt, life: u64) -> Held {
        let now_ms = self.now_ms();
        let node = &mut self.nodes[at.0];
        if life != node.life || node.core.is_none() {
            return Ok(());
        }
        let host = &mut node.host;
        host.supervisor_lives = true;
        host.supervisor += 1;
        host.checks.forget_under_way(now_ms);
        let facts = std::mem::take(&mut host.facts);
        let changed = Observation::Seen(Report::SupervisorChanged {
            incarnation: host.supervisor,
            watches: host.actors.len() as u32,
            why: "it died".to_owned(),
        });
        self.schedule_checks(at);
        for observation in std::iter::once(changed).chain(facts) {
            self.agent_step(at, Input::Observed(observation))?;
        }
        Ok(())
    }

    fn schedule_checks(&mut self, at: NodeAt) {
        let node = &mut self.nodes[at.0];
        let Some(due_ms) = node.host.checks.next_due() else {
            return;
        };
        let due = (due_ms * MS).max(self.now);
        if node
            .host
            .checks_wake
            .is_some_and(|wake| wake <= due && wake >= self.now)
        {
            return;
        }
        node.host.checks_wake = Some(due);
        let life = node.life;
        self.queue.put(due, Happening::ChecksDue { node: at, life });
    }

    pub fn checks_due(&mut self, at: NodeAt, life: u64) {
        let now_ms = self.now_ms();
        let node = &mut self.nodes[at.0];
        if life != node.life || node.core.is_none() || !node.host.supervisor_lives {
            return;
        }
        node.host.checks_wake = None;
        for due in node.host.checks.due(now_ms) {
            let host = &self.nodes[at.0].host;
            let Some(id) = host.find(&due.instance, due.incarnation) else {
                continue;
            };
            let actor = &host.actors[&id];
            let (after, answer) = if actor.hung {
                (due.deadline_ms * MS, None)
            } else {
                (self.dice.between(300, 5000), Some(actor.health))
            };
            let happening = Happening::Checked {
                node: at,
                life,
                actor: id,
                answer,
            };
            self.queue.put(self.now + after, happening);
        }
        self.schedule_checks(at);
    }

    pub fn checked(&mut self, at: NodeAt, life: u64, id: ActorId, answer: Option<Health>) -> Held {
        let now_ms = self.now_ms();
        let node = &mut self.nodes[at.0];
        if life != node.life || node.core.is_none() || !node.host.supervisor_lives {
            return Ok(());
        }
        let Some(actor) = node.host.actors.get(&id) else {
            return Ok(());
        };
        let (instance, incarnation) = (actor.start.instance.clone(), actor.start.incarnation);
        let checks = &mut node.host.checks;
        let seen = match answer {
            Some(health) => checks.answered(&instance, incarnation, health, String::new(), now_ms),
            None => checks.missed(&instance, incarnation, now_ms),
        };
        self.schedule_checks(at);
        for observation in seen {
            self.agent_step(at, Input::Observed(observation))?;
        }
        Ok(())
    }
}
