//! Stories of runs.

use std::time::Duration;

use mainstay_protocol::code;
use mainstay_protocol::work::{Changes, WorkAnswer};
use mainstay_resource_graph::Key;

use super::Story;
use crate::harness::work::{artifact, begin, begins, chunk, complete, fails, step, verb};
use crate::harness::{World, key};

fn say(world: &mut World, line: &str) {
    let words: Vec<&str> = line.split_whitespace().collect();
    assert!(verb(world, &words), "{line}");
}

fn first(_: &World) -> Key {
    key("step/r1/a")
}

fn run(_: &World) -> Key {
    key("run/r1")
}

/// There is somebody who works.
fn with_worker() -> World {
    let mut world = World::new();
    world.up("n1");
    world.start("worker", "w", "n1").unwrap();
    say(
        &mut world,
        r#"activity {"type":"a","provider":"p","retry":{"maxAttempts":2,"first":"5s","jitter":false}}"#,
    );
    say(
        &mut world,
        r#"orchestration {"type":"t","onFatal":"compensate","activities":{"deploy":[{"id":"a","type":"a"}],"dispose":[{"id":"a","type":"a"}]}}"#,
    );
    world.orchestrate(begins("r1", "t", "{}")).unwrap();
    world
}

/// The step is out.
fn out() -> World {
    let mut world = with_worker();
    world.started("w@n1");
    world
}

pub fn hand_out() -> Story {
    Story {
        rule: "hand_out",
        subject: first,
        under: with_worker,
        straw: |world| world.started("w@n1"),
        says: code::HANDED_OUT,
        declines: false,
        saw: &["w@n1", "run/r1"],
        why: ("step/r1/a", "Running (attempt 1)"),
    }
}

pub fn hand_out_finds_no_input() -> Story {
    Story {
        rule: "hand_out",
        subject: |_| key("step/r2/b"),
        under: || {
            let mut world = out();
            let takes = r#"{"type":"b","provider":"p","inputSchema":{"required":["x"]}}"#;
            say(&mut world, &format!("activity {takes}"));
            let of = r#"{"type":"u","activities":[{"id":"a","type":"a"},{"id":"b","type":"b","dependsOn":"a","inputs":[{"source":"a.x","target":"x"}]}]}"#;
            say(&mut world, &format!("orchestration {of}"));
            world.orchestrate(begins("r2", "u", "{}")).unwrap();
            world
        },
        straw: |world| world.works(&step("r2/a"), complete("{}")),
        says: code::MISSING_INPUT,
        declines: false,
        saw: &[],
        why: ("step/r2/b", "Failed"),
    }
}

pub fn step_due() -> Story {
    Story {
        rule: "step_due",
        subject: first,
        under: || {
            let mut world = out();
            let again = WorkAnswer::Schedule {
                after: Duration::from_millis(3_000),
                scratch: Changes::default(),
            };
            world.works(&step("r1/a"), again);
            world.wait_ms(2_900);
            world
        },
        straw: |world| world.wait_ms(150),
        says: code::STEP_DUE,
        declines: false,
        saw: &[],
        why: ("step/r1/a", "Running (attempt 1)"),
    }
}

pub fn step_lost() -> Story {
    Story {
        rule: "step_lost",
        subject: first,
        under: out,
        straw: |world| world.panics("w@n1", "boom"),
        says: code::WORKER_GONE,
        declines: false,
        saw: &["w@n1"],
        why: ("step/r1/a", "w@n1"),
    }
}

pub fn undo() -> Story {
    Story {
        rule: "undo",
        subject: run,
        under: out,
        straw: |world| fatal(world, "r1/a"),
        says: code::UNDOING,
        declines: false,
        saw: &[],
        why: ("run/r1", "Compensating"),
    }
}

fn fatal(world: &mut World, at: &str) {
    let error = "no such disk".to_owned();
    world.works(&step(at), WorkAnswer::Fatal { error });
}

fn undoing() -> World {
    let mut world = out();
    fatal(&mut world, "r1/a");
    world
}

pub fn undo_ends() -> Story {
    Story {
        rule: "undo",
        subject: run,
        under: undoing,
        straw: |world| world.works(&step("r1~dispose/a"), complete("{}")),
        says: code::UNDONE,
        declines: false,
        saw: &[],
        why: ("run/r1", "Compensated"),
    }
}

pub fn undo_fails() -> Story {
    Story {
        rule: "undo",
        subject: run,
        under: || {
            let mut world = undoing();
            world.works(&step("r1~dispose/a"), fails("busy"));
            world.wait_ms(6_000);
            world
        },
        straw: |world| world.works(&step("r1~dispose/a"), fails("busy")),
        says: code::NOT_UNDONE,
        declines: false,
        saw: &[],
        why: ("run/r1", "CompensationFailed"),
    }
}

fn artifact_of_four(_: &World) -> Key {
    Key::Artifact(artifact("4"))
}

pub fn artifact_left() -> Story {
    Story {
        rule: "artifact_left",
        subject: artifact_of_four,
        under: || {
            let mut world = out();
            world.orchestrate(begin("4", "site", None)).unwrap();
            world.orchestrate(chunk("4", "site")).unwrap();
            world.wait_ms(59_900);
            // The next leader counts from the last entry.
            world.orchestrate(begins("r2", "t", "{}")).unwrap();
            world
        },
        straw: |world| world.wait_ms(150),
        says: code::ARTIFACT_LEFT,
        declines: false,
        saw: &[],
        why: ("w@n1", "Running"),
    }
}

pub fn run_over() -> Story {
    Story {
        rule: "run_over",
        subject: run,
        under: || {
            let mut world = out();
            // One that is complete, and can be undone, is there until it is.
            say(&mut world, "cancel r1");
            world.wait_ms(86_399_900);
            // The next leader counts from the last entry.
            world.orchestrate(begins("r2", "t", "{}")).unwrap();
            world
        },
        straw: |world| world.wait_ms(150),
        says: code::RUN_OVER,
        declines: false,
        saw: &[],
        why: ("w@n1", "Running"),
    }
}
