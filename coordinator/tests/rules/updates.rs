//! Stories of updates: a changed configuration on its way to the instances.

use mainstay_protocol::code;
use mainstay_protocol::health::RefusedStart;
use mainstay_protocol::report::Ending;

use super::Story;
use crate::harness::{World, key, wish};

/// Two instances, healthy with one configuration, and told of another.
fn updating() -> World {
    let mut world = World::new();
    world.up("n1");
    world.up("n2");
    world
        .operate(wish("put web flaky on n1,n2 {\"a\":1}"))
        .unwrap();
    for instance in ["web@n1", "web@n2"] {
        world.started(instance);
        world.health_ok(instance);
    }
    world.operate(wish("reconfigure web {\"a\":2}")).unwrap();
    world.ended("web@n1", Ending::Asked);
    world
}

pub fn rolling_update() -> Story {
    Story {
        rule: "rolling_update",
        subject: |_| key("web"),
        under: || {
            let mut world = updating();
            world.started("web@n1");
            world
        },
        straw: |world| world.health_ok("web@n1"),
        says: code::UPDATING,
        declines: false,
        saw: &["web@n1", "web@n2"],
        why: ("web@n2", "to be started again with config/"),
    }
}

pub fn rolling_update_goes_back() -> Story {
    Story {
        rule: "rolling_update",
        subject: |_| key("web"),
        // Twice is not often enough.
        under: || {
            let mut world = updating();
            for _ in 0..2 {
                world.could_not_start("web@n1", RefusedStart::NotNow, "the port is taken");
                world.wait_ms(2000);
            }
            world
        },
        straw: |world| {
            world.could_not_start("web@n1", RefusedStart::NotNow, "the port is still taken")
        },
        says: code::ROLLED_BACK,
        declines: false,
        saw: &["web@n1"],
        why: ("web", "the port is still taken"),
    }
}
