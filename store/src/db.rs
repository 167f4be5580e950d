//! The one RocksDB: its families, its options, and reads and writes of typed records.
//!
//! All families share one write-ahead log, so what one batch wrote after another can never be found without it.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mainstay_protocol::limits;
use mainstay_protocol::record::{self, Record};
use mainstay_resource_graph::Kind;
use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamily, DB, DBCompressionType, DBRecoveryMode, Direction,
    IteratorMode, Options, ReadOptions, WriteBatch, WriteOptions,
};

use crate::error::io_error;

pub(crate) const LOG: &str = "log";
pub(crate) const META: &str = "meta";
pub(crate) const EDGES: &str = "edges";
pub(crate) const COUNTERS: &str = "counters";
pub(crate) const DECISIONS: &str = "decisions";
pub(crate) const EVENTS: &str = "events";

pub(crate) const META_APPLIED: &[u8] = b"applied";
pub(crate) const META_VOTE: &[u8] = b"vote";
pub(crate) const META_PURGED: &[u8] = b"purged";
pub(crate) const META_SNAPSHOT: &[u8] = b"snapshot";
pub(crate) const META_HISTORY: &[u8] = b"history";
pub(crate) const META_BEGUN: &[u8] = b"begun";
/// The place of the newest event that was let go of.
pub(crate) const META_TRIMMED: &[u8] = b"trimmed";

/// Above every kind's number.
const EDGES_NUMBER: u8 = 0xf0;
const COUNTERS_NUMBER: u8 = 0xf1;

/// Bytes of unflushed writes per family, and of blocks kept in memory.
const WRITE_BUFFER_BYTES: usize = 16 * 1024 * 1024;
const BLOCK_CACHE_BYTES: usize = 64 * 1024 * 1024;

/// The family of a kind's vertices.
pub(crate) fn state(kind: Kind) -> &'static str {
    match kind {
        Kind::Cluster => "state_cluster",
        Kind::Station => "state_station",
        Kind::Node => "state_node",
        Kind::Outbox => "state_outbox",
        Kind::Type => "state_type",
        Kind::Placement => "state_placement",
        Kind::Instance => "state_instance",
        Kind::Name => "state_name",
        Kind::Configuration => "state_config",
        Kind::Supervisor => "state_supervisor",
        Kind::Command => "state_command",
        Kind::Parked => "state_parked",
        Kind::Resource => "state_resource",
        Kind::Asked => "state_asked",
        Kind::Procedure => "state_procedure",
        Kind::Collected => "state_collected",
        Kind::Token => "state_token",
        Kind::Identity => "state_identity",
        Kind::Secret => "state_secret",
        Kind::Orchestration => "state_orchestration",
        Kind::Activity => "state_activity",
        Kind::Text => "state_text",
        Kind::Run => "state_run",
        Kind::Step => "state_step",
        Kind::Service => "state_service",
        Kind::Artifact => "state_artifact",
        Kind::Chunk => "state_chunk",
    }
}

/// The families a snapshot carries: state, not log, vote or history.
pub(crate) fn state_families() -> impl Iterator<Item = &'static str> {
    Kind::ALL.into_iter().map(state).chain([EDGES, COUNTERS])
}

/// The same, each with the number that a stream has it under: the kind's own, so that a backup is read by builds that
/// know more kinds.
pub(crate) fn numbered_families() -> impl Iterator<Item = (u8, &'static str)> {
    let kinds = Kind::ALL.into_iter().map(|kind| (kind as u8, state(kind)));
    kinds.chain([(EDGES_NUMBER, EDGES), (COUNTERS_NUMBER, COUNTERS)])
}

fn families() -> impl Iterator<Item = &'static str> {
    state_families().chain([LOG, META, DECISIONS, EVENTS])
}

/// A key and what is kept under it.
pub(crate) type Pair = (Box<[u8]>, Box<[u8]>);

/// What is passed over in a write-ahead log that is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leniency {
    /// All from the first bad place on; refused where parts of the state would be of different times.
    UpToDamage,
    /// Each batch that cannot be read: only what proves itself whole may be read from it.
    AnyDamage,
}

/// A handle to the database; cheap to clone.
#[derive(Clone)]
pub(crate) struct Db(Arc<DB>);

/// Of the process: its stores share a disk.
static SLOWER_MS: AtomicU64 = AtomicU64::new(0);

/// From now on every sync takes longer by so much: a slow disk, on purpose.
pub fn slow_syncs(by: Duration) {
    let ms = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
    SLOWER_MS.store(ms, Ordering::Relaxed);
}

impl Db {
    /// Damage anywhere in the write-ahead log is an error: what may be cut off was cut off before (`wal`).
    pub(crate) fn open(path: &Path) -> Result<Self, rocksdb::Error> {
        let mut options = options();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        let cache = Cache::new_lru_cache(BLOCK_CACHE_BYTES);
        let families = families().map(|name| (name, family_options(&cache)));
        DB::open_cf_with_opts(&options, path, families).map(|db| Self(Arc::new(db)))
    }

    /// For looking without touching: replay, snapshots.
    pub(crate) fn open_read_only(path: &Path) -> Result<Self, rocksdb::Error> {
        Self::read_only(&options(), path)
    }

    /// For looking at a checkpoint: it has the end of the write-ahead log as it was while somebody wrote on, and the last
    /// record may be half there. Damage elsewhere is an error.
    pub(crate) fn open_checkpoint(path: &Path) -> Result<Self, rocksdb::Error> {
        let mut options = options();
        options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
        Self::read_only(&options, path)
    }

    /// For looking at what is known to be damaged.
    pub(crate) fn open_damaged(path: &Path, leniency: Leniency) -> Result<Self, rocksdb::Error> {
        let mut options = options();
        options.set_wal_recovery_mode(match leniency {
            Leniency::UpToDamage => DBRecoveryMode::PointInTime,
            Leniency::AnyDamage => DBRecoveryMode::SkipAnyCorruptedRecord,
        });
        options.set_track_and_verify_wals_in_manifest(false);
        Self::read_only(&options, path)
    }

    fn read_only(options: &Options, path: &Path) -> Result<Self, rocksdb::Error> {
        let cache = Cache::new_lru_cache(BLOCK_CACHE_BYTES);
        let families = families().map(|name| (name, family_options(&cache)));
        DB::open_cf_with_opts_for_read_only(options, path, families, false)
            .map(|db| Self(Arc::new(db)))
    }

    pub(crate) fn raw(&self) -> &DB {
        &self.0
    }

    pub(crate) fn family(&self, name: &str) -> &ColumnFamily {
        self.0
            .cf_handle(name)
            .expect("every family is opened with the database")
    }

    pub(crate) fn record<T: Record>(&self, family: &str, key: &[u8]) -> io::Result<Option<T>> {
        let bytes = self
            .0
            .get_pinned_cf(self.family(family), key)
            .map_err(io_error)?;
        bytes
            .map(|bytes| record::decode(&bytes, limits::DECODE_BYTES_MAX).map_err(io_error))
            .transpose()
    }

    pub(crate) fn bytes(&self, family: &str, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        self.0.get_cf(self.family(family), key).map_err(io_error)
    }

    pub(crate) fn put<T: Record>(
        &self,
        batch: &mut WriteBatch,
        family: &str,
        key: &[u8],
        value: &T,
    ) {
        batch.put_cf(self.family(family), key, record::encode(value));
    }

    /// To the write-ahead log, not yet to the disk: the committer's next sync covers it.
    pub(crate) fn write(&self, batch: WriteBatch) -> io::Result<()> {
        self.0
            .write_opt(batch, &WriteOptions::default())
            .map_err(io_error)
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        let slower_ms = SLOWER_MS.load(Ordering::Relaxed);
        if slower_ms > 0 {
            // tidy: waits because somebody wants the disk to be slow
            std::thread::sleep(Duration::from_millis(slower_ms));
        }
        self.0.flush_wal(true).map_err(io_error)
    }

    /// Everything from this key on, in key order, while the key begins with the prefix.
    pub(crate) fn range<'a>(
        &'a self,
        family: &str,
        from: &[u8],
        prefix: &'a [u8],
    ) -> impl Iterator<Item = io::Result<Pair>> + 'a {
        let mut options = ReadOptions::default();
        options.set_total_order_seek(true);
        self.0
            .iterator_cf_opt(
                self.family(family),
                options,
                IteratorMode::From(from, Direction::Forward),
            )
            .map(|item| item.map_err(io_error))
            .take_while(move |item| {
                item.as_ref()
                    .map_or(true, |(key, _)| key.starts_with(prefix))
            })
    }

    pub(crate) fn last(&self, family: &str) -> io::Result<Option<Pair>> {
        self.0
            .iterator_cf(self.family(family), IteratorMode::End)
            .next()
            .transpose()
            .map_err(io_error)
    }
}

fn options() -> Options {
    let mut options = Options::default();
    options.set_wal_recovery_mode(DBRecoveryMode::AbsoluteConsistency);
    options.set_paranoid_checks(true);
    options.set_track_and_verify_wals_in_manifest(true);
    options.set_max_total_wal_size(limits::WAL_BYTES_MAX);
    options.set_max_background_jobs(2);
    // Its own log says little to an operator; a few small files are kept for whoever debugs RocksDB.
    options.set_keep_log_file_num(2);
    options.set_max_log_file_size(1024 * 1024);
    options.set_log_level(rocksdb::LogLevel::Warn);
    options.set_stats_dump_period_sec(0);
    options
}

fn family_options(cache: &Cache) -> Options {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    table.set_bloom_filter(10.0, false);
    let mut options = Options::default();
    options.set_block_based_table_factory(&table);
    options.set_write_buffer_size(WRITE_BUFFER_BYTES);
    options.set_compression_type(DBCompressionType::Lz4);
    options
}
