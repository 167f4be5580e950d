//! What becomes of runs, whatever workers, outsiders and time do.
#![allow(clippy::unwrap_used, reason = "a test that panics fails")]

mod anything;
#[path = "../seeded/mod.rs"]
mod seeded;
mod world;

use std::collections::BTreeMap;
use std::time::Duration;

use mainstay_orchestrator::No;
use mainstay_protocol::work::{Changes, Outside, WorkAnswer};
use mainstay_protocol::{CommandId, Json, WorkName};
use mainstay_resource_graph::{RunState, StepState};

use self::world::{World, complete, fatal, json, name, plan, retry, set};

// case: orchestrations 21, 24
#[test]
fn each_begins_when_its_own_dependencies_are_complete() {
    let mut world = World::new(plan(
        &[("a", &[], ""), ("b", &["a"], ""), ("c", &[], "")],
        "stop",
    ));
    assert_eq!(world.queued(), ["a", "c"]);
    world.done("a");
    assert_eq!(world.queued(), ["b", "c"]);
}

// case: orchestrations 23, 32
#[test]
fn a_join_begins_once_after_both_and_the_last_ends_the_run() {
    let mut world = World::new(plan(
        &[
            ("a", &[], ""),
            ("b", &["a"], ""),
            ("c", &["a"], ""),
            ("d", &["b", "c"], ""),
        ],
        "stop",
    ));
    world.done("a");
    world.done("b");
    assert_eq!(world.state("d"), &StepState::Pending { left: 1 });
    world.done("c");
    assert_eq!(world.queued(), ["d"]);
    let token = world.take("d");
    world.answer("d", token, complete(r#"{"ü":1}"#)).unwrap();
    assert_eq!(world.run.state, RunState::Completed);
    assert_eq!(world.steps[&name("d")].output, Some(json(r#"{"ü":1}"#)));
    // The same once more is stale.
    assert_eq!(world.answer("d", token, complete("{}")), Err(No::Stale));
    assert_eq!(world.run.done, 4);
}

// case: orchestrations 25
#[test]
fn a_join_of_a_thousand_begins_once() {
    let ids: Vec<String> = (0..1_000).map(|number| format!("n{number}")).collect();
    let on: Vec<&str> = ids.iter().map(String::as_str).collect();
    let mut activities: Vec<(&str, &[&str], &str)> =
        ids.iter().map(|id| (id.as_str(), &[][..], "")).collect();
    activities.push(("join", &on, ""));
    let mut world = World::new(plan(&activities, "stop"));
    for id in &ids {
        assert!(!world.queued().contains(&"join"));
        world.done(id);
    }
    world.done("join");
    assert_eq!(world.run.state, RunState::Completed);
}

// case: orchestrations 33
#[test]
fn what_is_scheduled_is_called_again_with_its_scratch_and_no_attempt_is_counted() {
    let mut world = World::new(plan(&[("a", &[], "")], "stop"));
    for count in ["1", "2"] {
        let token = world.take("a");
        let after = Duration::from_millis(10);
        let scratch = set("count", count);
        world
            .answer("a", token, WorkAnswer::Schedule { after, scratch })
            .unwrap();
        world.passes(Duration::from_millis(9));
        assert!(world.queued().is_empty(), "not early");
        world.passes(Duration::from_millis(1));
    }
    assert_eq!(world.steps[&name("a")].scratch, json(r#"{"count":2}"#));
    world.done("a");
    let step = &world.steps[&name("a")];
    assert_eq!((step.calls, step.attempt), (3, 1));
    assert_eq!(step.scratch, Json::empty_object());
}

// case: orchestrations 35, 36, 44
#[test]
fn attempts_wait_longer_each_time_or_as_long_as_the_processor_says() {
    let mut world = World::new(plan(&[("a", &[], "")], "stop"));
    let token = world.take("a");
    world.answer("a", token, retry("busy")).unwrap();
    let at = world.now + Duration::from_millis(10);
    assert_eq!(world.state("a"), &StepState::Retrying { at });
    world.passes(Duration::from_millis(10));
    let token = world.take("a");
    let own = WorkAnswer::Retry {
        error: "later".to_owned(),
        after: Some(Duration::from_secs(3)),
        scratch: set("seen", "true"),
    };
    world.answer("a", token, own).unwrap();
    let at = world.now + Duration::from_secs(3);
    assert_eq!(world.state("a"), &StepState::Retrying { at });
    world.passes(Duration::from_secs(3));
    assert_eq!(world.steps[&name("a")].attempt, 3);
    assert_eq!(world.steps[&name("a")].scratch, json(r#"{"seen":true}"#));
    world.done("a");
    assert_eq!(world.run.state, RunState::Completed);
}

// case: orchestrations 37
#[test]
fn attempts_end_with_the_last_error() {
    let mut world = World::new(plan(&[("a", &[], "")], "stop"));
    for attempt in 1..=3 {
        let token = world.take("a");
        let lost = world
            .machine()
            .lost(&name("a"), token, &format!("panic {attempt}"));
        lost.unwrap();
        world.passes(Duration::from_millis(40));
    }
    assert_eq!(world.run.state, RunState::Errored);
    assert_eq!(
        world.run.errors[&name("a")],
        "retries-exhausted: attempt 3 was the last: panic 3"
    );
}

#[test]
fn no_attempt_follows_when_the_whole_time_is_over() {
    let mut plan = plan(&[("a", &[], "")], "stop");
    let planned = plan.steps.get_mut(&name("a")).unwrap();
    planned.retry.total_timeout = Some(Duration::from_millis(15));
    let mut world = World::new(plan);
    let token = world.take("a");
    world.answer("a", token, retry("busy")).unwrap();
    world.passes(Duration::from_millis(10));
    let token = world.take("a");
    // The next would begin 30 ms after the first.
    world.answer("a", token, retry("busy")).unwrap();
    assert_eq!(world.run.state, RunState::Errored);
}

// case: orchestrations 38, 39
#[test]
fn a_fatal_error_ends_the_run_once_and_what_is_out_settles() {
    let mut world = World::new(plan(
        &[
            ("a", &[], ""),
            ("b", &[], ""),
            ("c", &[], ""),
            ("d", &["a"], ""),
            ("e", &[], ""),
        ],
        "stop",
    ));
    let (a, b, c) = (world.take("a"), world.take("b"), world.take("c"));
    world.answer("b", b, fatal("no such disk")).unwrap();
    let ended = world.run.ended;
    world.passes(Duration::from_millis(1));
    world.answer("c", c, fatal("no such host")).unwrap();
    world.answer("a", a, complete("{}")).unwrap();
    assert_eq!(world.run.state, RunState::Errored);
    assert_eq!(world.run.ended, ended);
    assert_eq!(world.run.errors.len(), 2);
    assert_eq!(world.state("a"), &StepState::Completed { place: 0 });
    assert_eq!(world.state("d"), &StepState::Skipped);
    assert_eq!(world.state("e"), &StepState::Skipped);
}

// case: orchestrations 40
#[test]
fn what_waits_is_ended_from_outside_also_before_it_says_that_it_waits() {
    let outputs = || Outside::Complete {
        output: json(r#"{"vm":7}"#),
    };
    for early in [false, true] {
        let mut world = World::new(plan(&[("a", &[], ""), ("b", &["a"], "")], "stop"));
        let token = world.take("a");
        let id = name("a");
        if !early {
            world.answer("a", token, WorkAnswer::Wait).unwrap();
        }
        world.machine().from_outside(&id, token, outputs()).unwrap();
        if early {
            assert!(matches!(world.state("a"), StepState::Running { .. }));
            world.answer("a", token, WorkAnswer::Wait).unwrap();
        }
        assert_eq!(world.steps[&id].output, Some(json(r#"{"vm":7}"#)));
        assert_eq!(world.queued(), ["b"]);
        let late = world.machine().from_outside(&id, token, outputs());
        assert_eq!(late, Err(No::Stale));
    }
    let mut world = World::new(plan(&[("a", &[], "")], "stop"));
    let token = world.take("a");
    world.answer("a", token, WorkAnswer::Wait).unwrap();
    let error = "they said no".to_owned();
    world
        .machine()
        .from_outside(&name("a"), token, Outside::Fail { error })
        .unwrap();
    assert_eq!(world.run.errors[&name("a")], "they said no");
}

// case: orchestrations 42
#[test]
fn a_wait_ends_by_its_time_and_what_comes_later_is_stale() {
    let mut world = World::new(plan(&[("a", &[], r#","waitTimeout":"30s""#)], "stop"));
    let token = world.take("a");
    world.answer("a", token, WorkAnswer::Wait).unwrap();
    world.passes(Duration::from_secs(29));
    assert_eq!(world.run.state, RunState::Running);
    world.passes(Duration::from_secs(1));
    assert!(world.run.errors[&name("a")].starts_with("wait-timeout"));
    let output = Json::empty_object();
    let late = world
        .machine()
        .from_outside(&name("a"), token, Outside::Complete { output });
    assert_eq!(late, Err(No::Stale));
}

#[test]
fn an_attempt_that_takes_too_long_counts_and_its_answer_is_stale() {
    let mut world = World::new(plan(&[("a", &[], r#","attemptTimeout":"5s""#)], "stop"));
    let token = world.take("a");
    world.passes(Duration::from_secs(5));
    assert!(matches!(world.state("a"), StepState::Retrying { .. }));
    assert_eq!(world.answer("a", token, complete("{}")), Err(No::Stale));
    world.passes(Duration::from_millis(10));
    world.done("a");
}

// case: orchestrations 29
#[test]
fn what_is_shared_changes_by_what_each_says_of_it() {
    let mut world = World::new(plan(&[("a", &[], ""), ("b", &[], "")], "stop"));
    world.run.context = json(r#"{"x":1,"y":2}"#);
    let (a, b) = (world.take("a"), world.take("b"));
    let without_x = Changes {
        set: BTreeMap::new(),
        delete: ["x".to_owned()].into(),
    };
    let completes = |context: Changes| WorkAnswer::Complete {
        output: Json::empty_object(),
        context,
    };
    world.answer("a", a, completes(without_x)).unwrap();
    world.answer("b", b, completes(set("z", "3"))).unwrap();
    assert_eq!(world.run.context, json(r#"{"y":2,"z":3}"#));
}

// case: orchestrations 56, 57
#[test]
fn what_was_done_is_undone_in_reverse_when_nothing_is_out_any_more() {
    let mut world = World::new(plan(
        &[
            ("a", &[], ""),
            ("b", &["a"], ""),
            ("s", &["a"], ""),
            ("c", &["b"], ""),
        ],
        "compensate",
    ));
    world.done("a");
    let (b, sibling) = (world.take("b"), world.take("s"));
    world.answer("b", b, fatal("no")).unwrap();
    assert_eq!(world.machine().to_undo(), None, "its sibling is out");
    world.answer("s", sibling, complete("{}")).unwrap();
    let order = world.machine().to_undo().unwrap();
    let ids: Vec<&str> = order.iter().map(WorkName::as_str).collect();
    assert_eq!(ids, ["b", "s", "a"], "c never began");
    let mut undo = World::new(world.plan.in_line(&order));
    for id in ids {
        assert_eq!(undo.queued(), [id]);
        undo.done(id);
    }
    assert_eq!(undo.run.state, RunState::Completed);
}

// case: orchestrations 61
#[test]
fn a_cancelled_run_hands_out_nothing_and_takes_nothing() {
    let mut world = World::new(plan(
        &[("a", &[], ""), ("b", &[], ""), ("c", &["a"], "")],
        "stop",
    ));
    let token = world.take("a");
    world.machine().cancel().unwrap();
    assert_eq!(world.run.state, RunState::Cancelled);
    assert_eq!(world.machine().cancel(), Err(No::NotNow));
    assert_eq!(world.answer("a", token, complete("{}")), Err(No::Stale));
    assert!(
        world
            .steps
            .values()
            .all(|step| step.state == StepState::Cancelled)
    );
}

#[test]
fn a_paused_run_hands_out_nothing_and_takes_what_comes_back() {
    let mut world = World::new(plan(&[("a", &[], ""), ("b", &["a"], "")], "stop"));
    let token = world.take("a");
    world.machine().pause().unwrap();
    world.answer("a", token, complete("{}")).unwrap();
    let taken = world
        .machine()
        .take(&name("b"), CommandId(99), world::worker());
    assert_eq!(taken, Err(No::NotNow));
    world.machine().resume().unwrap();
    world.done("b");
    assert_eq!(world.run.state, RunState::Completed);
}

#[test]
fn a_failed_run_goes_on_where_it_failed() {
    let mut world = World::new(plan(
        &[
            ("a", &[], ""),
            ("b", &["a"], ""),
            ("c", &["b"], ""),
            ("d", &["a", "b"], ""),
        ],
        "stop",
    ));
    world.done("a");
    let token = world.take("b");
    world.answer("b", token, fatal("no")).unwrap();
    world.machine().retry().unwrap();
    assert_eq!(world.queued(), ["b"]);
    for id in ["b", "c", "d"] {
        world.done(id);
    }
    assert_eq!(world.run.state, RunState::Completed);
    assert_eq!(world.run.done, 4, "a was not done again");
}
