//! `why` and `status`: roots with their own words, what the system will do, and commands that exist.

mod lists;

use mainstay_coordinator::status::{self, Verdict};
use mainstay_coordinator::why::{self, Cause};
use mainstay_coordinator::{Env, Rule, Rules, Verdict as Judged, Watch};
use mainstay_protocol::health::{FailureKind, Health};
use mainstay_protocol::report::{Presence, Report};
use mainstay_protocol::{InstanceKey, Timestamp, code};
use mainstay_resource_graph::{InstanceState, Key, NodeState, Txn, ViewExt};

use crate::harness::{World, at, decision_line, key, node_name};

pub use lists::sensible;

fn why_of(world: &World, reference: &str) -> why::Why {
    why::why(world.graph(), &key(reference)).unwrap_or_else(|| panic!("no {reference}"))
}

fn root(cause: &Cause) -> &Cause {
    cause.root()
}

fn running() -> World {
    let mut world = World::new();
    world.up("n1");
    world.start("flaky", "web", "n1").unwrap();
    world.start("noisy", "other", "n1").unwrap();
    world.started("web@n1");
    world.started("other@n1");
    world
}

// proves: S24
#[test]
fn a_stop_is_not_explained_by_what_the_incarnation_before_went_through() {
    let mut world = running();
    world.panics("web@n1", "long ago");
    world.started("web@n1");
    world.stop("web@n1").unwrap();
    let why = why_of(&world, "web@n1");
    assert_eq!(why.tree.state, "Stopping");
    assert!(why.tree.is_root(), "{:?}", why.tree);
}

// proves: S24
#[test]
fn what_cannot_be_seen_and_is_not_wanted_will_be_stopped_not_restarted() {
    let mut world = running();
    world.gone("n1");
    let will = |world: &World| why_of(world, "web@n1").system_will.unwrap();
    assert_eq!(will(&world).rule, "node_return");
    world.stop_in_line("web@n1");
    assert_eq!(world.instance("web@n1").desired.as_str(), "Stopped");
    assert_eq!(will(&world).rule, "stop");
}

// proves: S24
// acceptance: 2
// case: services 27
#[test]
fn two_different_texts_are_each_shown_at_their_root() {
    let mut world = running();
    world.panics("web@n1", "the left shoe does not fit");
    world.failed(
        "other@n1",
        FailureKind::Reported,
        Presence::Living,
        "the moon is in the way",
    );
    for (reference, mine, theirs) in [
        (
            "web@n1",
            "the left shoe does not fit",
            "the moon is in the way",
        ),
        (
            "other@n1",
            "the moon is in the way",
            "the left shoe does not fit",
        ),
    ] {
        let why = why_of(&world, reference);
        let root = root(&why.tree);
        assert!(!why.tree.is_root());
        assert_eq!(root.evidence.as_deref(), Some(mine));
        assert!(root.reason.as_ref().unwrap().text.contains(mine));
        assert!(!format!("{why:?}").contains(theirs), "{why:?}");
        let told = world
            .decisions()
            .filter(|one| one.subject == key(reference))
            .map(decision_line);
        assert!(told.into_iter().all(|line| !line.contains(theirs)));
    }
    // What a rule saw and did is in its decision, with the words.
    let told: Vec<String> = world.decisions().map(decision_line).collect();
    assert!(
        told.iter()
            .any(|line| line.starts_with("stop other@n1: did") && line.contains("the moon")),
        "{told:?}"
    );
    let saw = world
        .decisions()
        .filter(|one| one.rule == "restart" && one.subject == key("web@n1"))
        .any(|one| one.saw[0].text.contains("the left shoe"));
    assert!(saw, "the rule saw the failure in its own words");
}

// proves: S24
#[test]
fn where_a_panic_happened_and_its_last_output_are_evidence() {
    let mut world = running();
    let report = Report::Failed {
        instance: at("web@n1"),
        incarnation: world.incarnation("web@n1"),
        kind: FailureKind::Panic,
        presence: Presence::Gone,
        evidence: mainstay_protocol::health::Evidence {
            text: "boom".to_owned(),
            location: Some("src/web.rs:7".to_owned()),
            stderr_tail: "last words".to_owned(),
            ..Default::default()
        },
    };
    world.report(report, "n1");
    let why = why_of(&world, "web@n1");
    let evidence = root(&why.tree).evidence.clone().unwrap();
    assert_eq!(evidence, "boom (at src/web.rs:7)\nlast words");
}

// proves: S4, S24
// case: services 14
#[test]
fn blocked_shows_the_holder_and_what_to_do_about_it() {
    let mut world = World::new();
    world.up("n1");
    world.start("greeter", "web", "n1").unwrap();
    world.started("web@n1");
    world.start("twin", "other", "n1").unwrap();
    let why = why_of(&world, "other@n1");
    let reason = why.tree.reason.clone().unwrap();
    assert_eq!(reason.code, code::NAME_HELD);
    assert_eq!(reason.refs, ["web@n1"]);
    assert_eq!(root(&why.tree).key, key("web@n1"));
    assert_eq!(why.system_will.unwrap().rule, "name_conflict");
    assert!(
        why.you_can.contains(&"mainstay stop web@n1".to_owned()),
        "{:?}",
        why.you_can
    );
    // And the other way round: whom the holder keeps waiting.
    assert_eq!(why_of(&world, "web@n1").affects, [key("other@n1")]);
    let name = why_of(&world, "name/n1/greeter");
    assert_eq!(name.tree.state, "held by web@n1");
    assert_eq!(name.affects, [key("web@n1"), key("other@n1")]);
}

// proves: S23, S24
#[test]
fn unknown_shows_the_node_and_the_node_shows_whom_it_takes_along() {
    let mut world = running();
    world.gone("n1");
    let why = why_of(&world, "web@n1");
    let root = root(&why.tree);
    assert_eq!(root.key, key("node/n1"));
    assert_eq!(root.reason.as_ref().unwrap().code, code::AGENT_DOWN);
    assert_eq!(why.system_will.unwrap().rule, "node_return");
    assert_eq!(
        why_of(&world, "node/n1").affects,
        [key("other@n1"), key("web@n1")]
    );
    let supervisor = why_of(&world, "supervisor/n1");
    assert_eq!(supervisor.tree.root().key, key("node/n1"));
}

// proves: S24
#[test]
fn healthy_says_since_when_and_what_would_take_it_down() {
    let mut world = World::new();
    world.up("n1");
    world.start("flaky", "web", "n1").unwrap();
    world.wait_ms(1500);
    world.started("web@n1");
    world.wait_ms(700);
    world.health_ok("web@n1");
    world.wait_ms(60_000);
    let why = why_of(&world, "web@n1");
    assert!(why.tree.is_root());
    assert_eq!(why.tree.state, "Running");
    let since = why.tree.since.since(Timestamp::ZERO).as_millis();
    assert_eq!(
        since, 1500,
        "since it became Running, whatever its Checks say"
    );
    assert!(why.tree.evidence.unwrap().contains("would take it down"));
    assert_eq!(why.system_will, None);
}

// proves: S24
#[test]
fn a_placement_is_explained_by_those_of_its_instances_that_are_not_as_wanted() {
    let mut world = World::new();
    world.up("n1");
    world.up("n2");
    world.start("flaky", "web", "n1,n2").unwrap();
    world.started("web@n1");
    world.started("web@n2");
    assert_eq!(
        why_of(&world, "web").tree.state,
        "2 of 2 instances as wanted"
    );
    world.panics("web@n2", "only here");
    let why = why_of(&world, "web");
    assert_eq!(why.tree.state, "1 of 2 instances as wanted");
    assert_eq!(why.tree.because.len(), 1);
    assert_eq!(root(&why.tree).evidence.as_deref(), Some("only here"));
    assert_eq!(why.affects, [key("web@n1"), key("web@n2")]);
}

// proves: S24
#[test]
fn what_does_not_exist_has_no_why() {
    let world = running();
    assert!(why::why(world.graph(), &key("wob@n1")).is_none());
    assert!(why::why(world.graph(), &key("node/n9")).is_none());
}

// proves: S24, U3
#[test]
fn a_verdict_says_what_the_worst_is() {
    let mut world = World::new();
    let verdict = |world: &World| status::status(world.graph()).verdict;
    assert_eq!(verdict(&world), Verdict::Healthy, "an empty cluster");
    world.up("n1");
    world.start("flaky", "web", "n1").unwrap();
    world.start("noisy", "other", "n1").unwrap();
    world.started("web@n1");
    world.started("other@n1");
    assert_eq!(verdict(&world), Verdict::Healthy);
    world.report_health("web@n1", Health::Degraded, "slow");
    assert_eq!(verdict(&world), Verdict::Degraded);
    world.health_ok("web@n1");
    assert_eq!(verdict(&world), Verdict::Healthy);
    for reference in ["web@n1", "other@n1"] {
        world.panics(reference, "boom");
        world.started(reference);
        world.panics(reference, "boom");
    }
    assert_eq!(
        verdict(&world),
        Verdict::Down,
        "nothing that is wanted runs"
    );
    world.gone("n1");
    assert_eq!(verdict(&world), Verdict::Unknown, "no node is heard");
}

// proves: S24
#[test]
fn status_names_roots_work_and_what_is_scheduled() {
    let mut world = running();
    world.up("n2");
    world.start("flaky", "third", "n2").unwrap();
    world.panics("web@n1", "boom");
    world.started("web@n1");
    world.panics("web@n1", "boom");
    world.stop("other@n1").unwrap();
    world.gone("n2");
    let status = status::status(world.graph());
    let problems: Vec<(String, String)> = status
        .problems
        .iter()
        .map(|one| (one.key.to_string(), one.root.to_string()))
        .collect();
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(
        problems,
        [
            pair("node/n2", "node/n2"),
            pair("other@n1", "other@n1"),
            pair("web@n1", "web@n1"),
            pair("third@n2", "node/n2"),
        ]
    );
    assert_eq!(status.working_on[0].key, key("other@n1"));
    let about = |reference: &str| {
        status
            .scheduled
            .iter()
            .find(|one| one.key == key(reference))
    };
    let given_up = about("node/n2").map(|one| (one.rule, one.at));
    let node = world.graph().node(&node_name("n2")).unwrap();
    assert_eq!(given_up, Some(("node_lost", node.lost_at)));
    let scheduled = about("web@n1").unwrap();
    assert_eq!(
        (scheduled.key.clone(), scheduled.rule),
        (key("web@n1"), "restart")
    );
    assert_eq!(scheduled.at, world.instance("web@n1").next_try);
    assert_eq!((status.nodes.total, status.nodes.ok), (2, 1));
    assert_eq!(node.state, NodeState::AgentDown);
}

/// A refusal that stands is recorded when it begins, not while it stands.
// proves: S24
#[test]
fn a_standing_refusal_is_recorded_once() {
    let mut world = World::new();
    world.up("n1");
    world.gone("n1");
    world.start("flaky", "web", "n1").unwrap();
    let subject = Key::Instance(at("web@n1"));
    for _ in 0..5 {
        world.wait_ms(60_000);
        world.fail_over();
    }
    assert_eq!(world.times("start", &subject), 1);
    assert_eq!(
        world.instance("web@n1").refusals["start"],
        code::WAITING_FOR_NODE
    );
    world.up("n1");
    assert_eq!(world.state("web@n1"), InstanceState::Starting);
    assert!(
        world.instance("web@n1").refusals.is_empty(),
        "it stands no more"
    );
}

/// Declines, and so writes, whenever it is asked.
struct Cautious<const N: u8>;

impl Rule for Cautious<1> {
    const NAME: &'static str = "cautious_one";
    type Subject = InstanceKey;

    fn watches() -> Watch {
        Watch::instances(|instance| instance.state == InstanceState::Starting)
    }

    fn judge(_: InstanceKey, _: &mut Txn<'_>, _: &Env) -> Judged {
        Judged::declined(code::WANTED, "one would rather not")
    }
}

impl Rule for Cautious<2> {
    const NAME: &'static str = "cautious_two";
    type Subject = InstanceKey;

    fn watches() -> Watch {
        Cautious::<1>::watches()
    }

    fn judge(_: InstanceKey, _: &mut Txn<'_>, _: &Env) -> Judged {
        Judged::declined(code::WITHIN_BUDGET, "two would rather not")
    }
}

/// Each remembers its own refusal, so neither takes the other's for news.
// proves: S21, S24
#[test]
fn two_rules_that_both_decline_are_each_recorded_once() {
    let rules = Rules::shipped().with::<Cautious<1>>().with::<Cautious<2>>();
    let mut world = World::with(rules);
    world.up("n1");
    world.start("flaky", "web", "n1").unwrap();
    world.wait_ms(1000);
    world.fail_over();
    let subject = Key::Instance(at("web@n1"));
    assert_eq!(world.times("cautious_one", &subject), 1);
    assert_eq!(world.times("cautious_two", &subject), 1);
    assert!(world.parked().is_empty(), "{:?}", world.parked());
}
