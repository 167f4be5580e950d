//! The state machine: committed entries become state, in the same database as the log, and are told to the driver.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use mainstay_coordinator::entry::Entry;
use mainstay_coordinator::log::LogEvent;
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::{OptionalSend, RaftSnapshotBuilder};
use rocksdb::WriteBatch;
use tokio::sync::{mpsc, watch};

use super::convert;
use super::snapshot::{Install, Snapshots, StateSnapshot};
use super::{LogId, Snapshot, SnapshotMeta, StoredMembership, Types};
use crate::db::{self, Db};
use crate::error::io_error;
use crate::history::{self, Keep};
use crate::records::{Applied, LogPoint, Payload};
use crate::state;
use crate::view::StoreView;

pub(crate) struct StateMachine {
    db: Db,
    applied: Applied,
    snapshots: Snapshots,
    history_bytes: u64,
    history: Duration,
    events: mpsc::Sender<LogEvent>,
    /// The newest term whose first entry has been applied.
    began: watch::Sender<u64>,
}

/// What a state machine is made of besides the database.
pub(super) struct Parts {
    pub snapshots: Snapshots,
    pub history_bytes: u64,
    pub history: Duration,
    pub events: mpsc::Sender<LogEvent>,
    pub began: watch::Sender<u64>,
}

impl StateMachine {
    pub(super) fn new(db: Db, parts: Parts) -> io::Result<Self> {
        let applied = db.record(db::META, db::META_APPLIED)?.unwrap_or_default();
        Ok(Self {
            db,
            applied,
            snapshots: parts.snapshots,
            history_bytes: parts.history_bytes,
            history: parts.history,
            events: parts.events,
            began: parts.began,
        })
    }

    /// State and how far it is are one batch: after a crash both are there or neither.
    pub(super) fn apply_one(&mut self, point: LogPoint, payload: &Payload) -> io::Result<()> {
        let mut batch = WriteBatch::default();
        let mut next = self.applied.clone();
        next.last = Some(point);
        match payload {
            Payload::Blank => {}
            Payload::Entry(entry) => self.apply_entry(&mut batch, entry, &mut next)?,
            Payload::Membership(members) => {
                next.members_at = Some(point);
                next.members = members.clone();
            }
        }
        self.db.put(&mut batch, db::META, db::META_APPLIED, &next);
        self.db.write(batch)?;
        self.applied = next;
        Ok(())
    }

    fn apply_entry(
        &self,
        batch: &mut WriteBatch,
        entry: &Entry,
        next: &mut Applied,
    ) -> io::Result<()> {
        if entry.format > mainstay_coordinator::entry::FORMAT {
            return Err(io::Error::other(format!(
                "entry format {} is newer than this build knows ({})",
                entry.format,
                mainstay_coordinator::entry::FORMAT
            )));
        }
        let took_effect = state::apply(&self.db, batch, entry, next)?;
        if !took_effect {
            tracing::debug!(expected = %entry.delta.expected, revision = %self.applied.revision, "an entry changed nothing");
        }
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn tell_to(&mut self, events: mpsc::Sender<LogEvent>) {
        self.events = events;
    }

    #[cfg(test)]
    pub(super) fn db(&self) -> &Db {
        &self.db
    }

    #[cfg(test)]
    pub(super) fn graph(&self) -> mainstay_resource_graph::Graph {
        StoreView::new(&self.db).unwrap().graph().unwrap()
    }

    async fn tell(&self, event: LogEvent) {
        // Without a driver there is nobody to tell: tests of the storage alone, and a station that shuts down.
        let _ = self.events.send(event).await;
    }
}

impl RaftStateMachine<Types> for StateMachine {
    type SnapshotData = StateSnapshot;
    type SnapshotBuilder = Snapshots;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), io::Error> {
        let last = self.applied.last.map(convert::log_id);
        let members = convert::stored_membership(self.applied.members_at, &self.applied.members);
        Ok((last, members))
    }

    async fn apply<S>(&mut self, mut entries: S) -> Result<(), io::Error>
    where
        S: Stream<Item = Result<EntryResponder<Types>, io::Error>> + Unpin + OptionalSend,
    {
        while let Some(item) = entries.next().await {
            let (entry, responder) = item?;
            let (index, record) = convert::record(entry);
            let term = record.term;
            self.apply_one(LogPoint { term, index }, &record.payload)?;
            match record.payload {
                Payload::Blank => {
                    self.began.send_replace(term);
                }
                Payload::Entry(entry) => self.tell(LogEvent::Committed(Arc::clone(&entry))).await,
                Payload::Membership(_) => {}
            }
            if let Some(responder) = responder {
                responder.send(());
            }
        }
        Ok(())
    }

    /// Asked for between entries, so history can be trimmed here without a race with `apply`.
    async fn get_snapshot_builder(&mut self) -> Snapshots {
        let keep = Keep {
            since: self.applied.log_time - self.history,
            bytes: self.history_bytes,
        };
        match history::trim(&self.db, keep) {
            Ok(0) => {}
            Ok(bytes) => tracing::debug!(bytes, "old decisions and events are gone"),
            Err(error) => {
                tracing::warn!(%error, "old decisions and events could not be removed; tried again at the next snapshot")
            }
        }
        self.snapshots.clone()
    }

    async fn install_snapshot(
        &mut self,
        _meta: &SnapshotMeta,
        snapshot: StateSnapshot,
    ) -> Result<(), io::Error> {
        let snapshots = self.snapshots.clone();
        let db = self.db.clone();
        let work = move || {
            let mut install = Install::begin(&db, snapshots.cluster)?;
            snapshot.for_each_chunk(|chunk| install.take(chunk))?;
            let applied = install.finish()?;
            snapshots.take()?;
            let graph = StoreView::new(&db)?.graph()?;
            Ok::<_, io::Error>((applied, graph))
        };
        let (applied, graph) = tokio::task::spawn_blocking(work)
            .await
            .map_err(io_error)??;
        self.applied = applied;
        self.tell(LogEvent::Replaced {
            graph: Box::new(graph),
            log_time: self.applied.log_time,
        })
        .await;
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, io::Error> {
        self.snapshots.current()
    }
}

impl RaftSnapshotBuilder<Types> for Snapshots {
    type SnapshotData = StateSnapshot;

    async fn build_snapshot(&mut self) -> Result<Snapshot, io::Error> {
        let snapshots = self.clone();
        tokio::task::spawn_blocking(move || snapshots.take())
            .await
            .map_err(io_error)?
    }
}
