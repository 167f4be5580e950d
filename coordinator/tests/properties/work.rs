//! Orchestrations in random stories: runs begin, whoever has a step answers, and people say something of a run.

use mainstay_coordinator::{BasedOn, Keep, Operation, Orchestrate, RunAct};
use mainstay_protocol::report::Report;
use mainstay_protocol::work::{Changes, Outside, Work, WorkAnswer};
use mainstay_protocol::{CommandId, Json, RunId};
use mainstay_resource_graph::{Graph, Key, Kind, RunState, StepState, View, ViewExt};
use proptest::prelude::*;

use super::acts::pick;
use crate::harness::World;
use crate::harness::work::{artifact, begin, begins, chunk, complete, ends, fails, json};

const ACTIVITY: &str =
    r#"{"type":"a","provider":"p","retry":{"maxAttempts":3,"first":"1s","jitter":false}}"#;

const ORCHESTRATIONS: [&str; 2] = [
    r#"{"type":"chain","activities":[{"id":"a","type":"a","attemptTimeout":"9s"},{"id":"b","type":"a","dependsOn":"a","waitTimeout":"30s"}]}"#,
    r#"{"type":"saga","onFatal":"compensate","activities":{"deploy":[{"id":"a","type":"a"},{"id":"b","type":"a"},{"id":"c","type":"a","dependsOn":["a","b"]}],"dispose":[{"id":"a","type":"a"},{"id":"b","type":"a"}]}}"#,
];

fn ask(world: &mut World, what: Orchestrate) {
    let by = "ada".to_owned();
    world.ask(Operation::Orchestrate { what, by });
    world.run();
}

pub fn prepare(world: &mut World) {
    let definition = json(ACTIVITY);
    ask(
        world,
        Orchestrate::PutActivity {
            definition,
            based_on: BasedOn::Anything,
        },
    );
    for text in ORCHESTRATIONS {
        let definition = json(text);
        ask(
            world,
            Orchestrate::PutOrchestration {
                definition,
                based_on: BasedOn::Anything,
            },
        );
    }
}

#[derive(Debug, Clone)]
pub enum WorkAct {
    Begins {
        id: usize,
        of: usize,
    },
    /// Whoever has one of those that are out answers, or says what it said before.
    Answers {
        which: usize,
        what: usize,
    },
    Said {
        which: usize,
        what: usize,
    },
    /// Somebody puts an artifact, or begins to, or takes one away.
    Puts {
        which: usize,
        what: usize,
    },
}

pub fn act() -> impl Strategy<Value = WorkAct> {
    let number = 0..64usize;
    prop_oneof![
        4 => (number.clone(), number.clone()).prop_map(|(id, of)| WorkAct::Begins { id, of }),
        9 => (number.clone(), number.clone())
            .prop_map(|(which, what)| WorkAct::Answers { which, what }),
        3 => (number.clone(), number.clone())
            .prop_map(|(which, what)| WorkAct::Said { which, what }),
        2 => (number.clone(), number).prop_map(|(which, what)| WorkAct::Puts { which, what }),
    ]
}

pub fn carry_out(world: &mut World, act: &WorkAct) {
    match *act {
        WorkAct::Begins { id, of } => {
            let of = pick(&["chain", "saga"], of);
            ask(world, begins(&format!("r{}", id % 5), of, "{}"));
        }
        WorkAct::Answers { which, what } => answers(world, which, what),
        WorkAct::Said { which, what } => said(world, which, what),
        WorkAct::Puts { which, what } => puts(world, which, what),
    }
}

/// Half of them are broken off.
fn puts(world: &mut World, which: usize, what: usize) {
    let (id, text) = (["1", "2"][which % 2], ["site", "other"][what % 2]);
    ask(world, begin(id, text, None));
    if what % 4 < 2 {
        ask(world, chunk(id, text));
        ask(world, ends(id, text));
    }
    if what.is_multiple_of(5) {
        let artifact = artifact(id);
        let keep = Box::new(Keep::Delete { artifact });
        ask(world, Orchestrate::Artifact(keep));
    }
}

/// What instances have, that live and are heard.
fn out(world: &World) -> Vec<(CommandId, Work)> {
    let nodes = world.nodes.values();
    let works = nodes.flat_map(|node| &node.works);
    works.map(|(id, work)| (*id, work.clone())).collect()
}

fn answers(world: &mut World, which: usize, what: usize) {
    let out = out(world);
    if let Some((command, work)) = out.get(which % out.len().max(1)) {
        let answer = match what % 9 {
            0..4 => complete("{\"x\":1}"),
            4 => WorkAnswer::Wait,
            5 => WorkAnswer::Schedule {
                after: std::time::Duration::from_secs(3),
                scratch: Changes::default(),
            },
            6 | 7 => fails("busy"),
            _ => WorkAnswer::Fatal {
                error: "no".to_owned(),
            },
        };
        says(world, *command, work, answer);
    }
}

fn says(world: &mut World, command: CommandId, work: &Work, answer: WorkAnswer) {
    let node = work.instance.node.to_string();
    let report = Report::Worked {
        instance: work.instance.clone(),
        incarnation: work.incarnation,
        step: work.step.clone(),
        command,
        answer,
    };
    world.report(report, &node);
}

fn said(world: &mut World, which: usize, what: usize) {
    let runs = world.graph().keys(Kind::Run);
    let Some(Key::Run(run)) = runs.get(which % runs.len().max(1)).cloned() else {
        return;
    };
    let act = match what % 6 {
        0 => RunAct::Pause,
        1 => RunAct::Resume,
        2 => RunAct::Cancel,
        3 => RunAct::Retry,
        _ => return told(world, &run),
    };
    ask(world, Orchestrate::Act { run, act });
}

/// Somebody outside says that what waits is done; it may not wait yet.
fn told(world: &mut World, run: &RunId) {
    let graph = world.graph();
    let steps = graph.keys(Kind::Step).into_iter();
    let token = steps.filter_map(|key| match key {
        Key::Step(at) if at.run == *run => Some((graph.step(&at)?.token()?, at.activity)),
        _ => None,
    });
    let Some((token, activity)) = token.last() else {
        return;
    };
    let act = RunAct::Tell {
        activity,
        token,
        said: Outside::Complete {
            output: Json::empty_object(),
        },
    };
    ask(
        world,
        Orchestrate::Act {
            run: run.clone(),
            act,
        },
    );
}

/// Whoever has something completes it, and people go on with what they stopped.
pub fn finish(world: &mut World) {
    for (command, work) in out(world) {
        if world.scripted(work.instance.node.as_str()).connected {
            says(world, command, &work, complete("{}"));
        }
    }
    for key in world.graph().keys(Kind::Run) {
        let Key::Run(run) = key else { continue };
        if world
            .graph()
            .run(&run)
            .is_some_and(|one| one.state == RunState::Paused)
        {
            let act = RunAct::Resume;
            ask(
                world,
                Orchestrate::Act {
                    run: run.clone(),
                    act,
                },
            );
        }
        told(world, &run);
    }
}

/// Whatever was broken off is gone: its chunks belong to nobody else.
fn no_half_artifacts(graph: &Graph) {
    for key in graph.keys(Kind::Artifact) {
        let Key::Artifact(id) = &key else { continue };
        assert!(graph.artifact(id).is_some(), "{key} is left half");
    }
    for key in graph.keys(Kind::Chunk) {
        let Key::Chunk(chunk) = &key else { continue };
        assert!(graph.artifact(&chunk.artifact).is_some(), "{key} is left");
    }
}

/// What is not over waits for somebody who does such work, and there is nobody.
pub fn is_over(world: &World) {
    let graph = world.graph();
    no_half_artifacts(graph);
    let workers = graph.hands().into_iter();
    let workers = workers.filter(|key| {
        let worker = graph.instance(key).expect("it has hands");
        worker.service_type.as_str() == "worker"
    });
    let hands = workers.count();
    for key in graph.keys(Kind::Step) {
        let Key::Step(at) = key else { continue };
        let (step, run) = (graph.step(&at).unwrap(), graph.run(&at.run).unwrap());
        match step.state {
            StepState::Completed { .. }
            | StepState::Failed
            | StepState::Skipped
            | StepState::Cancelled => {}
            StepState::Queued { .. } => assert_eq!(hands, 0, "{at} waits for nobody"),
            StepState::Pending { left } => assert!(left > 0 && run.state.is_open(), "{at}"),
            StepState::Running { .. }
            | StepState::Waiting { .. }
            | StepState::Scheduled { .. }
            | StepState::Retrying { .. } => panic!("{at} is left {:?}", step.state),
        }
    }
    for key in graph.keys(Kind::Run) {
        let Key::Run(id) = key else { continue };
        let run = graph.run(&id).unwrap();
        let undoing = graph.run(&id.undoing());
        if run.state == RunState::Compensating {
            assert!(
                undoing.is_some_and(|one| one.state.is_open()),
                "{id} is left"
            );
        }
    }
}
