//! What panics is set aside: a rule for one subject, an event alone; everything else goes on.

use mainstay_coordinator::{Effect, Env, Operation, Rule, Rules, Verdict, Watch};
use mainstay_protocol::{InstanceKey, Revision, Timestamp, code};
use mainstay_resource_graph::{
    Cause, Graph, InstanceState, Key, Name, NodeState, ParkedId, Record, Txn, Vertex, View, ViewExt,
};

use crate::harness::{World, decision_line, key, node_name, why_lines};

/// Panics on the *state* of one subject: whatever runs under the name `cursed`.
struct Fragile;

impl Rule for Fragile {
    const NAME: &'static str = "fragile";
    type Subject = InstanceKey;

    fn watches() -> Watch {
        Watch::instances(|instance| {
            instance.state == InstanceState::Running && instance.name.as_str() == "cursed"
        })
    }

    fn judge(subject: InstanceKey, txn: &mut Txn<'_>, _env: &Env) -> Verdict {
        txn.update_instance(&subject, |instance| instance.restart_asked = true)
            .unwrap();
        panic!("cannot stand {subject}");
    }
}

/// The same rule, mended.
struct Mended;

impl Rule for Mended {
    const NAME: &'static str = "fragile";
    type Subject = InstanceKey;

    fn watches() -> Watch {
        Fragile::watches()
    }

    fn judge(subject: InstanceKey, txn: &mut Txn<'_>, _env: &Env) -> Verdict {
        let blessed = "blessed".to_owned();
        if txn
            .instance(&subject)
            .is_some_and(|instance| instance.health_detail == blessed)
        {
            return Verdict::Nothing;
        }
        txn.update_instance(&subject, |instance| instance.health_detail = blessed)
            .unwrap();
        Verdict::did(code::WANTED, "stands it now")
    }
}

fn cursed_world() -> World {
    let mut world = World::with(Rules::shipped().with::<Fragile>());
    world.up("n1");
    world.start_holding("noisy", "web", "n1", "cursed").unwrap();
    world.start("flaky", "other", "n1").unwrap();
    world.started("web@n1");
    world
}

/// Who is stopped does not run any more: what was set aside for its running is of no concern.
// proves: S21
#[test]
fn what_was_parked_goes_when_its_subject_leaves_what_the_rule_watches() {
    let mut world = cursed_world();
    assert_eq!(world.parked().len(), 1);
    world.stop("web@n1").unwrap();
    assert_eq!(world.state("web@n1").as_str(), "Stopping");
    assert!(world.parked().is_empty(), "{:?}", world.parked());
}

fn panics_told(world: &World) -> usize {
    world
        .decisions()
        .filter(|decision| *decision.outcome.code() == code::RULE_PANICKED)
        .count()
}

fn only_parked(world: &World) -> ParkedId {
    match world.parked().as_slice() {
        [Key::Parked(id)] => id.clone(),
        other => panic!("one is parked, not {other:?}"),
    }
}

// proves: S21
// acceptance: 7
#[test]
fn a_rule_that_panics_is_parked_for_its_subject_and_disturbs_nothing_else() {
    let mut world = cursed_world();
    assert_eq!(panics_told(&world), 1);
    let told = world.decisions().last().map(decision_line).unwrap();
    assert!(
        told.contains("fragile web@n1: declined MS-RULE-PANICKED: cannot stand web@n1"),
        "{told}"
    );
    assert!(
        !world.instance("web@n1").restart_asked,
        "what it wrote is undone"
    );

    let why = why_lines(&world, &key("web@n1")).join("\n");
    assert!(
        why.contains("the rule fragile is set aside for web@n1: cannot stand web@n1"),
        "{why}"
    );
    assert!(why.contains("mainstay parked show"), "{why}");

    // The others are judged, in the same step too, and so is the subject by other rules.
    world.started("other@n1");
    world.panics("other@n1", "boom");
    assert_eq!(world.state("other@n1"), InstanceState::Starting);
    world.stop("web@n1").unwrap();
    assert_eq!(world.received("web@n1"), ["start 1", "stop 1"]);
}

// proves: S21, S24
// acceptance: 7
#[test]
fn it_stays_parked_under_the_next_leader_until_it_is_requeued() {
    let mut world = cursed_world();
    world.fail_over_with_sessions();
    world.wait_ms(20_000);
    assert_eq!(
        panics_told(&world),
        1,
        "not judged again at leadership start"
    );
    let parked = only_parked(&world);

    // Still broken: it is judged again, and parked again.
    world
        .operate(Operation::Requeue {
            parked: parked.clone(),
        })
        .unwrap();
    assert_eq!(panics_told(&world), 2);
    assert_eq!(only_parked(&world), parked);

    // A station with the mended rule.
    world.rules = Rules::shipped().with::<Mended>();
    world.fail_over_with_sessions();
    assert_eq!(only_parked(&world), parked);
    let answer = world.operate(Operation::Requeue { parked }).unwrap();
    assert!(answer.changed);
    assert_eq!(world.parked(), []);
    assert_eq!(world.instance("web@n1").health_detail, "blessed");
}

// proves: S21
#[test]
fn it_is_judged_again_when_its_subject_changes() {
    let mut world = cursed_world();
    world.health_ok("web@n1");
    assert_eq!(panics_told(&world), 2);
    assert_eq!(world.parked().len(), 1);
}

// proves: S21
#[test]
fn a_dropped_rule_is_judged_again_like_any_other() {
    let mut world = cursed_world();
    world.rules = Rules::shipped().with::<Mended>();
    world.fail_over_with_sessions();
    let parked = only_parked(&world);
    world
        .operate(Operation::Drop {
            parked: parked.clone(),
        })
        .unwrap();
    assert_eq!(world.parked(), []);
    assert_eq!(world.instance("web@n1").health_detail, "blessed");
    let again = world.operate(Operation::Drop { parked }).unwrap_err();
    assert_eq!(again.code, code::NOT_FOUND);
}

/// Says ping.
struct Ping;

impl Rule for Ping {
    const NAME: &'static str = "ping";
    type Subject = InstanceKey;

    fn watches() -> Watch {
        Watch::instances(|instance| {
            instance.state == InstanceState::Running && instance.health_detail != "ping"
        })
    }

    fn judge(subject: InstanceKey, txn: &mut Txn<'_>, _env: &Env) -> Verdict {
        txn.update_instance(&subject, |instance| {
            instance.health_detail = "ping".to_owned()
        })
        .unwrap();
        Verdict::did(code::WANTED, "ping")
    }
}

/// Will not have it.
struct Pong;

impl Rule for Pong {
    const NAME: &'static str = "pong";
    type Subject = InstanceKey;

    fn watches() -> Watch {
        Watch::instances(|instance| instance.health_detail == "ping")
    }

    fn judge(subject: InstanceKey, txn: &mut Txn<'_>, _env: &Env) -> Verdict {
        txn.update_instance(&subject, |instance| {
            instance.health_detail = "pong".to_owned()
        })
        .unwrap();
        Verdict::did(code::WANTED, "pong")
    }
}

// proves: S21
#[test]
fn two_rules_that_undo_each_other_are_both_parked_by_name() {
    let mut world = World::with(Rules::shipped().with::<Ping>().with::<Pong>());
    world.up("n1");
    world.start("flaky", "web", "n1").unwrap();
    world.start("noisy", "other", "n1").unwrap();
    world.started("web@n1");
    let told: Vec<String> = world
        .decisions()
        .filter(|decision| *decision.outcome.code() == code::RULES_OSCILLATE)
        .map(|decision| format!("{} {}", decision.rule, decision.subject))
        .collect();
    assert_eq!(told, ["ping web@n1", "pong web@n1"]);
    assert_eq!(world.parked().len(), 2);
    // It is over: nothing is written any more, and the other rules go on with the subject.
    let entries = world.entries.len();
    world.wait_ms(1500);
    assert_eq!(world.entries.len(), entries);
    world.stop("web@n1").unwrap();
    assert_eq!(world.received("web@n1"), ["start 1", "stop 1"]);
}

/// A graph with one record that cannot be: what happens to it panics in `record`.
fn broken_graph() -> Graph {
    let record = Record {
        key: key("broken@n1"),
        vertex: Vertex::Name(Name {}),
        since: Timestamp::ZERO,
        rev: Revision(0),
        cause: Cause::Start,
    };
    Graph::from_parts(Revision(0), [record], []).unwrap()
}

// proves: S21, S22
// case: services 51
#[test]
fn an_event_that_cannot_be_recorded_is_set_aside_and_can_be_put_back() {
    let mut world = World::broken(broken_graph());
    world.up("n1");
    let denied = world.seen.iter().any(|effect| {
        matches!(effect, Effect::Deny { refusal, .. } if refusal.code == code::EVENT_PARKED)
    });
    assert!(
        denied,
        "the agent is told, and does not wait for a welcome: {:?}",
        world.seen
    );
    only_parked(&world);

    // The others go on.
    world.up("n2");
    world.start("flaky", "web", "n2").unwrap();
    world.started("web@n2");
    assert_eq!(world.state("web@n2"), InstanceState::Running);

    // Put back while the graph is as it was: set aside once more.
    let parked = only_parked(&world);
    world.operate(Operation::Requeue { parked }).unwrap();
    let parked = only_parked(&world);
    assert!(world.graph().node(&node_name("n1")).is_none());

    // The graph is repaired: it is recorded after all.
    let graph = world.graph();
    let sound: Vec<Record> = graph
        .records()
        .filter(|record| record.key != key("broken@n1"))
        .map(|record| Record::clone(record))
        .collect();
    let repaired = Graph::from_parts(graph.revision(), sound, graph.edges()).unwrap();
    world.replace(repaired);
    world.checks = true;
    world.operate(Operation::Requeue { parked }).unwrap();
    assert_eq!(world.parked(), []);
    let node = world.graph().node(&node_name("n1")).unwrap();
    assert_eq!(node.state, NodeState::Online);
}

// proves: S21
#[test]
fn a_dropped_event_is_forgotten() {
    let mut world = World::broken(broken_graph());
    world.up("n1");
    let parked = only_parked(&world);
    let answer = world.operate(Operation::Drop { parked }).unwrap();
    assert_eq!(answer.text, "the event node_up is dropped");
    assert_eq!(world.parked(), []);
    assert!(world.graph().node(&node_name("n1")).is_none());
}
