//! What would be affected if something failed. A walk over the graph as it is; what rules would do then (restart it,
//! start it elsewhere) is not foreseen.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_protocol::{InstanceKey, PlacementName};

use crate::key::{Key, Kind, NameKey};
use crate::traverse::{dependents, instances_behind};
use crate::vertex::{Desired, slot_of};
use crate::view::{View, ViewExt};

/// Each list in key order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Impact {
    /// Live instances that would end.
    pub instances: Vec<InstanceKey>,
    /// Placements that would lose some of theirs.
    pub placements: Vec<Loss>,
    /// Names under which nobody would answer.
    pub names: Vec<NameKey>,
    /// Instances that wait for one of these names, and would be next.
    pub waiting: Vec<InstanceKey>,
    /// Live instances that nobody would watch meanwhile.
    pub unwatched: Vec<InstanceKey>,
    /// Placements that depend on one that would have no instance left, directly or through others.
    pub depending: Vec<PlacementName>,
}

/// What a placement would be left with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    pub placement: PlacementName,
    /// Instances wanted running.
    pub want: usize,
    /// Instances that run.
    pub have: usize,
    /// Of them, those that would still run.
    pub left: usize,
}

pub fn impact(view: &(impl View + ?Sized), key: &Key) -> Impact {
    let mut found = Impact::default();
    if let Key::Supervisor(node) = key {
        found.unwatched = live(view, view.instances_on(node));
        return found;
    }
    let ended: BTreeSet<InstanceKey> = live(view, ends_with(view, key)).into_iter().collect();
    let mut placements: BTreeMap<PlacementName, Vec<InstanceKey>> = BTreeMap::new();
    for instance in &ended {
        let lost = placements.entry(instance.placement.clone()).or_default();
        lost.push(instance.clone());
        let Some(facts) = view.instance(instance) else {
            continue;
        };
        let name = slot_of(instance, &facts);
        if view.holder(&name).as_ref() == Some(instance) {
            let next = view.waiters(&name).into_iter();
            found
                .waiting
                .extend(next.filter(|one| !ended.contains(one)));
            found.names.push(name);
        }
    }
    found.placements = placements
        .into_iter()
        .map(|(placement, lost)| loss(view, placement, lost.len()))
        .collect();
    found.names.sort_unstable();
    found.waiting.sort_unstable();
    found.depending = depending(view, key, &found.placements);
    found.instances = ended.into_iter().collect();
    found
}

/// What depends on a placement that fails is left as it is: it does not end.
fn ends_with(view: &(impl View + ?Sized), key: &Key) -> Vec<InstanceKey> {
    let placements = match key {
        Key::Placement(name) => vec![name.clone()],
        Key::Type(_) => dependents(view, key)
            .into_iter()
            .filter_map(|key| match key {
                Key::Placement(name) => Some(name),
                _ => None,
            })
            .collect(),
        _ => return instances_behind(view, key),
    };
    let instances = placements.iter().flat_map(|name| view.instances_of(name));
    instances.collect()
}

fn live(view: &(impl View + ?Sized), mut instances: Vec<InstanceKey>) -> Vec<InstanceKey> {
    instances.retain(|key| {
        view.instance(key)
            .is_some_and(|facts| facts.state.may_be_live())
    });
    instances
}

fn loss(view: &(impl View + ?Sized), placement: PlacementName, lost: usize) -> Loss {
    let all = view.instances_of(&placement);
    let wanted = all.iter().filter(|key| {
        view.instance(key)
            .is_some_and(|facts| facts.desired == Desired::Running)
    });
    let want = wanted.count();
    let have = live(view, all).len();
    Loss {
        placement,
        want,
        have,
        left: have - lost.min(have),
    }
}

/// Of placements left with nothing; and of a placement itself, if that is what fails.
fn depending(view: &(impl View + ?Sized), key: &Key, losses: &[Loss]) -> Vec<PlacementName> {
    let gone = losses.iter().filter(|loss| loss.left == 0);
    let mut open: Vec<Key> = gone
        .map(|loss| Key::Placement(loss.placement.clone()))
        .collect();
    open.push(key.clone());
    let mut found = BTreeSet::new();
    while let Some(next) = open.pop() {
        for dependent in dependents(view, &next) {
            if next.kind() == Kind::Placement
                && let Key::Placement(name) = &dependent
                && dependent != *key
                && found.insert(name.clone())
            {
                open.push(dependent.clone());
            }
        }
    }
    found.into_iter().collect()
}
