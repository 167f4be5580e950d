//! What follows from what people say of nodes.

use std::time::Duration;

use mainstay_coordinator::{NodeAct, Operation};
use mainstay_protocol::code;

use super::Story;
use super::stories::running;
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

pub fn maintenance() -> Story {
    Story {
        rule: "maintenance",
        subject: |_| key("node/n1"),
        under: || {
            let mut world = running();
            let act = NodeAct::Maintain {
                why: "a new disk".to_owned(),
                within: Some(Duration::from_secs(5)),
            };
            says(&mut world, act);
            world.panics("web@n1", "boom");
            world.wait_ms(4_990);
            world
        },
        straw: |world| world.wait_ms(20),
        says: code::MAINTENANCE_OVER,
        declines: false,
        saw: &[],
        why: ("web@n1", "incarnation 2"),
    }
}
