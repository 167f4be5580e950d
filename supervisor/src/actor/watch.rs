//! What the supervisor is given to watch, and what the host keeps for it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use mainstay_protocol::command::CheckSchedule;
use mainstay_protocol::health::{Evidence, FailureKind, Health};
use mainstay_protocol::report::{Ending, Presence, Report};
use mainstay_protocol::{Incarnation, InstanceKey};
use ractor::ActorCell;
use tokio::sync::watch;

use crate::core::Observation;

/// The answer of a probe: health and what it has to say about it.
pub type CheckFuture = Pin<Box<dyn Future<Output = (Health, String)> + Send + 'static>>;

/// Answers Check beside the working instance. Called on the runtime of the probes.
pub trait Probe: Send + Sync {
    fn check(&self) -> CheckFuture;

    /// What is known of why it did not answer within the deadline: "busy in handle for 3 s".
    fn excuse(&self, _deadline: Duration) -> Option<String> {
        None
    }
}

/// How an instance came to its end. The host writes it once the task's join handle has finished, so that it
/// also means: nothing of the instance is left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExitFact {
    pub how: ExitHow,
    /// How long this incarnation had run.
    pub ran_ms: u64,
}

impl ExitFact {
    /// How it is said: nothing is left of this incarnation.
    pub fn observed(self, instance: InstanceKey, incarnation: Incarnation) -> Observation {
        Observation::Seen(self.report(instance, incarnation))
    }

    pub fn report(self, instance: InstanceKey, incarnation: Incarnation) -> Report {
        match self.how {
            ExitHow::Ended(ending) => Report::Ended {
                instance,
                incarnation,
                ending,
            },
            ExitHow::Failed(kind, evidence) => Report::Failed {
                instance,
                incarnation,
                kind,
                presence: Presence::Gone,
                evidence: Evidence {
                    ran_ms: self.ran_ms,
                    ..evidence
                },
            },
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExitHow {
    Ended(Ending),
    Failed(FailureKind, Evidence),
}

/// One instance to watch. The host keeps the sender of `exit` until it has written the fact; a sender dropped
/// without one counts as `Vanished`.
#[derive(Clone)]
pub struct Watched {
    pub instance: InstanceKey,
    pub incarnation: Incarnation,
    pub cell: ActorCell,
    pub exit: watch::Receiver<Option<ExitFact>>,
    pub probe: Arc<dyn Probe>,
    pub checks: CheckSchedule,
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched")
            .field("instance", &self.instance)
            .field("incarnation", &self.incarnation)
            .field("checks", &self.checks)
            .finish_non_exhaustive()
    }
}

/// What a Check on request found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    pub health: Health,
    pub detail: String,
    pub took_ms: u64,
    pub incarnation: Incarnation,
}

/// What the supervisor says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SupervisorStatus {
    pub incarnation: u64,
    pub watches: u32,
    pub text: String,
}
