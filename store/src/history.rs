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

/// How much one question may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Rows wanted.
    pub rows: usize,
    /// Rows looked at for them.
    pub scanned: usize,
}

/// What was found, in the order it was looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    pub rows: Vec<T>,
    /// The last row looked at, where the question goes on behind it; none once all that is kept was looked at.
    pub next: Option<(Revision, u32)>,
}

impl StoreView<'_> {
    /// The newest first; `before` (the id of the last row looked at) continues an answer.
    pub fn decisions(
        &self,
        filter: &DecisionFilter,
        reading: Reading,
        before: Option<(Revision, u32)>,
    ) -> io::Result<Page<DecisionRow>> {
        let newer = self.before(db::DECISIONS, before);
        let recent = newer.take_while(|row: &io::Result<DecisionRow>| match (row, filter.since) {
            (Ok(row), Some(since)) => row.log_time >= since,
            (Ok(_) | Err(_), _) => true,
        });
        page(recent, reading, |row| filter.takes(row))
    }

    /// One decision by its id.
    pub fn decision(&self, revision: Revision, number: u32) -> io::Result<Option<DecisionRow>> {
        self.read(db::DECISIONS, &keys::numbered(revision, number))
    }

    /// Those taken, oldest first, behind `after`.
    pub fn events_after(
        &self,
        after: Option<(Revision, u32)>,
        reading: Reading,
        takes: impl FnMut(&EventRow) -> bool,
    ) -> io::Result<Page<EventRow>> {
        let start = after.map_or(keys::numbered(Revision(0), 0), |(revision, number)| {
            keys::numbered(revision, number)
        });
        let seen = after.is_some();
        let rows = self
            .range(db::EVENTS, &start, &[])
            .filter(move |item| !(seen && item.as_ref().is_ok_and(|(key, _)| key[..] == start)))
            .map(|item| decode(&item?.1));
        page(rows, reading, takes)
    }

    /// Those taken, newest first, before this one.
    pub fn events_before(
        &self,
        before: Option<(Revision, u32)>,
        reading: Reading,
        takes: impl FnMut(&EventRow) -> bool,
    ) -> io::Result<Page<EventRow>> {
        page(self.before(db::EVENTS, before), reading, takes)
    }

    /// All events of one entry.
    pub fn events_of(&self, revision: Revision) -> io::Result<Vec<EventRow>> {
        let entry = revision.0.to_be_bytes();
        self.range(db::EVENTS, &entry, &entry)
            .map(|item| decode(&item?.1))
            .collect()
    }

    fn before<T: Record>(
        &self,
        family: &str,
        before: Option<(Revision, u32)>,
    ) -> impl Iterator<Item = io::Result<T>> {
        let end = before.map_or([u8::MAX; 12], |(revision, number)| {
            keys::numbered(revision, number)
        });
        self.backwards(family, &end)
            .filter(move |item| item.as_ref().map_or(true, |(key, _)| key[..] < end[..]))
            .map(|item| decode(&item?.1))
    }

    /// The sequence number of the oldest event that is still there: below it is a gap.
    pub fn first_event(&self) -> io::Result<Option<(Revision, u32)>> {
        let first = self.range(db::EVENTS, &[], &[]).next().transpose()?;
        Ok(first.and_then(|(key, _)| keys::read_numbered(&key)))
    }

    /// The newest event that was let go of: who has not seen it yet has missed something.
    pub fn trimmed_event(&self) -> io::Result<Option<(Revision, u32)>> {
        let trimmed = self.raw(db::META, db::META_TRIMMED)?;
        Ok(trimmed.and_then(|bytes| keys::read_numbered(&bytes)))
    }

    pub fn last_event(&self) -> io::Result<Option<(Revision, u32)>> {
        let last = self
            .backwards(db::EVENTS, &[u8::MAX; 12])
            .next()
            .transpose()?;
        Ok(last.and_then(|(key, _)| keys::read_numbered(&key)))
    }
}

/// Goes on until there is enough, or enough was looked at.
fn page<T: Row>(
    rows: impl Iterator<Item = io::Result<T>>,
    reading: Reading,
    mut takes: impl FnMut(&T) -> bool,
) -> io::Result<Page<T>> {
    let mut page = Page {
        rows: Vec::new(),
        next: None,
    };
    let mut last = None;
    for (looked_at, row) in rows.enumerate() {
        if looked_at == reading.scanned || page.rows.len() == reading.rows {
            page.next = last;
            break;
        }
        let row = row?;
        last = Some(row.place());
        if takes(&row) {
            page.rows.push(row);
        }
    }
    Ok(page)
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
    if let Some((revision, number)) = events.passed {
        let place = keys::numbered(revision, number);
        batch.put_cf(db.family(db::META), db::META_TRIMMED, place);
    }
    db.write(batch)?;
    Ok(gone)
}

trait Row: Record {
    fn at(&self) -> (Revision, Timestamp);
    fn place(&self) -> (Revision, u32);
}

impl Row for DecisionRow {
    fn at(&self) -> (Revision, Timestamp) {
        (self.revision, self.log_time)
    }

    fn place(&self) -> (Revision, u32) {
        (self.revision, self.number)
    }
}

impl Row for EventRow {
    fn at(&self) -> (Revision, Timestamp) {
        (self.revision, self.log_time)
    }

    fn place(&self) -> (Revision, u32) {
        (self.revision, self.number)
    }
}

/// A walk over one family, a step at a time, that counts bytes.
struct Rows<'a, T> {
    rest: Box<dyn Iterator<Item = io::Result<Pair>> + 'a>,
    next: Option<(T, u64)>,
    passed: Option<(Revision, u32)>,
}

impl<'a, T: Row> Rows<'a, T> {
    fn new(view: &'a StoreView<'_>, family: &str) -> io::Result<Self> {
        let mut rows = Self {
            rest: Box::new(view.range(family, &[], &[])),
            next: None,
            passed: None,
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
            self.passed = Some(row.place());
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
