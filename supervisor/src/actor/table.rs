//! What the supervisor works on and what outlives it. Locked for moments, never over an await.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mainstay_protocol::health::{Evidence, FailureKind, Health};
use mainstay_protocol::{Incarnation, InstanceKey};
use ractor::ActorRef;
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::SupervisorConfig;
use super::observer::Message;
use super::pacing::Pacing;
use super::watch::{ExitFact, ExitHow, Watched};
use crate::checks::{CheckTable, DueCheck};
use crate::core::Observation;

/// Shared by the handle, the keeper and the supervisor that lives.
pub(super) struct Shared {
    pub observations: mpsc::Sender<Observation>,
    pub probes: Handle,
    pub pacing: Arc<dyn Pacing>,
    /// Something may be due earlier than was known.
    pub schedule_changed: Notify,
    began: Instant,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    watched: BTreeMap<InstanceKey, Watched>,
    checks: CheckTable,
    /// Probes that missed their deadline and are still running.
    overdue: BTreeMap<InstanceKey, (Incarnation, AbortHandle)>,
    incarnation: u64,
    supervisor: Option<ActorRef<Message>>,
    /// Why there is none.
    vacancy: Option<String>,
}

/// What is to be checked now, and when to look again.
pub(super) struct Due {
    pub checks: Vec<(DueCheck, Watched)>,
    pub next_ms: Option<u64>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Shared {
    pub fn new(config: SupervisorConfig) -> Self {
        Self {
            observations: config.observations,
            probes: config.probes,
            pacing: config.pacing,
            schedule_changed: Notify::new(),
            began: Instant::now(),
            table: Mutex::default(),
        }
    }

    /// Whoever panicked while it held the table left it whole: no step below stops halfway.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn now_ms(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }

    pub fn instant(&self, at_ms: u64) -> Instant {
        self.began + std::time::Duration::from_millis(at_ms)
    }

    pub fn watch(&self, watched: Watched) {
        let (instance, incarnation) = (watched.instance.clone(), watched.incarnation);
        let now_ms = self.now_ms();
        let before = {
            let mut table = self.lock();
            let present = table.watched.get(&instance);
            if present.is_some_and(|present| present.incarnation >= incarnation) {
                return;
            }
            table
                .checks
                .add(instance.clone(), incarnation, watched.checks, now_ms);
            table.watched.insert(instance.clone(), watched)
        };
        if let Some(before) = before {
            self.tell(Message::Unwatch(before.cell));
        }
        self.tell(Message::Watch(instance));
        self.schedule_changed.notify_one();
    }

    pub fn unwatch(&self, instance: &InstanceKey) {
        let before = self.lock().remove(instance);
        if let Some(before) = before {
            self.tell(Message::Unwatch(before.cell));
        }
    }

    /// To the supervisor that lives. One that is dying drops it; the next takes everything from the table.
    pub fn tell(&self, message: Message) {
        let supervisor = self.supervisor();
        if let Some(supervisor) = supervisor
            && supervisor.cast(message).is_err()
        {
            tracing::debug!("the supervisor is being replaced");
        }
    }

    pub fn supervisor(&self) -> Option<ActorRef<Message>> {
        self.lock().supervisor.clone()
    }

    /// There is no supervisor, for this reason, until the next succeeds.
    pub fn vacant(&self, why: String) {
        let mut table = self.lock();
        table.supervisor = None;
        table.vacancy = Some(why);
    }

    pub fn vacancy(&self) -> Option<String> {
        self.lock().vacancy.clone()
    }

    pub fn incarnation(&self) -> u64 {
        self.lock().incarnation
    }

    pub fn watches(&self) -> u32 {
        self.lock().watched.len() as u32
    }

    /// The next supervisor takes over; gives how many instances it watches. From here on its predecessor's
    /// checking changes nothing.
    pub fn succeed(&self, incarnation: u64, supervisor: ActorRef<Message>) -> u32 {
        let now_ms = self.now_ms();
        let mut table = self.lock();
        table.incarnation = incarnation;
        table.supervisor = Some(supervisor);
        table.vacancy = None;
        table.checks.forget_under_way(now_ms);
        table.watched.len() as u32
    }

    pub fn watched(&self, instance: &InstanceKey) -> Option<Watched> {
        self.lock().watched.get(instance).cloned()
    }

    pub fn all_watched(&self) -> Vec<Watched> {
        self.lock().watched.values().cloned().collect()
    }

    pub fn checked_ages(&self) -> BTreeMap<InstanceKey, u64> {
        let now_ms = self.now_ms();
        self.lock().checks.checked_ages(now_ms)
    }

    /// What this supervisor is to check; none if it is no longer the one.
    pub fn due(&self, incarnation: u64) -> Option<Due> {
        let now_ms = self.now_ms();
        let mut table = self.lock();
        if table.incarnation != incarnation {
            return None;
        }
        let due = table.checks.due(now_ms);
        let due = due
            .into_iter()
            .filter_map(|check| {
                let watched = table.watched.get(&check.instance)?.clone();
                Some((check, watched))
            })
            .collect();
        Some(Due {
            checks: due,
            next_ms: table.checks.next_due(),
        })
    }

    /// Changes the schedule on behalf of this supervisor, and says what comes of it.
    pub fn settle(
        &self,
        incarnation: u64,
        change: impl FnOnce(&mut CheckTable, u64) -> Vec<Observation>,
    ) -> Vec<Observation> {
        let now_ms = self.now_ms();
        let mut table = self.lock();
        if table.incarnation != incarnation {
            return Vec::new();
        }
        change(&mut table.checks, now_ms)
    }

    /// A change of health found out of turn.
    pub fn noted(&self, watched: &Watched, health: Health, detail: &str) -> Option<Observation> {
        let mut table = self.lock();
        table
            .checks
            .noted(&watched.instance, watched.incarnation, health, detail)
    }

    pub fn note_overdue(&self, watched: &Watched, probe: AbortHandle) {
        let mut table = self.lock();
        if table.watched.contains_key(&watched.instance) {
            table
                .overdue
                .insert(watched.instance.clone(), (watched.incarnation, probe));
        }
    }

    /// Whether the last probe of this incarnation still runs, long past its deadline.
    pub fn is_overdue(&self, watched: &Watched) -> bool {
        let mut table = self.lock();
        let overdue = table
            .overdue
            .get(&watched.instance)
            .is_some_and(|(incarnation, probe)| {
                *incarnation == watched.incarnation && !probe.is_finished()
            });
        if !overdue {
            table.overdue.remove(&watched.instance);
        }
        overdue
    }

    /// Waits until the instance is really gone, then says so once, however many wait.
    pub async fn conclude(&self, mut watched: Watched) {
        let fact = watched
            .exit
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|fact| fact.clone());
        // Room first: between taking it out of the table and saying it there is no await.
        let Ok(room) = self.observations.reserve().await else {
            return;
        };
        let mut table = self.lock();
        let present = table.watched.get(&watched.instance);
        if present.is_some_and(|present| present.incarnation == watched.incarnation) {
            table.remove(&watched.instance);
            room.send(ended(&watched, fact));
        }
    }
}

impl Table {
    fn remove(&mut self, instance: &InstanceKey) -> Option<Watched> {
        self.checks.remove(instance);
        self.overdue.remove(instance);
        self.watched.remove(instance)
    }
}

fn ended(watched: &Watched, fact: Option<ExitFact>) -> Observation {
    let (instance, incarnation) = (watched.instance.clone(), watched.incarnation);
    let fact = fact.unwrap_or_else(|| ExitFact {
        how: ExitHow::Failed(
            FailureKind::Vanished,
            Evidence::text("its host let go of it without saying how it ended"),
        ),
        ran_ms: 0,
    });
    fact.observed(instance, incarnation)
}
