//! Looking instances up in the graph: for agents that follow some, and for a start that is told where what it depends on
//! can be reached.

use std::collections::BTreeMap;

use mainstay_protocol::lookup::{Found, FoundInstance, Sought, SoughtBy};
use mainstay_protocol::{InstanceKey, NodeName, PlacementName, SlotName, TypeName, codec, limits};
use mainstay_resource_graph::{Key, Kind, NameKey, Placement, View, ViewExt};

/// What the graph says of it to an agent on this node.
pub fn found(view: &dyn View, from: &NodeName, sought: &Sought) -> Found {
    let keys = keys(view, sought).into_iter();
    let mut instances: Vec<FoundInstance> = keys.filter_map(|key| instance(view, key)).collect();
    instances.sort_by_cached_key(|one| order(from, one));
    let mut bytes = 0;
    let fit = instances.iter().take_while(|one| {
        bytes += codec::encode(*one).len();
        bytes <= limits::FOUND_BYTES_MAX
    });
    let fit = fit.count();
    let left_out = (instances.len() - fit) as u64;
    instances.truncate(fit);
    Found {
        sought: sought.clone(),
        instances,
        left_out,
    }
}

/// Whether a placement that changed, or went, may change what is found. Of one that went nothing but its name is known.
pub fn concerns(sought: &Sought, name: &PlacementName, now: Option<&Placement>) -> bool {
    match &sought.by {
        SoughtBy::Placement(wanted) => wanted == name,
        SoughtBy::Type(wanted) => now.is_none_or(|placement| placement.service_type == *wanted),
        SoughtBy::Name(_) => true,
    }
}

/// `HOST:PORT` of an instance of each placement that its own depends on: one that is up, on its own node if there is
/// one, and has a port.
pub fn addresses(view: &dyn View, key: &InstanceKey) -> BTreeMap<PlacementName, String> {
    let placement = view.placement(&key.placement);
    let depends_on = placement.map(|placement| placement.wish.depends_on);
    let depends_on = depends_on.unwrap_or_default().into_keys();
    let address_of = |name: PlacementName| {
        let keys = view.instances_of(&name).into_iter();
        let reached = keys.filter_map(|key| instance(view, key));
        let reached = reached.filter(|one| one.is_up() && !one.ports.is_empty());
        let first = reached.min_by_key(|one| order(&key.node, one))?;
        Some((name, first.address_from(&key.node)?))
    };
    depends_on.filter_map(address_of).collect()
}

/// Those that are up come first, of these those on the asker's own node.
fn order(from: &NodeName, one: &FoundInstance) -> (bool, bool, InstanceKey) {
    (
        !one.is_up(),
        one.instance.node != *from,
        one.instance.clone(),
    )
}

fn keys(view: &dyn View, sought: &Sought) -> Vec<InstanceKey> {
    match (&sought.by, &sought.node) {
        (SoughtBy::Placement(name), Some(node)) => {
            vec![InstanceKey::new(node.clone(), name.clone())]
        }
        (SoughtBy::Placement(name), None) => view.instances_of(name),
        (SoughtBy::Type(name), node) => {
            let mut keys = of_type(view, name);
            keys.retain(|key| node.as_ref().is_none_or(|node| key.node == *node));
            keys
        }
        (SoughtBy::Name(name), node) => holders(view, name, node.as_ref()),
    }
}

fn of_type(view: &dyn View, name: &TypeName) -> Vec<InstanceKey> {
    let placements = view.keys(Kind::Placement).into_iter();
    let placements = placements.filter_map(|key| match key {
        Key::Placement(placement) => Some(placement),
        _ => None,
    });
    let of_type = placements.filter(|placement| {
        let found = view.placement(placement);
        found.is_some_and(|found| found.service_type == *name)
    });
    of_type
        .flat_map(|placement| view.instances_of(&placement))
        .collect()
}

fn holders(view: &dyn View, name: &SlotName, node: Option<&NodeName>) -> Vec<InstanceKey> {
    let names = match node {
        Some(node) => vec![NameKey::new(node.clone(), name.clone())],
        None => {
            let all = view.keys(Kind::Name).into_iter();
            let same = all.filter_map(|key| match key {
                Key::Name(held) if held.name == *name => Some(held),
                _ => None,
            });
            same.collect()
        }
    };
    names.iter().filter_map(|name| view.holder(name)).collect()
}

fn instance(view: &dyn View, key: InstanceKey) -> Option<FoundInstance> {
    let found = view.instance(&key)?;
    let node = view.node(&key.node);
    let lives = found.state.may_be_live();
    Some(FoundInstance {
        service_type: found.service_type,
        name: found.name,
        incarnation: found.incarnation,
        state: found.state.as_str().to_owned(),
        health: found.health,
        address: node.map(|node| node.address).unwrap_or_default(),
        // What has ended listens no more.
        ports: if lives { found.ports } else { BTreeMap::new() },
        instance: key,
    })
}
