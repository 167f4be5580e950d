//! Which other nodes watch an instance, and what they see of it.
//!
//! Whoever watches an instance from elsewhere guards its node as well: they can reach it, they are spread evenly, and they
//! change when nodes come and go. Where fewer are wanted than guard it, those that are there come first, and then a hash of
//! the instance and the node decides, so that of many instances on one node each guard watches about as many.

use std::collections::BTreeSet;

use mainstay_protocol::code;
use mainstay_protocol::sight::Watches;
use mainstay_protocol::{InstanceKey, NodeName, limits};
use mainstay_resource_graph::{
    Desired, Instance, InstanceState, Key, NodeState, Relation, Vertex, View, ViewExt,
};

use crate::guarding;
use crate::hash;

/// Who watches an instance from elsewhere.
pub fn watchers_of(view: &dyn View, key: &InstanceKey) -> BTreeSet<NodeName> {
    let edges = view.edges_to(&Key::Instance(key.clone()), Relation::Watches);
    let watchers = edges.into_iter().filter_map(|edge| match edge.from {
        Key::Supervisor(node) => Some(node),
        _ => None,
    });
    watchers.collect()
}

/// The instances of other nodes that a node watches.
pub fn watched_from(view: &dyn View, node: &NodeName) -> Vec<InstanceKey> {
    let edges = view.edges_from(&Key::Supervisor(node.clone()), Relation::Watches);
    let watched = edges.into_iter().filter_map(|edge| match edge.to {
        Key::Instance(key) => Some(key),
        _ => None,
    });
    watched.collect()
}

/// What the agent of a node is told to Check: what it watches, as far as that is up.
pub fn told(view: &dyn View, node: &NodeName) -> Watches {
    let mut told = Watches::default();
    if let Some(cluster) = view.cluster() {
        // As the supervisor of its own node was told with its start.
        let checks = cluster.settings.checks();
        (told.interval_ms, told.deadline_ms) = (checks.interval_ms, checks.deadline_ms);
    }
    for key in watched_from(view, node) {
        let instance = view.instance(&key);
        let Some(instance) = instance.filter(|one| one.state.is_up()) else {
            continue;
        };
        if !told.addresses.contains_key(&key.node) {
            let address = view.node(&key.node).map(|node| node.address);
            told.addresses
                .insert(key.node.clone(), address.unwrap_or_default());
        }
        told.instances.insert(key, instance.incarnation);
    }
    told
}

/// Who is to watch it from elsewhere. `now`: those who do.
pub fn wanted(
    view: &dyn View,
    key: &InstanceKey,
    instance: &Instance,
    now: &BTreeSet<NodeName>,
) -> BTreeSet<NodeName> {
    let so_many = match is_to_be_watched(instance) {
        true => so_many(view, key),
        false => 0,
    };
    if so_many == 0 {
        return BTreeSet::new();
    }
    let order = |guard: &NodeName| {
        let drawn = hash::stable(&format!("{key} from {guard}"));
        // Who watches it goes on: each exchange would be another one's.
        (!is_online(view, guard), !now.contains(guard), drawn)
    };
    let mut guards: Vec<NodeName> = guarding::guards_of(view, &key.node).into_iter().collect();
    guards.retain(|guard| now.contains(guard) || has_room(view, guard));
    guards.sort_by_cached_key(order);
    guards.truncate(so_many);
    guards.into_iter().collect()
}

/// An agent Checks so many of other nodes, and no more.
pub fn has_room(view: &dyn View, watcher: &NodeName) -> bool {
    watched_from(view, watcher).len() < limits::WATCHED_ELSEWHERE_MAX
}

/// So many as its placement says.
pub fn so_many(view: &dyn View, key: &InstanceKey) -> usize {
    // Asked of every instance that changes: the vertex is looked at where it stands.
    let record = view.record(&Key::Placement(key.placement.clone()));
    match record.as_ref().map(|record| &record.vertex) {
        Some(Vertex::Placement(placement)) => placement.wish.policy.watched_from as usize,
        _ => 0,
    }
}

/// It runs, or is between two of its starts.
fn is_to_be_watched(instance: &Instance) -> bool {
    let lives_on = match instance.state {
        InstanceState::Starting
        | InstanceState::Running
        | InstanceState::Degraded
        | InstanceState::Unresponsive { .. }
        | InstanceState::Stopping { .. }
        | InstanceState::Failed { .. }
        | InstanceState::Backoff { .. }
        | InstanceState::Unknown { .. } => true,
        InstanceState::Pending
        | InstanceState::Blocked
        | InstanceState::Stopped { .. }
        | InstanceState::Quarantined
        | InstanceState::Lost { .. } => false,
    };
    instance.desired == Desired::Running && lives_on
}

fn is_online(view: &dyn View, node: &NodeName) -> bool {
    view.node(node)
        .is_some_and(|node| node.state == NodeState::Online)
}

/// What those that watch it make of it together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outlook {
    /// None of them is there.
    Unwatched,
    /// One gets an answer.
    Seen,
    /// Nobody has said that it does, and not everybody that it does not.
    Open,
    /// All that are there say that they get none: who says what.
    Unseen(String),
}

/// Of those whose own node is heard: what the others said may be long past.
pub fn outlook(view: &dyn View, key: &InstanceKey, instance: &Instance) -> Outlook {
    let mut there = watchers_of(view, key);
    there.retain(|node| is_online(view, node));
    if there.is_empty() {
        return Outlook::Unwatched;
    }
    let mut said = Vec::new();
    for node in &there {
        match instance.seen_from.get(node) {
            Some(seen) if seen.sight.is_of_it() => return Outlook::Seen,
            Some(seen) => said.push(format!("{node} {}", seen.sight)),
            None => {}
        }
    }
    match said.len() == there.len() {
        true => Outlook::Unseen(said.join(", ")),
        false => Outlook::Open,
    }
}

/// Whoever needs it gets an answer from it, as far as is known.
pub fn serves(instance: &Instance) -> bool {
    instance.state.is_serving() && !is_unseen(instance)
}

/// It is Degraded for that alone.
pub fn is_unseen(instance: &Instance) -> bool {
    let why = instance.reason.as_ref().map(|reason| &reason.code);
    instance.state == InstanceState::Degraded && why == Some(&code::UNSEEN)
}

/// "watched from n2 (is told that it is ok) and n3".
pub fn say(view: &dyn View, key: &InstanceKey, instance: &Instance) -> Option<String> {
    let watchers = watchers_of(view, key);
    let said = watchers
        .iter()
        .map(|node| match instance.seen_from.get(node) {
            Some(seen) => format!("{node} ({})", seen.sight),
            None => node.to_string(),
        });
    let said: Vec<String> = said.collect();
    (!said.is_empty()).then(|| format!("watched from {}", said.join(" and ")))
}
