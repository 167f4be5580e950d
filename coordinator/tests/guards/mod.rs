//! Who guards whom, over many comings and goings.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_coordinator::guarding;
use mainstay_protocol::NodeName;
use mainstay_resource_graph::{NodeState, ViewExt};

use crate::harness::dice::dice;
use crate::harness::{World, care};

fn comes(world: &mut World, node: &str) {
    world.scripted(node).address = format!("{node}:4400");
    world.up(node);
}

/// Who could be called and was not given up.
fn there(world: &World) -> BTreeSet<NodeName> {
    let names = world.graph().node_names().into_iter();
    let is_there = |name: &NodeName| world.graph().node(name).unwrap().state != NodeState::Lost;
    names.filter(is_there).collect()
}

// proves: S11
// acceptance: issue 5, line 5
#[test]
fn everybody_guards_as_many_after_a_hundred_joins_and_leaves() {
    let mut world = World::new();
    let mut roll = dice(7);
    let mut next = 1;
    for turn in 0..100 {
        let there_now: Vec<NodeName> = there(&world).into_iter().collect();
        if there_now.len() < 4 || roll(5) < 3 {
            comes(&mut world, &format!("n{next}"));
            next += 1;
        } else {
            let node = there_now[roll(there_now.len())].to_string();
            world.gone(&node);
            let act = if turn % 2 == 0 {
                "remove"
            } else {
                "confirm-dead"
            };
            let said = care::operation(&format!("{act} {node}"));
            world.ask(said.expect("it is one of those"));
            world.run();
        }
        is_even(&world);
    }
    assert!(next > 40, "{next}");
}

/// Two guards each, none its own, and nobody guards more than others do.
fn is_even(world: &World) {
    let nodes = there(world);
    let mut guards = BTreeMap::new();
    for node in &nodes {
        let of_it = guarding::guards_of(world.graph(), node);
        assert_eq!(of_it.len(), nodes.len().saturating_sub(1).min(2), "{node}");
        assert!(!of_it.contains(node));
        assert!(of_it.is_subset(&nodes), "{node} is guarded by {of_it:?}");
        for guard in of_it {
            *guards.entry(guard).or_insert(0) += 1;
        }
    }
    let counts: Vec<usize> = nodes
        .iter()
        .map(|node| guards.get(node).copied().unwrap_or(0))
        .collect();
    let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
    assert!(most - least <= 1, "{guards:?}");
}
