//! Events and checks over the life of two instances that need one name.
#![allow(clippy::unwrap_used)] // helpers of tests too: the failing line is the explanation

mod world;

use mainstay_protocol::code::{self, Reason};
use mainstay_protocol::health::{Evidence, FailureKind, Health};
use mainstay_protocol::report::Presence;
use mainstay_resource_graph::event::derive;
use mainstay_resource_graph::{
    Cause, Desired, Event, Failure, FailureCause, Graph, InstanceState, Key, NodeState, Outbox,
    Relation, Txn, Vertex, View, check, traverse,
};

use world::{at, incarnation, key, name_of, seconds, small};

/// Applies what is written and tells it, a line each.
fn told(graph: &mut Graph, now: u64, cause: Cause, write: impl FnOnce(&mut Txn<'_>)) -> Vec<Event> {
    let mut txn = graph.begin(seconds(now), cause);
    write(&mut txn);
    let delta = txn.finish();
    let events = derive(|key| graph.record(key), &delta);
    assert!(graph.apply(&delta).changed);
    events
}

fn lines(events: &[Event]) -> Vec<String> {
    events
        .iter()
        .map(|event| format!("{}: {}", event.kind, event.message))
        .collect()
}

fn start(txn: &mut Txn<'_>, reference: &str, count: u64) {
    txn.update_instance(&at(reference), |instance| {
        instance.desired = Desired::Running;
        instance.state = InstanceState::Pending;
    })
    .unwrap();
    txn.update_instance(&at(reference), |instance| {
        instance.state = InstanceState::Starting;
        instance.incarnation = incarnation(count);
        instance.reason = Some(Reason::new(code::STARTING, ""));
        instance.deadline = Some(seconds(60));
    })
    .unwrap();
    txn.link(key(reference), Relation::Holds, name_of("n1", "web"))
        .unwrap();
}

fn run(txn: &mut Txn<'_>, reference: &str) {
    txn.update_instance(&at(reference), |instance| {
        instance.state = InstanceState::Running;
        instance.health = Health::Ok;
        instance.reason = None;
        instance.deadline = None;
    })
    .unwrap();
    txn.link(key(reference), Relation::Configured, key("config/aa"))
        .unwrap();
}

fn running() -> Graph {
    let mut graph = small();
    told(&mut graph, 2, Cause::Start, |txn| start(txn, "web@n1", 3));
    told(&mut graph, 3, Cause::Start, |txn| run(txn, "web@n1"));
    assert_eq!(check(&graph), []);
    graph
}

fn fail(txn: &mut Txn<'_>) {
    txn.update_instance(&at("web@n1"), |instance| {
        instance.state = InstanceState::Failed {
            presence: Presence::Gone,
        };
        instance.reason = Some(Reason::new(code::PANICKED, "panic: boom"));
        instance.failure = Some(Failure {
            at: seconds(4),
            incarnation: incarnation(3),
            cause: FailureCause::Failed(FailureKind::Panic),
            evidence: Evidence::text("boom"),
        });
    })
    .unwrap();
}

// proves: S6
#[test]
fn start_and_running_are_told_with_the_name_and_the_configuration() {
    let mut graph = small();
    let operator = Cause::Operator("start".to_owned());
    let events = told(&mut graph, 2, operator, |txn| start(txn, "web@n1", 3));
    assert_eq!(
        lines(&events),
        [
            "instance.wanted_running: web@n1 is wanted Running",
            "instance.starting: web@n1 is starting (incarnation 3)",
            "name.held: name/n1/web is held by web@n1",
        ]
    );
    assert!(
        events
            .iter()
            .all(|event| event.cause == "operator start" && event.rule.is_none())
    );
    let report = Cause::Report("started".to_owned());
    let events = told(&mut graph, 3, report, |txn| run(txn, "web@n1"));
    assert_eq!(
        lines(&events),
        [
            "instance.running: web@n1 is running (incarnation 3)",
            "instance.configured: web@n1 runs with config/aa",
        ]
    );
    assert_eq!(check(&graph), []);
}

#[test]
fn a_failure_and_its_restart_in_one_entry_are_both_told() {
    let mut graph = running();
    let events = told(&mut graph, 4, Cause::Report("failed".to_owned()), |txn| {
        fail(txn);
        txn.set_cause(Cause::Rule("restart".to_owned()));
        txn.update_instance(&at("web@n1"), |instance| {
            instance.state = InstanceState::Starting;
            instance.incarnation = incarnation(4);
            instance.deadline = Some(seconds(34));
        })
        .unwrap();
    });
    assert_eq!(
        lines(&events),
        [
            "instance.failed: web@n1 failed: panic: boom (incarnation 3)",
            "instance.starting: web@n1 is starting (incarnation 4): panic: boom",
        ]
    );
    let causes: Vec<&str> = events.iter().map(|event| event.cause.as_str()).collect();
    assert_eq!(
        causes,
        ["report failed", "rule restart"],
        "the rule answered the failure and did not make it"
    );
    assert_eq!(events[1].rule.as_deref(), Some("restart"));
    assert_eq!(events[1].data["from"], "Running");
    assert_eq!(check(&graph), []);
}

#[test]
fn a_failure_that_stands_is_told_once() {
    let mut graph = running();
    let events = told(&mut graph, 4, Cause::Report("failed".to_owned()), fail);
    assert_eq!(
        lines(&events),
        ["instance.failed: web@n1 failed: panic: boom (incarnation 3)"]
    );
    assert_eq!(events[0].cause, "report failed");
    assert_eq!(check(&graph), []);
}

#[test]
fn bookkeeping_and_refreshed_health_tell_nothing() {
    let mut graph = running();
    let events = told(
        &mut graph,
        4,
        Cause::Report("health_changed".to_owned()),
        |txn| {
            txn.update_instance(&at("web@n1"), |instance| {
                instance.health_detail = "42 requests".to_owned();
                instance.healthy_since = Some(seconds(4));
            })
            .unwrap();
            let outbox = Outbox {
                node_epoch: mainstay_protocol::NodeEpoch(1),
                watermark: mainstay_protocol::Sequence(9),
            };
            txn.put(key("outbox/n1"), Vertex::Outbox(outbox)).unwrap();
        },
    );
    assert_eq!(events, []);
}

// proves: S4
#[test]
fn a_name_that_passes_on_is_told_as_freed_and_held() {
    let mut graph = running();
    let name = name_of("n1", "web");
    told(&mut graph, 4, Cause::Start, |txn| {
        txn.link(key("rival@n1"), Relation::Waits, name.clone())
            .unwrap();
    });
    let events = told(&mut graph, 5, Cause::Rule("stop".to_owned()), |txn| {
        txn.update_instance(&at("web@n1"), |instance| {
            instance.state = InstanceState::Stopped { by_itself: true };
            instance.reason = Some(Reason::new(code::ENDED_BY_ITSELF, ""));
        })
        .unwrap();
        txn.unlink(&key("web@n1"), Relation::Holds, &name);
        txn.unlink(&key("rival@n1"), Relation::Waits, &name);
        start(txn, "rival@n1", 1);
    });
    assert_eq!(
        lines(&events),
        [
            "instance.wanted_running: rival@n1 is wanted Running",
            "instance.starting: rival@n1 is starting (incarnation 1)",
            "instance.stopped: web@n1 ended by itself",
            "name.freed: name/n1/web is free of web@n1",
            "name.held: name/n1/web is held by rival@n1",
        ]
    );
    assert_eq!(check(&graph), []);
}

#[test]
fn parts_of_the_runtime_are_told_too() {
    let mut graph = running();
    let session = Cause::Session("closed".to_owned());
    let events = told(&mut graph, 4, session, |txn| {
        txn.update_node(&at("web@n1").node, |node| {
            node.state = NodeState::Suspect;
            node.reason = Some(Reason::new(code::AGENT_DOWN, "its session closed"));
        })
        .unwrap();
        let stop = world::stop_command("web@n1", 3, Some(seconds(9)));
        txn.put(world::command(1), Vertex::Command(stop)).unwrap();
    });
    assert_eq!(
        lines(&events),
        [
            "node.suspect: node/n1 is not heard: its session closed",
            "command.decided: stop of web@n1 (incarnation 3) is decided",
        ]
    );
    let report = Cause::Report("command_done".to_owned());
    let events = told(&mut graph, 5, report, |txn| {
        txn.remove(&world::command(1));
        txn.remove(&key("rival"));
    });
    assert_eq!(
        lines(&events),
        [
            "placement.removed: rival is removed",
            "command.answered: stop of web@n1 is settled",
        ]
    );
}

/// Breaks a sound graph in one way, past the writes that would have refused it, and looks for the one problem.
#[track_caller]
fn broken(wanted: &str, spoil: impl FnOnce(&mut Vec<mainstay_resource_graph::Record>)) {
    let graph = running();
    let mut records: Vec<_> = graph.records().map(|record| (**record).clone()).collect();
    spoil(&mut records);
    let edges = graph.edges();
    let spoilt = Graph::from_parts(graph.revision(), records, edges).unwrap();
    let problems: Vec<String> = check(&spoilt).iter().map(ToString::to_string).collect();
    assert_eq!(problems, [wanted]);
}

fn web(
    records: &mut [mainstay_resource_graph::Record],
    spoil: impl FnOnce(&mut mainstay_resource_graph::Instance),
) {
    let record = records
        .iter_mut()
        .find(|record| record.key == key("web@n1"))
        .unwrap();
    match &mut record.vertex {
        Vertex::Instance(instance) => spoil(instance),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_state_without_a_reason_is_a_problem() {
    broken(
        "web@n1: is Degraded and wanted Running, without a reason",
        |records| {
            web(records, |instance| instance.state = InstanceState::Degraded);
        },
    );
}

#[test]
fn a_time_left_over_is_a_problem() {
    broken(
        "web@n1: is Running with a next try at 9.000000s",
        |records| {
            web(records, |instance| instance.next_try = Some(seconds(9)));
        },
    );
    broken("web@n1: is Running with a deadline", |records| {
        web(records, |instance| instance.deadline = Some(seconds(9)));
    });
}

#[test]
fn a_name_in_the_wrong_hands_is_a_problem() {
    broken("web@n1: is Quarantined and holds name/n1/web", |records| {
        web(records, |instance| {
            instance.state = InstanceState::Quarantined;
            instance.reason = Some(Reason::new(code::RESTART_BUDGET_USED, ""));
        });
    });
    broken(
        "web@n1: has to do with name/n1/web; its own is name/n1/else",
        |records| {
            web(records, |instance| instance.name = world::slot("else"));
        },
    );
}

#[test]
fn a_command_ahead_of_its_instance_is_a_problem() {
    broken(
        "command/1: names incarnation 4 of web@n1, which is at 3",
        |records| {
            let mut ahead = records[0].clone();
            ahead.key = world::command(1);
            ahead.vertex = Vertex::Command(world::stop_command("web@n1", 4, None));
            records.push(ahead);
        },
    );
}

#[test]
fn a_list_beyond_its_bound_is_a_problem() {
    broken("web@n1: attempts: 33 is more than 32", |records| {
        web(records, |instance| instance.attempts = vec![seconds(1); 33]);
    });
}

#[test]
fn what_stands_on_a_node_is_found_without_the_node_itself() {
    let graph = running();
    assert_eq!(
        traverse::blast_radius(&graph, &key("node/n1")),
        [key("rival@n1"), key("web@n1")]
    );
    assert_eq!(
        traverse::blast_radius(&graph, &key("type/web")),
        [key("rival"), key("web"), key("rival@n1"), key("web@n1")]
    );
    assert_eq!(
        traverse::dependents(&graph, &name_of("n1", "web")),
        [Key::Instance(at("web@n1"))]
    );
    assert_eq!(
        traverse::dependents(&graph, &key("config/aa")),
        [key("web@n1")]
    );
}
