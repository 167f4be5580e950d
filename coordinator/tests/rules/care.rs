//! What follows from what people say of nodes.

use mainstay_coordinator::{NodeAct, Operation};
use mainstay_protocol::code;

use super::Story;
use super::stories::running;
use crate::harness::care;
use crate::harness::wishes::operation;
use crate::harness::{World, key};

fn says(world: &mut World, act: NodeAct) {
    world.ask(Operation::Node {
        node: "n1".parse().unwrap(),
        act,
        by: "ada".to_owned(),
    });
    world.run();
}

pub fn drain() -> Story {
    Story {
        rule: "drain",
        subject: |_| key("node/n1"),
        under: running,
        straw: |world| {
            let why = "a new disk".to_owned();
            says(world, NodeAct::Drain { why, force: true });
        },
        says: code::NODE_DRAINED,
        declines: false,
        saw: &["web@n1"],
        why: ("web@n1", "n1 is drained, by ada: a new disk"),
    }
}

pub fn moves() -> Story {
    Story {
        rule: "move",
        subject: |_| key("placement/web"),
        under: || {
            let mut world = running();
            world.operate(operation("move web@n1 to n2")).unwrap();
            world.started("web@n2");
            // It has to be well for two seconds.
            world.health_ok("web@n2");
            world.wait_ms(1_990);
            world
        },
        straw: |world| world.wait_ms(20),
        says: code::MOVED,
        declines: false,
        saw: &["web@n1", "web@n2"],
        why: ("web@n1", "stopping on request"),
    }
}

pub fn node_lost() -> Story {
    Story {
        rule: "node_lost",
        subject: |_| key("node/n1"),
        under: || {
            let mut world = running();
            world.gone("n1");
            world.wait_ms(29_990);
            world
        },
        straw: |world| world.wait_ms(20),
        says: code::NODE_LOST,
        declines: false,
        saw: &["web@n1"],
        why: ("web@n1", "its node is lost: its agent's session closed"),
    }
}

pub fn singleton_lease() -> Story {
    Story {
        rule: "singleton_lease",
        subject: |_| key("db@n2"),
        under: || {
            let mut world = World::new();
            world.up("n1");
            world.up("n2");
            world
                .operate(operation("put db noisy on so-many:1 lease_ms 60000"))
                .unwrap();
            world.started("db@n1");
            world.gone("n1");
            world.wait_ms(29_990);
            world
        },
        straw: |world| world.wait_ms(20),
        says: code::LEASE_HELD,
        declines: true,
        saw: &["db@n1"],
        why: ("db@n2", "its lease is not renewed any more"),
    }
}

pub fn storm_brake() -> Story {
    Story {
        rule: "storm_brake",
        subject: |_| key("cluster"),
        under: || {
            let mut world = running();
            world.gone("n2");
            world
        },
        straw: |world| world.gone("n1"),
        says: code::NODES_HELD,
        declines: false,
        saw: &["node/n1", "node/n2"],
        why: ("cluster", "probably the network, or the station itself"),
    }
}

pub fn placement_maintenance() -> Story {
    Story {
        rule: "placement_maintenance",
        subject: |_| key("placement/web"),
        under: || all_but_over("maintain placement/web for 5s a new version"),
        ..maintenance()
    }
}

pub fn maintenance() -> Story {
    Story {
        rule: "maintenance",
        subject: |_| key("node/n1"),
        under: || all_but_over("maintain n1 for 5s a new disk"),
        straw: |world| world.wait_ms(20),
        says: code::MAINTENANCE_OVER,
        declines: false,
        saw: &[],
        why: ("web@n1", "incarnation 2"),
    }
}

/// What fails meanwhile is left as it is.
fn all_but_over(line: &str) -> World {
    let mut world = running();
    world.ask(care::operation(line).unwrap());
    world.run();
    world.panics("web@n1", "boom");
    world.wait_ms(4_990);
    world
}
