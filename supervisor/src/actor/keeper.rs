//! The keeper: restarts the supervisor's actor, at once the first time and ever later in a row. One of the three local
//! restarts there are, and bounded: when it gives up it ends, and with it its agent.

use std::sync::Arc;

use mainstay_protocol::report::Report;
use ractor::{Actor, ActorProcessingErr, ActorRef, SpawnErr, SupervisionEvent};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::observer::{Message, Observer};
use super::table::Shared;
use crate::core::Observation;
use crate::restarts::{NextTry, Restarts};

/// Owns the supervisor's actor, and does nothing else, so that there is nothing in it to fail.
pub(super) struct Keeper;

/// The pause is over.
pub(super) struct Next {
    why: String,
}

pub(super) struct Kept {
    shared: Arc<Shared>,
    incarnation: u64,
    began: Instant,
    restarts: Restarts,
    /// At most one: the keeper goes on hearing meanwhile that it is to end.
    pausing: JoinSet<()>,
}

impl Actor for Keeper {
    type Msg = Next;
    type State = Kept;
    type Arguments = Arc<Shared>;

    async fn pre_start(
        &self,
        myself: ActorRef<Next>,
        shared: Arc<Shared>,
    ) -> Result<Kept, ActorProcessingErr> {
        let mut kept = Kept {
            shared,
            incarnation: 0,
            began: Instant::now(),
            restarts: Restarts::default(),
            pausing: JoinSet::new(),
        };
        kept.next(&myself).await?;
        Ok(kept)
    }

    async fn handle(
        &self,
        myself: ActorRef<Next>,
        Next { why }: Next,
        kept: &mut Kept,
    ) -> Result<(), ActorProcessingErr> {
        let watches = kept.next(&myself).await?;
        let incarnation = kept.incarnation;
        tracing::warn!(incarnation, watches, %why, "the supervisor was replaced");
        let changed = Observation::Seen(Report::SupervisorChanged {
            incarnation,
            watches,
            why,
        });
        if kept.shared.observations.send(changed).await.is_err() {
            tracing::debug!("the agent core has ended");
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<Next>,
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
        match kept.restarts.ended(kept.began.elapsed()) {
            NextTry::After { in_a_row, pause } => {
                let why = match in_a_row {
                    1 => why,
                    _ => format!("{why}; {in_a_row} in a row"),
                };
                let pause_ms = pause.as_millis();
                tracing::warn!(incarnation = kept.incarnation, pause_ms, %why, "the supervisor ended");
                kept.shared.vacant(format!(
                    "supervisor {} ended: {why}; the next one begins {pause_ms} ms after it",
                    kept.incarnation
                ));
                let pause = kept.shared.pacing.pause(pause);
                kept.pausing.spawn(async move {
                    pause.await;
                    // A keeper that was ended meanwhile restarts nothing.
                    let _ = myself.cast(Next { why });
                });
            }
            NextTry::Never { in_a_row } => {
                tracing::error!(in_a_row, %why, "the supervisor ended too often; it is given up");
                kept.shared
                    .vacant(format!("it ended {in_a_row} times in a row: {why}"));
                myself.stop(Some("the supervisor ended too often".to_owned()));
            }
        }
        Ok(())
    }
}

impl Kept {
    /// Starts the next supervisor and gives it everything there is to watch.
    async fn next(&mut self, myself: &ActorRef<Next>) -> Result<u32, SpawnErr> {
        while self.pausing.try_join_next().is_some() {}
        self.incarnation += 1;
        self.began = Instant::now();
        let arguments = (Arc::clone(&self.shared), self.incarnation);
        let (supervisor, _join) =
            Observer::spawn_linked(None, Observer, arguments, myself.get_cell()).await?;
        let watches = self.shared.succeed(self.incarnation, supervisor);
        self.shared.tell(Message::TakeOver);
        Ok(watches)
    }
}
