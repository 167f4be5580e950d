//! A station's disk: the vote and the log in one file, and a snapshot. Only the synced part of the file surely outlives
//! a crash, of the rest as much as chance leaves. Everything is read back from its bytes.

use std::sync::Arc;

use mainstay_coordinator::Entry;
use mainstay_protocol::{StationId, Term, Timestamp, codec, limits};
use mainstay_resource_graph::Graph;

/// Length and checksum in front of each record.
const FRAME_BYTES: usize = 8;

/// One place of the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Slot {
    pub term: Term,
    /// None: the first of its term, which says nothing else.
    pub entry: Option<Arc<Entry>>,
}

/// A place of the log by number and term: two logs that have the same one have the same before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Point {
    pub index: u64,
    pub term: Term,
}

/// The newest term that was heard of, and whom it was given to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ballot {
    pub term: Term,
    pub voted: Option<StationId>,
}

/// The state as it was at a point. It is there as a whole, or not at all.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub point: Point,
    pub graph: Arc<Vec<u8>>,
    pub log_time: Timestamp,
}

/// A record: of a slot its index, term and entry; of a ballot 0, its term and whom it was given to.
type Record = (u64, Term, Option<StationId>, Option<Entry>);

#[derive(Debug, Default)]
pub struct Disk {
    bytes: Vec<u8>,
    synced: usize,
    /// Raised when the file is written anew: the end of a sync counts for the file that it was of.
    pub file: u64,
    pub ballot: Ballot,
    /// The log goes on from here.
    base: Point,
    /// Each with where it ends in the file.
    slots: Vec<(usize, Slot)>,
    snapshot: Option<Snapshot>,
}

impl Disk {
    pub fn end(&self) -> usize {
        self.bytes.len()
    }

    pub fn synced(&self) -> usize {
        self.synced
    }

    pub fn unsynced(&self) -> usize {
        self.bytes.len() - self.synced
    }

    pub fn sync(&mut self, file: u64, up_to: usize) {
        if file == self.file {
            self.synced = self.synced.max(up_to.min(self.bytes.len()));
        }
    }

    /// Behind the snapshot that the log was cut off at.
    pub fn first(&self) -> u64 {
        self.base.index + 1
    }

    pub fn last(&self) -> Point {
        self.slots.last().map_or(self.base, |(_, slot)| Point {
            index: self.base.index + self.slots.len() as u64,
            term: slot.term,
        })
    }

    /// How far the log would surely outlive a crash.
    pub fn last_synced(&self) -> u64 {
        let synced = self.slots.partition_point(|(end, _)| *end <= self.synced);
        self.base.index + synced as u64
    }

    fn place(&self, index: u64) -> Option<usize> {
        Some(index.checked_sub(self.first())? as usize)
    }

    pub fn slot(&self, index: u64) -> Option<&Slot> {
        let (_, slot) = self.slots.get(self.place(index)?)?;
        Some(slot)
    }

    pub fn term_at(&self, index: u64) -> Option<Term> {
        if index == self.base.index {
            return Some(self.base.term);
        }
        Some(self.slot(index)?.term)
    }

    /// Whether a slot would surely outlive a crash.
    pub fn keeps(&self, index: u64, term: Term) -> bool {
        let in_snapshot = self
            .snapshot
            .as_ref()
            .is_some_and(|one| index <= one.point.index);
        in_snapshot || (index <= self.last_synced() && self.term_at(index) == Some(term))
    }

    pub fn snapshot(&self) -> Option<&Snapshot> {
        self.snapshot.as_ref()
    }

    /// Entries that are kept.
    pub fn length(&self) -> usize {
        self.slots.len()
    }

    fn write(&mut self, record: &Record) {
        let body = codec::encode(record);
        self.bytes.extend((body.len() as u32).to_be_bytes());
        self.bytes.extend(crc32c::crc32c(&body).to_be_bytes());
        self.bytes.extend(body);
    }

    pub fn vote(&mut self, ballot: Ballot) {
        self.ballot = ballot;
        self.write(&(0, ballot.term, ballot.voted, None));
    }

    /// Writes without a sync. What stood there, and behind it, is gone.
    pub fn put(&mut self, index: u64, slot: Slot) {
        let entry = slot.entry.as_ref().map(|entry| Entry::clone(entry));
        self.write(&(index, slot.term, None, entry));
        self.keep(index, slot, self.bytes.len());
    }

    fn keep(&mut self, index: u64, slot: Slot, end: usize) {
        let place = self.place(index).expect("what is in the snapshot stays");
        self.slots.truncate(place);
        assert_eq!(self.slots.len(), place, "the log has no gaps");
        self.slots.push((end, slot));
    }

    pub fn take_snapshot(&mut self, point: Point, graph: &Graph, log_time: Timestamp) {
        self.snapshot = Some(Snapshot {
            point,
            graph: Arc::new(graph.snapshot()),
            log_time,
        });
    }

    /// Cuts off what the snapshot has, where nothing waits for a sync.
    pub fn cut_off(&mut self) {
        if let Some(snapshot) = self.snapshot.clone().filter(|_| self.unsynced() == 0) {
            self.begin_at(snapshot.point);
        }
    }

    /// Another's snapshot in the place of what was here.
    pub fn install(&mut self, snapshot: Snapshot) {
        let point = snapshot.point;
        self.snapshot = Some(snapshot);
        if self.term_at(point.index) != Some(point.term) {
            self.slots.clear();
            self.base = point;
        }
        self.begin_at(point);
    }

    /// Writes the file anew, in one synced step.
    fn begin_at(&mut self, point: Point) {
        let gone = (point.index.saturating_sub(self.base.index) as usize).min(self.slots.len());
        let slots = self.slots.split_off(gone);
        (self.bytes, self.slots, self.base) = (Vec::new(), Vec::new(), point);
        self.file += 1;
        self.vote(self.ballot);
        for (index, (_, slot)) in (point.index + 1..).zip(slots) {
            self.put(index, slot);
        }
        self.synced = self.bytes.len();
    }

    /// The process dies and `keep` bytes of what was not synced happen to survive.
    pub fn crash(&mut self, keep: usize) {
        let left = (self.synced + keep).min(self.bytes.len());
        self.bytes.truncate(left);
    }

    /// Reads the file again; says whether its end was torn, and is cut off.
    pub fn open(&mut self) -> bool {
        self.slots.clear();
        self.ballot = Ballot::default();
        let mut end = 0;
        while let Some(((index, term, voted, entry), next)) = self.record_at(end) {
            end = next;
            match index {
                0 => self.ballot = Ballot { term, voted },
                _ => {
                    let entry = entry.map(Arc::new);
                    self.keep(index, Slot { term, entry }, end);
                }
            }
        }
        let torn = end < self.bytes.len();
        self.bytes.truncate(end);
        self.synced = end;
        torn
    }

    fn record_at(&self, at: usize) -> Option<(Record, usize)> {
        let (head, rest) = self.bytes.get(at..)?.split_first_chunk::<FRAME_BYTES>()?;
        let [l0, l1, l2, l3, c0, c1, c2, c3] = *head;
        let length = u32::from_be_bytes([l0, l1, l2, l3]) as usize;
        let body = rest.get(..length)?;
        if crc32c::crc32c(body) != u32::from_be_bytes([c0, c1, c2, c3]) {
            return None;
        }
        let record = codec::decode(body, limits::DECODE_BYTES_MAX).ok()?;
        Some((record, at + FRAME_BYTES + length))
    }
}
