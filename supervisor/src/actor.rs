//! The ractor supervisor: the only part of this crate that knows an executor.
//!
//! ```text
//!   node-agent --- SupervisorHandle ---> shared table: what is watched, its exit facts and check schedule
//!                                           ^                         ^
//!   keeper (actor)  -- owns, restarts -->  supervisor (actor)  -->  its checking task -- probes' runtime
//!                                           |  monitors
//!                                           v
//!                                        instances' actors (linked to the host, not to the supervisor)
//! ```
//!
//! The supervisor is linked to the keeper, instances are linked to the host: neither dies with the supervisor.
//! The set it watches outlives it, so the next one goes on where it ended. An end is taken out of the table and
//! handed to the agent core in one step without an await: it is said once, whoever is killed when. While there is no
//! supervisor (the keeper makes ever longer pauses between those that do not live) the table keeps what happens.

mod checking;
mod keeper;
mod observer;
mod pacing;
mod table;
mod watch;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mainstay_protocol::InstanceKey;
use ractor::{Actor, ActorCell, SpawnErr};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::core::Observation;
use keeper::Keeper;
use observer::Message;
use table::Shared;

pub use pacing::{Clock, Pacing, PauseFuture};
pub use watch::{Answered, CheckFuture, ExitFact, ExitHow, Probe, SupervisorStatus, Watched};

/// What the supervisor needs from the agent.
#[derive(Debug, Clone)]
pub struct SupervisorConfig {
    /// The runtime the probes run on: one that blocks must not hold up the others, so at least two threads.
    pub probes: Handle,
    /// To the agent core, of `limits::OBSERVATIONS_MAX`. Whoever receives must not wait for the supervisor.
    pub observations: mpsc::Sender<Observation>,
    /// How the time between a supervisor and the next one passes.
    pub pacing: Arc<dyn Pacing>,
}

/// Starts the keeper and the first supervisor on the calling runtime. When the handle beside it finishes, there is no
/// supervisor any more and never will be: the agent must end.
pub async fn supervise(
    config: SupervisorConfig,
) -> Result<(SupervisorHandle, JoinHandle<()>), SpawnErr> {
    let shared = Arc::new(Shared::new(config));
    let (keeper, ended) = Actor::spawn(None, Keeper, Arc::clone(&shared)).await?;
    let handle = SupervisorHandle {
        shared,
        keeper: keeper.get_cell(),
    };
    Ok((handle, ended))
}

/// Cheap to clone; every call but the checks returns at once.
#[derive(Debug, Clone)]
pub struct SupervisorHandle {
    shared: Arc<Shared>,
    keeper: ActorCell,
}

impl SupervisorHandle {
    /// Watches an instance from now on; an older incarnation of it is forgotten. To be called once `Started` is
    /// on its way to the agent core, so that an end at once comes behind it.
    pub fn watch(&self, watched: Watched) {
        self.shared.watch(watched);
    }

    /// Forgets an instance without a word. Not needed after its end.
    pub fn unwatch(&self, instance: &InstanceKey) {
        self.shared.unwatch(instance);
    }

    /// Chaos: the supervisor's actor is killed.
    pub fn kill_supervisor(&self) {
        if let Some(supervisor) = self.shared.supervisor() {
            supervisor.get_cell().kill();
        }
    }

    /// Chaos: the supervisor's own code panics.
    pub fn panic_supervisor(&self) {
        self.shared.tell(Message::Panic);
    }

    /// Asks the instance's probe now. None: it is not watched. A missed deadline is `Unresponsive`. A change of
    /// health that it finds is on its way to the agent core when this returns.
    pub async fn check_now(&self, instance: &InstanceKey, deadline: Duration) -> Option<Answered> {
        let watched = self.shared.watched(instance)?;
        let incarnation = watched.incarnation;
        let began = tokio::time::Instant::now();
        let answer = checking::ask(&self.shared, &watched, deadline).await;
        if let Ok((health, detail)) = &answer {
            checking::note(&self.shared, &watched, *health, detail).await;
        }
        let (health, detail) =
            answer.unwrap_or_else(|excuse| checking::no_answer(deadline, excuse));
        Some(Answered {
            health,
            detail,
            took_ms: began.elapsed().as_millis() as u64,
            incarnation,
        })
    }

    /// The supervisor's own Check and Status, answered by its actor; none when it does not by the deadline.
    pub async fn supervisor_status(&self, deadline: Duration) -> Option<SupervisorStatus> {
        let (reply, answer) = oneshot::channel();
        self.shared.tell(Message::Status(reply));
        timeout(deadline, answer).await.ok()?.ok()
    }

    /// Why there is no supervisor now; none while one lives.
    pub fn vacancy(&self) -> Option<String> {
        self.shared.vacancy()
    }

    /// How many milliseconds ago each instance last answered a Check.
    pub fn checked_ages(&self) -> BTreeMap<InstanceKey, u64> {
        self.shared.checked_ages()
    }

    /// The number of the supervisor that lives now, from 1.
    pub fn incarnation(&self) -> u64 {
        self.shared.incarnation()
    }

    /// Ends keeper and supervisor; instances go on unwatched. For the end of the agent.
    pub fn shut_down(&self) {
        self.keeper.stop(Some("the agent ends".to_owned()));
    }
}
