//! Bounds in bytes: a batch is split, thousands of instances change in entries that can be read, what fits none is refused.

mod runs;

use mainstay_coordinator::{Effect, Env, Event, Rule, Rules, Verdict, Watch};
use mainstay_protocol::health::{Evidence, FailureKind};
use mainstay_protocol::report::LiveState;
use mainstay_protocol::{InstanceKey, code, codec, limits};
use mainstay_resource_graph::{
    Cause, Failure, FailureCause, InstanceState, Key, Kind, Relation, Txn, View, ViewExt, slot_of,
};

use crate::harness::{World, at, declaration, start};

/// Bytes of the entries from a number on.
fn sizes(world: &World, from: usize) -> Vec<usize> {
    let entries = world.entries[from..].iter();
    entries.map(|entry| codec::encoded_len(&**entry)).collect()
}

// proves: S12
// case: services 52
#[test]
fn a_batch_that_writes_much_is_split() {
    let mut world = World::new();
    world.up("n1");
    world.hold();
    world.stop_in_line("none@n1");
    let before = world.entries.len();
    for number in 0..100 {
        let config = format!(
            "{{\"{number}\":\"{}\"}}",
            "x".repeat(limits::JSON_BYTES_MAX - 100)
        );
        world.ask(start("noisy", &format!("p{number}"), "n1", None, &config));
    }
    world.run();
    world.release();
    assert_eq!(world.graph().keys(Kind::Instance).len(), 100);
    assert_eq!(world.answers.len(), 101, "each is answered");
    let sizes = sizes(&world, before);
    assert!(
        sizes.len() >= 3,
        "100 configurations of 32 KiB in {sizes:?}"
    );
    let most = 2 * limits::STEP_BYTES_MAX + 2 * limits::JSON_BYTES_MAX;
    assert!(sizes.iter().all(|bytes| *bytes <= most), "{sizes:?}");
}

/// A node with as many instances as one may have, each with as much to say about its last failure as is kept.
fn crowded() -> World {
    let mut world = World::new();
    world.checks = false;
    world.up("n1");
    world.hold();
    for number in 0..limits::INSTANCES_PER_NODE_MAX {
        world.ask(start("noisy", &format!("p{number}"), "n1", None, ""));
        if number % 4096 == 0 {
            world.release();
            world.hold();
        }
    }
    world.release();
    let mut graph = world.graph().clone();
    let mut txn = graph.begin(world.log_now(), Cause::Start);
    for key in txn.keys(Kind::Instance) {
        talkative(&mut txn, &key);
    }
    for command in txn.keys(Kind::Command) {
        txn.remove(&command);
    }
    let delta = txn.finish();
    assert!(graph.apply(&delta).changed);
    for key in graph.keys(Kind::Instance) {
        let Key::Instance(at) = &key else { continue };
        let incarnation = graph.instance(at).unwrap().incarnation;
        let node = world.scripted("n1");
        node.open.clear();
        node.received.clear();
        node.set_live(at, incarnation, Some(LiveState::Running));
    }
    world.replace(graph);
    world.up("n1");
    world.wait_ms(61_000);
    world
}

fn talkative(txn: &mut Txn<'_>, key: &Key) {
    let Key::Instance(at) = key else { return };
    let words = "x".repeat(limits::EVIDENCE_BYTES_MAX);
    let wants = txn.linked(key, Relation::Wants).unwrap();
    txn.relink(key.clone(), Relation::Configured, wants)
        .unwrap();
    txn.unlink_all(key, Relation::Wants);
    let name = Key::Name(slot_of(at, &txn.instance(at).unwrap()));
    txn.link(key.clone(), Relation::Holds, name).unwrap();
    let now = txn.now();
    // Most of them waited for their turn.
    txn.update_instance(at, |instance| {
        if instance.state == InstanceState::Pending {
            instance.state = InstanceState::Starting;
            instance.incarnation = instance.incarnation.next();
        }
    })
    .unwrap();
    txn.update_instance(at, |instance| {
        instance.ran_with = instance.wanted.take();
        instance.state = InstanceState::Running;
        instance.reason = None;
        instance.deadline = None;
        instance.version = Some("1.0.0".to_owned());
        instance.refusals.clear();
        instance.health_detail.clone_from(&words);
        instance.failure = Some(Failure {
            at: now,
            incarnation: instance.incarnation,
            cause: FailureCause::Failed(FailureKind::Panic),
            evidence: Evidence {
                stderr_tail: words.clone(),
                ..Evidence::text(words)
            },
        });
    })
    .unwrap();
}

fn all_are(world: &World, wanted: fn(&InstanceState) -> bool) {
    for key in world.graph().keys(Kind::Instance) {
        let Key::Instance(at) = &key else { continue };
        let state = world.graph().instance(at).unwrap().state;
        assert!(wanted(&state), "{at} is {state:?}");
    }
}

// proves: S4, S12, S17
#[test]
fn ten_thousand_instances_of_one_node_go_and_come_back_in_entries_that_can_be_read() {
    let mut world = crowded();
    let before = world.entries.len();
    world.gone("n1");
    all_are(&world, |state| {
        matches!(state, InstanceState::Unknown { .. })
    });
    world.up("n1");
    all_are(&world, |state| *state == InstanceState::Running);
    let largest = sizes(&world, before).into_iter().max().unwrap();
    assert!(
        largest > limits::STEP_BYTES_MAX,
        "it was a crowd: {largest} bytes"
    );

    // Without its file: every one of them ended, and is started again, in its turn.
    let before = world.entries.len();
    world.agent_restarts("n1", false);
    let starting = world.graph().load_on(&"n1".parse().unwrap()).starting;
    assert_eq!(starting, limits::STARTS_PER_NODE_MAX);
    world.starts_all("n1");
    all_are(&world, |state| *state == InstanceState::Running);
    let node = world.scripted("n1");
    assert_eq!(node.received.len(), limits::INSTANCES_PER_NODE_MAX);
    let entries = &world.entries[before..];
    let most = entries.iter().map(|entry| entry.decisions.len()).max();
    assert!(
        most <= Some(limits::STEP_DECISIONS_MAX),
        "{most:?} decisions"
    );

    world.replica_is_equal();
}

// proves: S12, S21
#[test]
fn an_event_that_fits_no_entry_is_refused_and_changes_nothing() {
    let mut world = World::new();
    world.up("n1");
    let mut up = world.scripted("n2").node_up();
    let schema = "x".repeat(limits::JSON_BYTES_MAX);
    for number in 0..1000 {
        let mut declared = declaration(&format!("t{number}"));
        declared.schema.clone_from(&schema);
        up.provides.push(declared);
    }
    let minted = world.scripted("n2").minted();
    let up = Box::new(up);
    world
        .core
        .enqueue(Event::NodeUp { up, minted }, None)
        .unwrap();
    world.start("flaky", "web", "n1").unwrap();
    let refusal = world.seen.iter().find_map(|effect| match effect {
        Effect::Deny { refusal, .. } => Some(refusal.clone()),
        _ => None,
    });
    let refusal = refusal.expect("the agent is told");
    assert_eq!(refusal.code, code::ENTRY_TOO_LARGE);
    assert!(refusal.text.contains("bytes at once"), "{}", refusal.text);
    assert_eq!(world.graph().keys(Kind::Node).len(), 1);
    assert_eq!(
        world.state("web@n1"),
        InstanceState::Starting,
        "the others go on"
    );
}

/// Writes without measure.
struct Torrent;

impl Rule for Torrent {
    const NAME: &'static str = "torrent";
    type Subject = InstanceKey;

    fn watches() -> Watch {
        Watch::instances(|instance| {
            instance.state == InstanceState::Running && instance.health_detail.is_empty()
        })
    }

    fn judge(subject: InstanceKey, txn: &mut Txn<'_>, _env: &Env) -> Verdict {
        txn.update_instance(&subject, |instance| {
            instance.health_detail = "x".repeat(limits::JUDGEMENT_BYTES_MAX);
        })
        .unwrap();
        Verdict::did(code::WANTED, "much")
    }
}

// proves: S12, S21
#[test]
fn a_rule_that_writes_without_measure_is_parked_for_its_subject() {
    let mut world = World::with(Rules::shipped().with::<Torrent>());
    world.up("n1");
    world.start("flaky", "web", "n1").unwrap();
    world.started("web@n1");
    assert_eq!(world.instance("web@n1").health_detail, "");
    let codes: Vec<_> = world
        .decisions()
        .filter(|decision| decision.rule == "torrent")
        .map(|decision| decision.outcome.code().clone())
        .collect();
    assert_eq!(codes, [code::ENTRY_TOO_LARGE]);
    assert_eq!(world.parked().len(), 1);
    world.panics(&at("web@n1").to_string(), "boom");
    assert_eq!(world.state("web@n1"), InstanceState::Starting);
}
