//! Starting and stopping the group's member, on a runtime of its own: whatever blocks the station's, elections and
//! the log go on, and the other way round.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mainstay_coordinator::entry::Entry;
use mainstay_coordinator::log::LogEvent;
use mainstay_protocol::{StationId, limits};
use openraft::Instant as _;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::{BasicNode, Config, SnapshotPolicy};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::heard::{Heard, lock};
use super::leadership;
use super::log_store::{Growth, LogStore};
use super::members::{self, MemberChange, NotChanged};
use super::network::Network;
use super::serve::Member;
use super::snapshot::Snapshots;
use super::state_machine::{Parts, StateMachine};
use super::{Proposal, Raft};
use crate::committer::Committer;
use crate::config::StoreConfig;
use crate::db::Db;
use crate::reach::{PeerStream, Reach};

/// openraft wakes five times within it, where somebody follows.
const HEARTBEAT_MS: u64 = 100;
/// A follower first waits for the longest of these, which is the leader's lease, and then for one of its own. So an election
/// begins 0.75 s after the last heartbeat at the earliest, and a leader that missed seven has not lost its place.
const ELECTION_MS_MIN: u64 = 250;
const ELECTION_MS_MAX: u64 = 500;
/// Within this time of a majority's last word no other can lead: their own wait is `ELECTION_MS_MAX`, by clocks that may be
/// a little fast.
const SURE_MS: u64 = ELECTION_MS_MAX / 5 * 4;
/// One thread for the log's own tasks: what waits for the disk waits on the committer, and a second thread costs a
/// wake-up for each step between them.
const WORKERS: usize = 1;
/// How long a shutdown waits for the core, and then for a snapshot under way.
const SHUTDOWN: Duration = Duration::from_secs(10);

/// The running member. Handles to it are cheap.
#[derive(Clone)]
pub(crate) struct Running {
    raft: Raft,
    runtime: tokio::runtime::Handle,
    /// Weak, so that the driver's queue ends with the member and not with the last handle.
    events: mpsc::WeakSender<LogEvent>,
    snapshots: PathBuf,
    heard: Arc<Mutex<Heard>>,
}

/// How the group looks from here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    pub leads: bool,
    /// The station that leads, as far as known here.
    pub leader: Option<u64>,
    pub term: u64,
    pub voters: Vec<u64>,
    pub learners: Vec<u64>,
    /// Where each of them is.
    pub addresses: BTreeMap<u64, String>,
    /// How far each has the log, as who leads knows; empty where another leads.
    pub reached: BTreeMap<u64, Option<u64>>,
    /// How long ago each of the others answered who leads; empty where another leads.
    pub heard: BTreeMap<u64, Duration>,
    /// How long ago whoever decides was heard here; none where nobody ever was.
    pub leader_heard: Option<Duration>,
    /// How long ago what is applied here was all that whoever decides had committed.
    pub current_at: Option<Duration>,
    /// Of a leader: how long ago a majority answered it.
    pub majority_heard: Option<Duration>,
    pub last_entry: Option<u64>,
    pub applied: Option<u64>,
    pub snapshot: Option<u64>,
    pub purged: Option<u64>,
}

impl Running {
    /// Blocks until the member runs; not until it leads.
    pub(crate) fn start(
        config: &StoreConfig,
        db: &Db,
        committer: Committer,
        snapshots: PathBuf,
        reach: Arc<dyn Reach>,
    ) -> Result<(Self, Runtime, mpsc::Receiver<LogEvent>), String> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .thread_name("mainstay-log")
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        let (events, receiver) = mpsc::channel(limits::LOG_EVENTS_MAX);
        let weak = events.downgrade();
        let parts = Group {
            config: config.clone(),
            db: db.clone(),
            committer,
            snapshots: snapshots.clone(),
            reach,
        };
        let member = member(parts, events);
        // The caller may itself run on a runtime, where blocking on another is forbidden; waiting on a channel is not.
        let (done, started) = std::sync::mpsc::sync_channel(1);
        runtime.spawn(async move {
            // Whoever started us waits for it.
            let _ = done.send(member.await);
        });
        let raft = started.recv().map_err(|error| error.to_string())??;
        let handle = runtime.handle().clone();
        Ok((
            Self {
                raft,
                runtime: handle,
                events: weak,
                snapshots,
                heard: Arc::default(),
            },
            runtime,
            receiver,
        ))
    }

    pub(crate) fn propose(&self, entry: Entry) {
        let (raft, events) = (self.raft.clone(), self.events.clone());
        let proposal = entry.proposal();
        self.runtime.spawn(async move {
            if let Err(error) = raft.client_write(Proposal(Arc::new(entry))).await {
                tracing::debug!(%error, "a proposal is lost");
                if let Some(events) = events.upgrade() {
                    // Without a driver nobody waits for it.
                    let _ = events.send(LogEvent::Lost(proposal)).await;
                }
            }
        });
    }

    /// It leads, and nobody else can have begun to by now.
    pub(crate) fn surely_leads(&self) -> bool {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let voters = metrics.membership_config.membership().voter_ids().count();
        let acked = metrics.last_quorum_acked.as_ref();
        let heard = acked.is_some_and(|at| at.elapsed() < Duration::from_millis(SURE_MS));
        metrics.current_leader == Some(metrics.id) && (voters == 1 || heard)
    }

    pub(crate) fn status(&self) -> Status {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let membership = metrics.membership_config.membership();
        let applied = metrics.last_applied.map_or(0, |id| id.index);
        let (leader_heard, current_at) = {
            let mut heard = lock(&self.heard);
            (heard.leader_heard(), heard.current_at(applied))
        };
        Status {
            leads: metrics.current_leader == Some(metrics.id),
            heard: metrics
                .heartbeat
                .iter()
                .flatten()
                .filter_map(|(id, at)| Some((*id, at.as_ref()?.elapsed())))
                .filter(|(id, _)| *id != metrics.id)
                .collect(),
            leader_heard: leader_heard.map(|at| at.elapsed()),
            current_at: current_at.map(|at| at.elapsed()),
            majority_heard: metrics.last_quorum_acked.as_ref().map(|at| at.elapsed()),
            leader: metrics.current_leader,
            term: metrics.current_term,
            voters: membership.voter_ids().collect(),
            learners: membership.learner_ids().collect(),
            addresses: membership
                .nodes()
                .map(|(id, node)| (*id, node.addr.clone()))
                .collect(),
            reached: metrics
                .replication
                .iter()
                .flatten()
                .map(|(id, reached)| (*id, reached.as_ref().map(|id| id.index)))
                .collect(),
            last_entry: metrics.last_log_index,
            applied: metrics.last_applied.map(|id| id.index),
            snapshot: metrics.snapshot.map(|id| id.index),
            purged: metrics.purged.map(|id| id.index),
        }
    }

    /// Answers another station until the connection ends.
    pub(crate) fn serve(
        &self,
        from: StationId,
        stream: Box<dyn PeerStream>,
    ) -> impl Future<Output = io::Result<()>> + Send + 'static {
        let member = Member {
            raft: self.raft.clone(),
            snapshots: self.snapshots.clone(),
            heard: Arc::clone(&self.heard),
        };
        let serving = async move { member.serve(from, stream).await };
        // On the log's own runtime: whatever blocks the station's, elections go on. Whoever lets go ends it.
        let mut only = JoinSet::new();
        only.spawn_on(serving, &self.runtime);
        async move {
            let ended = only.join_next().await.expect("one was spawned");
            ended.map_err(io::Error::other)?
        }
    }

    pub(crate) async fn change(&self, change: MemberChange) -> Result<(), NotChanged> {
        let raft = self.raft.clone();
        let changing = async move { members::change(&raft, change).await };
        let changing = self.runtime.spawn(changing);
        changing
            .await
            .unwrap_or_else(|error| Err(NotChanged::Failed(error.to_string())))
    }

    /// Returns once everything committed before the call is in the state here, and this station has led all the while.
    pub(crate) async fn barrier(&self) -> Result<(), NotChanged> {
        let raft = self.raft.clone();
        let asking = self
            .runtime
            .spawn(async move { members::barrier(&raft).await });
        asking
            .await
            .unwrap_or_else(|error| Err(NotChanged::Failed(error.to_string())))
    }

    /// Asks for a snapshot; it is taken in the background.
    pub(crate) fn take_snapshot(&self) {
        let raft = self.raft.clone();
        self.runtime.spawn(async move {
            if let Err(error) = raft.trigger().snapshot().await {
                tracing::debug!(%error, "no snapshot: the log has ended");
            }
        });
    }

    /// Ends the member and its runtime; on a thread of its own, since the caller's may not block.
    pub(crate) fn stop(self, runtime: Runtime) {
        let stop = move || {
            let raft = self.raft;
            // A driver that no longer takes events holds the core up; its runtime is ended all the same.
            let ended = runtime
                .block_on(async move { tokio::time::timeout(SHUTDOWN, raft.shutdown()).await });
            match ended {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "the log's core did not end as it should"),
                Err(_) => tracing::warn!("the log's core did not end in time"),
            }
            runtime.shutdown_timeout(SHUTDOWN);
        };
        let thread = std::thread::Builder::new().name("mainstay-stop".to_owned());
        match thread.spawn(stop).map(std::thread::JoinHandle::join) {
            Ok(Ok(())) => {}
            Ok(Err(_)) => tracing::warn!("stopping the log panicked"),
            Err(error) => tracing::warn!(%error, "no thread to stop the log"),
        }
    }
}

/// What a member is made of.
struct Group {
    config: StoreConfig,
    db: Db,
    committer: Committer,
    snapshots: PathBuf,
    reach: Arc<dyn Reach>,
}

async fn member(group: Group, events: mpsc::Sender<LogEvent>) -> Result<Raft, String> {
    let Group {
        config,
        db,
        committer,
        snapshots,
        reach,
    } = group;
    let growth = Arc::new(Growth::new(config.snapshot_bytes));
    let (began, began_watch) = watch::channel(0);
    let parts = Parts {
        snapshots: Snapshots {
            db: db.clone(),
            root: snapshots,
            cluster: config.cluster,
        },
        history_bytes: config.history_bytes,
        history: Duration::from_secs(config.history_seconds),
        events: events.clone(),
        began,
    };
    let log = LogStore::new(db.clone(), committer, Arc::clone(&growth));
    let state = StateMachine::new(db, parts).map_err(|error| error.to_string())?;
    let raft_config = raft_config(&config)?;
    let id = config.station.0;
    let decides = Arc::new(AtomicBool::new(false));
    let network = Network {
        reach,
        decides: Arc::clone(&decides),
    };
    let raft = Raft::new(id, Arc::new(raft_config), network, log, state)
        .await
        .map_err(|error| error.to_string())?;
    tokio::spawn(leadership::watch(
        raft.clone(),
        began_watch,
        events,
        decides,
    ));
    tokio::spawn(snapshot_when_grown(raft.clone(), growth));
    begin(&raft, id, &config).await?;
    tokio::spawn(say_where(raft.clone(), id, config.address));
    Ok(raft)
}

/// A station that is its whole group says itself where it is: it may have been restored, or moved, since it last did.
async fn say_where(raft: Raft, id: u64, address: String) {
    let mut metrics = raft.metrics();
    loop {
        {
            let now = metrics.borrow_watched();
            if now.running_state.is_err() {
                return;
            }
            let group = now.membership_config.membership();
            let known = group.get_node(&id).map(|node| node.addr.as_str());
            if !group.voter_ids().eq([id]) || known == Some(address.as_str()) {
                return;
            }
            // Who is in the group can be changed once this term's first entry is applied.
            let settled = now.last_applied.map(|applied| applied.index) == now.last_log_index;
            if settled && now.current_leader == Some(id) {
                break;
            }
        }
        if metrics.changed().await.is_err() {
            return;
        }
    }
    let station = StationId(id);
    let moved = MemberChange::Move { station, address };
    if let Err(error) = members::change(&raft, moved).await {
        tracing::warn!(%error, "the group was not told where this station is");
    }
}

/// A new group is formed of this station alone, unless it waits to be added to another. An only voter need not wait
/// for an election timeout: there is no leader it could not have heard of.
async fn begin(raft: &Raft, id: u64, config: &StoreConfig) -> Result<(), String> {
    if !raft
        .is_initialized()
        .await
        .map_err(|error| error.to_string())?
    {
        if !config.founds {
            return Ok(());
        }
        let members = BTreeMap::from([(id, BasicNode::new(&config.address))]);
        return raft
            .initialize(members)
            .await
            .map_err(|error| error.to_string());
    }
    let alone = raft.voter_ids().eq([id]);
    if alone {
        raft.trigger()
            .elect(false)
            .await
            .map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn raft_config(config: &StoreConfig) -> Result<Config, String> {
    let entries = config.snapshot_entries.max(1);
    Config {
        cluster_name: config.cluster.to_string(),
        heartbeat_interval: HEARTBEAT_MS,
        election_timeout_min: ELECTION_MS_MIN,
        election_timeout_max: ELECTION_MS_MAX,
        enable_pre_vote: Some(true),
        // A leader that comes back must have a new term: commands are ordered by it.
        enable_leader_restore: Some(false),
        snapshot_policy: SnapshotPolicy::LogsSinceLast(entries),
        // For followers that are a little behind. Together with the entries since, and those not yet purged as
        // their batch is not full, the log stays below twice the threshold.
        max_in_snapshot_log_to_keep: entries / 2,
        purge_batch_size: (entries / 8).max(1),
        replication_lag_threshold: entries.saturating_mul(2),
        ..Config::default()
    }
    .validate()
    .map_err(|error| error.to_string())
}

async fn snapshot_when_grown(raft: Raft, growth: Arc<Growth>) {
    loop {
        growth.exceeded.notified().await;
        if raft.trigger().snapshot().await.is_err() {
            return;
        }
    }
}
