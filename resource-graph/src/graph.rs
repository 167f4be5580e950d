//! The graph in memory: petgraph for relations that carry meaning, ordered maps for everything a key already says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mainstay_protocol::work::Skill;
use mainstay_protocol::{
    CommandId, InstanceKey, NodeName, PlacementName, Revision, StepKey, Timestamp,
};

use crate::delta::{Change, Delta, Unfit};
use crate::key::{Key, Kind};
use crate::load::{InLine, Load, Loads, NodeLoad, Waits};
use crate::net::Net;
use crate::queue::Queue;
use crate::txn::Txn;
use crate::vertex::{Cause, Edge, Record, Relation, Vertex};
use crate::view::View;
use crate::wish::Target;

/// Everything that is known and wanted. Changed by [`Graph::apply`] alone.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    revision: Revision,
    net: Net,
    /// Relations that are part of a key are indices: a vertex with 100 000 edges would be slow to leave.
    by_placement: BTreeSet<(PlacementName, NodeName)>,
    by_commanded: BTreeSet<(NodeName, CommandId)>,
    /// Each of a vertex: one that has passed, and is left where it is, hides none of the later ones.
    deadlines: BTreeSet<(Timestamp, Key)>,
    /// Of each placement the nodes that its target names; none where that may be any.
    by_target: BTreeSet<(Option<NodeName>, PlacementName)>,
    loads: Loads,
    queue: Queue,
}

/// What came of applying a delta.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Whether it took effect; if not, nothing at all did and the revision stands.
    pub changed: bool,
    /// Why it did not: stale, most likely, and to be proposed again.
    pub refused: Option<Unfit>,
}

impl Graph {
    pub fn new() -> Self {
        Self::default()
    }

    /// A graph from what was kept of it, vertices and edges in any order.
    pub fn from_parts(
        revision: Revision,
        records: impl IntoIterator<Item = impl Into<Arc<Record>>>,
        edges: impl IntoIterator<Item = Edge>,
    ) -> Result<Self, Unfit> {
        let mut graph = Self {
            revision,
            ..Self::default()
        };
        for record in records {
            graph.put(record.into());
        }
        for edge in edges {
            for end in [&edge.from, &edge.to] {
                if !graph.net.contains(end) {
                    return Err(Unfit::Missing { key: end.clone() });
                }
            }
            graph.net.link(&edge);
        }
        Ok(graph)
    }

    /// Starts a transaction: `now` is log time, `cause` stands in what is written until it is set anew.
    pub fn begin(&self, now: Timestamp, cause: Cause) -> Txn<'_> {
        Txn::new(self, now, cause)
    }

    /// The only mutator. A delta that does not fit is a deterministic no-op; one that does, even an empty one,
    /// raises the revision by one.
    pub fn apply(&mut self, delta: &Delta) -> Applied {
        if let Err(unfit) = delta.fits(self) {
            return Applied {
                changed: false,
                refused: Some(unfit),
            };
        }
        for change in &delta.changes {
            match change {
                Change::Put(record) => self.put(Arc::new(Record::clone(record))),
                Change::Remove(key) => self.remove(key),
                Change::Link(edge) => self.net.link(edge),
                Change::Unlink { from, relation, to } => self.net.unlink(from, *relation, to),
            }
        }
        self.revision = self.revision.next();
        Applied {
            changed: true,
            refused: None,
        }
    }

    /// Of whom a deadline has come.
    pub fn due(&self, now: Timestamp) -> BTreeSet<Key> {
        self.deadlines
            .iter()
            .take_while(|(at, _)| *at <= now)
            .map(|(_, key)| key.clone())
            .collect()
    }

    /// The first deadline later than `after`.
    pub fn next_deadline_after(&self, after: Timestamp) -> Option<Timestamp> {
        // `Cluster` is the least key, so this is the first entry behind all those at `after`.
        let from = (Timestamp(after.0 + 1), Key::Cluster);
        self.deadlines.range(from..).next().map(|(at, _)| *at)
    }

    pub fn count(&self, kind: Kind) -> usize {
        self.net.count(kind)
    }

    /// How many there are of each kind, kinds without any included.
    pub fn counts(&self) -> BTreeMap<Kind, usize> {
        Kind::ALL
            .into_iter()
            .map(|kind| (kind, self.count(kind)))
            .collect()
    }

    pub fn edge_count(&self) -> usize {
        self.net.edge_count()
    }

    /// Every vertex, in key order.
    pub fn records(&self) -> impl Iterator<Item = &Arc<Record>> {
        self.net.records()
    }

    /// Every edge, ordered by from, relation, to.
    pub fn edges(&self) -> Vec<Edge> {
        self.net.edges()
    }

    /// All edges of one vertex, in both directions.
    pub fn edges_of(&self, key: &Key) -> Vec<Edge> {
        self.net.edges_of(key)
    }

    pub(crate) fn edge(&self, from: &Key, relation: Relation, to: &Key) -> Option<Edge> {
        self.net.edge(from, relation, to)
    }

    pub(crate) fn in_line(&self, node: &NodeName, what: Waits) -> impl Iterator<Item = InLine> {
        self.loads.waiting(node, what)
    }

    pub(crate) fn short(&self) -> impl Iterator<Item = &PlacementName> {
        self.loads.short()
    }

    pub(crate) fn loads(&self) -> &Loads {
        &self.loads
    }

    pub(crate) fn queue(&self) -> &Queue {
        &self.queue
    }

    fn put(&mut self, record: Arc<Record>) {
        if let Some(old) = self.net.put(Arc::clone(&record)) {
            self.leave_indices(&old);
        }
        self.enter_indices(&record);
    }

    fn remove(&mut self, key: &Key) {
        if let Some(old) = self.net.remove(key) {
            self.leave_indices(&old);
        }
    }

    fn enter_indices(&mut self, record: &Arc<Record>) {
        if let Key::Instance(key) = &record.key {
            self.by_placement
                .insert((key.placement.clone(), key.node.clone()));
        }
        if let Some(entry) = commanded(record) {
            self.by_commanded.insert(entry);
        }
        for at in record.vertex.deadlines() {
            self.deadlines.insert((at, record.key.clone()));
        }
        self.by_target.extend(targets(record));
        self.loads.enter(record);
        self.queue.enter(record);
    }

    fn leave_indices(&mut self, record: &Record) {
        if let Key::Instance(key) = &record.key {
            self.by_placement
                .remove(&(key.placement.clone(), key.node.clone()));
        }
        if let Some(entry) = commanded(record) {
            self.by_commanded.remove(&entry);
        }
        for at in record.vertex.deadlines() {
            self.deadlines.remove(&(at, record.key.clone()));
        }
        for target in targets(record) {
            self.by_target.remove(&target);
        }
        self.loads.leave(record);
        self.queue.leave(record);
    }
}

impl View for Graph {
    fn revision(&self) -> Revision {
        self.revision
    }

    fn record(&self, key: &Key) -> Option<Arc<Record>> {
        self.net.record(key).map(Arc::clone)
    }

    fn keys(&self, kind: Kind) -> Vec<Key> {
        self.net.keys(kind).cloned().collect()
    }

    fn edges_from(&self, from: &Key, relation: Relation) -> Vec<Edge> {
        let mut edges = self.net.edges_from(from, relation);
        edges.sort_by(|a, b| a.to.cmp(&b.to));
        edges
    }

    fn edges_to(&self, to: &Key, relation: Relation) -> Vec<Edge> {
        let mut edges = self.net.edges_to(to, relation);
        oldest_first(&mut edges);
        edges
    }

    fn instances_on(&self, node: &NodeName) -> Vec<InstanceKey> {
        self.net
            .keys_from(&first_instance_on(node))
            .map_while(|key| instance_on(key, node))
            .collect()
    }

    fn instances_of(&self, placement: &PlacementName) -> Vec<InstanceKey> {
        of_placement(&self.by_placement, placement).collect()
    }

    fn placements_for(&self, node: &NodeName) -> Vec<PlacementName> {
        let named = of_target(&self.by_target, Some(node.clone()));
        let mut names: Vec<PlacementName> = of_target(&self.by_target, None).chain(named).collect();
        names.sort_unstable();
        names
    }

    fn commands_for(&self, node: &NodeName) -> Vec<Key> {
        for_node(&self.by_commanded, node).collect()
    }

    fn short_placements(&self) -> Vec<PlacementName> {
        self.short().cloned().collect()
    }

    fn load_on(&self, node: &NodeName) -> Load {
        self.loads.of(node)
    }

    fn port_takers(&self, node: &NodeName, port: u16) -> Vec<InstanceKey> {
        self.loads.takers(node, port).collect()
    }

    fn each_node(&self, then: &mut dyn FnMut(NodeLoad<'_>)) {
        self.loads.each_node(then);
    }

    fn last_start_on(&self, node: &NodeName) -> Option<Timestamp> {
        self.loads.started(node).next().map(|(at, _)| at)
    }

    fn waiting_on(&self, node: &NodeName, what: Waits, most: usize) -> Vec<InstanceKey> {
        let line = self.in_line(node, what).take(most);
        line.map(|(_, key)| key).collect()
    }

    fn skills_due(&self) -> Vec<Skill> {
        self.queue.skills().cloned().collect()
    }

    fn steps_due(&self, skill: &Skill, most: usize) -> Vec<StepKey> {
        let due = self.queue.due(skill).take(most);
        due.map(|(_, key)| key.clone()).collect()
    }

    fn steps_at(&self, worker: &InstanceKey) -> Vec<StepKey> {
        self.queue.at_work(worker).cloned().collect()
    }

    fn count_at(&self, worker: &InstanceKey) -> usize {
        self.queue.count_at(worker)
    }

    fn hands(&self) -> Vec<InstanceKey> {
        self.queue.hands().cloned().collect()
    }
}

/// The index entries of a placement.
fn targets(record: &Record) -> Vec<(Option<NodeName>, PlacementName)> {
    let (Key::Placement(name), Vertex::Placement(placement)) = (&record.key, &record.vertex) else {
        return Vec::new();
    };
    match &placement.wish.target {
        Target::Nodes(nodes) => {
            let named = nodes.iter().map(|node| (Some(node.clone()), name.clone()));
            named.collect()
        }
        Target::All(_) | Target::Count(_) => vec![(None, name.clone())],
    }
}

fn of_target(
    index: &BTreeSet<(Option<NodeName>, PlacementName)>,
    target: Option<NodeName>,
) -> impl Iterator<Item = PlacementName> + '_ {
    let first = PlacementName::new(FIRST_NAME).expect("the first name is a name");
    let from = (target.clone(), first);
    index
        .range(from..)
        .take_while(move |(named, _)| *named == target)
        .map(|(_, name)| name.clone())
}

/// The index entry of a command.
pub(crate) fn commanded(record: &Record) -> Option<(NodeName, CommandId)> {
    match (&record.key, &record.vertex) {
        (Key::Command(id), Vertex::Command(command)) => Some((command.node.clone(), *id)),
        _ => None,
    }
}

pub(crate) fn oldest_first(edges: &mut [Edge]) {
    edges.sort_by(|a, b| (a.since, &a.from).cmp(&(b.since, &b.from)));
}

/// No name sorts before "0": it is the lowest first character, and nothing is shorter.
pub(crate) const FIRST_NAME: &str = "0";

/// Where the keys of a node's instances begin.
pub(crate) fn first_instance_on(node: &NodeName) -> Key {
    let first = PlacementName::new(FIRST_NAME).expect("the first name is a name");
    Key::Instance(InstanceKey::new(node.clone(), first))
}

pub(crate) fn instance_on(key: &Key, node: &NodeName) -> Option<InstanceKey> {
    match key {
        Key::Instance(key) if key.node == *node => Some(key.clone()),
        _ => None,
    }
}

pub(crate) fn of_placement<'a>(
    index: &'a BTreeSet<(PlacementName, NodeName)>,
    placement: &'a PlacementName,
) -> impl Iterator<Item = InstanceKey> + 'a {
    let first = NodeName::new(FIRST_NAME).expect("the first name is a name");
    index
        .range((placement.clone(), first)..)
        .take_while(move |(of, _)| of == placement)
        .map(|(of, node)| InstanceKey::new(node.clone(), of.clone()))
}

pub(crate) fn for_node<'a>(
    index: &'a BTreeSet<(NodeName, CommandId)>,
    node: &'a NodeName,
) -> impl Iterator<Item = Key> + 'a {
    index
        .range((node.clone(), CommandId(0))..)
        .take_while(move |(to, _)| to == node)
        .map(|(_, id)| Key::Command(*id))
}
