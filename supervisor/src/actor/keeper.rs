//! The keeper: restarts the supervisor's actor, at once and every time. One of the three local restarts there are.

use std::sync::Arc;

use ractor::{Actor, ActorProcessingErr, ActorRef, SpawnErr, SupervisionEvent};

use super::observer::{Message, Observer};
use super::table::Shared;
use crate::core::Observation;

/// Owns the supervisor's actor, and does nothing else, so that there is nothing in it to fail.
pub(super) struct Keeper;

pub(super) struct Kept {
    shared: Arc<Shared>,
    incarnation: u64,
}

impl Actor for Keeper {
    type Msg = ();
    type State = Kept;
    type Arguments = Arc<Shared>;

    async fn pre_start(
        &self,
        myself: ActorRef<()>,
        shared: Arc<Shared>,
    ) -> Result<Kept, ActorProcessingErr> {
        let mut kept = Kept {
            shared,
            incarnation: 0,
        };
        kept.next(&myself).await?;
        Ok(kept)
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<()>,
        event: SupervisionEvent,
        kept: &mut Kept,
    ) -> Result<(), ActorProcessingErr> {
        let why = match event {
            SupervisionEvent::ActorFailed(_, error) => format!("it panicked: {error}"),
            SupervisionEvent::ActorTerminated(_, _, reason) => {
                format!("it was {}", reason.as_deref().unwrap_or("stopped"))
            }
            // Starts and process groups say nothing about its end.
            _ => return Ok(()),
        };
        let watches = kept.next(&myself).await?;
        tracing::warn!(incarnation = kept.incarnation, watches, %why, "the supervisor was replaced");
        let said = kept
            .shared
            .observations
            .send(Observation::SupervisorChanged {
                incarnation: kept.incarnation,
                watches,
                why,
            })
            .await;
        if said.is_err() {
            tracing::debug!("the agent core has ended");
        }
        Ok(())
    }
}

impl Kept {
    /// Starts the next supervisor and gives it everything there is to watch.
    async fn next(&mut self, myself: &ActorRef<()>) -> Result<u32, SpawnErr> {
        self.incarnation += 1;
        let arguments = (Arc::clone(&self.shared), self.incarnation);
        let (supervisor, _join) =
            Observer::spawn_linked(None, Observer, arguments, myself.get_cell()).await?;
        let watches = self.shared.succeed(self.incarnation, supervisor);
        self.shared.tell(Message::TakeOver);
        Ok(watches)
    }
}
