//! What follows from what others see of a node.

use mainstay_protocol::code;
use mainstay_protocol::health::Health;
use mainstay_protocol::report::Report;
use mainstay_protocol::sight::{InstanceSight, Sight};
use mainstay_resource_graph::{HostOutcome, Sightings, ViewExt};

use super::Story;
use crate::harness::care::operation as care_of;
use crate::harness::{World, at, hosts, key, node_name, wish};

const NODES: [&str; 3] = ["n1", "n2", "n3"];

/// Three nodes that guard each other; `flaky` runs as web, the only one of so many, on n1.
fn guarded() -> World {
    let mut world = World::new();
    for node in NODES {
        world.scripted(node).address = format!("10.0.0.{}:4400", &node[1..]);
        world.up(node);
    }
    world
        .operate(wish("put web flaky on so-many:1 isolated_ms 20000"))
        .unwrap();
    world.started("web@n1");
    world
}

fn seen_by(world: &mut World, knock: Sight, guards: [Option<Sight>; 2]) {
    let guards = NODES[1..].iter().map(|node| node_name(node)).zip(guards);
    let seen = Sightings {
        knock,
        guards: guards.collect(),
    };
    world.sights.insert(node_name("n1"), seen);
}

/// n1 falls silent, and n2 sees it.
fn isolated() -> World {
    let mut world = guarded();
    let sees = Some(Sight::Watching { supervisor: 1 });
    seen_by(&mut world, Sight::Nothing, [sees, None]);
    world.scripted("n1").muted = true;
    world.wait_ms(3_990);
    // No later coordinator is told of its session either.
    world.scripted("n1").connected = false;
    world
}

pub fn guard_spread() -> Story {
    Story {
        rule: "guard_spread",
        subject: |_| key("cluster"),
        under: || {
            let mut world = World::new();
            for node in ["n1", "n2"] {
                world.scripted(node).address = format!("10.0.0.{}:4400", &node[1..]);
            }
            world.up("n1");
            world
        },
        straw: |world| world.up("n2"),
        says: code::GUARDS_SPREAD,
        declines: false,
        saw: &[],
        why: ("supervisor/n1", "guarded from n2"),
    }
}

pub fn node_suspect() -> Story {
    Story {
        rule: "node_suspect",
        subject: |_| key("node/n1"),
        under: || {
            let mut world = isolated();
            world.wait_ms(1_500);
            world
        },
        // The next look finds that n2 does not see it any more either.
        straw: |world| {
            seen_by(world, Sight::Nothing, [Some(Sight::Nothing), None]);
            world.wait_ms(2_500);
        },
        says: code::NODE_UNSEEN,
        declines: false,
        saw: &[],
        why: (
            "node/n1",
            "the station sees nothing of it, n2 sees nothing of it, n3 gives no answer",
        ),
    }
}

pub fn isolation() -> Story {
    Story {
        rule: "isolation",
        subject: |_| key("web@n1"),
        under: || {
            let mut world = isolated();
            world.wait_ms(18_000);
            world
        },
        straw: |world| world.wait_ms(2_000),
        says: code::NODE_ISOLATED,
        declines: false,
        saw: &["node/n1"],
        why: ("web@n1", "n1 is cut off, and was waited for long enough"),
    }
}

fn guard_saw(world: &mut World, guard: &str, sight: Sight) {
    let guarded = node_name("n1");
    world.report(Report::GuardSaw { guarded, sight }, guard);
}

pub fn supervisor_lost() -> Story {
    Story {
        rule: "supervisor_lost",
        subject: |_| key("supervisor/n1"),
        under: || {
            let mut world = guarded();
            guard_saw(&mut world, "n2", Sight::Watching { supervisor: 1 });
            guard_saw(&mut world, "n3", Sight::Unwatched { supervisor: 1 });
            world
        },
        straw: |world| guard_saw(world, "n2", Sight::Unwatched { supervisor: 1 }),
        says: code::SUPERVISOR_SILENT,
        declines: false,
        saw: &[],
        why: (
            "supervisor/n1",
            "guarded from n2 (it sees its agent, without a supervisor)",
        ),
    }
}

/// Three nodes that guard each other; web runs on n1, and both others watch it.
fn watched() -> World {
    let mut world = guarded();
    world
        .operate(wish("put web flaky on so-many:1 watched 2"))
        .unwrap();
    world.health_ok("web@n1");
    world
}

fn watcher_saw(world: &mut World, watcher: &str, sight: InstanceSight) {
    let instance = at("web@n1");
    let incarnation = world.graph().instance(&instance).unwrap().incarnation;
    let saw = Report::WatcherSaw {
        instance,
        incarnation,
        sight,
    };
    world.report(saw, watcher);
}

pub fn watch_spread() -> Story {
    Story {
        rule: "watch_spread",
        subject: |_| key("web@n1"),
        under: guarded,
        straw: |world| {
            world
                .operate(wish("put web flaky on so-many:1 watched 1"))
                .unwrap();
        },
        says: code::WATCHES_SPREAD,
        declines: false,
        saw: &["placement/web"],
        why: ("web@n1", "watched from n"),
    }
}

pub fn unseen() -> Story {
    Story {
        rule: "unseen",
        subject: |_| key("web@n1"),
        under: || {
            let mut world = watched();
            watcher_saw(&mut world, "n2", InstanceSight::NotReached);
            world
        },
        straw: |world| watcher_saw(world, "n3", InstanceSight::NoAnswer),
        says: code::UNSEEN,
        declines: false,
        saw: &["node/n2"],
        why: (
            "web@n1",
            "n2 does not reach its node, n3 gets no answer from it in time",
        ),
    }
}

pub fn unseen_is_seen_again() -> Story {
    Story {
        rule: "unseen",
        subject: |_| key("web@n1"),
        under: || {
            let mut world = watched();
            watcher_saw(&mut world, "n2", InstanceSight::NotReached);
            watcher_saw(&mut world, "n3", InstanceSight::NotReached);
            world
        },
        straw: |world| {
            let health = Health::Ok;
            watcher_saw(world, "n3", InstanceSight::Answers { health });
        },
        says: code::SEEN_AGAIN,
        declines: false,
        saw: &[],
        why: ("web@n1", "n3 (is told that it is ok)"),
    }
}

pub fn restart_host() -> Story {
    Story {
        rule: "restart_host",
        subject: |_| key("node/n1"),
        under: || {
            let mut world = guarded();
            hosts::set(&mut world, "fence", &["/bin/power", "off"]);
            world
                .operate(care_of("restart-host n1 it hangs").expect("it is one"))
                .unwrap();
            world.run();
            hosts::ran(&mut world, "n2", failed());
            world
        },
        // Guards are asked first, and there is no third.
        straw: |world| hosts::ran(world, "n3", failed()),
        says: code::HOST_NOT_RESTARTED,
        declines: false,
        saw: &[],
        why: ("node/n1", "host.fence failed at n3: exit code 1"),
    }
}

/// At most one, on n1, which was given up.
fn only_one_lost() -> World {
    let mut world = World::new();
    for node in NODES {
        world.up(node);
    }
    hosts::set(&mut world, "fence", &["/bin/power", "off"]);
    world
        .operate(wish("put web flaky on so-many:1 lease_ms 5000 fenced"))
        .unwrap();
    world.started("web@n1");
    world.gone("n1");
    world
}

pub fn fence() -> Story {
    Story {
        rule: "fence",
        subject: |_| key("node/n1"),
        under: || {
            let mut world = only_one_lost();
            world.wait_ms(29_000);
            world
        },
        straw: |world| world.wait_ms(2_000),
        says: code::HOST_FENCED,
        declines: false,
        saw: &["instance/web@n1"],
        why: (
            "node/n1",
            "web@n1 may still run, and is to be gone for certain",
        ),
    }
}

fn failed() -> HostOutcome {
    HostOutcome::Failed("exit code 1".to_owned())
}
