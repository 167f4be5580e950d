//! What is looked at whenever a database is opened: the whole state, and that the log has no hole.

use std::io;

use mainstay_protocol::{Epoch, Timestamp};
use mainstay_resource_graph::Graph;

use crate::db::{self, Db};
use crate::raft;
use crate::records::{Begun, LogPoint, LogRecord};
use crate::view::StoreView;

/// The state and where the log stands to it.
pub(crate) struct Found {
    pub graph: Graph,
    pub log_time: Timestamp,
    pub applied: Option<LogPoint>,
    pub entries_to_apply: u64,
    /// The epoch that the directory was made for.
    pub begun: Option<Epoch>,
}

/// Reads all of it; what is wrong is said in words.
pub(crate) fn check(db: &Db) -> Result<Found, String> {
    raft::clear_leftovers(db).map_err(|error| format!("the state cannot be read: {error}"))?;
    look(db)
}

/// The same of a database that is only read.
pub(crate) fn look(db: &Db) -> Result<Found, String> {
    let view = StoreView::new(db)
        .map_err(|error| format!("how far the state is cannot be read: {error}"))?;
    let graph = view
        .graph()
        .map_err(|error| format!("the state cannot be read: {error}"))?;
    let applied = view.applied().last;
    let entries_to_apply =
        log(db, applied).map_err(|error| format!("the log cannot be read: {error}"))?;
    let begun: Option<Begun> = view
        .read(db::META, db::META_BEGUN)
        .map_err(|error| format!("its epoch cannot be read: {error}"))?;
    Ok(Found {
        graph,
        begun: begun.map(|begun| begun.epoch),
        log_time: view.log_time(),
        applied,
        entries_to_apply,
    })
}

/// Every entry from the first kept one on must be there, and none may be missing between state and log.
fn log(db: &Db, applied: Option<LogPoint>) -> io::Result<u64> {
    let purged: Option<LogPoint> = db.record(db::META, db::META_PURGED)?;
    let mut wanted = purged.map(|purged| purged.index + 1);
    let next = applied.map_or(0, |applied| applied.index + 1);
    let mut behind = 0;
    for item in db.range(db::LOG, &[], &[]) {
        let (key, bytes) = item?;
        let (index, _): (u64, LogRecord) = raft::decode(&key, &bytes)?;
        if wanted.is_some_and(|wanted| wanted != index) || (wanted.is_none() && index > next) {
            return Err(io::Error::other(format!(
                "entry {} is missing",
                wanted.unwrap_or(next)
            )));
        }
        wanted = Some(index + 1);
        behind += u64::from(index >= next);
    }
    Ok(behind)
}
