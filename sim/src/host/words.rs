//! What simulated services say of their own accord. Nobody answers them but the rules that come with the system.

use mainstay_protocol::report::{Manner, Report, TypedFailure};
use mainstay_protocol::{
    Incarnation, InstanceKey, QuestionId, ResourceKey, ResourceKind, ResourceName,
};
use mainstay_supervisor::{Input, Observation};

use crate::happening::NodeAt;
use crate::plan;
use crate::world::{Held, World};

/// Few, so that they collide.
const DISKS: [&str; 3] = ["sda", "sdb", "sdc"];

impl World {
    pub(super) fn uses_resource(
        &mut self,
        at: NodeAt,
        instance: InstanceKey,
        incarnation: Incarnation,
    ) -> Held {
        let disk = self.dice.pick(&DISKS).expect("there are some");
        let resource = ResourceKey::new(
            ResourceKind::new(plan::RESOURCES).expect("a name"),
            ResourceName::new(*disk).expect("a name"),
        );
        let report = match self.dice.below(3) {
            0 => Report::Released {
                instance,
                incarnation,
                resource,
            },
            which => Report::Acquired {
                instance,
                incarnation,
                question: QuestionId(self.now),
                resource,
                manner: match which {
                    1 => Manner::Alone,
                    _ => Manner::Shared,
                },
            },
        };
        self.says(at, report)
    }

    pub(super) fn asks(
        &mut self,
        at: NodeAt,
        instance: InstanceKey,
        incarnation: Incarnation,
    ) -> Held {
        let report = Report::Asked {
            instance,
            incarnation,
            question: QuestionId(self.now),
            failure: TypedFailure {
                name: "disk-full".to_owned(),
                body: "{}".to_owned(),
            },
            deadline_ms: self.dice.between(100, 5_000),
        };
        self.says(at, report)
    }

    fn says(&mut self, at: NodeAt, report: Report) -> Held {
        self.agent_step(at, Input::Observed(Observation::Seen(report)))
    }
}
