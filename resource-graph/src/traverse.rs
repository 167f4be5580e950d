//! Walks over a view for rules, `why` and `impact`: they ask the indices and never scan what an index knows.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use mainstay_protocol::{InstanceKey, PlacementName};

use crate::key::{Key, Kind};
use crate::vertex::{Relation, Vertex, slot_of};
use crate::view::{View, ViewExt};

/// What stands on a vertex directly: it cannot go on, or not as it is, without it. In key order.
pub fn dependents(view: &(impl View + ?Sized), key: &Key) -> Vec<Key> {
    let mut found = BTreeSet::new();
    match key {
        Key::Node(node) => {
            found.extend(view.instances_on(node).into_iter().map(Key::Instance));
            let supervisor = Key::Supervisor(node.clone());
            found.extend(view.record(&supervisor).map(|_| supervisor));
        }
        Key::Placement(placement) => {
            found.extend(view.instances_of(placement).into_iter().map(Key::Instance));
            found.extend(standing_on(view, placement).into_iter().map(Key::Placement));
        }
        Key::Type(service_type) => {
            for key in view.keys(Kind::Placement) {
                if let Some(record) = view.record(&key)
                    && let Vertex::Placement(placement) = &record.vertex
                    && placement.service_type == *service_type
                {
                    found.insert(key);
                }
            }
        }
        Key::Name(name) => {
            found.extend(view.holder(name).map(Key::Instance));
            found.extend(view.waiters(name).into_iter().map(Key::Instance));
        }
        Key::Configuration(_) => {
            for relation in [Relation::Configured, Relation::Wants] {
                found.extend(
                    view.edges_to(key, relation)
                        .into_iter()
                        .map(|edge| edge.from),
                );
            }
        }
        Key::Instance(instance) => {
            found.extend(view.steps_at(instance).into_iter().map(Key::Step));
        }
        Key::Text(_) => {
            let readers = view.edges_to(key, Relation::Reads);
            found.extend(readers.into_iter().map(|edge| edge.from));
        }
        Key::Resource(_) => {
            let users = view.edges_to(key, Relation::Uses);
            found.extend(users.into_iter().map(|edge| edge.from));
        }
        Key::Cluster
        | Key::Station(_)
        | Key::Outbox(_)
        | Key::Supervisor(_)
        | Key::Command(_)
        | Key::Parked(_)
        | Key::Asked(_)
        | Key::Procedure(_)
        | Key::Collected(_)
        | Key::Token(_)
        | Key::Identity(_)
        | Key::Secret(_)
        | Key::Orchestration(_)
        | Key::Activity(_)
        | Key::Service(_)
        | Key::Artifact(_)
        | Key::Chunk(_)
        | Key::Run(_)
        | Key::Step(_) => {}
    }
    found.into_iter().collect()
}

/// Everything that stands on a vertex, directly or through others; without itself, in key order.
pub fn blast_radius(view: &(impl View + ?Sized), key: &Key) -> Vec<Key> {
    let mut hit = BTreeSet::new();
    let mut open = VecDeque::from([key.clone()]);
    while let Some(next) = open.pop_front() {
        for dependent in dependents(view, &next) {
            if dependent != *key && hit.insert(dependent.clone()) {
                open.push_back(dependent);
            }
        }
    }
    hit.into_iter().collect()
}

/// The instances that would fail with a vertex: those on it, of it, with it.
pub fn instances_behind(view: &(impl View + ?Sized), key: &Key) -> Vec<InstanceKey> {
    let mut found: BTreeSet<InstanceKey> = blast_radius(view, key)
        .into_iter()
        .filter_map(|key| match key {
            Key::Instance(instance) => Some(instance),
            _ => None,
        })
        .collect();
    if let Key::Instance(instance) = key {
        found.insert(instance.clone());
    }
    found.into_iter().collect()
}

/// The placements that depend on one, in key order.
pub fn standing_on(view: &(impl View + ?Sized), placement: &PlacementName) -> Vec<PlacementName> {
    let key = Key::Placement(placement.clone());
    let mut found: Vec<PlacementName> = view
        .edges_to(&key, Relation::DependsOn)
        .into_iter()
        .filter_map(|edge| match edge.from {
            Key::Placement(name) => Some(name),
            _ => None,
        })
        .collect();
    found.sort();
    found
}

/// A way along dependencies from a placement back to itself, each name once, the first again at its end.
pub fn dependency_cycle(
    view: &(impl View + ?Sized),
    placement: &PlacementName,
) -> Option<Vec<PlacementName>> {
    let mut came_from: BTreeMap<PlacementName, PlacementName> = BTreeMap::new();
    let mut open = VecDeque::from([placement.clone()]);
    while let Some(at) = open.pop_front() {
        let found = view.placement(&at)?;
        for next in found.wish.depends_on.into_keys() {
            if next == *placement {
                let mut path = vec![next];
                let mut back = &at;
                while back != placement {
                    path.push(back.clone());
                    back = came_from.get(back)?;
                }
                path.push(placement.clone());
                path.reverse();
                return Some(path);
            }
            if !came_from.contains_key(&next) && view.placement(&next).is_some() {
                came_from.insert(next.clone(), at.clone());
                open.push_back(next);
            }
        }
    }
    None
}

/// Who stands before an instance: the holder of its name, if that is another.
pub fn in_the_way(view: &(impl View + ?Sized), key: &InstanceKey) -> Option<InstanceKey> {
    let instance = view.instance(key)?;
    view.holder(&slot_of(key, &instance))
        .filter(|holder| holder != key)
}
