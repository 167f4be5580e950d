//! What becomes of a start, or of a taking over, that came to nothing.

use std::sync::Arc;

use mainstay_protocol::command::Start;
use mainstay_protocol::health::{Evidence, FailureKind, RefusedStart};
use mainstay_protocol::report::{Presence, Report};
use mainstay_service::Beginning;
use mainstay_supervisor::Observation;

use super::Instances;
use crate::held::Held;

/// A start, or a taking over, that came to nothing.
pub(super) struct GivenUp {
    pub(super) instances: Instances,
    pub(super) start: Arc<Start>,
    pub(super) beginning: Beginning,
}

impl GivenUp {
    /// What nobody takes over must not go on unwatched: its name would be held by something that is in no graph.
    pub(super) async fn end(self, refused: RefusedStart, text: String) {
        let (instance, incarnation) = (self.start.instance.clone(), self.start.incarnation);
        if self.beginning != Beginning::Anew {
            let held = Held::new(&self.instances.slot_of(&self.start), incarnation);
            if held.attach().is_ok() {
                held.clear().await;
            }
        }
        let observation = match self.beginning {
            Beginning::Anew | Beginning::Resumed => Report::CouldNotStart {
                instance,
                incarnation,
                refused,
                text,
            },
            Beginning::Adopted => Report::Failed {
                instance,
                incarnation,
                kind: FailureKind::Vanished,
                presence: Presence::Gone,
                evidence: Evidence::text(format!(
                    "the agent came back and could not take it over, so it was killed: {text}"
                )),
            },
        };
        self.instances.observe(Observation::Seen(observation)).await;
    }
}
