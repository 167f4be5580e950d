//! Stories of what instances say of their own accord, of strays, of groups, of procedures.

use std::time::Duration;

use mainstay_coordinator::procedure::id_of;
use mainstay_coordinator::{Env, Next, Procedure, Rules, Turn, Watch};
use mainstay_protocol::report::{Manner, Report, TypedFailure};
use mainstay_protocol::{InstanceKey, QuestionId, code};
use mainstay_resource_graph::{InstanceState, Key, Kind, Txn};

use super::Story;
use crate::harness::{World, at, key, wish};

fn node(_: &World) -> Key {
    key("node/n1")
}

fn web(_: &World) -> Key {
    key("web@n1")
}

/// `pliant` runs as web@n1.
fn running() -> World {
    let mut world = World::new();
    world.up("n1");
    world.start("pliant", "web", "n1").unwrap();
    world.started("web@n1");
    world
}

/// The node's agent was away, and has something by now that nobody here started.
fn with_stray(count: u64) -> World {
    let mut world = World::new();
    world.up("n1");
    world.gone("n1");
    world.runs_stray(&at("web@n1"), count);
    world
}

pub fn stray() -> Story {
    Story {
        rule: "stray",
        subject: node,
        under: || with_stray(3),
        straw: |world| world.up("n1"),
        says: code::STRAY,
        declines: false,
        saw: &[],
        why: ("node/n1", "no placement asks for it"),
    }
}

pub fn stray_is_taken_in() -> Story {
    Story {
        rule: "stray",
        subject: node,
        under: || {
            let mut world = with_stray(3);
            world.up("n1");
            world
        },
        straw: |world| {
            world.start("flaky", "web", "n1").unwrap();
        },
        says: code::ADOPTED,
        declines: false,
        saw: &[],
        why: ("web@n1", "its node is asked about it"),
    }
}

fn asking() -> World {
    let mut world = running();
    let report = Report::Asked {
        instance: at("web@n1"),
        incarnation: world.incarnation("web@n1"),
        question: QuestionId(1),
        failure: TypedFailure {
            name: "disk-full".to_owned(),
            body: "{}".to_owned(),
        },
        deadline_ms: 5000,
    };
    world.report(report, "n1");
    world
}

fn question(world: &World) -> Key {
    world
        .entries
        .iter()
        .flat_map(|entry| &entry.delta.changes)
        .find_map(|change| match change {
            mainstay_resource_graph::Change::Put(record) if record.key.kind() == Kind::Asked => {
                Some(record.key.clone())
            }
            _ => None,
        })
        .expect("it has asked")
}

pub fn asked() -> Story {
    Story {
        rule: "asked",
        subject: question,
        under: asking,
        straw: |world| world.wait_ms(5000),
        says: code::NOT_ANSWERED,
        declines: false,
        saw: &["web@n1"],
        why: ("web@n1", "nobody answered it in time"),
    }
}

pub fn asked_by_what_is_gone() -> Story {
    Story {
        rule: "asked",
        subject: question,
        under: asking,
        straw: |world| world.panics("web@n1", "boom"),
        says: code::ASKED,
        declines: false,
        saw: &["web@n1"],
        why: ("web@n1", "boom"),
    }
}

pub fn release() -> Story {
    Story {
        rule: "release",
        subject: web,
        under: || {
            let mut world = running();
            let Key::Resource(resource) = key("resource/disk/sda") else {
                unreachable!("it is written so")
            };
            let report = Report::Acquired {
                instance: at("web@n1"),
                incarnation: world.incarnation("web@n1"),
                question: QuestionId(1),
                resource,
                manner: Manner::Alone,
            };
            world.report(report, "n1");
            world
        },
        straw: |world| world.panics("web@n1", "boom"),
        says: code::RESOURCES_FREED,
        declines: false,
        saw: &["resource/disk/sda"],
        why: ("web@n1", "boom"),
    }
}

pub fn restart_group() -> Story {
    Story {
        rule: "restart_group",
        subject: web,
        under: || {
            let mut world = World::new();
            world.up("n1");
            for name in ["db", "web"] {
                let put = format!("put {name} pliant on n1 group shop");
                world.operate(wish(&put)).unwrap();
                world.started(&format!("{name}@n1"));
            }
            world.wait_ms(1);
            world
        },
        straw: |world| world.panics("db@n1", "boom"),
        says: code::RESTART_TOGETHER,
        declines: false,
        saw: &["db@n1", "web"],
        why: ("web@n1", "the group shop restarts together"),
    }
}

/// Waits a minute over everything that is quarantined.
struct Mourning;

impl Procedure for Mourning {
    const NAME: &'static str = "mourning";
    type Subject = InstanceKey;
    type Step = u32;

    fn watches() -> Watch {
        Watch::instances(|instance| instance.state == InstanceState::Quarantined)
    }

    fn begin(_: InstanceKey, _: &mut Txn<'_>, _: &Env) -> Next<u32> {
        Next::step(1, Duration::from_secs(60), "a minute of silence")
    }

    fn go_on(_: InstanceKey, _: u32, turn: Turn, _: &mut Txn<'_>, _: &Env) -> Next<u32> {
        match turn {
            Turn::Changed => Next::Stay,
            Turn::TimeIsUp => Next::end("it is over"),
        }
    }
}

pub fn procedure_over() -> Story {
    Story {
        rule: "procedure_over",
        subject: |_| Key::Procedure(id_of("mourning", &key("web@n1"))),
        under: || {
            let mut world = World::with(Rules::shipped().with_procedure::<Mourning>());
            world.up("n1");
            world.start("pliant", "web", "n1").unwrap();
            while world.state("web@n1") != InstanceState::Quarantined {
                match world.state("web@n1") {
                    InstanceState::Starting => world.started("web@n1"),
                    InstanceState::Running => world.panics("web@n1", "boom"),
                    _ => world.wait_ms(100),
                }
            }
            world
        },
        straw: |world| {
            world.operate(wish("delete web")).unwrap();
        },
        says: code::PROCEDURE_ENDED,
        declines: false,
        saw: &[],
        why: ("web@n1", "does not exist"),
    }
}
