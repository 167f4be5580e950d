//! What driver, sessions and API share: the inbox, what was heard, the standing of the coordinator, watchers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mainstay_api::present::{Broken, Live};
use mainstay_api::routes::{Asker, InGroup};
use mainstay_api::time::{Time, WallClock};
use mainstay_coordinator::{Answer, Event, Operation, Rules, StationLife, outcome_unknown};
use mainstay_identity::tls::Peer;
use mainstay_protocol::code;
use mainstay_protocol::request::Refusal;
use mainstay_protocol::{
    Bearer, InstanceKey, Leadership, NodeName, Revision, Role, StationId, Timestamp, limits,
};
use mainstay_resource_graph::{Key, StationState, Vertex, View, ViewExt};
use mainstay_store::{Reading, Store};
use tokio::sync::{Notify, mpsc, oneshot, watch};

use crate::access::{self, Access};
use crate::clock::wall_ms;
use crate::faults::Faults;
use crate::group::Ways;
use crate::metrics::Metrics;
use crate::queue::Outside;
use crate::sessions::{Link, Sessions};
use crate::space;

/// One thing for the leader core.
#[derive(Debug)]
pub struct Submitted {
    pub event: Event,
    /// Who waits for the outcome of an operation, or for a refusal.
    pub answer: Option<oneshot::Sender<Answer>>,
}

/// How the coordinator stands; told to whoever watches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    pub leadership: Option<Leadership>,
    pub revision: Revision,
}

/// Everything that is not the driver's own.
pub struct Shared {
    pub store: Store,
    pub about: About,
    pub inbox: mpsc::Sender<Submitted>,
    pub sessions: Sessions,
    pub metrics: Metrics,
    pub standing: watch::Sender<Standing>,
    renewals_wanted: Notify,
    pub ways: Arc<Ways>,
    pub faults: Arc<Faults>,
    /// None for a station that is on one machine only.
    pub access: Option<Arc<Access>>,
    /// None where the station's own queue is all there is.
    pub queue: Option<Arc<Outside>>,
    began: Instant,
    memory: Mutex<Memory>,
}

/// What is never logged.
#[derive(Debug, Default)]
struct Memory {
    heard: BTreeMap<NodeName, Instant>,
    /// Heard since the driver last looked.
    fresh: BTreeMap<NodeName, Instant>,
    /// Sessions that want their leases renewed, with what their heartbeats said; the newest of each.
    renewals: BTreeMap<NodeName, (Arc<Link>, u64)>,
    checked: BTreeMap<NodeName, BTreeMap<InstanceKey, Instant>>,
    wall: WallClock,
    /// When this station last led.
    led_until: Option<Instant>,
}

/// What this station is, for as long as it runs.
#[derive(Debug, Clone)]
pub struct About {
    pub station: StationId,
    pub life: StationLife,
    pub rules: Rules,
    /// When it began.
    pub started: Time,
    /// It may be broken on purpose.
    pub chaos: bool,
}

impl Shared {
    pub fn new(
        store: Store,
        about: About,
        inbox: mpsc::Sender<Submitted>,
        ways: Arc<Ways>,
        access: Option<Arc<Access>>,
        queue: Option<Arc<Outside>>,
    ) -> Arc<Self> {
        let wall = wall_clock(&store);
        Arc::new(Self {
            store,
            about,
            inbox,
            sessions: Sessions::default(),
            metrics: Metrics::default(),
            standing: watch::Sender::new(Standing::default()),
            renewals_wanted: Notify::new(),
            began: Instant::now(),
            ways,
            faults: Arc::default(),
            access,
            queue,
            memory: Mutex::new(Memory {
                wall,
                ..Memory::default()
            }),
        })
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // Every write under the lock is one insertion or removal: a panic leaves nothing half done.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether somebody that shows a certificate of this cluster is let in now.
    pub fn admits(&self, peer: &Peer) -> Result<(), Refusal> {
        let access = self.access.as_ref();
        access.map_or(Ok(()), |access| access.admits(&self.store.view(), peer))
    }

    /// Somebody for whom another station asks; that one may not know yet that it is let in no more.
    pub fn person(&self, name: String, role: Role) -> Asker {
        let Ok(known) = name.parse() else {
            return Asker::Stranger;
        };
        let bearer = Bearer::Person { name: known, role };
        match access::revoked(&self.store.view(), &bearer) {
            Some(refusal) => Asker::Refused(refusal.code, refusal.text),
            None => self.with_group(Asker::of(bearer)),
        }
    }

    /// With the group that lets a person do the most, if one lets it do more than it was let in for.
    pub fn with_group(&self, asker: Asker) -> Asker {
        let Asker::Person { name, role, .. } = asker else {
            return asker;
        };
        let cluster = self.store.view().record(&Key::Cluster);
        let of = match cluster.as_deref().map(|record| &record.vertex) {
            Some(Vertex::Cluster(cluster)) => cluster.group_of(&name, role),
            _ => None,
        };
        let group = of.map(|(of, group)| InGroup {
            name: of.to_string(),
            role: group.role,
        });
        Asker::Person { name, role, group }
    }

    pub fn standing(&self) -> Standing {
        *self.standing.borrow()
    }

    pub fn leads(&self) -> bool {
        self.standing().leadership.is_some()
    }

    /// Something arrived on a node's welcomed session.
    pub fn heard(&self, node: &NodeName, at: Instant) {
        let mut memory = self.memory();
        memory.heard.insert(node.clone(), at);
        memory.fresh.insert(node.clone(), at);
    }

    /// The coordinator answers this heartbeat.
    pub fn wants_renewal(&self, link: &Arc<Link>, from: u64) {
        let wanted = (Arc::clone(link), from);
        self.memory().renewals.insert(link.node.clone(), wanted);
        self.renewals_wanted.notify_one();
    }

    pub async fn renewals_wanted(&self) {
        self.renewals_wanted.notified().await;
    }

    pub fn take_renewals(&self) -> BTreeMap<NodeName, (Arc<Link>, u64)> {
        std::mem::take(&mut self.memory().renewals)
    }

    /// Who was heard since the last time this was asked.
    pub fn take_heard(&self) -> BTreeMap<NodeName, Instant> {
        std::mem::take(&mut self.memory().fresh)
    }

    /// When instances were last checked, as a heartbeat said.
    pub fn checked(&self, node: &NodeName, at: impl Iterator<Item = (InstanceKey, Instant)>) {
        let mut memory = self.memory();
        let known = memory.checked.entry(node.clone()).or_default();
        for (instance, when) in at.filter(|(instance, _)| instance.node == *node) {
            if known.len() < limits::INSTANCES_PER_NODE_MAX || known.contains_key(&instance) {
                known.insert(instance, when);
            }
        }
    }

    pub fn forget_instance(&self, instance: &InstanceKey) {
        if let Some(known) = self.memory().checked.get_mut(&instance.node) {
            known.remove(instance);
        }
    }

    pub fn pin_wall(&self, log_time: Timestamp, wall_ms: u64) {
        self.memory().wall.pin(log_time, wall_ms);
    }

    pub fn set_leadership(&self, leadership: Option<Leadership>) {
        if leadership.is_none() {
            self.memory().led_until = Some(Instant::now());
        }
        self.standing.send_if_modified(|standing| {
            let changed = standing.leadership != leadership;
            standing.leadership = leadership;
            changed
        });
    }

    pub fn applied(&self, revision: Revision) {
        self.standing
            .send_modify(|standing| standing.revision = revision);
    }

    /// How old the data may be: nothing while this station leads, else since it last led or heard who does.
    pub fn data_age_ms(&self) -> u64 {
        if self.leads() {
            return 0;
        }
        let led = self.memory().led_until.map(|since| since.elapsed());
        let status = self.store.status();
        // Who leads without being heard knows since when.
        let led = led.map(|led| led.max(status.majority_heard.unwrap_or_default()));
        let known = [led, status.current_at].into_iter().flatten().min();
        let age = match known {
            Some(age) => age,
            // Nobody else can have decided anything.
            None if status.addresses.len() <= 1 => self.began.elapsed(),
            None => Duration::from_millis(wall_ms().saturating_sub(self.store.view().wall_ms())),
        };
        age.as_millis() as u64
    }

    /// Puts what somebody asks for in line and waits for its commit.
    pub async fn operate(&self, operation: Operation, by: String) -> Answer {
        let (answer, outcome) = oneshot::channel();
        let submitted = Submitted {
            event: Event::Operator { operation, by },
            answer: Some(answer),
        };
        if !self.leads() {
            return Err(self.nobody_decides());
        }
        if let Some(shortage) = self.store.short_of_space() {
            return Err(space::refusal(&shortage));
        }
        self.inbox
            .try_send(submitted)
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => Refusal::new(
                    code::OVERLOADED,
                    "the coordinator's inbox is full; try again",
                ),
                mpsc::error::TrySendError::Closed(_) => self.nobody_decides(),
            })?;
        // Who dropped it had taken it: it may be in the log.
        outcome
            .await
            .unwrap_or_else(|_dropped| Err(outcome_unknown()))
    }

    /// What has not been taken, and will not be.
    pub fn nobody_decides(&self) -> Refusal {
        let text = format!("{}; nothing was changed; try again", self.no_leader());
        Refusal::new(code::NO_QUORUM, text)
    }
}

impl Shared {
    /// Puts this life's last words in line and waits until they are on disk, or until it no longer leads.
    pub async fn farewell(&self) {
        let (station, run) = (self.about.station, self.about.life.run);
        let event = Event::StationStops { station, run };
        let submitted = Submitted {
            event,
            answer: None,
        };
        if self.inbox.send(submitted).await.is_err() {
            return;
        }
        let has_stopped = || {
            let known = self.store.view().station(station);
            known.is_some_and(|known| known.state == StationState::Stopped)
        };
        // Whoever holds `shared` holds the sender.
        let mut standing = self.standing.subscribe();
        let _ = standing
            .wait_for(|standing| standing.leadership.is_none() || has_stopped())
            .await;
    }
}

/// What the history on disk says about log time and wall time: so that old facts keep their times over restarts.
/// Pages of the newest events, oldest first.
fn wall_clock(store: &Store) -> WallClock {
    let mut wall = WallClock::default();
    let view = store.view();
    let newest = view.revision().0;
    let first = Revision(newest.saturating_sub(limits::WALL_REVISIONS_READ));
    let mut after = (first, 0);
    let page = Reading {
        rows: limits::PAGE_ROWS_MAX,
        scanned: limits::PAGE_ROWS_MAX,
    };
    loop {
        let rows = match view.events_after(Some(after), page, |_| true) {
            Ok(page) => page.rows,
            Err(error) => {
                tracing::warn!(%error, "old events cannot be read; old times are shown by today's clock");
                return wall;
            }
        };
        let Some(last) = rows.last() else {
            return wall;
        };
        after = (last.revision, last.number);
        for row in &rows {
            wall.pin(row.log_time, row.wall_ms);
        }
    }
}

impl Live for Shared {
    fn time(&self, at: Timestamp) -> Time {
        self.memory().wall.at(at)
    }

    fn heard_ms(&self, node: &NodeName) -> Option<u64> {
        // What is remembered from when it led says nothing.
        if !self.leads() {
            return None;
        }
        let heard = self.memory().heard.get(node).copied()?;
        Some(heard.elapsed().as_millis() as u64)
    }

    fn checked_ms(&self, instance: &InstanceKey) -> Option<u64> {
        if !self.leads() {
            return None;
        }
        let memory = self.memory();
        let checked = memory.checked.get(&instance.node)?.get(instance)?;
        Some(checked.elapsed().as_millis() as u64)
    }

    fn leader(&self) -> Option<StationId> {
        self.leading()
    }

    fn now(&self) -> Time {
        Time::from_wall_ms(wall_ms())
    }

    fn broken(&self) -> Option<Vec<Broken>> {
        self.leads().then(|| self.faults.all(self.about.station))
    }
}
