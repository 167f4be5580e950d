//! The log on disk: family `log`, with the vote and what was purged in `meta`.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mainstay_protocol::{limits, record};
use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use openraft::{OptionalSend, RaftLogReader};
use rocksdb::WriteBatch;
use tokio::sync::{Notify, oneshot};

use super::convert;
use super::{LogId, RaftEntry, RaftVote, Types};
use crate::committer::Committer;
use crate::db::{self, Db};
use crate::error::io_error;
use crate::keys;
use crate::records::{LogPoint, LogRecord, Vote};

#[derive(Clone)]
pub(crate) struct LogStore {
    db: Db,
    committer: Committer,
    growth: Arc<Growth>,
}

/// Bytes appended since the last snapshot, and who wants to know when they are too many.
pub(super) struct Growth {
    bytes: AtomicU64,
    limit: u64,
    pub(super) exceeded: Notify,
}

impl Growth {
    pub(super) fn new(limit: u64) -> Self {
        Self {
            bytes: AtomicU64::new(0),
            limit,
            exceeded: Notify::new(),
        }
    }

    fn add(&self, bytes: u64) {
        if self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes >= self.limit {
            self.bytes.store(0, Ordering::Relaxed);
            self.exceeded.notify_one();
        }
    }
}

impl LogStore {
    pub(super) fn new(db: Db, committer: Committer, growth: Arc<Growth>) -> Self {
        Self {
            db,
            committer,
            growth,
        }
    }

    /// Writes, and returns when it is on disk.
    async fn durably(&self, batch: WriteBatch) -> io::Result<()> {
        self.db.write(batch)?;
        let (done, synced) = oneshot::channel();
        self.committer.after_sync(Box::new(move |result| {
            // Whoever waited may be gone with a stopped runtime.
            let _ = done.send(result);
        }))?;
        synced.await.map_err(io_error)?
    }

    fn purged(&self) -> io::Result<Option<LogPoint>> {
        self.db.record(db::META, db::META_PURGED)
    }
}

pub(crate) fn decode(key: &[u8], bytes: &[u8]) -> io::Result<(u64, LogRecord)> {
    let index =
        keys::read_u64(key).ok_or_else(|| io::Error::other("a key of the log that is no index"))?;
    let record = record::decode(bytes, limits::DECODE_BYTES_MAX).map_err(io_error)?;
    Ok((index, record))
}

impl RaftLogReader<Types> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<RaftEntry>, io::Error> {
        let from = match range.start_bound() {
            Bound::Included(index) => *index,
            Bound::Excluded(index) => index + 1,
            Bound::Unbounded => 0,
        };
        let mut entries: Vec<RaftEntry> = Vec::new();
        let mut wanted = None;
        for item in self.db.range(db::LOG, &from.to_be_bytes(), &[]) {
            let (key, bytes) = item?;
            let index = keys::read_u64(&key)
                .ok_or_else(|| io::Error::other("a key of the log that is no index"))?;
            if !range.contains(&index) {
                break;
            }
            if wanted.is_some_and(|wanted| wanted != index) {
                return Err(io::Error::other(format!(
                    "the log has a hole before entry {index}"
                )));
            }
            wanted = Some(index + 1);
            let (index, record) = decode(&key, &bytes)?;
            entries.push(convert::entry(index, record));
        }
        Ok(entries)
    }

    async fn read_vote(&mut self) -> Result<Option<RaftVote>, io::Error> {
        let vote: Option<Vote> = self.db.record(db::META, db::META_VOTE)?;
        Ok(vote.map(convert::vote))
    }
}

impl RaftLogStorage<Types> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, io::Error> {
        let purged = self.purged()?;
        let last = match self.db.last(db::LOG)? {
            Some((key, bytes)) => {
                let (index, record) = decode(&key, &bytes)?;
                let term = record.term;
                Some(LogPoint { term, index })
            }
            None => purged,
        };
        Ok(LogState {
            last_purged_log_id: purged.map(convert::log_id),
            last_log_id: last.map(convert::log_id),
        })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &RaftVote) -> Result<(), io::Error> {
        let mut batch = WriteBatch::default();
        self.db.put(
            &mut batch,
            db::META,
            db::META_VOTE,
            &convert::stored_vote(vote),
        );
        self.durably(batch).await
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Types>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = RaftEntry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut batch = WriteBatch::default();
        for entry in entries {
            let (index, record) = convert::record(entry);
            self.db
                .put(&mut batch, db::LOG, &index.to_be_bytes(), &record);
        }
        let bytes = batch.size_in_bytes() as u64;
        self.db.write(batch)?;
        self.growth.add(bytes);
        self.committer
            .after_sync(Box::new(move |result| callback.io_completed(result)))
    }

    /// Not waited for: whatever is appended later stands behind it in the write-ahead log.
    async fn truncate_after(&mut self, last: Option<LogId>) -> Result<(), io::Error> {
        let from = last.map_or(0, |id| id.index + 1);
        let mut batch = WriteBatch::default();
        batch.delete_range_cf(
            self.db.family(db::LOG),
            from.to_be_bytes(),
            u64::MAX.to_be_bytes(),
        );
        self.db.write(batch)
    }

    /// Only what a snapshot holds is purged, and a snapshot flushed the state; the sync keeps even a purge without
    /// one from reaching the disk before the state it relies on.
    async fn purge(&mut self, id: LogId) -> Result<(), io::Error> {
        self.db.sync()?;
        let mut batch = WriteBatch::default();
        let point = convert::point(&id);
        self.db.put(&mut batch, db::META, db::META_PURGED, &point);
        let to = (point.index + 1).to_be_bytes();
        batch.delete_range_cf(self.db.family(db::LOG), 0u64.to_be_bytes(), to);
        self.db.write(batch)
    }
}
