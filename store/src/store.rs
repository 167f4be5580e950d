//! The store: a data directory that is open, the log that runs on it, and reads of what it holds.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use mainstay_coordinator::entry::Entry;
use mainstay_coordinator::log::{Log, LogEvent};
use mainstay_protocol::{Epoch, Revision, StationId, Term, Timestamp};
use mainstay_resource_graph::{Graph, View};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use crate::backup;
use crate::check;
use crate::committer::Committer;
use crate::config::StoreConfig;
use crate::db::Db;
use crate::directory::{self, Directory, FORMAT, Identity};
use crate::error::OpenError;
use crate::fatal;
use crate::raft::{MemberChange, NotChanged, Running, Status};
use crate::reach::{Alone, PeerStream, Reach};
use crate::records::{About, LogPoint};
use crate::space::{Shortage, Space};
use crate::view::StoreView;
use crate::wal::{self, Tear, Verdict};

/// An open data directory. Dropped, it ends in order; killed, nothing acknowledged is lost either.
pub struct Store {
    db: Db,
    running: Running,
    threads: Mutex<Option<Threads>>,
    identity: Identity,
    space: Space,
    _directory: Directory,
}

struct Threads {
    runtime: Runtime,
    committer: JoinHandle<()>,
}

/// What there is once a store is open.
#[derive(Debug)]
pub struct Opened {
    /// The state as it was found on disk. Every entry applied after it comes as an event, and no other: graph and
    /// events together miss nothing and hold nothing twice.
    pub graph: Graph,
    /// Log time of the last entry in it; the cluster's clock goes on from there.
    pub log_time: Timestamp,
    /// The epoch that the directory was made for, by restore, recover or repair: the graph may be of the one before.
    pub begun: Option<Epoch>,
    pub log: LogHandle,
    /// What the log says, in order; for one driver. While nobody takes them, applying waits.
    pub events: mpsc::Receiver<LogEvent>,
    pub report: Report,
}

/// What was found at the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The directory was empty.
    pub new: bool,
    pub revision: Revision,
    /// The last entry whose effect was in the state.
    pub applied: Option<LogPoint>,
    /// Entries behind it that wait for the new term to be committed.
    pub entries_to_apply: u64,
    /// The end of the write-ahead log was torn, and is cut off: of one file, or of several without a whole entry
    /// behind the first of them.
    pub torn: Vec<Tear>,
}

/// The leader core's way into the log.
#[derive(Clone)]
pub struct LogHandle(Running);

impl std::fmt::Debug for LogHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LogHandle")
    }
}

impl Log for LogHandle {
    fn propose(&mut self, entry: Entry) {
        self.0.propose(entry);
    }
}

/// How the tracking station looks from here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogStatus {
    pub leads: bool,
    pub leader: Option<StationId>,
    pub term: Term,
    pub voters: Vec<StationId>,
    pub learners: Vec<StationId>,
    /// Where each of them is.
    pub addresses: BTreeMap<StationId, String>,
    /// How far each has the log, as who leads knows; empty where another leads.
    pub reached: BTreeMap<StationId, Option<u64>>,
    /// How long ago each of the others answered who leads; empty where another leads.
    pub heard: BTreeMap<StationId, Duration>,
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

impl Store {
    /// Opens or creates a data directory and starts the log. Blocks while it reads the state; leadership comes
    /// later, as an event.
    pub fn open(config: StoreConfig) -> Result<(Self, Opened), OpenError> {
        Self::open_in_group(config, Arc::new(Alone))
    }

    /// The same, with a way to other stations.
    pub fn open_in_group(
        config: StoreConfig,
        reach: Arc<dyn Reach>,
    ) -> Result<(Self, Opened), OpenError> {
        let identity = Identity {
            format: FORMAT,
            cluster: config.cluster,
            station: config.station,
        };
        let directory = Directory::open(&config.dir, &identity)?;
        let space = Space::open(&config);
        let torn = mend(&config.dir)?;
        let database = directory.database();
        let new = !database.join("CURRENT").exists();
        let db = Db::open(&database).map_err(|cause| cannot_open(&config.dir, &identity, cause))?;
        directory.begun()?;
        let found = check::check(&db)
            .map_err(|what| OpenError::damaged(&config.dir, Some(&identity), what))?;
        let log_error = |cause| OpenError::Log {
            dir: config.dir.clone(),
            cause,
        };
        let (committer, thread) = Committer::start(db.clone(), config.syncing)
            .map_err(|error| log_error(error.to_string()))?;
        let (running, runtime, events) =
            Running::start(&config, &db, committer, directory.snapshots(), reach)
                .map_err(log_error)?;
        let report = Report {
            new,
            revision: found.graph.revision(),
            applied: found.applied,
            entries_to_apply: found.entries_to_apply,
            torn,
        };
        let opened = Opened {
            graph: found.graph,
            log_time: found.log_time,
            begun: found.begun,
            log: LogHandle(running.clone()),
            events,
            report,
        };
        let threads = Threads {
            runtime,
            committer: thread,
        };
        let store = Self {
            db,
            running,
            threads: Mutex::new(Some(threads)),
            identity,
            space,
            _directory: directory,
        };
        Ok((store, opened))
    }

    /// The state as it is now, and stays while the view is held.
    pub fn view(&self) -> StoreView<'_> {
        StoreView::new(&self.db)
            .unwrap_or_else(|error| fatal::storage_failed("reading the state", &error))
    }

    /// Hands a backup of the state as it is now to `send`, piece by piece; says what it holds, or nothing where no
    /// cluster is there yet. Old data stays on disk until it has ended.
    pub fn backup(
        &self,
        taken_ms: u64,
        send: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<Option<About>> {
        backup::write(&StoreView::new(&self.db)?, &self.identity, taken_ms, send)
    }

    /// What is free on the disk, where that is too little to write more.
    pub fn short_of_space(&self) -> Option<Shortage> {
        self.space.shortage()
    }

    /// This station leads, and nobody else can have begun to lead by now.
    pub fn surely_leads(&self) -> bool {
        self.running.surely_leads()
    }

    pub fn status(&self) -> LogStatus {
        let Status {
            leads,
            leader,
            term,
            voters,
            learners,
            addresses,
            reached,
            heard,
            leader_heard,
            current_at,
            majority_heard,
            last_entry,
            applied,
            snapshot,
            purged,
        } = self.running.status();
        LogStatus {
            leads,
            leader: leader.map(StationId),
            term: Term(term),
            voters: voters.into_iter().map(StationId).collect(),
            learners: learners.into_iter().map(StationId).collect(),
            addresses: addresses
                .into_iter()
                .map(|(id, address)| (StationId(id), address))
                .collect(),
            reached: reached
                .into_iter()
                .map(|(id, reached)| (StationId(id), reached))
                .collect(),
            heard: heard
                .into_iter()
                .map(|(id, ago)| (StationId(id), ago))
                .collect(),
            leader_heard,
            current_at,
            majority_heard,
            last_entry,
            applied,
            snapshot,
            purged,
        }
    }

    /// Answers another station that came to this one, until its connection ends.
    pub fn serve_peer(
        &self,
        from: StationId,
        stream: Box<dyn PeerStream>,
    ) -> impl Future<Output = std::io::Result<()>> + Send + 'static {
        self.running.serve(from, stream)
    }

    /// Changes who is in the group; only whoever leads can.
    pub async fn change_members(&self, change: MemberChange) -> Result<(), NotChanged> {
        self.running.change(change).await
    }

    /// Returns once everything committed before the call can be read here, if this station leads.
    pub async fn barrier(&self) -> Result<(), NotChanged> {
        self.running.barrier().await
    }

    /// Takes a snapshot in the background and cuts the log behind it.
    pub fn take_snapshot(&self) {
        self.running.take_snapshot();
    }

    /// Ends the log in order. Reads still work; it may be called twice.
    pub fn shutdown(&self) {
        let threads = self
            .threads
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(threads) = threads else { return };
        self.running.clone().stop(threads.runtime);
        // With the log gone nobody hands completions in, and the committer ends.
        if threads.committer.join().is_err() {
            tracing::warn!("the committer panicked");
        }
        if let Err(error) = self.db.sync() {
            fatal::storage_failed("syncing at the end", &error);
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.shutdown();
    }
}

/// Looks at the write-ahead log before RocksDB does: cuts a torn end off, refuses anything else.
pub(crate) fn mend(dir: &Path) -> Result<Vec<Tear>, OpenError> {
    let database: PathBuf = directory::database(dir);
    let verdict =
        wal::examine(&database).map_err(OpenError::io("reading the logs in", &database))?;
    match verdict {
        Verdict::Whole => Ok(Vec::new()),
        Verdict::Torn(torn) => {
            for tear in &torn {
                tear.cut()
                    .map_err(OpenError::io("cutting the torn end off", &tear.file))?;
                tracing::warn!(
                    file = %tear.file.display(),
                    kept_bytes = tear.whole_bytes,
                    cut_bytes = tear.torn_bytes,
                    "the log's end was torn by a crash and is cut off at the last whole entry; nothing acknowledged stood behind it"
                );
            }
            Ok(torn)
        }
        Verdict::Damaged { file, at } => {
            let what = format!(
                "{} is not whole at byte {at}, with whole entries behind it: it was damaged, or power failed while \
                 the system wrote its end out of order",
                file.display()
            );
            let identity = directory::identity(dir)?;
            Err(OpenError::damaged(dir, identity.as_ref(), what))
        }
    }
}

pub(crate) fn cannot_open(dir: &Path, identity: &Identity, cause: rocksdb::Error) -> OpenError {
    match cause.kind() {
        rocksdb::ErrorKind::Corruption => {
            OpenError::damaged(dir, Some(identity), cause.into_string())
        }
        _ => OpenError::Database {
            dir: dir.to_owned(),
            cause,
        },
    }
}
