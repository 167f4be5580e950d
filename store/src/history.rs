//! Decisions and events: asking for them, and letting go of old ones.

use std::io;

use mainstay_protocol::record::{self, Record};
use mainstay_protocol::{Revision, Timestamp, limits};
use mainstay_resource_graph::Key;
use rocksdb::WriteBatch;

use crate::db::{self, Db, Pair};
use crate::error::io_error;
use crate::keys;
use crate::records::{DecisionRow, EventRow, History};
use crate::view::StoreView;

/// Which decisions are wanted; what is not given does not matter.
#[derive(Debug, Clone, Default)]
pub struct DecisionFilter {
    pub subject: Option<Key>,
    pub rule: Option<String>,
    /// At or after this log time.
    pub since: Option<Timestamp>,
}

impl DecisionFilter {
    fn takes(&self, row: &DecisionRow) -> bool {
        self.subject
            .as_ref()
            .is_none_or(|subject| *subject == row.decision.subject)
            && self
                .rule
                .as_ref()
                .is_none_or(|rule| *rule == row.decision.rule)
    }
}

impl StoreView<'_> {
    /// The newest first, at most `limit`; `before` (the id of the last row seen) continues an answer.
    pub fn decisions(
        &self,
        filter: &DecisionFilter,
        limit: usize,
        before: Option<(Revision, u32)>,
    ) -> io::Result<Vec<DecisionRow>> {
        let end = before.map_or([u8::MAX; 12], |(revision, number)| {
            keys::numbered(revision, number)
        });
        let mut rows = Vec::new();
        for item in self.backwards(db::DECISIONS, &end) {
            let (key, bytes) = item?;
            if key[..] >= end[..] {
                continue;
            }
            let row: DecisionRow = decode(&bytes)?;
            let old = filter.since.is_some_and(|since| row.log_time < since);
            if old || rows.len() == limit {
                break;
            }
            if filter.takes(&row) {
                rows.push(row);
            }
        }
        Ok(rows)
    }

    /// One decision by its id.
    pub fn decision(&self, revision: Revision, number: u32) -> io::Result<Option<DecisionRow>> {
        self.read(db::DECISIONS, &keys::numbered(revision, number))
    }

    /// Oldest first, behind `after`, at most `limit`.
    pub fn events(
        &self,
        after: Option<(Revision, u32)>,
        limit: usize,
    ) -> io::Result<Vec<EventRow>> {
        let start = after.map_or(keys::numbered(Revision(0), 0), |(revision, number)| {
            keys::numbered(revision, number)
        });
        let seen = after.is_some();
        self.range(db::EVENTS, &start, &[])
            .filter(|item| !(seen && item.as_ref().is_ok_and(|(key, _)| key[..] == start)))
            .take(limit)
            .map(|item| decode(&item?.1))
            .collect()
    }

    /// The sequence number of the oldest event that is still there: below it is a gap.
    pub fn first_event(&self) -> io::Result<Option<(Revision, u32)>> {
        let first = self.range(db::EVENTS, &[], &[]).next().transpose()?;
        Ok(first.and_then(|(key, _)| keys::read_numbered(&key)))
    }

    pub fn last_event(&self) -> io::Result<Option<(Revision, u32)>> {
        let last = self
            .backwards(db::EVENTS, &[u8::MAX; 12])
            .next()
            .transpose()?;
        Ok(last.and_then(|(key, _)| keys::read_numbered(&key)))
    }
}

/// What is let go of: what is older than this log time, and then the oldest until no more bytes are kept than that.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keep {
    pub since: Timestamp,
    pub bytes: u64,
}

/// Deletes old decisions and events by range; says how many bytes of them went.
pub(crate) fn trim(db: &Db, keep: Keep) -> io::Result<u64> {
    let view = StoreView::new(db)?;
    let history: History = view.read(db::META, db::META_HISTORY)?.unwrap_or_default();
    let mut decisions = Rows::<DecisionRow>::new(&view, db::DECISIONS)?;
    let mut events = Rows::<EventRow>::new(&view, db::EVENTS)?;
    let mut gone = 0;
    let mut behind = None;
    // Both families go up to the same revision, so that no decision outlives its events.
    loop {
        let next = [decisions.next_at(), events.next_at()]
            .into_iter()
            .flatten()
            .min();
        let Some((revision, log_time)) = next else {
            break;
        };
        let fits = history.bytes.saturating_sub(gone) <= keep.bytes;
        if fits && log_time >= keep.since {
            break;
        }
        gone += decisions.pass(revision)? + events.pass(revision)?;
        behind = Some(revision.next());
    }
    let Some(behind) = behind else { return Ok(0) };
    let mut batch = WriteBatch::default();
    for family in [db::DECISIONS, db::EVENTS] {
        let (from, to) = (keys::numbered(Revision(0), 0), keys::numbered(behind, 0));
        batch.delete_range_cf(db.family(family), from, to);
    }
    let bytes = history.bytes.saturating_sub(gone);
    db.put(&mut batch, db::META, db::META_HISTORY, &History { bytes });
    db.write(batch)?;
    Ok(gone)
}

trait Row: Record {
    fn at(&self) -> (Revision, Timestamp);
}

impl Row for DecisionRow {
    fn at(&self) -> (Revision, Timestamp) {
        (self.revision, self.log_time)
    }
}

impl Row for EventRow {
    fn at(&self) -> (Revision, Timestamp) {
        (self.revision, self.log_time)
    }
}

/// A walk over one family, a step at a time, that counts bytes.
struct Rows<'a, T> {
    rest: Box<dyn Iterator<Item = io::Result<Pair>> + 'a>,
    next: Option<(T, u64)>,
}

impl<'a, T: Row> Rows<'a, T> {
    fn new(view: &'a StoreView<'_>, family: &str) -> io::Result<Self> {
        let mut rows = Self {
            rest: Box::new(view.range(family, &[], &[])),
            next: None,
        };
        rows.step()?;
        Ok(rows)
    }

    fn next_at(&self) -> Option<(Revision, Timestamp)> {
        self.next.as_ref().map(|(row, _)| row.at())
    }

    /// Passes every row of this revision.
    fn pass(&mut self, revision: Revision) -> io::Result<u64> {
        let mut passed = 0;
        while let Some((row, bytes)) = &self.next
            && row.at().0 <= revision
        {
            passed += bytes;
            self.step()?;
        }
        Ok(passed)
    }

    fn step(&mut self) -> io::Result<()> {
        self.next = match self.rest.next().transpose()? {
            Some((_, bytes)) => Some((decode(&bytes)?, bytes.len() as u64)),
            None => None,
        };
        Ok(())
    }
}

fn decode<T: Record>(bytes: &[u8]) -> io::Result<T> {
    record::decode(bytes, limits::DECODE_BYTES_MAX).map_err(io_error)
}
