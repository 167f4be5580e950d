//! Placements: all they name exists, their dependencies are edges and come to an end, their history has a bound.

use std::collections::BTreeSet;

use mainstay_protocol::{PlacementName, limits};

use super::{Problems, bounded, exists};
use crate::key::Key;
use crate::traverse;
use crate::vertex::Relation;
use crate::view::View;
use crate::wish::{Placement, Target};

pub(super) fn check(
    view: &(impl View + ?Sized),
    name: &PlacementName,
    placement: &Placement,
    problems: &mut Problems,
) {
    let key = Key::Placement(name.clone());
    exists(
        view,
        &key,
        &Key::Type(placement.service_type.clone()),
        problems,
    );
    for config in placement.configs() {
        exists(view, &key, &Key::Configuration(config.clone()), problems);
    }
    match &placement.wish.target {
        Target::Nodes(nodes) => {
            for node in nodes {
                exists(view, &key, &Key::Node(node.clone()), problems);
            }
        }
        Target::All(_) | Target::Count(_) => {}
    }
    dependencies(view, name, placement, problems);
    let past = placement.history.len();
    bounded(
        &key,
        "history",
        past,
        limits::PLACEMENT_HISTORY_MAX,
        problems,
    );
    let generations = placement.history.iter().map(|past| past.generation);
    let rises = generations
        .chain([placement.generation])
        .is_sorted_by(|a, b| a < b);
    problems.demand(rises, &key, || {
        "has generations that do not rise".to_owned()
    });
}

fn dependencies(
    view: &(impl View + ?Sized),
    name: &PlacementName,
    placement: &Placement,
    problems: &mut Problems,
) {
    let key = Key::Placement(name.clone());
    let linked: BTreeSet<Key> = view
        .edges_from(&key, Relation::DependsOn)
        .into_iter()
        .map(|edge| edge.to)
        .collect();
    let named: BTreeSet<Key> = placement
        .wish
        .depends_on
        .keys()
        .cloned()
        .map(Key::Placement)
        .collect();
    problems.demand(linked == named, &key, || {
        format!("names the dependencies {named:?} and is linked to {linked:?}")
    });
    problems.demand(
        traverse::dependency_cycle(view, name).is_none(),
        &key,
        || "depends on itself".to_owned(),
    );
    bounded(
        &key,
        "dependencies",
        named.len(),
        limits::DEPENDENCIES_MAX,
        problems,
    );
}
