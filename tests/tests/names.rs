//! One holder per name per node: who comes second waits, and says for whom.

use std::thread;

use mainstay_tests::{Cluster, DevOptions, Run, Shared, Witness};

const ROUNDS: usize = 50;

static SHARED: Shared = Shared::new();

fn one_node() -> DevOptions {
    DevOptions {
        nodes: 1,
        ..DevOptions::default()
    }
}

// acceptance: 3
// case: services 14
// proves: S4
#[test]
fn the_second_type_that_needs_a_name_waits_until_it_is_free() {
    let cluster = SHARED.get(&one_node());
    cluster
        .sh("start flaky --name first --holds desk --on n1")
        .ok();

    let refused = cluster
        .sh("start noisy --name second --holds desk --on n1")
        .expect_code(4);
    assert!(
        refused.stderr.contains("first@n1"),
        "names the holder: {refused:#?}"
    );
    let second = cluster.instance("second@n1").expect("the placement stays");
    assert_eq!(second["state"], "Blocked");
    assert_eq!(second["reason"]["code"], "MS-NAME-HELD");
    assert_eq!(second["reason"]["refs"][0], "first@n1", "{second:#}");
    assert_eq!(cluster.state("first@n1"), "Running");
    let name = cluster.json("get names n1/desk");
    assert_eq!(name["holder"], "first@n1");
    assert_eq!(name["waiting"][0], "second@n1");
    cluster.expect_decision("second@n1", "name_conflict", "MS-NAME-HELD");
    let why = cluster.why("second@n1");
    assert_eq!(why["because"][0]["ref"], "first@n1", "{why:#}");

    cluster.sh("stop first@n1").ok();
    cluster.until_state("second@n1", "Running");
    cluster.expect_decision("second@n1", "name_conflict", "MS-NAME-FREED");
    assert_eq!(cluster.json("get names n1/desk")["holder"], "second@n1");
    assert_eq!(cluster.state("first@n1"), "Stopped");

    cluster
        .sh("start flaky --name first --holds desk --on n1")
        .expect_code(4);
    assert_eq!(cluster.state("first@n1"), "Blocked");
    assert_eq!(cluster.state("second@n1"), "Running");
}

/// Both at once, each from a process of its own.
fn race(cluster: &Cluster, witness: &str) -> (Run, Run) {
    let start = |name: &str| {
        cluster.sh(&format!(
            "start flaky --name {name} --holds seat --on n1 --config witness={witness}"
        ))
    };
    thread::scope(|scope| {
        let left = scope.spawn(|| start("left"));
        let right = start("right");
        (left.join().expect("the other command ran"), right)
    })
}

// acceptance: 3
// case: services 15
// proves: S4, S9
#[test]
fn two_commands_for_one_name_never_make_two_and_both_get_an_answer() {
    let cluster = SHARED.get(&one_node());
    let file = cluster.home().join("seat.witness");
    let witness = file.to_string_lossy().into_owned();
    for round in 0..ROUNDS {
        let (left, right) = race(&cluster, &witness);
        let (winner, loser) = match (left.code, right.code) {
            (Some(0), Some(4)) => ("left", "right"),
            (Some(4), Some(0)) => ("right", "left"),
            _ => panic!("round {round}: one gets it, one is told who has it: {left:#?} {right:#?}"),
        };
        assert_eq!(cluster.state(&format!("{winner}@n1")), "Running");
        assert_eq!(cluster.state(&format!("{loser}@n1")), "Blocked");
        // The waiting one first, or it would take the name.
        cluster.sh(&format!("stop {loser}@n1")).ok();
        cluster.sh(&format!("stop {winner}@n1")).ok();
    }
    let mut living = 0;
    let mut starts = 0;
    for line in &Witness::read(&file).lines {
        match line[0].as_str() {
            "start" => {
                starts += 1;
                living += 1;
            }
            "stop" => living -= 1,
            other => panic!("the witness says {other}"),
        }
        assert!((0..=1).contains(&living), "two at once: {line:?}");
    }
    assert_eq!(starts, ROUNDS, "each round started one");
}
