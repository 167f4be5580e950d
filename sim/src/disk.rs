//! The station's disk: a log of framed entries, of which only the synced part surely outlives a crash.

use std::collections::VecDeque;
use std::sync::Arc;

use mainstay_coordinator::{Entry, Log};
use mainstay_protocol::{Timestamp, codec, limits};
use mainstay_resource_graph::Graph;

/// Length and checksum in front of each entry.
const FRAME_BYTES: usize = 8;

#[derive(Debug, Default)]
pub struct Disk {
    pub bytes: Vec<u8>,
    pub synced: usize,
    /// What the core put forward and the world has not taken yet.
    proposed: VecDeque<Entry>,
    /// Written, not yet told: end in `bytes`, entry.
    pub written: VecDeque<(usize, Arc<Entry>)>,
    /// The end of the last entry that the core was told.
    pub told: usize,
    snapshot: Option<Snapshot>,
    pub entries: u64,
}

#[derive(Debug, Clone)]
struct Snapshot {
    graph: Vec<u8>,
    log_time: Timestamp,
    /// The log goes on from here.
    at: usize,
}

/// What a start finds on disk.
pub struct Found {
    pub graph: Graph,
    pub log_time: Timestamp,
    pub torn: bool,
}

impl Log for Disk {
    fn propose(&mut self, entry: Entry) {
        self.proposed.push_back(entry);
    }
}

impl Disk {
    pub fn take_proposed(&mut self) -> Option<Entry> {
        self.proposed.pop_front()
    }

    /// Appends without a sync; returns where the log ends now.
    pub fn write(&mut self, entry: Entry) -> usize {
        let body = codec::encode(&entry);
        self.bytes.extend((body.len() as u32).to_be_bytes());
        self.bytes.extend(crc32c::crc32c(&body).to_be_bytes());
        self.bytes.extend(body);
        let end = self.bytes.len();
        self.written.push_back((end, Arc::new(entry)));
        end
    }

    pub fn sync(&mut self, up_to: usize) {
        self.synced = self.synced.max(up_to.min(self.bytes.len()));
    }

    /// The next synced entry the core has not been told, as it is read back from its bytes.
    pub fn next_to_tell(&mut self) -> Option<Arc<Entry>> {
        let (end, _) = self.written.front()?;
        if *end > self.synced {
            return None;
        }
        let (end, entry) = self.written.pop_front()?;
        self.told = end;
        self.entries += 1;
        Some(entry)
    }

    /// The process dies and `keep` bytes of what was not synced happen to survive.
    pub fn crash(&mut self, keep: usize) {
        let left = (self.synced + keep).min(self.bytes.len());
        self.bytes.truncate(left);
        self.proposed.clear();
        self.written.clear();
    }

    pub fn unsynced(&self) -> usize {
        self.bytes.len() - self.synced
    }

    pub fn take_snapshot(&mut self, graph: &Graph, log_time: Timestamp) {
        self.snapshot = Some(Snapshot {
            graph: graph.snapshot(),
            log_time,
            at: self.told,
        });
    }

    pub fn has_snapshot(&self) -> bool {
        self.snapshot.is_some()
    }

    /// Reads the log from its beginning, or from the snapshot; a torn tail is cut off.
    pub fn open(&mut self, from_snapshot: bool) -> Found {
        let snapshot = self.snapshot.clone().filter(|_| from_snapshot);
        let (graph, log_time, at) = match snapshot {
            Some(snapshot) => {
                let graph = Graph::from_snapshot(&snapshot.graph).expect("it was just written");
                (graph, snapshot.log_time, snapshot.at)
            }
            None => (Graph::new(), Timestamp::ZERO, 0),
        };
        let mut found = Found {
            graph,
            log_time,
            torn: false,
        };
        let mut end = at;
        while let Some((entry, next)) = self.entry_at(end) {
            found.graph.apply(&entry.delta);
            found.log_time = found.log_time.max(entry.log_time);
            end = next;
        }
        found.torn = end < self.bytes.len();
        self.bytes.truncate(end);
        self.synced = end;
        self.told = end;
        found
    }

    fn entry_at(&self, at: usize) -> Option<(Entry, usize)> {
        let (head, rest) = self.bytes.get(at..)?.split_first_chunk::<FRAME_BYTES>()?;
        let [l0, l1, l2, l3, c0, c1, c2, c3] = *head;
        let length = u32::from_be_bytes([l0, l1, l2, l3]) as usize;
        let body = rest.get(..length)?;
        if crc32c::crc32c(body) != u32::from_be_bytes([c0, c1, c2, c3]) {
            return None;
        }
        let entry = codec::decode(body, limits::DECODE_BYTES_MAX).ok()?;
        Some((entry, at + FRAME_BYTES + length))
    }

    /// Every entry up to what the core was told, decoded.
    pub fn told_entries(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        let mut end = 0;
        while end < self.told {
            let Some((entry, next)) = self.entry_at(end) else {
                break;
            };
            entries.push(entry);
            end = next;
        }
        entries
    }
}
