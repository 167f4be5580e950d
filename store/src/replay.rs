//! Replay: the log of a data directory, applied anew to a graph, must give the stored state, byte for byte.

use std::path::Path;

use mainstay_protocol::Revision;
use mainstay_resource_graph::{Graph, View};

use crate::db::{self, Db};
use crate::directory;
use crate::error::OpenError;
use crate::raft;
use crate::records::{Applied, LogPoint, Payload, SnapshotPoint};
use crate::view::StoreView;

/// What a replay came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayed {
    /// Where it began: a snapshot, or nothing.
    pub from: Option<LogPoint>,
    pub to: Option<LogPoint>,
    pub entries: u64,
    pub revision: Revision,
    /// Checksums of the canonical snapshots; equal if and only if `differs` says nothing.
    pub digest_replayed: u32,
    pub digest_stored: u32,
    /// The first vertex that is not the same in both.
    pub differs: Option<String>,
}

impl Replayed {
    pub fn is_equal(&self) -> bool {
        self.differs.is_none()
    }
}

/// Replays a directory that nobody has open: a copy, or that of a stopped station. Changes nothing in it.
pub fn replay(dir: &Path) -> Result<Replayed, OpenError> {
    let db =
        Db::open_read_only(&directory::database(dir)).map_err(|cause| OpenError::Database {
            dir: dir.to_owned(),
            cause,
        })?;
    run(dir, &db).map_err(OpenError::io("replaying", dir))
}

fn run(dir: &Path, db: &Db) -> std::io::Result<Replayed> {
    let view = StoreView::new(db)?;
    let stored = view.graph()?;
    let to = view.applied().last;
    let (mut graph, from) = base(dir, db)?;
    let next = from.map_or(0, |from| from.index + 1);
    let mut entries = 0;
    let mut wanted = next;
    for item in db.range(db::LOG, &next.to_be_bytes(), &[]) {
        let (key, bytes) = item?;
        let (index, record) = raft::decode(&key, &bytes)?;
        if to.is_none_or(|to| index > to.index) {
            break;
        }
        if index != wanted {
            return Err(std::io::Error::other(format!("entry {wanted} is missing")));
        }
        wanted += 1;
        if let Payload::Entry(entry) = record.payload {
            graph.apply(&entry.delta);
            entries += 1;
        }
    }
    if to.is_some_and(|to| wanted <= to.index) {
        return Err(std::io::Error::other(format!("entry {wanted} is missing")));
    }
    Ok(Replayed {
        from,
        to,
        entries,
        revision: stored.revision(),
        digest_replayed: graph.digest(),
        digest_stored: stored.digest(),
        differs: difference(&graph, &stored),
    })
}

/// The newest snapshot, or an empty graph if the log is still whole.
fn base(dir: &Path, db: &Db) -> std::io::Result<(Graph, Option<LogPoint>)> {
    let point: Option<SnapshotPoint> = db.record(db::META, db::META_SNAPSHOT)?;
    let Some(point) = point else {
        return Ok((Graph::new(), None));
    };
    let path = directory::snapshots(dir).join(point.directory);
    let db = Db::open_read_only(&path).map_err(std::io::Error::other)?;
    let view = StoreView::new(&db)?;
    let Applied { last, .. } = *view.applied();
    Ok((view.graph()?, last))
}

fn difference(replayed: &Graph, stored: &Graph) -> Option<String> {
    if replayed.snapshot() == stored.snapshot() {
        return None;
    }
    if replayed.revision() != stored.revision() {
        let (a, b) = (replayed.revision(), stored.revision());
        return Some(format!("revision {a} replayed, {b} stored"));
    }
    let mut pairs = replayed.records().zip(stored.records());
    let record = pairs
        .find(|(a, b)| a != b)
        .map(|(a, b)| format!("{} replayed, {} stored: {a:?}, {b:?}", a.key, b.key));
    Some(record.unwrap_or_else(|| "edges, or how many vertices there are".to_owned()))
}
