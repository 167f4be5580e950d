//! A rule that panics on one subject's state, in a real station: set aside for that subject, and for nobody else.

use std::path::PathBuf;

use mainstay_tests::daemons::Daemons;
use mainstay_tests::{command, mainstay_binary, until};
use serde_json::Value;

/// Mainstay with one more rule, which panics when a placement named `cursed` is Running.
fn cursed_binary() -> PathBuf {
    command::program("mainstay-cursed")
}

fn parked(cluster: &Daemons) -> Vec<Value> {
    cluster.list("parked list")
}

/// Waits for the one thing that is parked, and returns it.
fn until_parked(cluster: &Daemons) -> Value {
    let all = until(
        "one subject is parked",
        || parked(cluster),
        |all| all.len() == 1,
    );
    all[0].clone()
}

fn id_of(parked: &Value) -> &str {
    parked["id"].as_str().expect("it has an id")
}

fn assert_says_what_and_why(cluster: &Daemons, parked: &Value) {
    assert_eq!(parked["rule"], "superstitious", "{parked:#}");
    assert_eq!(parked["subject"], "cursed@n1", "{parked:#}");
    let text = parked["text"].as_str().unwrap_or_default();
    assert!(text.contains("bad omen"), "{parked:#}");
    let shown = cluster.sh(&format!("parked show {}", id_of(parked))).ok();
    assert!(
        shown.stdout.contains("superstitious") && shown.stdout.contains("bad omen"),
        "{shown:#?}"
    );
    let why = cluster.sh("why cursed@n1").ok().stdout;
    assert!(
        why.contains("superstitious") && why.contains(id_of(parked)),
        "why names what is set aside:\n{why}"
    );
}

/// A neighbour's whole life, and that of the cursed one itself, go on under all other rules.
fn assert_everything_else_goes_on(cluster: &Daemons, name: &str) {
    cluster
        .sh(&format!("start flaky --name {name} --on n1"))
        .ok();
    cluster
        .sh(&format!("call {name}@n1 panic '{{\"text\":\"ouch\"}}'"))
        .expect_code(9);
    cluster.sh(&format!("wait {name}@n1 --for running")).ok();
    cluster.sh(&format!("restart {name}@n1")).ok();
    cluster.sh(&format!("stop {name}@n1")).ok();
    cluster.sh(&format!("check {name}@n1")).expect_code(9);
    cluster.sh("check cursed@n1").ok();
}

// acceptance: 7
// proves: S21, S24
#[test]
fn a_rule_that_panics_is_set_aside_for_its_subject_alone_and_can_be_requeued() {
    let mut cluster = Daemons::start(&cursed_binary(), 1);
    cluster.sh("start greeter --on n1").ok();
    // The other rules run it: only the one that panics is set aside.
    cluster.sh("start flaky --name cursed --on n1").ok();
    let first = until_parked(&cluster);
    assert_says_what_and_why(&cluster, &first);
    assert_everything_else_goes_on(&cluster, "before");
    assert_eq!(parked(&cluster).len(), 1, "once, not once for each pass");

    // While the cause stands, judging it again parks it again.
    cluster
        .sh(&format!("parked requeue {}", id_of(&first)))
        .ok();
    let again = until_parked(&cluster);
    assert_says_what_and_why(&cluster, &again);

    // Parked over the end of the station, and still for this subject alone.
    cluster.kill_station();
    cluster.start_station(&cursed_binary());
    cluster.until_online();
    assert_says_what_and_why(&cluster, &until_parked(&cluster));
    assert_everything_else_goes_on(&cluster, "after");

    // With the cause gone it is judged, and stays out.
    cluster.sh("stop cursed@n1").ok();
    for one in parked(&cluster) {
        cluster.sh(&format!("parked requeue {}", id_of(&one))).ok();
    }
    cluster.sh("start flaky --name witness --on n1").ok();
    assert_eq!(parked(&cluster), Vec::<Value>::new());
    let nothing = cluster.sh(&format!("parked requeue {}", id_of(&again)));
    assert!(nothing.expect_code(3).stderr.contains("MS-NOT-FOUND"));

    // Running again it is parked again; once it does not run, nothing is set aside any more.
    cluster.sh("start flaky --name cursed --on n1").ok();
    let last = until_parked(&cluster);
    cluster.sh("stop cursed@n1").ok();
    assert_eq!(parked(&cluster), Vec::<Value>::new());
    cluster
        .sh(&format!("parked drop {} --yes", id_of(&last)))
        .expect_code(3);
    cluster
        .sh(&format!("parked show {}", id_of(&last)))
        .expect_code(3);
    cluster.end_and_replay();
}

// acceptance: 7
// proves: S21
#[test]
fn a_rule_that_panics_on_what_it_finds_at_leadership_start_is_set_aside_and_the_station_leads() {
    let mut cluster = Daemons::start(&mainstay_binary(), 1);
    cluster.sh("start flaky --name cursed --on n1").ok();
    cluster.sh("start greeter --on n1").ok();
    assert_eq!(parked(&cluster), Vec::<Value>::new());
    cluster.kill_station();
    // The next build has a rule that cannot bear what runs already.
    cluster.start_station(&cursed_binary());
    cluster.until_online();
    assert_says_what_and_why(&cluster, &until_parked(&cluster));
    assert_everything_else_goes_on(&cluster, "neighbour");
    let cursed = cluster.until_state("cursed@n1", "Running");
    assert_eq!(cursed["incarnation"], 1, "it was never touched");
    cluster.end_and_replay();
}
