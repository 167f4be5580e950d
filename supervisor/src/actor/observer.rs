//! The supervisor's actor: monitors what it is given, waits until what ended is really gone, and says so. It never
//! starts, stops or restarts anything.

use std::collections::HashMap;
use std::sync::Arc;

use mainstay_protocol::InstanceKey;
use ractor::{
    Actor, ActorCell, ActorId, ActorProcessingErr, ActorRef, ActorStatus, SupervisionEvent,
};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::checking;
use super::table::Shared;
use super::watch::{SupervisorStatus, Watched};

/// What the supervisor is told.
pub(super) enum Message {
    /// Its predecessor is gone: all that is in the table is its own now.
    TakeOver,
    Watch(InstanceKey),
    Unwatch(ActorCell),
    Status(oneshot::Sender<SupervisorStatus>),
    /// Chaos.
    Panic,
}

pub(super) struct Observer;

pub(super) struct Observing {
    shared: Arc<Shared>,
    incarnation: u64,
    monitored: HashMap<ActorId, Watched>,
    /// The checking, and one for each that is ending. They end with the state.
    tasks: JoinSet<()>,
}

impl Actor for Observer {
    type Msg = Message;
    type State = Observing;
    type Arguments = (Arc<Shared>, u64);

    async fn pre_start(
        &self,
        _myself: ActorRef<Message>,
        (shared, incarnation): (Arc<Shared>, u64),
    ) -> Result<Observing, ActorProcessingErr> {
        Ok(Observing {
            shared,
            incarnation,
            monitored: HashMap::new(),
            tasks: JoinSet::new(),
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<Message>,
        message: Message,
        observing: &mut Observing,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::TakeOver => {
                for watched in observing.shared.all_watched() {
                    observing.monitor(&myself, watched);
                }
                let shared = Arc::clone(&observing.shared);
                observing
                    .tasks
                    .spawn(checking::run(shared, observing.incarnation));
            }
            Message::Watch(instance) => {
                if let Some(watched) = observing.shared.watched(&instance) {
                    observing.monitor(&myself, watched);
                }
            }
            Message::Unwatch(cell) => {
                observing.monitored.remove(&cell.get_id());
                myself.get_cell().unmonitor(cell);
            }
            Message::Status(reply) => {
                // Whoever asked may have stopped waiting.
                let _asker_gone = reply.send(observing.status()).is_err();
            }
            Message::Panic => panic!("told to panic"),
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _myself: ActorRef<Message>,
        event: SupervisionEvent,
        observing: &mut Observing,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorTerminated(cell, _, _)
            | SupervisionEvent::ActorFailed(cell, _) => observing.ending(cell.get_id()),
            // Starts and process groups say nothing about an end.
            _ => {}
        }
        Ok(())
    }
}

impl Observing {
    /// A monitor set on what is dead never fires: so the status is looked at once more behind it.
    fn monitor(&mut self, myself: &ActorRef<Message>, watched: Watched) {
        let cell = watched.cell.clone();
        if self.monitored.contains_key(&cell.get_id()) {
            return;
        }
        myself.get_cell().monitor(cell.clone());
        let gone = watched.exit.borrow().is_some() || watched.exit.has_changed().is_err();
        self.monitored.insert(cell.get_id(), watched);
        if gone || cell.get_status() >= ActorStatus::Stopping {
            self.ending(cell.get_id());
        }
    }

    /// Its actor has ended; what is left of it is waited for beside the mailbox.
    fn ending(&mut self, id: ActorId) {
        while self.tasks.try_join_next().is_some() {}
        if let Some(watched) = self.monitored.remove(&id) {
            let shared = Arc::clone(&self.shared);
            self.tasks
                .spawn(async move { shared.conclude(watched).await });
        }
    }

    fn status(&self) -> SupervisorStatus {
        let watches = self.shared.watches();
        SupervisorStatus {
            incarnation: self.incarnation,
            watches,
            text: format!(
                "supervisor {} watches {watches} instances",
                self.incarnation
            ),
        }
    }
}
