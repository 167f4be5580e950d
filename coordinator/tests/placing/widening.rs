//! Nodes that look the emptiest and take nothing do not keep what is placed from those that would take it.

use mainstay_protocol::code;
use mainstay_protocol::report::CommandOutcome;
use mainstay_protocol::{PlacementName, limits};
use mainstay_resource_graph::{InstanceState, View, ViewExt};

use crate::harness::{World, is_start, wishes};

const NODES: usize = 2 * limits::NODES_ASKED_MAX + 3;

/// All of one size, and on the last of them is something.
fn world() -> World {
    let mut world = World::new();
    for at in 0..NODES {
        let node = format!("n{at:02}");
        world.scripted(&node).offers.memory_bytes = 100;
        world.up(&node);
    }
    let taken = format!("put taken noisy on {} needs 0,50", last());
    world.operate(wishes::operation(&taken)).unwrap();
    world.started(&format!("taken@{}", last()));
    let web = wishes::operation("put web noisy on so-many:1 needs 0,30");
    world.operate(web).unwrap();
    world
}

fn last() -> String {
    format!("n{:02}", NODES - 1)
}

fn web() -> PlacementName {
    "web".parse().unwrap()
}

/// What is starting of it.
fn asked(world: &World) -> Option<String> {
    let all = world.graph().instances_of(&web()).into_iter();
    let mut all = all.map(|key| key.to_string());
    all.find(|one| world.state(one) == InstanceState::Starting)
}

fn refuses(world: &mut World, one: &str) {
    let refused = CommandOutcome::Refused {
        code: code::NO_ROOM,
        text: "others are here of which you do not know".to_owned(),
    };
    world.answer(one, &refused, is_start);
}

// proves: B8
#[test]
fn nodes_that_look_the_emptiest_and_refuse_do_not_keep_it_from_the_one_that_takes_it() {
    let mut world = world();
    let mut refused = Vec::new();
    let takes_it = format!("web@{}", last());
    let mut rounds = 0;
    while asked(&world).as_ref() != Some(&takes_it) {
        if let Some(one) = asked(&world) {
            assert!(!refused.contains(&one), "{one} before others: {refused:?}");
            refuses(&mut world, &one);
            refused.push(one);
        } else {
            // As many at a time as may be, and no more of them.
            assert_eq!(refused.len() % limits::NODES_ASKED_MAX, 0, "{refused:?}");
            rounds += 1;
            assert!(rounds < NODES, "it starves: {refused:?}");
            world.wait_ms(limits::ROOM_ASKED_AGAIN_MS + 1_000);
        }
    }
    assert_eq!(refused.len(), NODES - 1);
    world.started(&takes_it);
    assert_eq!(world.state(&takes_it), InstanceState::Running);
}

#[test]
fn who_refused_is_as_good_as_any_other_when_its_time_is_over() {
    let mut world = world();
    let first = asked(&world).unwrap();
    refuses(&mut world, &first);
    let second = asked(&world).unwrap();
    world.started(&second);
    let placement = |world: &World| world.graph().placement(&web()).unwrap();
    world.wait_ms(limits::ROOM_ASKED_AGAIN_MS + 1_000);
    let kept = placement(&world);
    assert_eq!((kept.refused_by.len(), kept.asked_last.len()), (0, 1));
    world.wait_ms(limits::NODES_ASKED_LAST_MS);
    assert!(placement(&world).asked_last.is_empty());
    let more = wishes::operation("put web noisy on so-many:2 needs 0,30");
    world.operate(more).unwrap();
    assert_eq!(asked(&world), Some(first));
}
