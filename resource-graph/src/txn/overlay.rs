//! What a transaction has changed so far, with an undo log: a savepoint is a length of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mainstay_protocol::{CommandId, InstanceKey, NodeName, PlacementName};

use crate::graph::{commanded, first_instance_on, for_node, instance_on, of_placement};
use crate::key::{Key, Kind};
use crate::kinds::ByKind;
use crate::load::{InLine, Load, Loads, Waits};
use crate::queue::Queue;
use crate::vertex::{Edge, Record, Relation};

pub(super) type EdgeKey = (Key, Relation, Key);

/// `None` stands for removed; what has no entry is as committed.
pub(super) type Over<T> = Option<T>;

#[derive(Debug, Default)]
pub(super) struct Overlay {
    records: ByKind<Over<Arc<Record>>>,
    edges: BTreeMap<EdgeKey, Over<Edge>>,
    /// The same edges by where they lead: (to, relation, from).
    edges_in: BTreeSet<EdgeKey>,
    by_placement: BTreeSet<(PlacementName, NodeName)>,
    by_commanded: BTreeSet<(NodeName, CommandId)>,
    loads: Loads,
    queue: Queue,
    /// Those of the committed images of what was written.
    hidden: (Loads, Queue),
    undo: Vec<Undo>,
}

/// How it was before one write: the outer `None` stands for no entry.
#[derive(Debug)]
enum Undo {
    Record {
        key: Key,
        before: Option<Over<Arc<Record>>>,
        /// Where it was the first write, the committed image.
        hides: Option<Arc<Record>>,
    },
    Edge(EdgeKey, Option<Over<Edge>>),
}

impl Overlay {
    pub(super) fn record(&self, key: &Key) -> Option<&Over<Arc<Record>>> {
        self.records.get(key)
    }

    pub(super) fn records(&self) -> impl Iterator<Item = (&Key, &Over<Arc<Record>>)> {
        self.records.iter()
    }

    pub(super) fn records_of(&self, kind: Kind) -> impl Iterator<Item = (&Key, bool)> {
        self.records
            .of(kind)
            .iter()
            .map(|(key, over)| (key, over.is_some()))
    }

    pub(super) fn instances_on(
        &self,
        node: &NodeName,
    ) -> impl Iterator<Item = (InstanceKey, bool)> {
        self.records
            .of(Kind::Instance)
            .range(first_instance_on(node)..)
            .map_while(|(key, over)| Some((instance_on(key, node)?, over.is_some())))
    }

    /// A node's load, which is committed as this, with what was written.
    pub(super) fn load_on(&self, node: &NodeName, committed: Load) -> Load {
        committed
            .without(self.hidden.0.of(node))
            .with(self.loads.of(node))
    }

    /// What is no longer as committed, and what is written in its place.
    pub(super) fn loads(&self) -> (&Loads, &Loads) {
        (&self.hidden.0, &self.loads)
    }

    /// Of what is written here.
    pub(super) fn queue(&self) -> &Queue {
        &self.queue
    }

    /// What an instance is at work on, where so many are committed.
    pub(super) fn count_at(&self, worker: &InstanceKey, committed: usize) -> usize {
        committed - self.hidden.1.count_at(worker) + self.queue.count_at(worker)
    }

    /// Of those written here.
    pub(super) fn short(&self) -> impl Iterator<Item = &PlacementName> {
        self.loads.short()
    }

    /// Of those written here.
    pub(super) fn in_line(&self, node: &NodeName, what: Waits) -> impl Iterator<Item = InLine> {
        self.loads.waiting(node, what)
    }

    /// Of those written here and not removed.
    pub(super) fn instances_of<'a>(
        &'a self,
        placement: &'a PlacementName,
    ) -> impl Iterator<Item = InstanceKey> + 'a {
        of_placement(&self.by_placement, placement)
    }

    /// Of those written here and not removed.
    pub(super) fn commands_for<'a>(&'a self, node: &'a NodeName) -> impl Iterator<Item = Key> + 'a {
        for_node(&self.by_commanded, node)
    }

    pub(super) fn edge(&self, key: &EdgeKey) -> Option<&Over<Edge>> {
        self.edges.get(key)
    }

    pub(super) fn edges(&self) -> impl Iterator<Item = (&EdgeKey, &Over<Edge>)> {
        self.edges.iter()
    }

    pub(super) fn edges_from<'a>(
        &'a self,
        from: &'a Key,
        relation: Relation,
    ) -> impl Iterator<Item = (&'a EdgeKey, &'a Over<Edge>)> {
        // The cluster's key is the lowest.
        self.edges
            .range((from.clone(), relation, Key::Cluster)..)
            .take_while(move |(key, _)| key.0 == *from && key.1 == relation)
    }

    pub(super) fn edges_to<'a>(
        &'a self,
        to: &'a Key,
        relation: Relation,
    ) -> impl Iterator<Item = &'a Over<Edge>> {
        self.edges_in
            .range((to.clone(), relation, Key::Cluster)..)
            .take_while(move |key| key.0 == *to && key.1 == relation)
            .filter_map(|(to, relation, from)| {
                self.edges.get(&(from.clone(), *relation, to.clone()))
            })
    }

    pub(super) fn set_record(
        &mut self,
        key: Key,
        over: Over<Arc<Record>>,
        committed: Option<Arc<Record>>,
    ) {
        let before = self.replace_record(key.clone(), Some(over));
        let hides = committed.filter(|_| before.is_none());
        if let Some(record) = &hides {
            self.hidden.0.enter(record);
            self.hidden.1.enter(record);
        }
        self.undo.push(Undo::Record { key, before, hides });
    }

    pub(super) fn set_edge(&mut self, key: EdgeKey, over: Over<Edge>) {
        let before = self.replace_edge(key.clone(), Some(over));
        self.undo.push(Undo::Edge(key, before));
    }

    pub(super) fn writes(&self) -> usize {
        self.undo.len()
    }

    pub(super) fn undo_to(&mut self, writes: usize) {
        while self.undo.len() > writes {
            match self.undo.pop() {
                Some(Undo::Record { key, before, hides }) => {
                    self.replace_record(key, before);
                    if let Some(record) = &hides {
                        self.hidden.0.leave(record);
                        self.hidden.1.leave(record);
                    }
                }
                Some(Undo::Edge(key, before)) => {
                    self.replace_edge(key, before);
                }
                None => break,
            }
        }
    }

    /// How each vertex written since stood at `writes`; the outer `None` stands for as committed.
    pub(super) fn records_at(&self, writes: usize) -> BTreeMap<&Key, Option<&Over<Arc<Record>>>> {
        let mut first = BTreeMap::new();
        for undo in &self.undo[writes..] {
            match undo {
                Undo::Record { key, before, .. } => {
                    first.entry(key).or_insert(before.as_ref());
                }
                Undo::Edge(..) => {}
            }
        }
        first
    }

    /// How each edge written since stood at `writes`; the outer `None` stands for as committed.
    pub(super) fn edges_before(&self, writes: usize) -> BTreeMap<&EdgeKey, Option<&Over<Edge>>> {
        let mut first = BTreeMap::new();
        for undo in &self.undo[writes..] {
            match undo {
                Undo::Record { .. } => {}
                Undo::Edge(key, before) => {
                    first.entry(key).or_insert(before.as_ref());
                }
            }
        }
        first
    }

    fn replace_record(
        &mut self,
        key: Key,
        entry: Option<Over<Arc<Record>>>,
    ) -> Option<Over<Arc<Record>>> {
        if let Some(Some(old)) = self.records.get(&key) {
            self.loads.leave(old);
            self.queue.leave(old);
            if let Key::Instance(at) = &old.key {
                self.by_placement
                    .remove(&(at.placement.clone(), at.node.clone()));
            }
            if let Some(at) = commanded(old) {
                self.by_commanded.remove(&at);
            }
        }
        if let Some(Some(new)) = &entry {
            self.loads.enter(new);
            self.queue.enter(new);
            if let Key::Instance(at) = &new.key {
                self.by_placement
                    .insert((at.placement.clone(), at.node.clone()));
            }
            if let Some(at) = commanded(new) {
                self.by_commanded.insert(at);
            }
        }
        match entry {
            Some(over) => self.records.insert(key, over),
            None => self.records.remove(&key),
        }
    }

    fn replace_edge(&mut self, key: EdgeKey, entry: Option<Over<Edge>>) -> Option<Over<Edge>> {
        let inward = (key.2.clone(), key.1, key.0.clone());
        match entry {
            Some(over) => {
                self.edges_in.insert(inward);
                self.edges.insert(key, over)
            }
            None => {
                self.edges_in.remove(&inward);
                self.edges.remove(&key)
            }
        }
    }
}
