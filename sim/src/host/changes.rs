//! Another configuration for what runs: what the services make of it, and the host for those that do not say.

use mainstay_protocol::code;
use mainstay_protocol::command::Reconfigure;
use mainstay_protocol::health::{Evidence, FailureKind, Health};
use mainstay_protocol::report::{Presence, Report};
use mainstay_protocol::request::Refusal;
use mainstay_protocol::{CommandId, Incarnation, InstanceKey};
use mainstay_supervisor::{Input, Observation};

use super::{MS, Phase};
use crate::fault::Fault;
use crate::happening::{Act, ActorId, NodeAt};
use crate::plan;
use crate::world::{Held, World};

const LATE: &str = "it did not say in time";
const CHANGE_FAULTS: [Fault; 4] = [
    Fault::ChangeRefused,
    Fault::ChangeRefused,
    Fault::ChangeUnanswered,
    Fault::ChangePanics,
];

impl World {
    /// A configuration for what runs: taken, refused for good or until a restart, never answered, or the end of it.
    pub fn host_changes(&mut self, at: NodeAt, command: CommandId, change: Reconfigure) {
        let found = self.nodes[at.0]
            .host
            .find(&change.instance, change.incarnation);
        let Some(id) = found else { return };
        let fault = if !self.calm && self.dice.per_mille(self.plan.start_fault_per_mille) {
            self.dice.pick(&CHANGE_FAULTS).copied()
        } else {
            None
        };
        if let Some(fault) = fault {
            self.counts.fault(fault);
        }
        // The host's own word, when the service's does not come.
        let late = Act::ChangeOver {
            command,
            outcome: Some(Err(Refusal::new(code::NEEDS_RESTART, LATE))),
        };
        self.host_later(at, change.deadline_ms * MS, id, late);
        let outcome = match fault {
            Some(Fault::ChangeUnanswered) => return,
            Some(Fault::ChangePanics) => None,
            Some(_) => Some(Err(Refusal::new(code::NEEDS_RESTART, "not while it runs"))),
            None if change.config.contains(plan::BAD_CONFIG) => {
                Some(Err(Refusal::new(code::BAD_CONFIG, "never taken")))
            }
            None if change.config.contains(plan::BAD_START) => None,
            None => Some(Ok(change.config)),
        };
        let after = self.dice.between(1, 400) * MS;
        self.host_later(at, after, id, Act::ChangeOver { command, outcome });
    }

    /// What runs is told of as adopted.
    pub fn host_tells_again(
        &mut self,
        at: NodeAt,
        command: CommandId,
        instance: InstanceKey,
        incarnation: Incarnation,
    ) -> Held {
        let host = &self.nodes[at.0].host;
        let actor = host
            .find(&instance, incarnation)
            .and_then(|id| host.actors.get(&id))
            .filter(|actor| actor.phase == Phase::Running);
        let adopted = actor.map(|actor| Report::Adopted {
            instance: instance.clone(),
            incarnation,
            service_type: actor.start.service_type.clone(),
            version: "1.0.0".to_owned(),
            given: actor.start.config.clone(),
            config: actor.start.config.clone(),
            process: Vec::new(),
            ports: Default::default(),
            health: Health::Unknown,
            uses: Vec::new(),
        });
        let told = Observation::ToldAgain {
            command,
            instance,
            incarnation,
            adopted: adopted.map(Box::new),
        };
        self.agent_step(at, Input::Observed(told))
    }

    pub(super) fn change_over(
        &mut self,
        at: NodeAt,
        id: ActorId,
        command: CommandId,
        outcome: Option<Result<String, Refusal>>,
    ) -> Held {
        let Some(actor) = self.nodes[at.0].host.actors.get(&id) else {
            return Ok(());
        };
        let late = matches!(&outcome, Some(Err(refusal)) if refusal.text == LATE);
        // What hangs or is ending does not come to it.
        if !late && (actor.hung || actor.phase != Phase::Running) {
            return Ok(());
        }
        let (instance, incarnation) = (actor.start.instance.clone(), actor.start.incarnation);
        let observation = match outcome {
            Some(outcome) => Observation::Reconfigured {
                command,
                instance,
                incarnation,
                outcome,
            },
            None => {
                let panic = Observation::Seen(Report::Failed {
                    instance,
                    incarnation,
                    kind: FailureKind::Panic,
                    presence: Presence::Gone,
                    evidence: Evidence::text("a panic over another configuration"),
                });
                return self.gone(at, id, panic);
            }
        };
        self.agent_step(at, Input::Observed(observation))
    }
}
