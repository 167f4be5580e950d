//! What lives on a node, and what it can say in the state it is in.

use mainstay_protocol::health::{Evidence, FailureKind, Health, RefusedStart};
use mainstay_protocol::report::{
    Ending, LiveInstance, LiveState, Manner, Presence, Report, TypedFailure,
};
use mainstay_protocol::{Incarnation, InstanceKey, QuestionId};
use mainstay_resource_graph::Key;

use super::acts::pick;
use crate::harness::key;

pub fn settles(report: &Report) -> bool {
    match report {
        Report::Started { .. }
        | Report::CouldNotStart { .. }
        | Report::NameTaken { .. }
        | Report::Ended { .. }
        | Report::Failed {
            presence: Presence::Gone,
            ..
        } => true,
        Report::Failed {
            presence: Presence::Living,
            ..
        }
        | Report::HealthChanged { .. }
        | Report::Unresponsive { .. }
        | Report::ConfigChanged { .. }
        | Report::Adopted { .. }
        | Report::Acquired { .. }
        | Report::Released { .. }
        | Report::Asked { .. }
        | Report::Announced { .. }
        | Report::Recorded { .. }
        | Report::GuardSaw { .. }
        | Report::WatcherSaw { .. }
        | Report::SupervisorChanged { .. }
        | Report::Worked { .. }
        | Report::CommandDone { .. } => false,
    }
}

/// Whom a report speaks of.
struct Of<'a>(&'a InstanceKey, Incarnation);

impl Of<'_> {
    fn failed(&self, kind: FailureKind, presence: Presence, text: &str) -> Report {
        Report::Failed {
            instance: self.0.clone(),
            incarnation: self.1,
            kind,
            presence,
            evidence: Evidence::text(text),
        }
    }

    fn ended(&self, ending: Ending) -> Report {
        Report::Ended {
            instance: self.0.clone(),
            incarnation: self.1,
            ending,
        }
    }

    fn could_not_start(&self, refused: RefusedStart) -> Report {
        Report::CouldNotStart {
            instance: self.0.clone(),
            incarnation: self.1,
            refused,
            text: "no".to_owned(),
        }
    }

    fn started(&self, config: &str) -> Report {
        Report::Started {
            instance: self.0.clone(),
            incarnation: self.1,
            version: "1.0.0".to_owned(),
            config: config.to_owned(),
            process: Vec::new(),
            ports: Default::default(),
        }
    }

    fn health(&self, health: Health, detail: &str) -> Report {
        Report::HealthChanged {
            instance: self.0.clone(),
            incarnation: self.1,
            health,
            detail: detail.to_owned(),
        }
    }

    fn uses(&self, what: usize) -> Report {
        let Key::Resource(resource) = key(pick(
            &["resource/disk/a", "resource/disk/b", "resource/tape/c"],
            what,
        )) else {
            unreachable!("they are resources")
        };
        let (instance, incarnation) = (self.0.clone(), self.1);
        if what.is_multiple_of(5) {
            return Report::Released {
                instance,
                incarnation,
                resource,
            };
        }
        Report::Acquired {
            instance,
            incarnation,
            question: QuestionId(what as u64),
            resource,
            manner: match what.is_multiple_of(2) {
                true => Manner::Alone,
                false => Manner::Shared,
            },
        }
    }

    fn asks(&self) -> Report {
        Report::Asked {
            instance: self.0.clone(),
            incarnation: self.1,
            question: QuestionId(1),
            failure: TypedFailure {
                name: "disk-full".to_owned(),
                body: "{}".to_owned(),
            },
            deadline_ms: 3000,
        }
    }

    fn misses(&self, missed: u32) -> Report {
        Report::Unresponsive {
            instance: self.0.clone(),
            incarnation: self.1,
            missed,
            limit: 3,
            detail: "no answer".to_owned(),
        }
    }
}

/// One of the things that what lives in this state can say.
pub fn word(instance: &InstanceKey, live: &LiveInstance, what: usize) -> Report {
    let of = Of(instance, live.incarnation);
    match live.state {
        LiveState::Starting => match what % 12 {
            1 => of.could_not_start(RefusedStart::Config),
            2 => of.failed(FailureKind::Panic, Presence::Gone, "boom at start"),
            3 => of.ended(Ending::ByItself),
            5 => of.could_not_start(RefusedStart::NotNow),
            // What is too long to travel is left out.
            7 => of.started("null"),
            _ => of.started("{}"),
        },
        LiveState::Running => match what % 12 {
            0 | 1 => of.failed(FailureKind::Panic, Presence::Gone, "boom"),
            2 => of.failed(FailureKind::Reported, Presence::Living, "cannot go on"),
            3 => of.ended(Ending::ByItself),
            4 => of.health(Health::Degraded, "a little"),
            5 => of.health(Health::Degraded, "curse"),
            6 => of.health(Health::Failed, "a lot"),
            7 => of.misses(1),
            8 => of.misses(3),
            9 => of.failed(FailureKind::Killed, Presence::Gone, "killed"),
            10 if what > 20 => of.uses(what),
            11 if what > 20 => of.asks(),
            _ => of.health(Health::Ok, ""),
        },
        LiveState::Stopping => match what % 6 {
            0 => of.ended(Ending::Killed),
            1 => of.failed(FailureKind::Panic, Presence::Gone, "boom while stopping"),
            2 => of.failed(FailureKind::Reported, Presence::Living, "stays"),
            3 => of.health(Health::Ok, ""),
            _ => of.ended(Ending::Asked),
        },
    }
}
