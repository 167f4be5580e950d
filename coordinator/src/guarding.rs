//! Who guards whom: the supervisor of each node is watched from two others.
//!
//! Those that can reach each other stand in a ring, in the order of a hash of their names, and each is guarded by the next
//! two. So all guard as many, one that comes or goes changes little, and neighbours by name, which may well share a rack,
//! do not guard each other.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_protocol::sight::Guards;
use mainstay_protocol::{BootId, NodeName};
use mainstay_resource_graph::{Key, Kind, Node, NodeState, Relation, Vertex, View, ViewExt};

use crate::hash;

pub const GUARDS_EACH: usize = 2;

/// Whom a node guards, and where they are.
pub fn guarded(view: &dyn View, guard: &NodeName) -> Guards {
    let edges = view.edges_from(&Key::Node(guard.clone()), Relation::Guards);
    let with_address = |key: Key| match key {
        Key::Supervisor(node) => {
            let address = view.node(&node)?.address;
            Some((node, address))
        }
        _ => None,
    };
    let nodes = edges.into_iter().filter_map(|edge| with_address(edge.to));
    Guards {
        nodes: nodes.collect(),
    }
}

/// Who guards a node.
pub fn guards_of(view: &dyn View, node: &NodeName) -> BTreeSet<NodeName> {
    let edges = view.edges_to(&Key::Supervisor(node.clone()), Relation::Guards);
    let guards = edges.into_iter().filter_map(|edge| match edge.from {
        Key::Node(guard) => Some(guard),
        _ => None,
    });
    guards.collect()
}

/// Who is to guard each node, by what nodes there are.
pub fn spread(view: &dyn View) -> BTreeMap<NodeName, BTreeSet<NodeName>> {
    let mut rings: BTreeMap<Reach, BTreeSet<(u64, NodeName)>> = BTreeMap::new();
    let mut spread = BTreeMap::new();
    for key in view.keys(Kind::Node) {
        let Some(record) = view.record(&key) else {
            continue;
        };
        let (Key::Node(name), Vertex::Node(node)) = (key, &record.vertex) else {
            continue;
        };
        if let Some(reach) = Reach::of(node) {
            let place = (hash::stable(name.as_str()), name.clone());
            rings.entry(reach).or_default().insert(place);
        }
        spread.insert(name, BTreeSet::new());
    }
    for ring in rings.into_values() {
        let ring: Vec<NodeName> = ring.into_iter().map(|(_, name)| name).collect();
        for (at, node) in ring.iter().enumerate() {
            let next = (1..=GUARDS_EACH).map(|step| &ring[(at + step) % ring.len()]);
            let guards = next.filter(|guard| *guard != node).cloned();
            spread.insert(node.clone(), guards.collect());
        }
    }
    spread
}

/// From where an agent can be called.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    Machine(BootId),
    Network,
}

impl Reach {
    /// None for one that nobody can call, or that was given up.
    fn of(node: &Node) -> Option<Self> {
        match node.address.as_str() {
            _ if node.state == NodeState::Lost => None,
            "" => None,
            address if address.starts_with("unix:") => Some(Self::Machine(node.boot_id.clone())),
            _ => Some(Self::Network),
        }
    }
}
