//! Nodes that do not come back, on real ones: given up, their instances of so many started elsewhere, and taken back
//! in peace if they return after all.

use std::time::Duration;

use mainstay_tests::answers::pid_of;
use mainstay_tests::until::until_within;
use mainstay_tests::{Cluster, DevOptions, outside, signal, until};
use rustix::process::Signal;
use serde_json::Value;

/// One cluster of three nodes with so many of `web`.
fn with_so_many(count: usize) -> Cluster {
    let cluster = Cluster::with(&DevOptions {
        nodes: 3,
        ..DevOptions::default()
    });
    cluster
        .sh(&format!(
            "start process --name web --count {count} {SLEEPS}"
        ))
        .ok();
    cluster
}

fn lives(pid: u32) -> bool {
    outside::process(pid).is_some_and(|process| process.state != 'Z')
}

fn state_of(cluster: &Cluster, node: &str) -> Value {
    let nodes = cluster.list("get nodes");
    let found = nodes.iter().find(|found| found["name"] == node);
    found.map_or(Value::Null, |found| found["state"].clone())
}

fn instances(cluster: &Cluster, state: &str) -> Vec<String> {
    let all = cluster.list("get instances web");
    let right = all.iter().filter(|one| one["state"] == state);
    right
        .map(|one| {
            one["node"]
                .as_str()
                .expect("an instance names its node")
                .to_owned()
        })
        .collect()
}

const SLEEPS: &str = r#"--config 'command=["/bin/sh","-c","exec sleep 100000"]'"#;

// proves: S23, B8
#[test]
fn one_of_so_many_runs_elsewhere_when_its_node_stands_still_and_the_old_one_ends_when_it_is_back() {
    let cluster = with_so_many(2);
    assert_eq!(instances(&cluster, "Running"), ["n1", "n2"]);
    let old = pid_of(&cluster.until_state("web@n2", "Running"));

    let agent = cluster.agent_pid("n2");
    signal(agent, Signal::STOP);
    until(
        "n2 is given up",
        || state_of(&cluster, "n2"),
        |state| state == "Lost",
    );
    cluster.until_state("web@n3", "Running");
    assert_eq!(cluster.instance("web@n2").unwrap()["state"], "Lost");
    assert!(lives(old), "nobody can end it there");
    cluster.expect_root("web@n2", "heartbeats stopped");
    let status = cluster.json("status");
    let of_problems: Vec<&str> = status["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| problem["ref"].as_str().unwrap())
        .collect();
    assert_eq!(of_problems, ["node/n2"], "web is as many as it should be");

    signal(agent, Signal::CONT);
    until("the old one ends", || lives(old), |lives| !lives);
    until(
        "n1 and n3 have it",
        || (state_of(&cluster, "n2"), instances(&cluster, "Running")),
        |(state, nodes)| state == "Online" && nodes == &["n1", "n3"],
    );
    assert!(cluster.instance("web@n2").is_none());
}

/// Two of five are more than may be away at once.
// proves: S23
// acceptance: issue 5, line 3
#[test]
fn two_of_five_that_are_really_gone_are_given_up_after_the_hold_one_at_a_time() {
    let cluster = Cluster::with(&DevOptions {
        nodes: 5,
        ..DevOptions::default()
    });
    cluster.sh("settings set lost.closed=3s lost.brake=4s").ok();
    cluster
        .sh(&format!("start process --name web --count 5 {SLEEPS}"))
        .ok();
    let agents = ["n4", "n5"].map(|node| cluster.agent_pid(node));
    for agent in agents {
        signal(agent, Signal::STOP);
    }
    let lost = |cluster: &Cluster| {
        let nodes = cluster.list("get nodes");
        nodes.iter().filter(|one| one["state"] == "Lost").count()
    };
    until_within(
        Duration::from_secs(60),
        "the first is given up",
        || lost(&cluster),
        |lost| *lost == 1,
    );
    let held = cluster.list("decisions cluster");
    assert!(
        held.iter().any(|one| one["did"]["code"] == "MS-NODES-HELD"),
        "it was held before: {held:#?}"
    );
    // As long as the brake stands, one a minute.
    until_within(
        Duration::from_secs(120),
        "the other is given up",
        || lost(&cluster),
        |lost| *lost == 2,
    );
    let problems = cluster.json("status")["problems"].clone();
    assert!(
        !problems.to_string().contains("MS-NODES-HELD"),
        "nobody is left to be held: {problems:#}"
    );
    let too_few = cluster.json("describe placement/web");
    assert!(
        too_few.to_string().contains("MS-TOO-FEW-NODES"),
        "three nodes cannot take five: {too_few:#}"
    );
    for agent in agents {
        signal(agent, Signal::CONT);
    }
    until(
        "all are back",
        || instances(&cluster, "Running"),
        |nodes| nodes == &["n1", "n2", "n3", "n4", "n5"],
    );
}

// proves: S23
// acceptance: issue 5, line 3
#[test]
fn a_station_that_hears_most_nodes_no_more_gives_none_up_and_nothing_moves() {
    let cluster = with_so_many(3);
    let pids =
        ["n2", "n3"].map(|node| pid_of(&cluster.until_state(&format!("web@{node}"), "Running")));
    let agents = ["n2", "n3"].map(|node| cluster.agent_pid(node));
    for agent in agents {
        signal(agent, Signal::STOP);
    }
    let held = until(
        "the brake is told of",
        || cluster.json("status"),
        |status| {
            status["problems"].as_array().is_some_and(|all| {
                all.iter()
                    .any(|one| one["reason"]["code"] == "MS-NODES-HELD")
            })
        },
    );
    assert!(
        !held["scheduled"].as_array().unwrap().is_empty(),
        "{held:#}"
    );
    // Twice as long as one alone would have had.
    let waited = cluster.sh("wait node/n2 --for state=Lost --timeout 7s");
    assert_eq!(waited.code, Some(8), "{waited:#?}");
    for agent in agents {
        signal(agent, Signal::CONT);
    }
    until(
        "all are back",
        || instances(&cluster, "Running"),
        |nodes| nodes == &["n1", "n2", "n3"],
    );
    assert!(pids.iter().all(|pid| lives(*pid)), "nothing was restarted");
    until(
        "nothing is held any more",
        || cluster.json("status"),
        |status| status["problems"] == serde_json::json!([]),
    );
}

// proves: S25
#[test]
fn a_drained_node_gives_one_of_so_many_away_before_it_ends_and_too_few_nodes_are_told_of() {
    let cluster = with_so_many(2);
    let old = pid_of(&cluster.until_state("web@n1", "Running"));
    cluster.sh("node drain n1 --reason 'a new disk'").ok();
    assert!(!lives(old), "it has ended when the command is over");
    assert_eq!(instances(&cluster, "Running"), ["n2", "n3"]);

    // n1 takes none, and there is no further node: that is waited for, and told.
    let more = cluster
        .sh(&format!(
            "start process --name web --count 3 {SLEEPS} --timeout 1s"
        ))
        .expect_code(8);
    for part in [
        "a new disk",
        "web has too few nodes",
        "mainstay why placement/web",
    ] {
        assert!(more.stderr.contains(part), "{part}: {}", more.stderr);
    }
    let why = cluster.sh("why placement/web").ok().stdout;
    for part in [
        "2 of 3 instances as wanted",
        "MS-TOO-FEW-NODES",
        "n1 is drained",
        "a new disk",
    ] {
        assert!(why.contains(part), "{part}: {why}");
    }
    let status = cluster.sh("status").ok().stdout;
    assert!(status.contains("mainstay node uncordon n1"), "{status}");
    cluster.sh("node uncordon n1").ok();
    cluster.until_state("web@n1", "Running");
    cluster.sh("wait web --for healthy").ok();
}

// proves: S15, S19
#[test]
fn a_plan_says_which_of_so_many_find_no_node_and_apply_waits_for_them() {
    let cluster = with_so_many(1);
    let spec = cluster.home().join("more.yaml");
    let write = |name: &str, rest: &str| {
        let command = r#"config: { command: [sleep, "1000"] }"#;
        let text = format!("kind: Placement\nname: {name}\ntype: process\n{command}\n{rest}\n");
        std::fs::write(&spec, text).expect("the home can be written");
    };
    let file = spec.display().to_string();
    write("more", "target: { count: 4 }");
    let planned = cluster.sh(&format!("plan -f {file}")).ok().stdout;
    assert!(planned.contains("1 more finds no node"), "{planned}");
    let applied = cluster
        .sh(&format!("apply -f {file} --timeout 2s"))
        .expect_code(8);
    assert!(
        applied
            .stderr
            .contains("more has too few nodes: 1 more finds no node"),
        "{}",
        applied.stderr
    );
    let placement = cluster.json("get placements more");
    assert_eq!(placement["want"], 4, "{placement:#}");
    assert_eq!(placement["have"], 3, "{placement:#}");

    // None of it anywhere: it is there all the same, and says why.
    write("large", "target: { count: 1 }\nneeds: { cores: 9999 }");
    cluster
        .sh(&format!("apply -f {file} --timeout 1s"))
        .expect_code(8);
    assert_eq!(cluster.json("get placements large")["state"], "Pending");

    // What would be refused is refused by the plan as well, at its place.
    write("more", "target: { count: 2 }\nminimum: 2");
    let refused = cluster.sh(&format!("plan -f {file}")).expect_code(2);
    let at = format!("{file}:6:10: minimum: 2 of 2 leaves none");
    assert!(refused.stderr.contains(&at), "{at}: {}", refused.stderr);

    // Nothing of it is wanted: that is what was wished for.
    write("more", "target: { count: 0 }");
    cluster.sh(&format!("apply -f {file}")).ok();
}
