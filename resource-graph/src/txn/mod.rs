//! Transactions: an overlay over the committed graph. Reads see what was written; savepoints take writes back.
//!
//! A transaction never touches the graph. It ends in a [`Delta`], minimal and in one fixed order, which takes
//! effect when the log has it. What a vertex looks like afterwards depends on where it was and where it is now,
//! never on the way between: writing a vertex back to its committed value is not a change.

mod overlay;
mod read;
mod write;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mainstay_protocol::{Revision, Timestamp, codec};

use self::overlay::Overlay;
use crate::delta::{Change, Delta};
use crate::graph::Graph;
use crate::key::Key;
use crate::vertex::{Cause, Edge, Record};
use crate::view::View;

pub use write::WriteError;

/// Bytes of a change beside its keys and its vertex: which change it is, when, by which revision.
const BOOKKEEPING: usize = 24;

pub struct Txn<'g> {
    base: &'g Graph,
    now: Timestamp,
    cause: Cause,
    overlay: Overlay,
    /// What was read since `start_reads`; reading takes `&self`.
    reads: RefCell<Option<Vec<(Key, Revision)>>>,
}

/// A point of a transaction to return to. Going back to one makes all later ones meaningless.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Savepoint(usize);

impl<'g> Txn<'g> {
    pub(crate) fn new(base: &'g Graph, now: Timestamp, cause: Cause) -> Self {
        Self {
            base,
            now,
            cause,
            overlay: Overlay::default(),
            reads: RefCell::new(None),
        }
    }

    /// Log time: what `since` says of everything that changes state here.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The committed graph beneath.
    pub fn base(&self) -> &'g Graph {
        self.base
    }

    pub fn cause(&self) -> &Cause {
        &self.cause
    }

    /// Stands in what is written from now on; a rollback leaves it as it is.
    pub fn set_cause(&mut self, cause: Cause) {
        self.cause = cause;
    }

    pub fn savepoint(&self) -> Savepoint {
        Savepoint(self.overlay.writes())
    }

    /// Takes back every write since.
    pub fn rollback(&mut self, to: Savepoint) {
        debug_assert!(
            to.0 <= self.overlay.writes(),
            "rollback to a point that was undone"
        );
        self.overlay.undo_to(to.0);
    }

    /// The vertices that differ, or whose edges differ, from how they were at the savepoint, in key order.
    pub fn changed_since(&self, point: Savepoint) -> Vec<Key> {
        let mut changed = BTreeSet::new();
        for (key, then) in self.overlay.records_at(point.0) {
            let then = match then {
                Some(over) => over.clone(),
                None => self.base.record(key),
            };
            if !same_vertex(then.as_deref(), self.current(key).as_deref()) {
                changed.insert(key.clone());
            }
        }
        for (key, then) in self.overlay.edges_before(point.0) {
            let was = match then {
                Some(over) => over.is_some(),
                None => self.base.edge(&key.0, key.1, &key.2).is_some(),
            };
            if was != self.linked_now(&key.0, key.1, &key.2) {
                changed.insert(key.0.clone());
                changed.insert(key.2.clone());
            }
        }
        changed.into_iter().collect()
    }

    /// Bytes that what was written since the savepoint adds to a delta, near enough.
    pub fn bytes_since(&self, point: Savepoint) -> usize {
        let records = self.overlay.records_at(point.0).into_keys().map(|key| {
            self.current(key)
                .map_or_else(|| codec::encoded_len(key), |it| codec::encoded_len(&*it))
        });
        let edges = self.overlay.edges_before(point.0).into_keys();
        let edges = edges.map(|(from, _, to)| codec::encoded_len(from) + codec::encoded_len(to));
        records.chain(edges).map(|bytes| bytes + BOOKKEEPING).sum()
    }

    /// The vertices that differ, or whose edges differ, from the committed graph, in key order.
    pub fn dirty_keys(&self) -> Vec<Key> {
        self.changed_since(Savepoint(0))
    }

    /// The committed image of a vertex.
    pub fn before(&self, key: &Key) -> Option<Arc<Record>> {
        self.base.record(key)
    }

    /// How a vertex stood at the savepoint.
    pub fn at(&self, point: Savepoint, key: &Key) -> Option<Arc<Record>> {
        match self.overlay.records_at(point.0).get(key) {
            Some(Some(over)) => (*over).clone(),
            Some(None) => self.base.record(key),
            None => self.current(key),
        }
    }

    /// How every vertex written since stood at the savepoint: for callers who look at many.
    pub fn images_at(&self, point: Savepoint) -> BTreeMap<Key, Option<Arc<Record>>> {
        self.overlay
            .records_at(point.0)
            .into_iter()
            .map(|(key, then)| match then {
                Some(over) => (key.clone(), over.clone()),
                None => (key.clone(), self.base.record(key)),
            })
            .collect()
    }

    pub fn is_unchanged(&self) -> bool {
        self.overlay.writes() == 0 || self.changes().is_empty()
    }

    /// What it comes to.
    pub fn finish(self) -> Delta {
        Delta {
            expected: self.base.revision(),
            changes: self.changes(),
        }
    }

    /// Unlinks, removes, puts, links, each in key order: every prefix leaves a graph without dangling edges.
    fn changes(&self) -> Vec<Change> {
        let mut unlinks = Vec::new();
        let mut links = Vec::new();
        for ((from, relation, to), over) in self.overlay.edges() {
            match (over, self.base.edge(from, *relation, to)) {
                (Some(edge), None) => links.push(Change::Link(Edge::clone(edge))),
                (None, Some(_)) => unlinks.push(Change::Unlink {
                    from: from.clone(),
                    relation: *relation,
                    to: to.clone(),
                }),
                (Some(_), Some(_)) | (None, None) => {}
            }
        }
        let mut removes = Vec::new();
        let mut puts = Vec::new();
        for (key, over) in self.overlay.records() {
            let before = self.base.record(key);
            match over {
                None if before.is_some() => removes.push(Change::Remove(key.clone())),
                Some(record) if !same_vertex(before.as_deref(), Some(record)) => {
                    puts.push(Change::Put(Box::new(Record::clone(record))));
                }
                None | Some(_) => {}
            }
        }
        unlinks.append(&mut removes);
        unlinks.append(&mut puts);
        unlinks.append(&mut links);
        unlinks
    }
}

fn same_vertex(a: Option<&Record>, b: Option<&Record>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a.vertex == b.vertex,
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}
