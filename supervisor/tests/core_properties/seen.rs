//! What the host and the supervisor say to the agent.
#![expect(
    clippy::unwrap_used,
    reason = "only tests use it, and the names in it are valid"
)]

use mainstay_protocol::health::{Evidence, FailureKind, RefusedStart};
use mainstay_protocol::report::{Ending, Presence, Report};
use mainstay_protocol::{Incarnation, InstanceKey, SlotName};
use mainstay_supervisor::Observation;

use super::Seen;

pub fn observation(instance: &InstanceKey, incarnation: Incarnation, what: Seen) -> Observation {
    let instance = instance.clone();
    let failed = |instance, presence| {
        Observation::Seen(Report::Failed {
            instance,
            incarnation,
            kind: FailureKind::Panic,
            presence,
            evidence: Evidence::text("boom"),
        })
    };
    match what {
        Seen::Started => Observation::Seen(Report::Started {
            instance,
            incarnation,
            version: "1".to_owned(),
            config: "{}".to_owned(),
            process: Vec::new(),
            ports: Default::default(),
        }),
        Seen::CouldNotStart => Observation::Seen(Report::CouldNotStart {
            instance,
            incarnation,
            refused: RefusedStart::NotNow,
            text: String::new(),
        }),
        Seen::NameTaken => Observation::Seen(Report::NameTaken {
            instance,
            incarnation,
            name: SlotName::new("s0").unwrap(),
            holder: None,
        }),
        Seen::Ended => Observation::Seen(Report::Ended {
            instance,
            incarnation,
            ending: Ending::Asked,
        }),
        Seen::FailedGone => failed(instance, Presence::Gone),
        Seen::FailedLiving => failed(instance, Presence::Living),
        Seen::Health(health) => Observation::Seen(Report::HealthChanged {
            instance,
            incarnation,
            health,
            detail: String::new(),
        }),
        Seen::Unresponsive => Observation::Seen(Report::Unresponsive {
            instance,
            incarnation,
            missed: 1,
            limit: 3,
            detail: String::new(),
        }),
        Seen::WillNotEnd => Observation::WillNotEnd {
            instance,
            incarnation,
        },
    }
}
