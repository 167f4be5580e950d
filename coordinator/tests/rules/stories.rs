//! One story for each thing a rule does.

use mainstay_protocol::code;
use mainstay_protocol::command::Order;
use mainstay_protocol::health::{FailureKind, RefusedStart};
use mainstay_protocol::report::{Ending, Presence};
use mainstay_resource_graph::Key;

use super::Story;
pub use super::care::{
    drain, maintenance, moves, node_lost, placement_maintenance, singleton_lease, storm_brake,
};
pub use super::peers::{
    fence, guard_spread, isolation, node_suspect, restart_host, supervisor_lost, unseen,
    unseen_is_seen_again, watch_spread,
};
pub use super::updates::*;
pub use super::words::*;
pub use super::work::{
    artifact_left, hand_out, hand_out_finds_no_input, run_over, step_due, step_lost, undo,
    undo_ends, undo_fails,
};
use crate::harness::{World, key, wish};

fn web(_: &World) -> Key {
    key("web@n1")
}

fn other(_: &World) -> Key {
    key("other@n1")
}

/// `flaky` runs as web@n1, and n2 is there too.
pub fn running() -> World {
    let mut world = World::new();
    world.up("n1");
    world.up("n2");
    world.start("flaky", "web", "n1").unwrap();
    world.started("web@n1");
    world
}

/// It was ordered to start, and the node is silent about it.
fn starting() -> World {
    let mut world = World::new();
    world.up("n1");
    world.start("flaky", "web", "n1").unwrap();
    world
}

/// Failed until every attempt is used, and running once more.
fn last_attempt() -> World {
    let mut world = running();
    for _ in 0..5 {
        world.panics("web@n1", "boom");
        world.wait_ms(12_000);
        world.started("web@n1");
    }
    world
}

fn backing_off() -> World {
    let mut world = running();
    world.panics("web@n1", "boom");
    world.started("web@n1");
    world.panics("web@n1", "boom");
    let due = world.instance("web@n1").next_try.unwrap();
    let left = due.0 - world.log_now().0;
    world.wait(std::time::Duration::from_micros(left - 900));
    world
}

fn a_moment(world: &mut World) {
    world.wait_ms(1);
}

pub fn place() -> Story {
    Story {
        rule: "place",
        subject: |_| key("web"),
        under: || {
            let mut world = World::new();
            world.up("n1");
            world.start("noisy", "web", "all").unwrap();
            world
        },
        straw: |world| world.up("n2"),
        says: code::WANTED,
        declines: false,
        saw: &[],
        why: ("web", "web@n2"),
    }
}

pub fn node_return() -> Story {
    Story {
        rule: "node_return",
        subject: web,
        under: || {
            let mut world = running();
            world.gone("n1");
            world.scripted("n1").restart(false);
            world
        },
        straw: |world| world.up("n1"),
        says: code::AGENT_ENDED,
        declines: false,
        saw: &[],
        why: ("web@n1", "the agent of n1 ended and came back"),
    }
}

pub fn node_return_after_a_stop() -> Story {
    Story {
        rule: "node_return",
        subject: web,
        under: || {
            let mut world = running();
            world.stop("web@n1").unwrap();
            world.gone("n1");
            world.scripted("n1").restart(false);
            world
        },
        straw: |world| world.up("n1"),
        says: code::AGENT_ENDED,
        declines: false,
        saw: &[],
        why: ("web@n1", "while it was to be stopped"),
    }
}

pub fn could_not_start() -> Story {
    Story {
        rule: "could_not_start",
        subject: web,
        // Not now is no refusal for good.
        under: || {
            let mut world = starting();
            world.could_not_start("web@n1", RefusedStart::NotNow, "the port is taken");
            world
        },
        straw: |world| {
            world.could_not_start("web@n1", RefusedStart::Config, "greeting must be a text")
        },
        says: code::CONFIG_REFUSED,
        declines: true,
        saw: &[],
        why: ("web@n1", "greeting must be a text"),
    }
}

pub fn quarantine() -> Story {
    Story {
        rule: "quarantine",
        subject: web,
        under: last_attempt,
        straw: |world| world.panics("web@n1", "the last"),
        says: code::RESTART_BUDGET_USED,
        declines: false,
        saw: &[],
        why: ("web@n1", "5 restarts within 600 s used up"),
    }
}

pub fn restart_at_once() -> Story {
    Story {
        rule: "restart",
        subject: web,
        under: running,
        straw: |world| world.panics("web@n1", "the first boom"),
        says: code::RESTARTED_AT_ONCE,
        declines: false,
        saw: &["type/flaky", "node/n1"],
        why: ("web@n1", "the first boom"),
    }
}

pub fn restart_waits() -> Story {
    Story {
        rule: "restart",
        subject: web,
        under: || {
            let mut world = running();
            world.panics("web@n1", "boom");
            world.started("web@n1");
            world
        },
        straw: |world| world.panics("web@n1", "boom again"),
        says: code::BACKOFF,
        declines: false,
        saw: &["type/flaky"],
        why: ("web@n1", "attempt 2 of 5 in 1."),
    }
}

pub fn restart_after_backoff() -> Story {
    Story {
        rule: "restart",
        subject: web,
        under: backing_off,
        straw: a_moment,
        says: code::BACKOFF,
        declines: false,
        saw: &["node/n1"],
        why: ("web@n1", "incarnation 3; its answer"),
    }
}

pub fn restart_with_its_agent() -> Story {
    Story {
        rule: "restart",
        subject: web,
        // Its attempts are used up, and that its agent ends is not its fault: another began after it.
        under: || {
            let mut world = last_attempt();
            world.start("noisy", "later", "n1").unwrap();
            world.started("later@n1");
            world
        },
        straw: |world| {
            world.failed(
                "web@n1",
                FailureKind::AgentEnded,
                Presence::Gone,
                "the agent was killed",
            )
        },
        says: code::AGENT_ENDED,
        declines: false,
        saw: &["node/n1"],
        why: ("web@n1", "the agent was killed"),
    }
}

pub fn restart_declines_a_clean_end() -> Story {
    Story {
        rule: "restart",
        subject: web,
        under: running,
        straw: |world| world.ended("web@n1", Ending::ByItself),
        says: code::NO_RESTART,
        declines: true,
        saw: &["type/flaky"],
        why: ("web@n1", "ended cleanly by itself"),
    }
}

pub fn start_deadline() -> Story {
    Story {
        rule: "start_deadline",
        subject: web,
        // The service has its 30 s, and the answer two more.
        under: || {
            let mut world = starting();
            world.wait_ms(31_999);
            world
        },
        straw: a_moment,
        says: code::START_DEADLINE,
        declines: false,
        saw: &["type/flaky"],
        why: ("web@n1", "said nothing within its start deadline"),
    }
}

pub fn unresponsive() -> Story {
    Story {
        rule: "unresponsive",
        subject: web,
        under: || {
            let mut world = running();
            world.misses("web@n1", 1, "no answer");
            world.misses("web@n1", 2, "no answer");
            world
        },
        straw: |world| world.misses("web@n1", 3, "it is spinning"),
        says: code::UNRESPONSIVE,
        declines: false,
        saw: &["type/flaky"],
        why: ("web@n1", "it is spinning"),
    }
}

pub fn stop_by_wish() -> Story {
    Story {
        rule: "stop",
        subject: web,
        under: running,
        straw: |world| assert!(world.stop("web@n1").unwrap().changed),
        says: code::STOPPED_BY_OPERATOR,
        declines: false,
        saw: &["type/flaky"],
        why: ("web@n1", "stopping on request"),
    }
}

pub fn stop_of_what_failed() -> Story {
    Story {
        rule: "stop",
        subject: web,
        under: running,
        straw: |world| {
            world.failed(
                "web@n1",
                FailureKind::Reported,
                Presence::Living,
                "the disk is on fire",
            )
        },
        says: code::REPORTED_FAILURE,
        declines: false,
        saw: &["type/flaky"],
        why: ("web@n1", "the disk is on fire"),
    }
}

pub fn stop_escalate() -> Story {
    Story {
        rule: "stop_escalate",
        subject: web,
        // The service has its 10 s, and the answer two more.
        under: || {
            let mut world = running();
            world.stop("web@n1").unwrap();
            world.wait_ms(11_999);
            world
        },
        straw: a_moment,
        says: code::STOPPING,
        declines: false,
        saw: &[],
        why: ("web@n1", "stop_escalate will say"),
    }
}

pub fn stop_escalate_gives_up() -> Story {
    Story {
        rule: "stop_escalate",
        subject: web,
        under: || {
            let mut world = running();
            world.stop("web@n1").unwrap();
            world.wait_ms(12_000);
            world.wait_ms(3_999);
            world
        },
        straw: a_moment,
        says: code::WILL_NOT_END,
        declines: false,
        saw: &[],
        why: ("web@n1", "answered neither a stop nor a kill"),
    }
}

pub fn start() -> Story {
    Story {
        rule: "start",
        subject: web,
        under: || {
            let mut world = World::new();
            world.up("n1");
            world.gone("n1");
            world.start("flaky", "web", "n1").unwrap();
            world
        },
        straw: |world| world.up("n1"),
        says: code::WANTED,
        declines: false,
        saw: &["node/n1", "type/flaky", "web"],
        why: ("web@n1", "incarnation 1; its answer"),
    }
}

pub fn start_waits_for_its_node() -> Story {
    Story {
        rule: "start",
        subject: web,
        under: || {
            let mut world = World::new();
            world.up("n1");
            world.gone("n1");
            world
        },
        straw: |world| assert!(world.start("flaky", "web", "n1").is_ok()),
        says: code::WAITING_FOR_NODE,
        declines: true,
        saw: &[],
        why: ("web@n1", "its agent's session closed"),
    }
}

pub fn start_waits_for_its_type() -> Story {
    Story {
        rule: "start",
        subject: web,
        under: || {
            let mut world = World::new();
            world.scripted("n1").types = ["greeter".to_owned()].into();
            world.up("n1");
            world.up("n2");
            world
        },
        straw: |world| assert!(world.start("flaky", "web", "n1").is_ok()),
        says: code::TYPE_NOT_PROVIDED,
        declines: true,
        saw: &["node/n1"],
        why: ("web@n1", "does not have the type flaky"),
    }
}

pub fn name_conflict() -> Story {
    Story {
        rule: "name_conflict",
        subject: other,
        under: || {
            let mut world = World::new();
            world.up("n1");
            world.start("greeter", "web", "n1").unwrap();
            world.started("web@n1");
            world
        },
        straw: |world| assert!(world.start("twin", "other", "n1").is_ok()),
        says: code::NAME_HELD,
        declines: false,
        saw: &["web@n1", "name/n1/greeter"],
        why: ("other@n1", "held by web@n1"),
    }
}

pub fn name_conflict_ends() -> Story {
    Story {
        rule: "name_conflict",
        subject: other,
        // Stopping, the holder still holds it.
        under: || {
            let mut world = (name_conflict().under)();
            world.start("twin", "other", "n1").unwrap();
            world.stop("web@n1").unwrap();
            world
        },
        straw: |world| world.ended("web@n1", Ending::Asked),
        says: code::NAME_FREED,
        declines: false,
        saw: &[],
        why: ("other@n1", "incarnation 1; its answer"),
    }
}

pub fn command_resend() -> Story {
    Story {
        rule: "command_resend",
        subject: |world| {
            let open = world.open_commands();
            open.into_iter()
                .find(|(_, command)| matches!(command.order, Order::Start(_)))
                .expect("it is open")
                .0
        },
        under: || {
            let mut world = starting();
            world.wait_ms(1999);
            world
        },
        straw: a_moment,
        says: code::RESENT,
        declines: false,
        saw: &["node/n1"],
        why: ("", "sent 2 times"),
    }
}

pub fn place_leaves() -> Story {
    Story {
        rule: "place",
        subject: |_| key("web"),
        under: running,
        straw: |world| {
            world.operate(wish("delete web")).unwrap();
        },
        says: code::NOT_WANTED,
        declines: false,
        saw: &["web@n1"],
        why: ("web@n1", "stopping on request"),
    }
}

pub fn retire() -> Story {
    Story {
        rule: "retire",
        subject: web,
        under: || {
            let mut world = running();
            world.operate(wish("put web flaky on n2")).unwrap();
            world
        },
        straw: |world| world.ended("web@n1", Ending::Asked),
        says: code::NOT_WANTED,
        declines: false,
        saw: &[],
        why: ("web@n1", "does not exist"),
    }
}

pub fn reconfigure() -> Story {
    Story {
        rule: "reconfigure",
        subject: web,
        under: running,
        straw: |world| {
            world
                .operate(wish("put web flaky on n1 {\"stop_ms\":1}"))
                .unwrap();
        },
        says: code::RECONFIGURING,
        declines: false,
        saw: &[],
        why: ("web@n1", "to be started again with config/"),
    }
}

pub fn dependency_gate() -> Story {
    Story {
        rule: "dependency_gate",
        subject: web,
        under: || {
            let mut world = running();
            world
                .operate(wish(
                    "apply put db noisy on n2 + put web flaky on n1 depends db",
                ))
                .unwrap();
            world
        },
        // What runs is left alone when a dependency is not there; its next start waits.
        straw: |world| world.panics("web@n1", "boom"),
        says: code::DEPENDENCY_NOT_READY,
        declines: false,
        saw: &["web", "db@n2"],
        why: ("web@n1", "waits until db is healthy"),
    }
}

pub fn dependency_gate_opens() -> Story {
    Story {
        rule: "dependency_gate",
        subject: web,
        under: || {
            let mut world = World::new();
            world.up("n1");
            world
                .operate(wish(
                    "apply put db noisy on n1 + put web flaky on n1 depends db",
                ))
                .unwrap();
            world.started("db@n1");
            world
        },
        straw: |world| world.health_ok("db@n1"),
        says: code::WANTED,
        declines: false,
        saw: &["web", "db@n1"],
        why: ("web@n1", "its answer is awaited"),
    }
}

pub fn stop_in_reverse_order() -> Story {
    Story {
        rule: "stop",
        subject: |_| key("db@n1"),
        under: || {
            let mut world = World::new();
            world.up("n1");
            world
                .operate(wish(
                    "apply put db noisy on n1 + put web flaky on n1 depends db:started",
                ))
                .unwrap();
            world.started("db@n1");
            world.started("web@n1");
            world.stop("web@n1").unwrap();
            world
        },
        straw: |world| {
            world.stop("db@n1").unwrap();
        },
        says: code::WAITS_FOR_DEPENDENTS,
        declines: true,
        saw: &["web@n1"],
        why: ("db@n1", "when web@n1 has ended"),
    }
}
