//! What a person meets first: a cluster that comes up by itself, tells what to try, and leaves nothing behind.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use mainstay_tests::cluster::signal;
use mainstay_tests::{Cluster, DevOptions, outside, until};
use rustix::process::Signal;

/// Everything below the cluster's directories but the log that the test itself keeps there.
fn left_behind(home: &Path) -> Vec<PathBuf> {
    let own = home.join("dev.log");
    outside::files_below(home)
        .into_iter()
        .filter(|path| *path != own)
        .collect()
}

fn until_nothing_is_left(home: &Path) {
    until(
        "no process and no file of the cluster is left",
        || {
            let processes: Vec<String> = outside::processes_of(home)
                .into_iter()
                .map(|process| format!("{} {}", process.pid, process.arguments.replace('\0', " ")))
                .collect();
            (processes, left_behind(home))
        },
        |(processes, files)| processes.is_empty() && files.is_empty(),
    );
}

fn one_node() -> DevOptions {
    DevOptions {
        nodes: 1,
        ..DevOptions::default()
    }
}

// acceptance: 1
// proves: S1, S8
#[test]
fn a_first_cluster_says_what_to_try_and_ctrl_c_leaves_nothing() {
    let mut cluster = Cluster::with(&DevOptions {
        demo: true,
        ..DevOptions::default()
    });
    println!("ready after {:?}", cluster.ready_after);
    let to_try: Vec<String> = cluster
        .said
        .lines()
        .filter_map(|line| Some(line[line.find("mainstay ")?..].trim().to_owned()))
        .collect();
    assert_eq!(to_try.len(), 3, "three things to try:\n{}", cluster.said);
    for line in &to_try {
        cluster.sh(line.trim_start_matches("mainstay ")).ok();
    }
    let status = until(
        "the cluster is healthy",
        || cluster.json("status"),
        |status| status["verdict"] == "HEALTHY",
    );
    assert_eq!(status["nodes"]["ok"], 3, "{status:#}");
    assert_eq!(status["instances"]["ok"], 5, "{status:#}");
    cluster.sh("status --exit-code -q").ok();
    assert!(!outside::processes_of(cluster.home()).is_empty());
    assert!(!left_behind(cluster.home()).is_empty());

    assert_eq!(cluster.interrupt(), Some(0), "{}", cluster.log());
    assert_eq!(left_behind(cluster.home()), Vec::<PathBuf>::new());
    until_nothing_is_left(cluster.home());
    cluster.sh("status").expect_code(6);
}

// acceptance: 1
#[test]
fn a_parent_that_is_killed_leaves_nothing_either() {
    let mut cluster = Cluster::with(&DevOptions {
        demo: true,
        nodes: 2,
        ..DevOptions::default()
    });
    cluster.kill_parent();
    until_nothing_is_left(cluster.home());
}

fn reaper(cluster: &Cluster) -> Option<u32> {
    cluster.daemon("dev-reaper").first().copied()
}

// acceptance: 1
#[test]
fn a_reaper_that_is_killed_is_followed_by_another_that_knows_the_same() {
    let mut cluster = Cluster::with(&one_node());
    let first = reaper(&cluster).expect("a parent has a reaper");
    signal(first, Signal::KILL);
    until(
        "another reaper",
        || reaper(&cluster),
        |now| now.is_some_and(|now| now != first),
    );
    let log = cluster.log();
    assert!(log.contains("the reaper was ended by signal 9"), "{log}");
    cluster.sh("status").ok();
    cluster.kill_parent();
    until_nothing_is_left(cluster.home());
}

// acceptance: 1
#[test]
fn neither_a_stopped_nor_a_missing_reaper_keeps_a_cluster_from_ending_and_clearing_up() {
    for harm in [Signal::STOP, Signal::KILL] {
        let mut cluster = Cluster::with(&one_node());
        signal(reaper(&cluster).expect("a parent has a reaper"), harm);
        assert_eq!(cluster.interrupt(), Some(0), "{}", cluster.log());
        assert_eq!(left_behind(cluster.home()), Vec::<PathBuf>::new());
        until_nothing_is_left(cluster.home());
    }
}

// acceptance: 1
#[test]
fn two_homes_do_not_meet_and_a_home_has_one_cluster() {
    let first = Cluster::with(&one_node());
    let mut second = Cluster::with(&one_node());
    first.sh("start greeter --on n1").ok();
    assert_eq!(first.state("greeter@n1"), "Running");
    assert!(second.list("get instances").is_empty());

    let refused = first.sh("dev --nodes 1 --no-demo").expect_code(4);
    let pid = first.parent_pid().to_string();
    assert!(
        refused.stderr.contains(&pid),
        "names the first: {refused:#?}"
    );
    assert_eq!(first.state("greeter@n1"), "Running", "the first goes on");

    second.sh("dev stop").ok();
    assert_eq!(left_behind(second.home()), Vec::<PathBuf>::new());
    until_nothing_is_left(second.home());
    second.interrupt();
    first.sh("check greeter@n1").ok();
}

// acceptance: 1
// proves: S12
#[test]
fn a_daemon_that_is_killed_is_started_again_by_the_parent() {
    let cluster = Cluster::with(&DevOptions {
        nodes: 2,
        ..DevOptions::default()
    });
    let pids = |cluster: &Cluster| -> BTreeSet<u32> {
        let daemons = ["station\0run", "agent\0run"];
        daemons
            .iter()
            .flat_map(|role| cluster.daemon(role))
            .collect()
    };
    let before = pids(&cluster);
    assert_eq!(before.len(), 3);
    for pid in &before {
        signal(*pid, Signal::KILL);
    }
    until(
        "three other daemons run",
        || pids(&cluster),
        |now| now.len() == 3 && now.is_disjoint(&before),
    );
    until(
        "both nodes are online",
        || cluster.sh("get nodes -o json"),
        |run| {
            run.code == Some(0)
                && run.json().as_array().is_some_and(|nodes| {
                    nodes
                        .iter()
                        .filter(|node| node["state"] == "Online")
                        .count()
                        == 2
                })
        },
    );
    // The station's death is an event, and what `why` says of it.
    let told = |cluster: &Cluster| -> Vec<String> {
        let events = cluster.list("events");
        let of_station = events
            .iter()
            .filter(|event| event["subject"] == "station/s1");
        of_station
            .filter_map(|event| event["type"].as_str().map(str::to_owned))
            .collect()
    };
    // Nodes are shown as they were known before who leads has recorded anything.
    until(
        "its restart is told",
        || told(&cluster),
        |told| *told == ["station.joined", "station.restarted"],
    );
    cluster.expect_root("station/s1", "its last life did not end in order");

    // One that is asked to end says so itself.
    signal(cluster.station_pid(), Signal::TERM);
    until(
        "the station was started again",
        || cluster.sh("get stations -o json"),
        |run| run.code == Some(0) && told(&cluster).len() == 4,
    );
    assert_eq!(told(&cluster)[2..], ["station.stopped", "station.started"]);
    let why = cluster.why("station/s1");
    assert_eq!(why["reason"], serde_json::Value::Null, "{why:#}");
}
