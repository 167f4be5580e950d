//! Who watches which instance from elsewhere, over many comings and goings.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_coordinator::{Effect, guarding, watching};
use mainstay_protocol::sight::{InstanceSight, Watches};
use mainstay_protocol::{InstanceKey, NodeName, limits};
use mainstay_resource_graph::{NodeState, View, ViewExt};

use crate::harness::dice::dice;
use crate::harness::{World, at, care, node_name, wish};

fn comes(world: &mut World, node: &str) {
    let scripted = world.scripted(node);
    scripted.address = format!("{node}:4400");
    scripted.answers = true;
    world.up(node);
    world.starts_all(node);
}

/// Nodes that were not given up, and whether each is Online.
fn there(world: &World) -> BTreeMap<NodeName, bool> {
    let names = world.graph().node_names().into_iter();
    let there = names.filter_map(|name| {
        let state = world.graph().node(&name).unwrap().state;
        (state != NodeState::Lost).then_some((name, state == NodeState::Online))
    });
    there.collect()
}

fn live_on(world: &World, node: &NodeName) -> Vec<InstanceKey> {
    let mut keys = world.graph().instances_on(node);
    keys.retain(|key| world.graph().instance(key).unwrap().state.is_up());
    keys
}

// proves: S11
#[test]
fn instances_are_watched_from_as_many_nodes_as_asked_whoever_comes_and_goes() {
    let mut world = World::new();
    for node in ["n1", "n2", "n3"] {
        comes(&mut world, node);
    }
    for (name, watched) in [("one", 1), ("two", 2), ("none", 0)] {
        let put = format!("put {name} flaky on all watched {watched} holds {name}");
        world.operate(wish(&put)).unwrap();
    }
    for node in ["n1", "n2", "n3"] {
        world.starts_all(node);
    }
    let mut roll = dice(11);
    let mut next = 4;
    for _ in 0..60 {
        let there_now: Vec<NodeName> = there(&world).into_keys().collect();
        if there_now.len() < 4 || roll(5) < 3 {
            comes(&mut world, &format!("n{next}"));
            next += 1;
        } else {
            let node = there_now[roll(there_now.len())].to_string();
            world.gone(&node);
            is_as_asked(&world);
            let said = care::operation(&format!("confirm-dead {node}"));
            world.ask(said.expect("it is one of those"));
            world.run();
        }
        is_as_asked(&world);
    }
    assert!(next > 20, "{next}");
}

/// So many as asked, of those that guard its node, those first that are there; of those that are given up nobody asks.
fn is_as_asked(world: &World) {
    let nodes = there(world);
    for node in nodes.keys() {
        let guards = guarding::guards_of(world.graph(), node);
        for key in live_on(world, node) {
            let watchers = watching::watchers_of(world.graph(), &key);
            let asked = watching::so_many(world.graph(), &key);
            assert_eq!(
                watchers.len(),
                asked.min(guards.len()),
                "{key}: {watchers:?}"
            );
            assert!(watchers.is_subset(&guards), "{key}: {watchers:?}");
            let here: BTreeSet<&NodeName> = guards.iter().filter(|guard| nodes[*guard]).collect();
            let away = watchers.iter().filter(|watcher| !nodes[*watcher]).count();
            assert_eq!(away, watchers.len().saturating_sub(here.len()), "{key}");
        }
    }
}

// proves: S11
#[test]
fn of_many_instances_each_node_watches_about_as_many() {
    const NODES: usize = 5;
    const EACH: usize = 40;
    let mut world = World::new();
    for number in 1..=NODES {
        comes(&mut world, &format!("n{number}"));
    }
    for number in 0..EACH {
        let put = format!("put web-{number} flaky on all watched 1 holds web-{number}");
        world.operate(wish(&put)).unwrap();
    }
    for number in 1..=NODES {
        world.starts_all(&format!("n{number}"));
    }
    for number in 1..=NODES {
        let node = node_name(&format!("n{number}"));
        let watches = watching::watched_from(world.graph(), &node).len();
        // Of those of two nodes about half.
        assert!(
            (EACH * 2 / 3..=EACH * 4 / 3).contains(&watches),
            "{node} watches {watches}"
        );
    }
}

/// What this node was told last.
fn told(world: &World, node: &str) -> Watches {
    let of_it = |effect: &Effect| match effect {
        Effect::Watch {
            node: told,
            watches,
        } if told.as_str() == node => Some(watches.clone()),
        _ => None,
    };
    let last = world.seen.iter().rev().find_map(of_it);
    last.expect("it was told something")
}

fn two_nodes() -> World {
    let mut world = World::new();
    for node in ["n1", "n2"] {
        comes(&mut world, node);
    }
    world
}

// proves: S11
#[test]
fn a_watcher_is_told_of_what_is_up_and_of_its_incarnation_behind_every_welcome() {
    let mut world = two_nodes();
    world
        .operate(wish("put web flaky on n1 watched 2"))
        .unwrap();
    assert_eq!(
        told(&world, "n2").instances,
        [].into(),
        "it does not serve yet"
    );
    world.starts_all("n1");
    let first = (at("web@n1"), world.incarnation("web@n1"));
    let watches = told(&world, "n2");
    assert_eq!(watches.instances, [first.clone()].into());
    assert_eq!(watches.addresses[&node_name("n1")], "n1:4400");
    assert_eq!(
        told(&world, "n1").instances,
        [].into(),
        "nobody watches its own"
    );

    world.panics("web@n1", "boom");
    world.starts_all("n1");
    let second = (at("web@n1"), world.incarnation("web@n1"));
    assert_ne!(first, second);
    assert_eq!(told(&world, "n2").instances, [second.clone()].into());

    world.fail_over_with_sessions();
    assert_eq!(told(&world, "n2").instances, [second].into());
    world.operate(wish("put web flaky on n1")).unwrap();
    assert_eq!(told(&world, "n2").instances, [].into());
}

// proves: S11
#[test]
fn one_agent_watches_so_many_at_most_and_the_rest_when_there_is_room_again() {
    let mut world = two_nodes();
    let over = 3;
    for number in 0..limits::WATCHED_ELSEWHERE_MAX + over {
        let put = format!("put web-{number} flaky on n1 watched 1 holds web-{number}");
        world.operate(wish(&put)).unwrap();
    }
    // Starts take their turns.
    for _ in 0..16 {
        world.starts_all("n1");
    }
    let most = limits::WATCHED_ELSEWHERE_MAX;
    let first = told(&world, "n2").instances;
    assert_eq!(first.len(), most);
    for key in first.keys().take(over + 1) {
        let put = format!("put {0} flaky on n1 holds {0}", key.placement);
        world.operate(wish(&put)).unwrap();
    }
    let watched = told(&world, "n2").instances;
    assert_eq!(watched.len(), most - 1);
    let others = watched.keys().filter(|key| !first.contains_key(key));
    assert_eq!(others.count(), over, "who had found no place has one");
}

// proves: S11
#[test]
fn what_is_seen_of_it_goes_with_its_incarnation_and_with_who_saw_it() {
    use mainstay_protocol::report::Report;
    let mut world = two_nodes();
    world
        .operate(wish("put web flaky on n1 watched 2"))
        .unwrap();
    world.starts_all("n1");
    let saw = |incarnation| Report::WatcherSaw {
        instance: at("web@n1"),
        incarnation,
        sight: InstanceSight::NotReached,
    };
    let first = world.incarnation("web@n1");
    world.report(saw(first), "n2");
    let seen_from = |world: &World| world.instance("web@n1").seen_from.len();
    assert_eq!(seen_from(&world), 1);
    world.panics("web@n1", "boom");
    world.starts_all("n1");
    assert_eq!(seen_from(&world), 0);
    world.report(saw(first), "n2");
    assert_eq!(seen_from(&world), 0, "it is of an incarnation before");
    let second = world.incarnation("web@n1");
    world.report(saw(second), "n1");
    assert_eq!(
        seen_from(&world),
        0,
        "its own node does not watch it from elsewhere"
    );
    world.report(saw(second), "n2");
    assert_eq!(seen_from(&world), 1);
    world.operate(wish("put web flaky on n1")).unwrap();
    assert_eq!(seen_from(&world), 0, "it is watched from nowhere");
}
