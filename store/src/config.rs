//! How a store is opened.

use std::path::PathBuf;

use mainstay_protocol::{ClusterId, StationId, limits};

/// Where the data is, whose it is, and how far the log may grow.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    pub dir: PathBuf,
    pub cluster: ClusterId,
    pub station: StationId,
    /// Where the other stations reach this one.
    pub address: String,
    /// In an empty directory a group of this station alone is founded; else it waits to be added to one.
    pub founds: bool,
    /// A snapshot is taken, and the log cut behind it, after so many entries ...
    pub snapshot_entries: u64,
    /// ... or so many bytes of entries, whichever comes first.
    pub snapshot_bytes: u64,
    /// Bytes of decisions and events kept.
    pub history_bytes: u64,
    /// Log time for which decisions and events are kept.
    pub history_seconds: u64,
    /// With less than this free on its disk nothing more is to be proposed.
    pub free_bytes_min: u64,
    /// Kept back on the disk, to be given up when it is full: opening takes room.
    pub ballast_bytes: u64,
    pub(crate) syncing: Syncing,
}

impl StoreConfig {
    pub fn new(dir: impl Into<PathBuf>, cluster: ClusterId, station: StationId) -> Self {
        Self {
            dir: dir.into(),
            cluster,
            station,
            address: String::new(),
            founds: true,
            snapshot_entries: limits::LOG_SNAPSHOT_ENTRIES,
            snapshot_bytes: limits::LOG_SNAPSHOT_BYTES,
            history_bytes: limits::HISTORY_BYTES_MAX,
            history_seconds: limits::HISTORY_AGE_SECONDS,
            free_bytes_min: limits::DISK_FREE_BYTES_MIN,
            ballast_bytes: limits::BALLAST_BYTES,
            syncing: Syncing::Always,
        }
    }

    /// A bug on purpose: entries are called durable that are not. The power-loss test must find it.
    #[doc(hidden)]
    #[must_use]
    pub fn planted_no_sync(mut self) -> Self {
        self.syncing = Syncing::Planted;
        self
    }
}

/// Whether the committer syncs before it says "durable".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Syncing {
    Always,
    /// The planted bug.
    Planted,
}
