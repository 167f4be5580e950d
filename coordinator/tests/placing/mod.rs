//! Placements of so many against brute force: what fits is worked out here from how the nodes were made, not from what the
//! coordinator says of them.

mod mass;
mod widening;

use std::collections::{BTreeMap, BTreeSet};

use mainstay_coordinator::candidates;
use mainstay_protocol::{NodeName, PlacementName};
use mainstay_resource_graph::{Desired, View, ViewExt};
use proptest::prelude::*;

use crate::harness::{World, care, wishes};

/// What a node is like before the placement is asked for.
#[derive(Debug, Clone)]
struct Made {
    rack: u8,
    has_type: bool,
    /// Another placement holds the name there, and takes as much as one of these needs.
    name_taken: bool,
    /// It offers room for so many.
    offers: u64,
    said: Said,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Nothing,
    Cordoned,
    Drained,
    Maintained,
    Gone,
}

impl Made {
    fn fits(&self) -> bool {
        self.has_type && !self.name_taken && self.said == Said::Nothing && self.offers > 0
    }
}

fn made() -> impl Strategy<Value = Made> {
    let said = prop_oneof![
        5 => Just(Said::Nothing),
        1 => Just(Said::Cordoned),
        1 => Just(Said::Drained),
        1 => Just(Said::Maintained),
        1 => Just(Said::Gone),
    ];
    (
        0..3u8,
        prop::bool::weighted(0.85),
        prop::bool::weighted(0.15),
        prop_oneof![1 => Just(0), 4 => 1..4u64],
        said,
    )
        .prop_map(|(rack, has_type, name_taken, offers, said)| Made {
            rack,
            has_type,
            name_taken: name_taken && has_type && offers > 0,
            offers,
            said,
        })
}

fn name(at: usize) -> String {
    format!("n{}", at + 1)
}

fn world_of(nodes: &[Made]) -> World {
    let mut world = World::new();
    for (at, made) in nodes.iter().enumerate() {
        let node = name(at);
        let types = if made.has_type { "noisy" } else { "greeter" };
        world.scripted(&node).types = [types.to_owned()].into();
        let rack = made.rack.to_string();
        world.scripted(&node).labels.insert("rack".to_owned(), rack);
        world.scripted(&node).offers.memory_bytes = 10 * made.offers;
        world.up(&node);
        if made.name_taken {
            let blocker = format!("put blocker{at} noisy on {node} holds web needs 0,10");
            world.operate(wishes::operation(&blocker)).unwrap();
            world.started(&format!("blocker{at}@{node}"));
        }
    }
    for (at, made) in nodes.iter().enumerate() {
        let node = name(at);
        let say = match made.said {
            Said::Nothing => continue,
            Said::Gone => {
                world.gone(&node);
                continue;
            }
            Said::Cordoned => format!("cordon {node}"),
            Said::Drained => format!("drain {node} force"),
            Said::Maintained => format!("maintain {node}"),
        };
        world.operate(care::operation(&say).unwrap()).unwrap();
    }
    world
}

fn placed(world: &World) -> BTreeSet<NodeName> {
    let web: PlacementName = "web".parse().unwrap();
    let keys = world.graph().instances_of(&web);
    keys.into_iter()
        .filter(|key| {
            let one = world.graph().instance(key).unwrap();
            one.desired == Desired::Running
        })
        .map(|key| key.node)
        .collect()
}

fn racks(nodes: &[Made], chosen: &BTreeSet<NodeName>) -> BTreeMap<u8, usize> {
    let mut racks = BTreeMap::new();
    for (at, made) in nodes.iter().enumerate() {
        if chosen.contains(&name(at).parse().unwrap()) {
            *racks.entry(made.rack).or_default() += 1;
        }
    }
    racks
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    // proves: B8
    // acceptance: issue 5, line 8
    #[test]
    fn so_many_are_placed_where_something_fits_evenly_and_every_other_node_says_why_not(
        nodes in prop::collection::vec(made(), 1..9),
        count in 0..10usize,
        then in 0..10usize,
    ) {
        let fits: BTreeSet<NodeName> = nodes
            .iter()
            .enumerate()
            .filter(|(_, made)| made.fits())
            .map(|(at, _)| name(at).parse().unwrap())
            .collect();
        // Nobody has the type: there is nothing to place.
        prop_assume!(nodes.iter().any(|made| made.has_type));
        let mut world = world_of(&nodes);
        for count in [count, then] {
            let wish = format!("put web noisy on so-many:{count}:rack needs 0,10");
            world.operate(wishes::operation(&wish)).unwrap();
            let chosen = placed(&world);
            prop_assert!(chosen.is_subset(&fits), "{chosen:?} of {fits:?}");
            prop_assert_eq!(chosen.len(), count.min(fits.len()));
            // No rack has two more than another that could have had one more.
            let (of_chosen, of_fits) = (racks(&nodes, &chosen), racks(&nodes, &fits));
            for (rack, could) in &of_fits {
                let has = of_chosen.get(rack).copied().unwrap_or_default();
                let most = of_chosen.values().max().copied().unwrap_or_default();
                prop_assert!(
                    has == *could || most <= has + 1,
                    "rack {rack} has {has} of {could}, another {most}"
                );
            }
            let web: PlacementName = "web".parse().unwrap();
            let placement = world.graph().placement(&web).unwrap();
            let answers = candidates::answers(world.graph(), &web, &placement);
            for (at, made) in nodes.iter().enumerate() {
                let node: NodeName = name(at).parse().unwrap();
                match answers.get(&node) {
                    None => prop_assert!(chosen.contains(&node)),
                    Some(no) => prop_assert_eq!(no.is_empty(), made.fits(), "{}: {:?}", node, no),
                }
            }
            let short = candidates::shortage_of(world.graph(), &web, &placement);
            prop_assert_eq!(short.is_some(), count > fits.len());
        }
    }
}
