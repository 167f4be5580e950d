//! Activities of runs: whoever has one answers after a while, unless it is gone by then.

use std::time::Duration;

use mainstay_protocol::command::TakeBack;
use mainstay_protocol::work::{Changes, Work, WorkAnswer};
use mainstay_protocol::{CommandId, Json};
use mainstay_supervisor::{Input, Observation};

use super::MS;
use crate::happening::{Act, ActorId, NodeAt};
use crate::world::{Held, World};

impl World {
    pub fn host_works(&mut self, at: NodeAt, command: CommandId, work: &Work) -> Held {
        self.oracle.work_begins(&work.step, command)?;
        let found = self.nodes[at.0].host.find(&work.instance, work.incarnation);
        let Some(id) = found else { return Ok(()) };
        let actor = self.nodes[at.0].host.actors.get_mut(&id);
        let actor = actor.expect("it was just found");
        actor.at_work.insert(command);
        let dice = &mut self.clients.dice;
        let answer = match dice.below(20) {
            _ if self.calm => complete(),
            0..12 => complete(),
            12..16 => WorkAnswer::Retry {
                error: "busy".to_owned(),
                after: None,
                scratch: Changes::default(),
            },
            16 | 17 => WorkAnswer::Schedule {
                after: Duration::from_millis(dice.between(1, 3_000)),
                scratch: Changes::default(),
            },
            18 => WorkAnswer::Wait,
            _ => WorkAnswer::Fatal {
                error: "no".to_owned(),
            },
        };
        let after = dice.between(1, 4_000) * MS;
        self.host_later(at, after, id, Act::Works { command, answer });
        Ok(())
    }

    /// It ends a while later, if it is not done by then.
    pub fn host_takes_back(&mut self, at: NodeAt, back: &TakeBack) {
        let found = self.nodes[at.0].host.find(&back.instance, back.incarnation);
        if let Some(id) = found {
            let after = self.clients.dice.between(1, 1_000) * MS;
            let command = back.work;
            let answer = WorkAnswer::Retry {
                error: "it was taken back".to_owned(),
                after: None,
                scratch: Changes::default(),
            };
            self.host_later(at, after, id, Act::Works { command, answer });
        }
    }

    pub(super) fn works(
        &mut self,
        at: NodeAt,
        id: ActorId,
        command: CommandId,
        answer: WorkAnswer,
    ) -> Held {
        let Some(actor) = self.nodes[at.0].host.actors.get_mut(&id) else {
            return Ok(());
        };
        if actor.hung {
            self.host_later(at, 1_000 * MS, id, Act::Works { command, answer });
            return Ok(());
        }
        // It was taken back, or done before it could be.
        if !actor.at_work.remove(&command) {
            return Ok(());
        }
        let observation = Observation::Worked { command, answer };
        self.agent_step(at, Input::Observed(observation))
    }
}

fn complete() -> WorkAnswer {
    WorkAnswer::Complete {
        output: Json::empty_object(),
        context: Changes::default(),
    }
}
