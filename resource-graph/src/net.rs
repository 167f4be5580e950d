//! Vertices and edges: a petgraph, and ordered indices for relations whose targets are shared by very many.
//!
//! petgraph unlinks by walking the lists of both ends: nothing for a name, but 100 000 instances may run with one
//! configuration. Those edges are kept by position in two ordered sets instead; nobody outside sees a difference.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};
use mainstay_protocol::{Revision, Timestamp};
use petgraph::Direction;
use petgraph::stable_graph::{EdgeIndex, NodeIndex, StableDiGraph};
use petgraph::visit::{EdgeRef, IntoEdgeReferences};

use crate::key::{Key, Kind};
use crate::kinds::ByKind;
use crate::vertex::{Edge, Record, Relation};

#[derive(Debug, Clone, Default)]
pub(crate) struct Net {
    graph: StableDiGraph<Arc<Record>, Tie>,
    /// In the order of the keys, for whoever walks.
    places: ByKind<NodeIndex>,
    /// The same by the hash of the key, for whoever looks for one: in the order it would be compared with some forty keys, of
    /// a million none of them in the processor's caches.
    /// Nobody walks over it, so that its order, and the hashes, reach nothing.
    found: HashTable<NodeIndex>,
    hasher: DefaultHashBuilder,
    /// (from, relation, to), of relations with shared targets.
    shared: BTreeMap<(NodeIndex, Relation, NodeIndex), Tie>,
    /// The same by where they lead: (to, relation, from).
    shared_in: BTreeSet<(NodeIndex, Relation, NodeIndex)>,
}

/// An edge without its ends, which are where it stands.
#[derive(Debug, Clone, Copy)]
struct Tie {
    relation: Relation,
    since: Timestamp,
    rev: Revision,
}

/// Whether one of its ends may have very many: targets that are shared, or what one supervisor watches.
fn has_shared_targets(relation: Relation) -> bool {
    match relation {
        Relation::Configured
        | Relation::Wants
        | Relation::Uses
        | Relation::Watches
        | Relation::Reads => true,
        Relation::Holds
        | Relation::Waits
        | Relation::Provides
        | Relation::DependsOn
        | Relation::Guards => false,
    }
}

impl Net {
    pub(crate) fn contains(&self, key: &Key) -> bool {
        self.find(key).is_some()
    }

    pub(crate) fn record(&self, key: &Key) -> Option<&Arc<Record>> {
        self.find(key).map(|place| &self.graph[place])
    }

    fn find(&self, key: &Key) -> Option<NodeIndex> {
        let hash = self.hasher.hash_one(key);
        let is_it = |place: &NodeIndex| self.graph[*place].key == *key;
        self.found.find(hash, is_it).copied()
    }

    pub(crate) fn records(&self) -> impl Iterator<Item = &Arc<Record>> {
        self.places.iter().map(|(_, place)| &self.graph[*place])
    }

    pub(crate) fn keys(&self, kind: Kind) -> impl Iterator<Item = &Key> {
        self.places.of(kind).keys()
    }

    pub(crate) fn keys_from(&self, first: &Key) -> impl Iterator<Item = &Key> {
        let of_kind = self.places.of(first.kind());
        of_kind.range(first..).map(|(key, _)| key)
    }

    pub(crate) fn count(&self, kind: Kind) -> usize {
        self.places.of(kind).len()
    }

    pub(crate) fn edge_count(&self) -> usize {
        self.graph.edge_count() + self.shared.len()
    }

    /// Gives back what was there.
    pub(crate) fn put(&mut self, record: Arc<Record>) -> Option<Arc<Record>> {
        match self.find(&record.key) {
            Some(place) => Some(std::mem::replace(&mut self.graph[place], record)),
            None => {
                let key = record.key.clone();
                let hash = self.hasher.hash_one(&key);
                let place = self.graph.add_node(record);
                let Self {
                    graph,
                    found,
                    hasher,
                    ..
                } = self;
                found.insert_unique(hash, place, |place| hasher.hash_one(&graph[*place].key));
                self.places.insert(key, place);
                None
            }
        }
    }

    /// Gives back what was there. Its edges are gone before; what is left of them goes with it.
    pub(crate) fn remove(&mut self, key: &Key) -> Option<Arc<Record>> {
        for edge in self.edges_of(key) {
            self.unlink(&edge.from, edge.relation, &edge.to);
        }
        let place = self.places.remove(key)?;
        let hash = self.hasher.hash_one(key);
        let entry = self.found.find_entry(hash, |found| *found == place);
        entry.expect("what is in order is found").remove();
        self.graph.remove_node(place)
    }

    /// Both ends must be there.
    pub(crate) fn link(&mut self, edge: &Edge) {
        let (Some(from), Some(to)) = (self.find(&edge.from), self.find(&edge.to)) else {
            return;
        };
        let relation = edge.relation;
        let tie = Tie {
            relation,
            since: edge.since,
            rev: edge.rev,
        };
        if has_shared_targets(relation) {
            self.shared.insert((from, relation, to), tie);
            self.shared_in.insert((to, relation, from));
            return;
        }
        match self.place_of(from, relation, to) {
            Some(place) => self.graph[place] = tie,
            None => {
                self.graph.add_edge(from, to, tie);
            }
        }
    }

    pub(crate) fn unlink(&mut self, from: &Key, relation: Relation, to: &Key) {
        let (Some(from), Some(to)) = (self.find(from), self.find(to)) else {
            return;
        };
        if has_shared_targets(relation) {
            self.shared.remove(&(from, relation, to));
            self.shared_in.remove(&(to, relation, from));
        } else if let Some(place) = self.place_of(from, relation, to) {
            self.graph.remove_edge(place);
        }
    }

    pub(crate) fn edge(&self, from: &Key, relation: Relation, to: &Key) -> Option<Edge> {
        let (from, to) = (self.find(from)?, self.find(to)?);
        let tie = if has_shared_targets(relation) {
            self.shared.get(&(from, relation, to))
        } else {
            self.place_of(from, relation, to)
                .map(|place| &self.graph[place])
        };
        tie.map(|tie| self.whole(from, tie, to))
    }

    /// In no order.
    pub(crate) fn edges_from(&self, from: &Key, relation: Relation) -> Vec<Edge> {
        let Some(from) = self.find(from) else {
            return Vec::new();
        };
        if has_shared_targets(relation) {
            return self
                .shared
                .range((from, relation, NodeIndex::new(0))..)
                .take_while(|((at, of, _), _)| (*at, *of) == (from, relation))
                .map(|((_, _, to), tie)| self.whole(from, tie, *to))
                .collect();
        }
        self.graph
            .edges_directed(from, Direction::Outgoing)
            .filter(|edge| edge.weight().relation == relation)
            .map(|edge| self.whole(from, edge.weight(), edge.target()))
            .collect()
    }

    /// In no order.
    pub(crate) fn edges_to(&self, to: &Key, relation: Relation) -> Vec<Edge> {
        let Some(to) = self.find(to) else {
            return Vec::new();
        };
        if has_shared_targets(relation) {
            return self
                .shared_in
                .range((to, relation, NodeIndex::new(0))..)
                .take_while(|(at, of, _)| (*at, *of) == (to, relation))
                .filter_map(|(_, _, from)| {
                    let tie = self.shared.get(&(*from, relation, to))?;
                    Some(self.whole(*from, tie, to))
                })
                .collect();
        }
        self.graph
            .edges_directed(to, Direction::Incoming)
            .filter(|edge| edge.weight().relation == relation)
            .map(|edge| self.whole(edge.source(), edge.weight(), to))
            .collect()
    }

    /// Both ways, ordered by from, relation, to.
    pub(crate) fn edges_of(&self, key: &Key) -> Vec<Edge> {
        let mut edges = Vec::new();
        for relation in Relation::ALL {
            edges.append(&mut self.edges_from(key, relation));
            edges.append(&mut self.edges_to(key, relation));
        }
        edges.sort();
        edges
    }

    /// All of them, ordered by from, relation, to.
    pub(crate) fn edges(&self) -> Vec<Edge> {
        let shared = self
            .shared
            .iter()
            .map(|((from, _, to), tie)| self.whole(*from, tie, *to));
        let mut edges: Vec<Edge> = self
            .graph
            .edge_references()
            .map(|edge| self.whole(edge.source(), edge.weight(), edge.target()))
            .chain(shared)
            .collect();
        edges.sort();
        edges
    }

    /// Looks from the source, which has few edges.
    fn place_of(&self, from: NodeIndex, relation: Relation, to: NodeIndex) -> Option<EdgeIndex> {
        self.graph
            .edges_directed(from, Direction::Outgoing)
            .find(|edge| edge.weight().relation == relation && edge.target() == to)
            .map(|edge| edge.id())
    }

    fn whole(&self, from: NodeIndex, tie: &Tie, to: NodeIndex) -> Edge {
        Edge {
            from: self.graph[from].key.clone(),
            relation: tie.relation,
            to: self.graph[to].key.clone(),
            since: tie.since,
            rev: tie.rev,
        }
    }
}
