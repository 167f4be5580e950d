//! Reading a transaction: what was committed, merged with what was written since, and a note of what was read.

use std::collections::BTreeSet;
use std::sync::Arc;

use mainstay_protocol::work::Skill;
use mainstay_protocol::{
    InstanceKey, NodeName, PlacementName, Revision, StepKey, Timestamp, limits,
};

use super::Txn;
use crate::graph::oldest_first;
use crate::key::{Key, Kind};
use crate::load::{Load, NodeLoad, Waits};
use crate::vertex::{Edge, Record, Relation};
use crate::view::{View, aims_at};

impl Txn<'_> {
    /// Notes from now on what is read, up to `limits::DECISION_READS_MAX` vertices.
    pub fn start_reads(&self) {
        *self.reads.borrow_mut() = Some(Vec::new());
    }

    /// What was read since `start_reads`, in the order of reading, each vertex once as it was first seen;
    /// revision 0 says that it was looked for and not there.
    pub fn take_reads(&self) -> Vec<(Key, Revision)> {
        self.reads.borrow_mut().take().unwrap_or_default()
    }

    /// Whether there may be any of a kind, at no cost: none that was committed, and none that was written.
    pub fn may_have(&self, kind: Kind) -> bool {
        self.base.count(kind) > 0 || self.overlay.records_of(kind).next().is_some()
    }

    /// As `record`, without being noted as a read.
    pub(super) fn current(&self, key: &Key) -> Option<Arc<Record>> {
        match self.overlay.record(key) {
            Some(over) => over.clone(),
            None => self.base.record(key),
        }
    }

    pub(super) fn linked_now(&self, from: &Key, relation: Relation, to: &Key) -> bool {
        match self.overlay.edge(&(from.clone(), relation, to.clone())) {
            Some(over) => over.is_some(),
            None => self.base.edge(from, relation, to).is_some(),
        }
    }

    pub(super) fn outgoing(&self, from: &Key, relation: Relation) -> Vec<Edge> {
        let mut edges = self.base.edges_from(from, relation);
        let mut written = self.overlay.edges_from(from, relation).peekable();
        if written.peek().is_some() {
            edges.retain(|edge| !self.overlaid(edge));
            edges.extend(written.filter_map(|(_, over)| over.clone()));
            edges.sort_by(|a, b| a.to.cmp(&b.to));
        }
        edges
    }

    pub(super) fn incoming(&self, to: &Key, relation: Relation) -> Vec<Edge> {
        let mut edges = self.base.edges_to(to, relation);
        let mut written = self.overlay.edges_to(to, relation).peekable();
        if written.peek().is_some() {
            edges.retain(|edge| !self.overlaid(edge));
            edges.extend(written.filter_map(Clone::clone));
            oldest_first(&mut edges);
        }
        edges
    }

    fn overlaid(&self, edge: &Edge) -> bool {
        let key = (edge.from.clone(), edge.relation, edge.to.clone());
        self.overlay.edge(&key).is_some()
    }

    fn is_as_committed(&self, step: &StepKey) -> bool {
        self.overlay.record(&Key::Step(step.clone())).is_none()
    }

    fn note(&self, key: &Key, revision: Revision) {
        if let Some(reads) = self.reads.borrow_mut().as_mut()
            && reads.len() < limits::DECISION_READS_MAX
            && reads.iter().all(|(seen, _)| seen != key)
        {
            reads.push((key.clone(), revision));
        }
    }

    fn note_current(&self, key: &Key) {
        if self.reads.borrow().is_some() {
            let revision = self.current(key).map_or(Revision(0), |record| record.rev);
            self.note(key, revision);
        }
    }
}

impl View for Txn<'_> {
    /// The committed revision it stands on.
    fn revision(&self) -> Revision {
        self.base.revision()
    }

    fn record(&self, key: &Key) -> Option<Arc<Record>> {
        let record = self.current(key);
        self.note(
            key,
            record.as_ref().map_or(Revision(0), |record| record.rev),
        );
        record
    }

    fn keys(&self, kind: Kind) -> Vec<Key> {
        merged(
            self.base.keys(kind),
            self.overlay
                .records_of(kind)
                .map(|(key, there)| (key.clone(), there)),
        )
    }

    fn edges_from(&self, from: &Key, relation: Relation) -> Vec<Edge> {
        let edges = self.outgoing(from, relation);
        self.note_current(from);
        for edge in &edges {
            self.note_current(&edge.to);
        }
        edges
    }

    fn edges_to(&self, to: &Key, relation: Relation) -> Vec<Edge> {
        let edges = self.incoming(to, relation);
        self.note_current(to);
        for edge in &edges {
            self.note_current(&edge.from);
        }
        edges
    }

    fn instances_on(&self, node: &NodeName) -> Vec<InstanceKey> {
        merged(
            self.base.instances_on(node),
            self.overlay.instances_on(node),
        )
    }

    fn placements_for(&self, node: &NodeName) -> Vec<PlacementName> {
        let written = self.overlay.records_of(Kind::Placement);
        let written = written.filter_map(|(key, _)| match key {
            Key::Placement(name) => {
                let record = self.overlay.record(key).and_then(Option::as_ref);
                Some((
                    name.clone(),
                    record.is_some_and(|record| aims_at(record, node)),
                ))
            }
            _ => None,
        });
        merged(self.base.placements_for(node), written)
    }

    fn instances_of(&self, placement: &PlacementName) -> Vec<InstanceKey> {
        let mut committed = self.base.instances_of(placement);
        committed
            .retain(|key| !matches!(self.overlay.record(&Key::Instance(key.clone())), Some(None)));
        let written = self.overlay.instances_of(placement);
        merged(committed, written.map(|key| (key, true)))
    }

    fn commands_for(&self, node: &NodeName) -> Vec<Key> {
        let mut committed = self.base.commands_for(node);
        committed.retain(|key| self.overlay.record(key).is_none());
        let written = self.overlay.commands_for(node);
        merged(committed, written.map(|key| (key, true)))
    }

    fn short_placements(&self) -> Vec<PlacementName> {
        let is_as_committed = |name: &&PlacementName| {
            self.overlay
                .record(&Key::Placement((*name).clone()))
                .is_none()
        };
        let committed = self.base.short().filter(is_as_committed);
        let mut short: Vec<_> = committed.chain(self.overlay.short()).cloned().collect();
        short.sort_unstable();
        short
    }

    fn load_on(&self, node: &NodeName) -> Load {
        self.overlay.load_on(node, self.base.load_on(node))
    }

    fn port_takers(&self, node: &NodeName, port: u16) -> Vec<InstanceKey> {
        let is_as_committed =
            |key: &InstanceKey| self.overlay.record(&Key::Instance(key.clone())).is_none();
        let mut takers = self.base.port_takers(node, port);
        takers.retain(is_as_committed);
        takers.extend(self.overlay.loads().1.takers(node, port));
        takers.sort_unstable();
        takers
    }

    fn each_node(&self, then: &mut dyn FnMut(NodeLoad<'_>)) {
        self.base
            .loads()
            .each_node_under(self.overlay.loads(), then);
    }

    fn last_start_on(&self, node: &NodeName) -> Option<Timestamp> {
        let over = self.overlay.loads();
        self.base.loads().last_start_under(over, node)
    }

    fn waiting_on(&self, node: &NodeName, what: Waits, most: usize) -> Vec<InstanceKey> {
        let is_as_committed =
            |key: &InstanceKey| self.overlay.record(&Key::Instance(key.clone())).is_none();
        let committed = self.base.in_line(node, what);
        let committed = committed.filter(|(_, key)| is_as_committed(key));
        let mut line: Vec<_> = committed
            .take(most)
            .chain(self.overlay.in_line(node, what).take(most))
            .collect();
        line.sort_unstable();
        line.truncate(most);
        line.into_iter().map(|(_, key)| key).collect()
    }

    fn skills_due(&self) -> Vec<Skill> {
        let (committed, written) = (self.base.queue().skills(), self.overlay.queue().skills());
        let mut all: BTreeSet<&Skill> = committed.chain(written).collect();
        all.retain(|skill| !self.steps_due(skill, 1).is_empty());
        all.into_iter().cloned().collect()
    }

    fn steps_due(&self, skill: &Skill, most: usize) -> Vec<StepKey> {
        let committed = self.base.queue().due(skill);
        let committed = committed.filter(|(_, key)| self.is_as_committed(key));
        let written = self.overlay.queue().due(skill).take(most);
        let mut line: Vec<_> = committed.take(most).chain(written).collect();
        line.sort_unstable();
        line.truncate(most);
        line.into_iter().map(|(_, key)| key.clone()).collect()
    }

    fn steps_at(&self, worker: &InstanceKey) -> Vec<StepKey> {
        let committed = self.base.queue().at_work(worker);
        let committed = committed.filter(|key| self.is_as_committed(key));
        let mut all: Vec<_> = committed
            .chain(self.overlay.queue().at_work(worker))
            .cloned()
            .collect();
        all.sort_unstable();
        all
    }

    fn count_at(&self, worker: &InstanceKey) -> usize {
        let committed = self.base.count_at(worker);
        self.overlay.count_at(worker, committed)
    }

    fn hands(&self) -> Vec<InstanceKey> {
        let is_as_committed = |key: &&InstanceKey| {
            let key = Key::Instance((*key).clone());
            self.overlay.record(&key).is_none()
        };
        let committed = self.base.queue().hands().filter(is_as_committed);
        let mut all: Vec<_> = committed
            .chain(self.overlay.queue().hands())
            .cloned()
            .collect();
        all.sort_unstable();
        all
    }
}

/// `committed` with what was written: there, or no longer.
fn merged<K: Ord>(committed: Vec<K>, written: impl Iterator<Item = (K, bool)>) -> Vec<K> {
    let mut written = written.peekable();
    if written.peek().is_none() {
        return committed;
    }
    let mut all: BTreeSet<K> = committed.into_iter().collect();
    for (key, there) in written {
        if there {
            all.insert(key);
        } else {
            all.remove(&key);
        }
    }
    all.into_iter().collect()
}
