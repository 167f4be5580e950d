//! Runs of very many steps, and very many runs: what one completion writes does not grow with either.

use mainstay_coordinator::{BasedOn, Operation, Orchestrate};
use mainstay_protocol::command::Order;
use mainstay_protocol::work::WorkAnswer;
use mainstay_protocol::{StepKey, codec};
use mainstay_resource_graph::{Key, Kind, RunState, StepState, View, ViewExt};

use crate::harness::work::{begins, complete, json, work_name};
use crate::harness::{Death, World};

/// Some that work, two steps at a time each; the world looks at nothing between entries.
fn with_workers(count: usize) -> World {
    let mut world = World::new();
    (world.checks, world.full_passes) = (false, false);
    world.up("n1");
    for number in 0..count {
        let name = format!("w{number}");
        world.start("worker", &name, "n1").unwrap();
        world.started(&format!("{name}@n1"));
    }
    let definition = json(r#"{"type":"a","provider":"p"}"#);
    world
        .orchestrate(Orchestrate::PutActivity {
            definition,
            based_on: BasedOn::Anything,
        })
        .unwrap();
    world
}

fn define(world: &mut World, name: &str, activities: &[String]) {
    let text = format!(
        r#"{{"type":"{name}","activities":[{}]}}"#,
        activities.join(",")
    );
    let definition = json(&text);
    world
        .orchestrate(Orchestrate::PutOrchestration {
            definition,
            based_on: BasedOn::Anything,
        })
        .unwrap();
}

/// What is out, of the run with this name where one is said.
fn out(world: &World) -> Vec<StepKey> {
    let graph = world.graph();
    let workers = graph.hands();
    workers
        .iter()
        .flat_map(|worker| graph.steps_at(worker))
        .collect()
}

// proves: O2
// case: orchestrations 25
#[test]
fn a_join_of_a_thousand_is_handed_out_once_and_no_completion_writes_them_all() {
    let mut world = with_workers(20);
    let ids: Vec<String> = (0..1_000).map(|number| format!("n{number}")).collect();
    let mut activities: Vec<String> = ids
        .iter()
        .map(|id| format!(r#"{{"id":"{id}","type":"a","inputs":[]}}"#))
        .collect();
    let on: Vec<String> = ids.iter().map(|id| format!("\"{id}\"")).collect();
    activities.push(format!(
        r#"{{"id":"join","type":"a","inputs":[],"dependsOn":[{}]}}"#,
        on.join(",")
    ));
    define(&mut world, "t", &activities);
    world.orchestrate(begins("r1", "t", "{}")).unwrap();
    let before = world.entries.len();
    let run = begins_of(&world);
    while world.graph().run(&run).unwrap().state == RunState::Running {
        let out = out(&world);
        assert!(!out.is_empty() && out.len() <= 40, "{} are out", out.len());
        for step in out {
            world.works(&step, complete("{}"));
        }
    }
    let join = StepKey::new(run.clone(), work_name("join"));
    let nodes = world.nodes.values();
    let received = nodes.flat_map(|node| &node.received);
    let joins = received.filter(|one| matches!(&one.order, Order::Work(work) if work.step == join));
    assert_eq!(joins.count(), 1);
    let done = world.graph().run(&run).unwrap();
    assert_eq!(
        (done.state, done.done, done.left),
        (RunState::Completed, 1_001, 0)
    );
    let most = world.entries[before..].iter();
    let most = most.map(|entry| codec::encoded_len(&**entry)).max();
    assert!(most.unwrap() < 64 * 1024, "one entry has {most:?} bytes");
}

fn begins_of(world: &World) -> mainstay_protocol::RunId {
    match world.graph().keys(Kind::Run).first() {
        Some(Key::Run(run)) => run.clone(),
        other => panic!("{other:?} is no run"),
    }
}

// proves: O7
#[test]
fn a_backlog_of_ten_thousand_runs_is_there_after_a_change_of_leader_and_is_worked_off_in_order() {
    let mut world = with_workers(1);
    define(&mut world, "t", &[r#"{"id":"a","type":"a"}"#.to_owned()]);
    for number in 0..10_000 {
        let what = begins(&format!("r{number:05}"), "t", "{}");
        world.ask(Operation::Orchestrate {
            what,
            by: "ada".to_owned(),
        });
        if number % 200 == 0 {
            world.run();
        }
    }
    world.run();
    world.fail_over_with_sessions();
    let graph = world.graph();
    assert_eq!(graph.keys(Kind::Run).len(), 10_000);
    // One text of what they go by, and one of what they were given.
    assert_eq!(graph.keys(Kind::Text).len(), 2);
    assert_eq!(out(&world).len(), 2, "it has two hands");
    let mut order = Vec::new();
    for _ in 0..100 {
        for step in out(&world) {
            world.works(&step, complete("{}"));
            order.push(step.run.to_string());
        }
    }
    let wanted: Vec<String> = (0..200).map(|number| format!("r{number:05}")).collect();
    assert_eq!(order, wanted, "who waits longest is next");
    let complete = world.graph().keys(Kind::Step).into_iter().filter(|key| {
        let Key::Step(at) = key else { return false };
        let step = world.graph().step(at).unwrap();
        matches!(step.state, StepState::Completed { .. })
    });
    assert_eq!(complete.count(), 200);
}

/// What one step of the rules leaves is in the leader's memory alone: the next leader finds it in the graph.
// proves: O7
#[test]
fn failed_runs_that_one_entry_does_not_decide_are_undone_by_the_next_leader() {
    let mut world = with_workers(300);
    let definition = json(
        r#"{"type":"t","onFatal":"compensate","activities":{"deploy":[{"id":"a","type":"a"}],"dispose":[{"id":"a","type":"a"}]}}"#,
    );
    let what = Orchestrate::PutOrchestration {
        definition,
        based_on: BasedOn::Anything,
    };
    world.orchestrate(what).unwrap();
    for number in 0..600 {
        let run = begins(&format!("r{number}"), "t", "{}");
        world.orchestrate(run).unwrap();
    }
    let rule = "undo".to_owned();
    let off = Operation::DisableRule {
        rule: rule.clone(),
        by: "ada".to_owned(),
        why: String::new(),
    };
    world.operate(off).unwrap();
    for step in out(&world) {
        let error = "no such disk".to_owned();
        world.works(&step, WorkAnswer::Fatal { error });
    }
    let failed = |world: &World| {
        let graph = world.graph();
        let runs = graph.keys(Kind::Run).into_iter();
        let failed = runs.filter(|key| match key {
            Key::Run(run) => graph.run(run).unwrap().state == RunState::Errored,
            _ => false,
        });
        failed.count()
    };
    assert_eq!(failed(&world), 600);
    // All of them are looked at when the rule is switched on, and one entry decides some. Then the leader dies.
    world.dies(Some((0, Death::AfterCommit)));
    world.ask(Operation::EnableRule { rule });
    world.run();
    assert_eq!(failed(&world), 0, "they are being undone");
}
