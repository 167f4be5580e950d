//! A cluster with several stations, as processes: it comes up as one group and leaves nothing behind; its leader is killed
//! and stopped, again and again; most of it is; all of it is.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use mainstay_tests::cluster::signal;
use mainstay_tests::{Cluster, DevOptions, Run, Witness, outside, soak, until};
use rustix::process::Signal;
use serde_json::Value;

fn three() -> Cluster {
    Cluster::with(&DevOptions {
        stations: 3,
        nodes: 1,
        ..DevOptions::default()
    })
}

/// Who leads, and in which term, once somebody does in a later one than this.
fn until_led_after(cluster: &Cluster, term: u64) -> (String, u64) {
    let led = until(
        "a station leads in a new term",
        || leader(&cluster.sh("status -o json")),
        |led| led.as_ref().is_some_and(|(_, now)| *now > term),
    );
    led.expect("the condition holds for something only")
}

fn leader(run: &Run) -> Option<(String, u64)> {
    if run.code != Some(0) {
        return None;
    }
    let status = run.json();
    let leader = status["leader"].as_str()?.to_owned();
    Some((leader, status["term"].as_u64()?))
}

fn until_all_run(cluster: &Cluster) -> Vec<Value> {
    until_list(cluster, "get stations", |all| {
        all.len() == 3 && all.iter().all(|one| one["state"] == "Running")
    })
}

/// Also while nobody answers.
fn until_list(cluster: &Cluster, line: &str, right: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let rows = |run: &Run| match run.code {
        Some(0) => run.json().as_array().cloned(),
        _ => None,
    };
    let found = until(
        &format!("{line} shows what is awaited"),
        || rows(&cluster.sh(&format!("{line} -o json"))),
        |all| all.as_deref().is_some_and(&right),
    );
    found.expect("the condition holds for something only")
}

// proves: S17
#[test]
fn three_stations_come_up_as_one_group_and_ctrl_c_leaves_nothing() {
    let mut cluster = Cluster::with(&DevOptions {
        stations: 3,
        demo: true,
        ..DevOptions::default()
    });
    println!("ready after {:?}", cluster.ready_after);
    let names = ["s1", "s2", "s3"];
    assert!(
        cluster.said.contains("stations s1, s2, s3"),
        "{}",
        cluster.said
    );
    let pids = cluster.station_pids();
    assert!(pids.keys().eq(names), "{pids:?}");
    assert_eq!(pids.values().collect::<BTreeSet<_>>().len(), 3);
    assert_eq!(cluster.station_pid(), pids["s1"]);

    let stations = cluster.list("station list");
    assert_eq!(stations, cluster.list("get stations"));
    assert!(
        stations.iter().map(|one| &one["id"]).eq(names),
        "{stations:#?}"
    );
    assert!(stations.iter().all(|one| one["state"] == "Running"));
    let leaders = stations.iter().filter(|one| one["role"] == "leader");
    assert_eq!(leaders.count(), 1, "{stations:#?}");
    let status = cluster.json("status");
    assert_eq!(status["quorum"], true, "{status:#}");
    // Each answers for itself, whichever is asked.
    for name in names {
        let checked = cluster.json(&format!("check station/{name}"));
        assert_eq!(checked["health"], "ok", "{checked:#}");
        let told = cluster.sh(&format!("ask-status station/{name}")).ok();
        for part in ["coordinator:", "event processor:", "log:", "disk:"] {
            assert!(told.stdout.contains(part), "{told:#?}");
        }
    }

    let home = cluster.home().to_owned();
    assert_eq!(cluster.interrupt(), Some(0), "{}", cluster.log());
    let left = until(
        "no process and no file of the cluster is left",
        || {
            let mut files = outside::files_below(&home);
            files.retain(|path| *path != home.join("dev.log"));
            (outside::processes_of(&home).len(), files)
        },
        |(processes, files)| *processes == 0 && files.is_empty(),
    );
    assert_eq!(left.0, 0);
}

/// Starts what is not there yet, one after the other, up to so many in each round; which of them it was promised.
fn promised(cluster: &Cluster, rounds: &AtomicUsize, made: &AtomicUsize) -> Vec<String> {
    const IN_A_ROUND: usize = 20;
    let mut promised = Vec::new();
    for number in 0.. {
        let round = until(
            "there is room in this round, or it is the end",
            || rounds.load(Ordering::Relaxed),
            |round| promised.len() < round.saturating_mul(IN_A_ROUND),
        );
        if round == OVER {
            break;
        }
        let name = format!("p{number}");
        let run = cluster.sh(&format!(
            "start flaky --name {name} --on n1 --no-wait --timeout 3s"
        ));
        match run.code {
            Some(0) => {
                promised.push(name);
                made.fetch_add(1, Ordering::Relaxed);
            }
            // No leader; nobody there; an answer that was lost or did not come in time.
            Some(6..=8) => {}
            code => panic!("{code:?}: {run:#?}"),
        }
    }
    promised
}

/// In place of a number of rounds.
const OVER: usize = usize::MAX;

/// Kills the leader, or stops it until another leads, round after round.
fn storm(cluster: &Cluster, rounds: usize, round: &AtomicUsize, made: &AtomicUsize) {
    for number in 0..rounds {
        until_all_run(cluster);
        let before = made.load(Ordering::Relaxed);
        round.fetch_add(1, Ordering::Relaxed);
        until(
            "something more was promised",
            || made.load(Ordering::Relaxed),
            |made| *made > before,
        );
        let (leader, term) = until_led_after(cluster, 0);
        let pid = cluster.station_pids()[&leader];
        let how = [Signal::KILL, Signal::STOP][number % 2];
        signal(pid, how);
        until_led_after(cluster, term);
        if how == Signal::STOP {
            signal(pid, Signal::CONT);
        }
    }
}

// acceptance: issue 4, line 2
// proves: S17
#[test]
fn soak_the_leader_is_killed_or_stands_still_and_no_promise_is_lost() {
    let rounds = soak::rounds(10, 100);
    let cluster = three();
    let file = cluster.home().join("steady.witness");
    let line = format!(
        "start flaky --name steady --on n1 --config witness={}",
        file.display()
    );
    cluster.sh(&line).ok();
    let (round, made) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let promised = std::thread::scope(|scope| {
        let writer = scope.spawn(|| promised(&cluster, &round, &made));
        let stormy = scope.spawn(|| storm(&cluster, rounds, &round, &made));
        let stormy = stormy.join();
        // Also where the storm failed: else the writer would wait for its next round.
        round.store(OVER, Ordering::Relaxed);
        let promised = writer.join().expect("the writer ends");
        stormy.expect("every round had its new leader");
        promised
    });
    println!("{} promises over {rounds} rounds", promised.len());
    assert!(
        promised.len() >= rounds,
        "something was promised in between"
    );
    until_all_run(&cluster);
    let known = || -> BTreeSet<String> {
        let all = cluster.list("get placements");
        let names = all.iter().map(|one| one["name"].as_str().expect("a name"));
        names.map(str::to_owned).collect()
    };
    // Whichever station answers: it may be a moment behind.
    let there = until("what was promised is there", known, |there| {
        promised.iter().all(|name| there.contains(name))
    });
    let placements = there.len();
    until(
        "all of them run",
        || cluster.list("get instances"),
        |all| all.len() == placements && all.iter().all(|one| one["state"] == "Running"),
    );
    let twice: Vec<_> = cluster
        .list("get instances")
        .into_iter()
        .filter(|one| one["incarnation"] != 1)
        .collect();
    assert!(
        twice.is_empty(),
        "nothing failed, so nothing starts again: {twice:#?}"
    );
    assert_eq!(
        Witness::read(&file).starts().len(),
        1,
        "it ran all the while"
    );
    cluster.sh("graph check").ok();
}

// acceptance: issue 4, line 3
// proves: S17
#[test]
fn a_minority_refuses_changes_with_7_and_answers_with_the_age_of_its_picture() {
    let cluster = three();
    cluster.sh("start greeter --on n1").ok();
    assert_eq!(cluster.greet("greeter@n1"), 1);
    until_all_run(&cluster);
    let pids = cluster.station_pids();
    for name in ["s2", "s3"] {
        signal(pids[name], Signal::STOP);
    }
    until(
        "s1 knows that it is alone",
        || cluster.sh("status -o json"),
        |run| run.code == Some(0) && run.json()["quorum"] == false,
    );
    let refused = cluster.sh("stop greeter@n1 --timeout 5s").expect_code(7);
    assert!(
        refused.stderr.contains("2 of the 3 stations")
            && refused.stderr.contains("s2 (")
            && refused.stderr.contains("s3 ("),
        "{refused:#?}"
    );
    let status = cluster.json("status");
    assert_eq!(
        (&status["verdict"], &status["leader"]),
        (&"UNKNOWN".into(), &Value::Null),
        "{status:#}"
    );
    assert!(status["data_age_ms"].as_u64() > Some(1_000), "{status:#}");
    let failed = cluster.sh("check station/s1").expect_code(9);
    assert!(failed.stdout.contains("nobody leads"), "{failed:#?}");

    signal(pids["s2"], Signal::CONT);
    let greeted = until(
        "its agent has a session again",
        || cluster.sh("call greeter@n1 greet '{\"name\":\"Ada\"}' -o json"),
        |run| run.code == Some(0),
    );
    assert_eq!(greeted.json()["answer"]["count"], 2, "it ran all the while");
    cluster.sh("stop greeter@n1").ok();
    until(
        "s3 is missed",
        || cluster.why("station/s3"),
        |why| why["reason"]["code"] == "MS-STATION-AWAY",
    );
    let silent = cluster.sh("check station/s3").expect_code(9);
    assert!(silent.stderr.contains("s3 does not answer"), "{silent:#?}");
    signal(pids["s3"], Signal::CONT);
    until_all_run(&cluster);
}

// acceptance: issue 4, line 4
// proves: S12, S17
#[test]
fn everything_is_killed_three_times_and_comes_back_by_itself() {
    let cluster = three();
    cluster.sh("start flaky --name steady --on n1").ok();
    for round in 1..=3_u64 {
        until_all_run(&cluster);
        let kept = format!("kept{round}");
        cluster
            .sh(&format!("start flaky --name {kept} --on n1"))
            .ok();
        signal(cluster.parent_pid(), Signal::STOP);
        for pid in cluster.station_pids().into_values() {
            signal(pid, Signal::KILL);
        }
        signal(cluster.agent_pid("n1"), Signal::KILL);
        signal(cluster.parent_pid(), Signal::CONT);
        let back = until_list(&cluster, "get instances", |all| {
            all.len() as u64 == round + 1
                && all.iter().all(|one| one["state"] == "Running")
                && all.iter().any(|one| one["incarnation"] == round + 1)
        });
        let last = back.iter().find(|one| one["name"] == kept.as_str());
        assert_eq!(
            last.map(|one| &one["incarnation"]),
            Some(&2.into()),
            "{back:#?}"
        );
    }
    until_all_run(&cluster);
}

// proves: S17
#[test]
fn a_change_whose_outcome_is_not_known_is_told_as_such_and_made_once_at_most() {
    let cluster = three();
    cluster.sh("start greeter --on n1").ok();
    until_all_run(&cluster);
    let pids = cluster.station_pids();
    let (leader, _) = until_led_after(&cluster, 0);
    let others: Vec<u32> = pids
        .iter()
        .filter(|(name, _)| **name != leader)
        .map(|(_, pid)| *pid)
        .collect();
    for pid in &others {
        signal(*pid, Signal::STOP);
    }
    // The leader does not know yet that it is alone, and takes it.
    let lost = cluster.sh("restart greeter@n1 --no-wait").expect_code(6);
    assert!(
        lost.stderr.contains("MS-ANSWER-LOST") && lost.stderr.contains("it may yet"),
        "{lost:#?}"
    );
    for pid in others {
        signal(pid, Signal::CONT);
    }
    until_list(&cluster, "get nodes", |all| {
        all.iter().all(|one| one["state"] == "Online")
    });
    // One more, so that whatever was to come of the first has come.
    cluster.sh("restart greeter@n1").ok();
    let restarts = cluster.incarnation("greeter@n1") - 1;
    assert!(
        (1..=2).contains(&restarts),
        "two were asked for: {restarts}"
    );
}
