//! A station's disk: the vote and the log in one file, and a snapshot. Only the synced part of the file surely outlives
//! a crash, of the rest as much as chance leaves. Everything is read back from its bytes.

use std::collections::BTreeSet;
use std::sync::Arc;

use mainstay_coordinator::Entry;
use mainstay_protocol::{StationId, Term, Timestamp, codec, limits};
use mainstay_resource_graph::Graph;

use crate::membership::Membership;

/// Length and checksum in front of each record.
const FRAME_BYTES: usize = 8;
/// In a length: the record is that of a group.
const OF_GROUP: u32 = 1 << 31;

/// One place of the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Slot {
    pub term: Term,
    pub says: Says,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Says {
    /// The first of its term, and nothing else.
    Begin,
    Entry(Arc<Entry>),
    /// Who is in the group from here on, for each station as soon as it has it.
    Group(Membership),
}

impl Slot {
    pub fn entry(&self) -> Option<&Arc<Entry>> {
        match &self.says {
            Says::Entry(entry) => Some(entry),
            Says::Begin | Says::Group(_) => None,
        }
    }
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
    pub group: Membership,
}

/// A record: of a slot its index, term and entry; of a ballot 0, its term and whom it was given to.
type Record = (u64, Term, Option<StationId>, Option<Entry>);

/// A record of a slot that is a group: its index and term, who votes and who learns.
type GroupRecord = (u64, Term, BTreeSet<StationId>, BTreeSet<StationId>);

enum Read {
    Ballot(Ballot),
    Slot(u64, Slot),
}

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
    /// Who was in the group there, and each change behind it.
    base_group: Membership,
    groups: Vec<(u64, Membership)>,
    /// How often a change was truncated, and the one before was in force again.
    pub fell_back: u64,
    snapshot: Option<Snapshot>,
}

impl Disk {
    /// Empty, but for who is in the group.
    pub fn founded(group: Membership) -> Self {
        Self {
            base_group: group,
            ..Self::default()
        }
    }

    /// Who is in the group: what is in the log last, committed or not.
    pub fn group(&self) -> &Membership {
        self.groups
            .last()
            .map_or(&self.base_group, |(_, group)| group)
    }

    /// Where in the log that stands.
    pub fn group_index(&self) -> u64 {
        self.groups.last().map_or(0, |(index, _)| *index)
    }

    /// Who was in the group up to here.
    pub fn group_at(&self, index: u64) -> &Membership {
        let until = self.groups.partition_point(|(at, _)| *at <= index);
        match until.checked_sub(1) {
            Some(place) => &self.groups[place].1,
            None => &self.base_group,
        }
    }

    /// All who are in one of the groups that are still known here.
    pub fn ever(&self) -> BTreeSet<StationId> {
        let groups = self.groups.iter().map(|(_, group)| group);
        let groups = groups.chain([&self.base_group]);
        groups.flat_map(Membership::members).collect()
    }

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
        self.write_bytes(codec::encode(record), 0);
    }

    fn write_bytes(&mut self, body: Vec<u8>, mark: u32) {
        self.bytes.extend((body.len() as u32 | mark).to_be_bytes());
        self.bytes.extend(crc32c::crc32c(&body).to_be_bytes());
        self.bytes.extend(body);
    }

    pub fn vote(&mut self, ballot: Ballot) {
        self.ballot = ballot;
        self.write(&(0, ballot.term, ballot.voted, None));
    }

    /// Writes without a sync. What stood there, and behind it, is gone.
    pub fn put(&mut self, index: u64, slot: Slot) {
        match &slot.says {
            Says::Group(group) => {
                let (voters, learners) = (group.voters.clone(), group.learners.clone());
                let record: GroupRecord = (index, slot.term, voters, learners);
                self.write_bytes(codec::encode(&record), OF_GROUP);
            }
            Says::Entry(entry) => {
                let entry = Entry::clone(entry);
                self.write(&(index, slot.term, None, Some(entry)));
            }
            Says::Begin => self.write(&(index, slot.term, None, None)),
        }
        self.keep(index, slot, self.bytes.len());
    }

    fn keep(&mut self, index: u64, slot: Slot, end: usize) {
        let place = self.place(index).expect("what is in the snapshot stays");
        self.slots.truncate(place);
        assert_eq!(self.slots.len(), place, "the log has no gaps");
        let known = self.groups.partition_point(|(at, _)| *at < index);
        self.fell_back += (self.groups.len() - known) as u64;
        self.groups.truncate(known);
        if let Says::Group(group) = &slot.says {
            self.groups.push((index, group.clone()));
        }
        self.slots.push((end, slot));
    }

    pub fn take_snapshot(&mut self, point: Point, graph: &Graph, log_time: Timestamp) {
        self.snapshot = Some(Snapshot {
            point,
            graph: Arc::new(graph.snapshot()),
            log_time,
            group: self.group_at(point.index).clone(),
        });
    }

    /// It still has what the snapshot has as well.
    pub fn is_behind_its_snapshot(&self) -> bool {
        let snapshot = self.snapshot.as_ref();
        snapshot.is_some_and(|snapshot| snapshot.point.index > self.base.index)
    }

    /// Cuts off what the snapshot has, where nothing waits for a sync.
    pub fn cut_off(&mut self) {
        if let Some(snapshot) = self.snapshot.clone().filter(|_| self.unsynced() == 0) {
            self.begin_at(snapshot.point, snapshot.group);
        }
    }

    /// Another's snapshot in the place of what was here.
    pub fn install(&mut self, snapshot: Snapshot) {
        let (point, group) = (snapshot.point, snapshot.group.clone());
        self.snapshot = Some(snapshot);
        if self.term_at(point.index) != Some(point.term) {
            self.slots.clear();
            self.base = point;
        }
        self.begin_at(point, group);
    }

    /// Writes the file anew, in one synced step.
    fn begin_at(&mut self, point: Point, group: Membership) {
        let gone = (point.index.saturating_sub(self.base.index) as usize).min(self.slots.len());
        let slots = self.slots.split_off(gone);
        (self.bytes, self.slots, self.base) = (Vec::new(), Vec::new(), point);
        (self.base_group, self.groups) = (group, Vec::new());
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
        self.groups.clear();
        self.ballot = Ballot::default();
        let mut end = 0;
        while let Some((read, next)) = self.record_at(end) {
            end = next;
            match read {
                Read::Ballot(ballot) => self.ballot = ballot,
                Read::Slot(index, slot) => self.keep(index, slot, end),
            }
        }
        let torn = end < self.bytes.len();
        self.bytes.truncate(end);
        self.synced = end;
        self.fell_back = 0;
        torn
    }

    fn record_at(&self, at: usize) -> Option<(Read, usize)> {
        let (head, rest) = self.bytes.get(at..)?.split_first_chunk::<FRAME_BYTES>()?;
        let [l0, l1, l2, l3, c0, c1, c2, c3] = *head;
        let marked = u32::from_be_bytes([l0, l1, l2, l3]);
        let length = (marked & !OF_GROUP) as usize;
        let body = rest.get(..length)?;
        if crc32c::crc32c(body) != u32::from_be_bytes([c0, c1, c2, c3]) {
            return None;
        }
        let read = match marked & OF_GROUP {
            0 => read(body)?,
            _ => read_group(body)?,
        };
        Some((read, at + FRAME_BYTES + length))
    }
}

fn read(body: &[u8]) -> Option<Read> {
    let record: Record = codec::decode(body, limits::DECODE_BYTES_MAX).ok()?;
    let (index, term, voted, entry) = record;
    let says = entry.map_or(Says::Begin, |entry| Says::Entry(Arc::new(entry)));
    Some(match index {
        0 => Read::Ballot(Ballot { term, voted }),
        _ => Read::Slot(index, Slot { term, says }),
    })
}

fn read_group(body: &[u8]) -> Option<Read> {
    let record: GroupRecord = codec::decode(body, limits::DECODE_BYTES_MAX).ok()?;
    let (index, term, voters, learners) = record;
    let says = Says::Group(Membership { voters, learners });
    Some(Read::Slot(index, Slot { term, says }))
}
