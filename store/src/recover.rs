//! Recovery: what one station of a group has becomes a group of its own, because the others will not come back.
//!
//! All that its log holds counts, also what no majority is known to have: it may have been acknowledged, and nobody is
//! left who could say otherwise.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;

use mainstay_protocol::{ClusterName, Epoch, Revision, StationId, Timestamp};
use mainstay_resource_graph::{View, ViewExt};
use rocksdb::WriteBatch;

use crate::check;
use crate::db::{self, Db};
use crate::directory::{self, Identity};
use crate::error::OpenError;
use crate::raft;
use crate::rebuild::{Building, Rebuilt};
use crate::records::{Applied, LogPoint, Members, Payload};
use crate::state;
use crate::store;
use crate::view::StoreView;
use crate::wal::Tear;

/// Bytes of one batch while a state is copied.
const COPY_BYTES: usize = 1024 * 1024;

/// A survivor's directory, locked, and what it has.
pub struct Survivor {
    pub found: Survived,
    db: Db,
    _lock: File,
}

/// What is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survived {
    pub identity: Identity,
    pub cluster: ClusterName,
    pub epoch: Epoch,
    /// Of the state: entries behind it are still to be applied.
    pub revision: Revision,
    /// The newest entry of its log.
    pub last: LogPoint,
    pub entries_to_apply: u64,
    /// Of the newest entry.
    pub log_time: Timestamp,
    pub wall_ms: u64,
    /// Who voted when it was last told, and where each was.
    pub voters: Vec<StationId>,
    pub addresses: BTreeMap<StationId, String>,
    pub torn: Vec<Tear>,
}

impl Survivor {
    /// Locks the directory and reads all of it. Nothing is changed but a torn end, which every start cuts off.
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        let identity = directory::identity(dir)?.ok_or_else(|| OpenError::NotOne {
            dir: dir.to_owned(),
        })?;
        let lock = directory::lock(dir)?;
        let torn = store::mend(dir)?;
        let database = directory::database(dir);
        let db = Db::open_read_only(&database)
            .map_err(|cause| store::cannot_open(dir, &identity, cause))?;
        let damaged = |what| OpenError::damaged(dir, Some(&identity), what);
        let found = check::look(&db).map_err(damaged)?;
        let cluster = found.graph.cluster().ok_or_else(|| OpenError::Empty {
            dir: dir.to_owned(),
        })?;
        let (tail, log) = tail(&db, found.applied).map_err(|error| damaged(error.to_string()))?;
        let view = StoreView::new(&db).map_err(|error| damaged(error.to_string()))?;
        let members = tail
            .members
            .unwrap_or_else(|| view.applied().members.clone());
        let wall_ms = tail.wall_ms.max(view.wall_ms());
        let last = log.or(found.applied).ok_or_else(|| OpenError::Empty {
            dir: dir.to_owned(),
        })?;
        let survived = Survived {
            cluster: cluster.name,
            epoch: cluster.epoch,
            revision: found.graph.revision(),
            last,
            entries_to_apply: found.entries_to_apply,
            log_time: found.log_time.max(tail.log_time),
            wall_ms,
            voters: members
                .voters
                .iter()
                .flatten()
                .copied()
                .map(StationId)
                .collect(),
            addresses: members
                .addresses
                .into_iter()
                .map(|(id, address)| (StationId(id), address))
                .collect(),
            torn,
            identity,
        };
        drop(view);
        Ok(Self {
            found: survived,
            db,
            _lock: lock,
        })
    }

    /// Makes a group of this station alone, in an empty directory.
    pub fn rebuild(&self, dir: &Path, now_ms: u64) -> Result<Rebuilt, OpenError> {
        let building = Building::begin(dir, self.found.identity.clone())?;
        let copied = copy_state(&self.db, &building.db)
            .and_then(|()| copy_history(&self.db, &building.db))
            .and_then(|()| apply_tail(Some(&self.db), &building.db).map(|(applied, _)| applied));
        let applied = copied.map_err(OpenError::io("writing the state in", dir))?;
        building.finish(applied, self.found.epoch, now_ms)
    }
}

/// What entries behind the state say, without being applied.
#[derive(Default)]
struct Tail {
    members: Option<Members>,
    log_time: Timestamp,
    wall_ms: u64,
}

fn tail(db: &Db, applied: Option<LogPoint>) -> io::Result<(Tail, Option<LogPoint>)> {
    let mut tail = Tail::default();
    let mut last = None;
    let from = applied.map_or(0, |applied| applied.index + 1);
    for item in db.range(db::LOG, &from.to_be_bytes(), &[]) {
        let (key, bytes) = item?;
        let (index, record) = raft::decode(&key, &bytes)?;
        let term = record.term;
        last = Some(LogPoint { term, index });
        match record.payload {
            Payload::Blank => {}
            Payload::Entry(entry) => {
                tail.log_time = tail.log_time.max(entry.log_time);
                tail.wall_ms = tail.wall_ms.max(entry.wall_ms);
            }
            Payload::Membership(members) => tail.members = Some(members),
        }
    }
    Ok((tail, last))
}

/// The state as it is, and how far it reaches.
pub(crate) fn copy_state(from: &Db, to: &Db) -> io::Result<()> {
    copy(from, to, db::state_families())?;
    copy_facts(from, to, &[db::META_APPLIED])
}

/// Decisions and events that are kept.
pub(crate) fn copy_history(from: &Db, to: &Db) -> io::Result<()> {
    copy(from, to, [db::DECISIONS, db::EVENTS].into_iter())?;
    copy_facts(from, to, &[db::META_HISTORY, db::META_TRIMMED])
}

fn copy(from: &Db, to: &Db, families: impl Iterator<Item = &'static str>) -> io::Result<()> {
    let mut batch = WriteBatch::default();
    for family in families {
        for item in from.range(family, &[], &[]) {
            let (key, value) = item?;
            batch.put_cf(to.family(family), key, value);
            if batch.size_in_bytes() >= COPY_BYTES {
                to.write(std::mem::take(&mut batch))?;
            }
        }
    }
    to.write(batch)
}

fn copy_facts(from: &Db, to: &Db, keys: &[&[u8]]) -> io::Result<()> {
    let mut batch = WriteBatch::default();
    for key in keys {
        if let Some(value) = from.bytes(db::META, key)? {
            batch.put_cf(to.family(db::META), key, value);
        }
    }
    to.write(batch)
}

/// Applies what the log of one database has behind the state of another, up to the first entry that is missing or
/// cannot be read; says how far that came, and what stopped it.
pub(crate) fn apply_tail(log: Option<&Db>, to: &Db) -> io::Result<(Applied, Option<String>)> {
    let mut applied: Applied = to.record(db::META, db::META_APPLIED)?.unwrap_or_default();
    let Some(log) = log else {
        return Ok((applied, None));
    };
    let first = applied.last.map_or(0, |last| last.index + 1);
    let behind = log.range(db::LOG, &first.to_be_bytes(), &[]);
    for (wanted, item) in (first..).zip(behind) {
        let read = item.and_then(|(key, bytes)| raft::decode(&key, &bytes));
        let (index, record) = match read {
            Ok(read) => read,
            Err(error) => {
                return Ok((
                    applied,
                    Some(format!("entry {wanted} cannot be read: {error}")),
                ));
            }
        };
        if index != wanted {
            return Ok((applied, Some(format!("entry {wanted} is missing"))));
        }
        let point = LogPoint {
            term: record.term,
            index,
        };
        let mut batch = WriteBatch::default();
        let mut next = Applied {
            last: Some(point),
            ..applied
        };
        match &record.payload {
            Payload::Blank => {}
            Payload::Entry(entry) => _ = state::apply(to, &mut batch, entry, &mut next)?,
            Payload::Membership(members) => {
                next.members_at = Some(point);
                next.members = members.clone();
            }
        }
        to.put(&mut batch, db::META, db::META_APPLIED, &next);
        to.write(batch)?;
        applied = next;
    }
    Ok((applied, None))
}
