//! Anything may happen, in any order: the world looks at every invariant after every committed entry.

mod acts;
mod sights;
mod words;
mod work;

use std::collections::BTreeMap;
use std::time::Duration;

use mainstay_coordinator::{Env, Next, Procedure, Rule, Rules, Turn, Verdict, Watch, room};
use mainstay_protocol::{InstanceKey, code};
use mainstay_resource_graph::{Graph, InstanceState, Key, Kind, Txn, View, ViewExt, Waits};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{FileFailurePersistence, TestRunner};

use self::acts::{Act, act, carry_out, settle};
use crate::explain::sensible;
use crate::harness::{World, hosts, rules_of};

/// A user's rule that cannot stand one kind of health.
struct Moody;

impl Rule for Moody {
    const NAME: &'static str = "moody";
    type Subject = InstanceKey;

    fn watches() -> Watch {
        Watch::instances(|instance| instance.state == InstanceState::Degraded)
    }

    fn judge(subject: InstanceKey, txn: &mut Txn<'_>, _env: &Env) -> Verdict {
        let detail = txn
            .instance(&subject)
            .map(|instance| instance.health_detail);
        if detail.as_deref() == Some("curse") {
            txn.update_instance(&subject, |instance| instance.restart_asked = true)
                .unwrap();
            panic!("a curse on {subject}");
        }
        Verdict::declined(code::WITHIN_BUDGET, "it is only a mood")
    }
}

/// Two steps over what fails: it begins, and ends by its time or by a start.
struct Patience;

impl Procedure for Patience {
    const NAME: &'static str = "patience";
    type Subject = InstanceKey;
    type Step = String;

    fn watches() -> Watch {
        Watch::instances(|instance| {
            matches!(
                instance.state,
                InstanceState::Backoff { .. } | InstanceState::Quarantined
            )
        })
    }

    fn begin(subject: InstanceKey, _: &mut Txn<'_>, _: &Env) -> Next<String> {
        Next::step(
            subject.to_string(),
            Duration::from_secs(5),
            "it is waited for",
        )
    }

    fn go_on(
        subject: InstanceKey,
        step: String,
        turn: Turn,
        txn: &mut Txn<'_>,
        _: &Env,
    ) -> Next<String> {
        assert_eq!(step, subject.to_string());
        let is_up = txn
            .instance(&subject)
            .is_some_and(|instance| instance.state.is_up());
        match turn {
            Turn::TimeIsUp => Next::end("long enough"),
            Turn::Changed if is_up => Next::end("it is up"),
            Turn::Changed => Next::Stay,
        }
    }
}

fn story(acts: &[Act]) -> World {
    let rules = Rules::shipped()
        .with::<Moody>()
        .with_procedure::<Patience>();
    let mut world = World::with(rules);
    for node in ["n1", "n2"] {
        world.scripted(node).answers = true;
        world.scripted(node).address = format!("10.0.0.{}:4400", &node[1..]);
        world.scripted(node).offers.memory_bytes = 6;
        world.up(node);
    }
    hosts::set(&mut world, "restart", &["/sbin/reboot"]);
    hosts::set(&mut world, "fence", &["/bin/power", "off"]);
    work::prepare(&mut world);
    for act in acts {
        carry_out(&mut world, act);
    }
    world
}

/// Seeds that failed once are tried first.
const SEEDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/properties/seeds.txt");

/// `PROPTEST_CASES` asks for more.
fn config() -> ProptestConfig {
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    let default = ProptestConfig::default();
    ProptestConfig {
        cases: if asked { default.cases } else { 96 },
        max_shrink_iters: 4000,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(SEEDS))),
        ..default
    }
}

proptest! {
    #![proptest_config(config())]

    // proves: S9, S12, S20, S21, S22, S24
    // case: services 29, 51, 59
    #[test]
    fn whatever_happens_the_graph_stays_sound_and_everything_is_explained(
        acts in prop::collection::vec(act(), 1..90),
    ) {
        let world = story(&acts);
        sensible(&world);
        replays(&world);
    }

    // proves: S12, S20
    #[test]
    fn when_the_trouble_is_over_everything_comes_to_its_right_end(
        acts in prop::collection::vec(act(), 1..60),
    ) {
        let mut world = story(&acts);
        settle(&mut world);
        for key in world.graph().keys(Kind::Instance) {
            let Key::Instance(at) = &key else { continue };
            let instance = world.graph().instance(at).unwrap();
            let waits = instance.state == InstanceState::Blocked
                && instance.reason.as_ref().is_some_and(|reason| {
                    [code::NAME_HELD, code::DEPENDENCY_NOT_READY].contains(&reason.code)
                });
            let needs = room::needs_of(world.graph(), at, &instance);
            let lacks_room = instance.waits() == Some(Waits::Room)
                && !room::lacking(world.graph(), at, &needs).is_empty();
            // A stray of a singleton elsewhere: nobody ends it, and nothing starts beside it.
            let beside_a_stray = instance.state == InstanceState::Pending
                && instance.next_try.is_none()
                && instance.reason.as_ref().is_some_and(|reason| reason.code == code::LEASE_HELD);
            let waits = waits || lacks_room || beside_a_stray;
            let fine = match instance.state {
                InstanceState::Running
                | InstanceState::Stopped { .. }
                | InstanceState::Quarantined
                | InstanceState::Failed { .. } => true,
                _ => waits,
            };
            prop_assert!(fine, "{at} is left {:?}", instance);
            let wished = instance.desired == mainstay_resource_graph::Desired::Running
                || matches!(instance.state, InstanceState::Stopped { .. });
            prop_assert!(wished, "{at} is left {:?}", instance);
        }
        work::is_over(&world);
        prop_assert_eq!(world.open_commands(), vec![]);
        sensible(&world);
        replays(&world);
        let entries = world.entries.len();
        world.wait_ms(60_000);
        // But for the time, where a deadline is ahead.
        let written = world.entries[entries..].iter();
        let written = written.filter(|entry| !entry.delta.is_empty() || !entry.decisions.is_empty());
        prop_assert_eq!(written.count(), 0, "what is settled writes nothing");
    }
}

/// What is drawn is worth drawing: every rule fires in it, and every state is seen.
#[test]
fn random_stories_make_every_rule_fire() {
    let mut runner = TestRunner::deterministic();
    let strategy = prop::collection::vec(act(), 60..90);
    let mut fired: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..400 {
        let acts = strategy.new_tree(&mut runner).unwrap().current();
        for decision in story(&acts).decisions() {
            *fired.entry(decision.rule.clone()).or_default() += 1;
        }
    }
    for rule in rules_of(&Rules::shipped()) {
        // A day of a story is a day of commands that are sent again; it has a story of its own.
        let needs_a_day = rule == "run_over";
        let has_fired = needs_a_day || fired.contains_key(rule);
        assert!(has_fired, "{rule} never fired: {fired:?}");
    }
    assert!(fired.contains_key("moody"), "no rule was parked: {fired:?}");
    assert!(
        fired.contains_key("patience"),
        "no procedure began: {fired:?}"
    );
}

/// Every entry once more, on an empty graph: the same bytes.
fn replays(world: &World) {
    let mut graph = Graph::new();
    for entry in &world.entries {
        assert!(graph.apply(&entry.delta).changed);
    }
    assert_eq!(graph.snapshot(), world.graph().snapshot());
}
