//! Outside processes and every way in which they can fail: each is seen, told with its evidence, treated as its policy
//! says, and leaves nothing behind. The witness is the process table.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use mainstay_tests::answers::{decided, pid_of};
use mainstay_tests::measure::of_status;
use mainstay_tests::{Cluster, DevOptions, outside, signal, until};
use rustix::process::Signal;
use serde_json::{Value, json};

fn cluster() -> Cluster {
    Cluster::with(&DevOptions {
        nodes: 1,
        ..DevOptions::default()
    })
}

fn sh(script: &str) -> Value {
    json!({ "command": ["/bin/sh", "-c", script] })
}

fn with(mut config: Value, key: &str, value: Value) -> Value {
    config[key] = value;
    config
}

/// Everything that carries the slot of this name, by the process table; holds do not carry it.
fn carriers(name: &str) -> Vec<u32> {
    let mark = format!("/slots/{name}\0");
    outside::processes()
        .into_iter()
        .filter(|process| process.state != 'Z')
        .filter(|process| {
            let environment =
                fs::read(format!("/proc/{}/environ", process.pid)).unwrap_or_default();
            let environment = String::from_utf8_lossy(&environment);
            environment.contains("MAINSTAY_SLOT=") && environment.contains(&mark)
        })
        .map(|process| process.pid)
        .collect()
}

/// By their arguments, whatever became of their environment.
fn running(words: &str) -> Vec<u32> {
    let needle = words.replace(' ', "\0");
    outside::processes()
        .into_iter()
        .filter(|process| process.state != 'Z' && process.arguments.starts_with(&needle))
        .map(|process| process.pid)
        .collect()
}

fn until_none_of(name: &str) {
    until(
        &format!("nothing of {name} is left"),
        || carriers(name),
        Vec::is_empty,
    );
}

fn events(cluster: &Cluster, reference: &str, kind: &str) -> usize {
    cluster
        .list("events --since 1h")
        .into_iter()
        .filter(|event| event["subject"] == reference && event["type"] == kind)
        .count()
}

// acceptance: 1
// proves: S4, S8, S10, S20
#[test]
fn a_process_that_is_killed_or_exits_is_told_with_its_evidence_and_started_again() {
    let cluster = cluster();
    cluster
        .start_process("web", &sh("exec sleep 100000"), &[])
        .ok();
    let first = cluster.until_state("web@n1", "Running");
    let pid = pid_of(&first);
    assert_eq!(carriers("web"), [pid]);
    signal(pid, Signal::KILL);
    let second = cluster.until_restarted("web@n1", 1);
    assert_ne!(pid_of(&second), pid);
    assert_eq!(carriers("web"), [pid_of(&second)]);
    cluster.expect_root("web@n1", "was ended by SIGKILL");
    cluster.expect_decision("web@n1", "restart", "MS-RESTARTED-AT-ONCE");

    // The same on purpose.
    cluster.sh("chaos kill web@n1").ok();
    let third = cluster.until_restarted("web@n1", 2);
    assert_ne!(pid_of(&third), pid_of(&second));
    cluster.sh("chaos stop web@n1").ok();
    cluster.until_restarted("web@n1", 3);
    cluster.expect_root("web@n1", "was ended by SIGTERM");
    cluster.sh("chaos panic web@n1").expect_code(2);

    let complaint = "echo 'no such table: users' >&2; sleep 0.2; exit 1";
    cluster
        .start_process("crash", &sh(complaint), &["--no-wait"])
        .ok();
    cluster.until_state("crash@n1", "Backoff");
    cluster.expect_root("crash@n1", "exited with code 1 after");
    cluster.expect_root("crash@n1", "no such table: users");
    let why = cluster.sh("why crash@n1").ok().stdout;
    assert!(why.contains("MS-EXITED"), "{why}");

    cluster
        .start_process("clean", &sh("sleep 0.5"), &["--no-wait"])
        .ok();
    cluster.until_restarted_or_waiting("clean@n1");
    let decisions = cluster.decisions("clean@n1");
    let again = decided(&decisions, "restart", "MS-RESTARTED-AT-ONCE");
    assert!(
        again.is_some(),
        "a process is always started again: {decisions:#?}"
    );

    for name in ["web", "crash", "clean"] {
        cluster.sh(&format!("stop {name}@n1")).ok();
        until_none_of(name);
    }
}

// acceptance: 1
// proves: S10, S13
#[test]
fn a_process_that_is_stopped_hangs_or_ignores_its_stop_is_seen_and_ended() {
    let cluster = cluster();
    let quick = json!([{ "signal": "TERM", "wait_ms": 200 }]);
    cluster
        .start_process(
            "frozen",
            &with(sh("exec sleep 100000"), "stop", quick.clone()),
            &[],
        )
        .ok();
    let frozen = cluster.until_state("frozen@n1", "Running");
    signal(pid_of(&frozen), Signal::STOP);
    let after = cluster.until_restarted("frozen@n1", 1);
    assert_eq!(carriers("frozen"), [pid_of(&after)]);
    let root = format!("its process {} is stopped (SIGSTOP)", pid_of(&frozen));
    cluster.expect_root("frozen@n1", &root);
    cluster.expect_decision("frozen@n1", "stop", "MS-REPORTED-FAILURE");
    cluster.sh("chaos hang frozen@n1").ok();
    cluster.until_restarted("frozen@n1", 2);

    // A check that hangs, and leaves a child, is no process of its own.
    let check = json!({ "exec": ["/bin/sh", "-c", "sleep 86011 & sleep 86012"] });
    let hanging = with(
        with(sh("exec sleep 100000"), "check", check),
        "stop",
        quick.clone(),
    );
    cluster.start_process("asked", &hanging, &[]).ok();
    cluster.until_restarted("asked@n1", 1);
    cluster.expect_decision("asked@n1", "unresponsive", "MS-UNRESPONSIVE");
    cluster.sh("stop asked@n1").ok();
    until(
        "no check is left",
        || (running("sleep 86011"), running("sleep 86012")),
        |(first, second)| first.is_empty() && second.is_empty(),
    );

    let deaf = "trap '' TERM; while :; do sleep 1; done";
    cluster
        .start_process("deaf", &with(sh(deaf), "stop", quick), &[])
        .ok();
    cluster.sh("stop deaf@n1").ok();
    let stopped = cluster.until_state("deaf@n1", "Stopped");
    let text = stopped["reason"]["text"].as_str().unwrap_or_default();
    assert!(text.contains("had to be killed"), "{stopped:#}");
    until_none_of("deaf");

    let late = with(
        with(
            sh("echo starting; exec sleep 100000"),
            "ready",
            json!({ "line": "ready to serve" }),
        ),
        "ready_within_ms",
        json!(300),
    );
    cluster.start_process("late", &late, &["--no-wait"]).ok();
    cluster.until_state("late@n1", "Backoff");
    cluster.expect_root(
        "late@n1",
        "no line of its output had \"ready to serve\" in it",
    );
    cluster.sh("stop late@n1").ok();
    until_none_of("late");
}

// acceptance: 1
// proves: S4, S10
#[test]
fn what_eats_memory_forks_or_floods_is_told_and_leaves_nothing_behind() {
    let cluster = cluster();
    cluster.sh("start greeter --on n1").ok();
    let eats = json!({
        "command": ["python3", "-c", "import time; time.sleep(0.3); x = bytearray(1 << 30)"],
        "limits": { "memory_bytes": 268_435_456 },
    });
    cluster.start_process("hungry", &eats, &["--no-wait"]).ok();
    cluster.until_state("hungry@n1", "Backoff");
    cluster.expect_root("hungry@n1", "ran out of the memory that it may have");
    cluster.expect_root("hungry@n1", "MemoryError");
    cluster.sh("stop hungry@n1").ok();

    // One in its group, one in a session of its own, one without any mark of ours.
    let forks = "sleep 87011 & setsid sleep 87012 & setsid env -i sleep 87013 & sleep 0.5; exit 3";
    cluster
        .start_process("forks", &sh(forks), &["--no-wait"])
        .ok();
    cluster.until_state("forks@n1", "Backoff");
    cluster.expect_root("forks@n1", "3 processes that it left were killed");
    cluster.sh("stop forks@n1").ok();
    until_none_of("forks");
    for words in ["sleep 87011", "sleep 87012", "sleep 87013"] {
        until(
            &format!("no {words} is left"),
            || running(words),
            Vec::is_empty,
        );
    }

    let floods = "yes 'a flood of words' | head -c 20000000 >&2; echo the last word >&2; exit 4";
    let bounded = with(
        sh(floods),
        "log",
        json!({ "bytes_max": 65_536, "files_max": 2 }),
    );
    cluster
        .start_process("floods", &bounded, &["--no-wait"])
        .ok();
    cluster.until_state("floods@n1", "Backoff");
    assert_eq!(cluster.json("check greeter@n1")["health"], "ok");
    cluster.expect_root("floods@n1", "the last word");
    cluster.sh("stop floods@n1").ok();
    until_none_of("floods");
    let log = slot(cluster.home(), "floods").join("log");
    // Without an end, and faster than it is read: what it had is shown, and then that was all.
    let endless = with(
        sh("yes 'a flood without an end'"),
        "log",
        json!({ "bytes_max": 65_536, "files_max": 2 }),
    );
    cluster.start_process("endless", &endless, &[]).ok();
    let read = cluster.sh("logs endless@n1").ok();
    assert!(read.stdout.contains("a flood without an end"), "{read:?}");
    let runs = cluster.instance("endless@n1").expect("it runs");
    let resident = of_status(of_status(pid_of(&runs), "PPid"), "VmRSS");
    assert!(resident < 2048, "its hold has {resident} KiB in a flood");
    cluster.sh("stop endless@n1").ok();
    for file in fs::read_dir(log).unwrap() {
        let bytes = file.unwrap().metadata().unwrap().len();
        assert!(bytes <= 2 * 65_536, "{bytes} bytes in one file");
    }
}

/// The slot's directory, wherever the cluster has its data.
fn slot(home: &Path, name: &str) -> std::path::PathBuf {
    outside::files_below(home)
        .into_iter()
        .find(|path| path.ends_with(format!("slots/{name}")))
        .expect("a process has a slot")
}

// acceptance: 1, 4
// proves: S8
#[test]
fn what_can_never_start_waits_for_a_changed_wish_and_a_busy_port_is_tried_again() {
    let cluster = cluster();
    let file = cluster.home().join("plain");
    fs::write(&file, "no program").unwrap();
    let plain = file.to_str().unwrap();
    for (name, config, root) in [
        (
            "missing",
            json!({ "command": ["/nowhere/web"] }),
            "running /nowhere/web: No such file or directory",
        ),
        ("plain", json!({ "command": [plain] }), "Permission denied"),
        (
            "nobody",
            with(sh("true"), "user", json!("no-such-user")),
            "no-such-user",
        ),
        (
            "away",
            with(sh("true"), "cwd", json!("/nowhere")),
            "changing to the directory /nowhere",
        ),
        (
            "portless",
            json!({ "command": ["web", "${port:http}"] }),
            "there is no port \"http\"",
        ),
    ] {
        let refused = cluster.start_process(name, &config, &[]).expect_code(9);
        assert!(refused.stderr.contains(root), "{root}: {refused:#?}");
        let reference = format!("{name}@n1");
        let failed = cluster.instance(&reference).expect("the placement stays");
        assert_eq!(failed["state"], "Failed", "{failed:#}");
        assert_eq!(failed["reason"]["code"], "MS-CONFIG-REFUSED", "{failed:#}");
        assert_eq!(failed["incarnation"], 1, "no loop: {failed:#}");
        cluster.expect_root(&reference, root);
    }

    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let serve = "import socket, os, time\n\
                 s = socket.create_server(('127.0.0.1', int(os.environ['MAINSTAY_PORT_http'])))\n\
                 time.sleep(100000)";
    let web = json!({
        "command": ["python3", "-c", serve],
        "ports": [format!("http={port}")],
        "ready": { "tcp": "http" },
        "check": { "tcp": "http" },
    });
    cluster.start_process("web", &web, &["--no-wait"]).ok();
    cluster.until_state("web@n1", "Backoff");
    let busy = format!(
        "the port http ({port}) is busy: process {}",
        std::process::id()
    );
    cluster.expect_root("web@n1", &busy);
    drop(taken);
    cluster.until_state("web@n1", "Running");
    cluster.sh("check web@n1").ok();
    let status = cluster.json("ask-status web@n1");
    let text = status["text"].as_str().unwrap_or_default();
    assert!(text.contains(&format!("port http is {port}")), "{status:#}");
}

// acceptance: 2
// proves: S26
#[test]
fn an_agent_that_is_killed_finds_its_processes_again_without_a_hole_in_their_logs() {
    let mut cluster = cluster();
    let counts = "i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.02; done";
    cluster.start_process("counts", &sh(counts), &[]).ok();
    let before = cluster.until_state("counts@n1", "Running");
    for (again, word) in [(1, "kill"), (2, "stop"), (3, "kill")] {
        let agent = cluster.agent_pid("n1");
        cluster.sh(&format!("chaos {word} node/n1")).ok();
        until(
            &format!("agent {again} is another one and n1 is back"),
            || (agents(&cluster), cluster.state("counts@n1")),
            |(agents, state)| *agents != [agent] && agents.len() == 1 && state == "Running",
        );
        let after = cluster.instance("counts@n1").expect("it is there");
        assert_eq!(after["process"], before["process"], "{after:#}");
        assert_eq!(after["incarnation"], 1, "{after:#}");
        let carriers = carriers("counts");
        assert!(carriers.contains(&pid_of(&before)), "{carriers:?}");
        assert!(carriers.len() <= 2, "the shell and its sleep: {carriers:?}");
        until(
            "it answers its check",
            || cluster.sh("check counts@n1"),
            |run| run.code == Some(0),
        );
    }
    assert_eq!(events(&cluster, "counts@n1", "instance.failed"), 0);
    // It still is ours: its end is seen, and its stop works.
    signal(pid_of(&before), Signal::KILL);
    cluster.until_restarted("counts@n1", 1);
    cluster.expect_root("counts@n1", "was ended by SIGKILL");
    let log = fs::read_dir(slot(cluster.home(), "counts").join("log")).unwrap();
    let first = log
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_string_lossy().ends_with("-1.log"))
        .expect("the first incarnation has a log");
    let numbers: Vec<u64> = fs::read_to_string(first)
        .unwrap()
        .lines()
        .filter_map(|line| line.rsplit(' ').next()?.parse().ok())
        .collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());

    // The end of everything, in order: nothing is left.
    assert_eq!(cluster.interrupt(), Some(0), "{}", cluster.log());
    assert_eq!(carriers("counts"), [0_u32; 0]);
}

fn agents(cluster: &Cluster) -> Vec<u32> {
    cluster.daemon("agent\0run")
}

// acceptance: 1, 2
#[test]
fn a_dev_cluster_whose_parent_is_killed_leaves_no_outside_process() {
    let mut cluster = cluster();
    let stubborn = "trap '' TERM; setsid sleep 88011 & while :; do sleep 1; done";
    cluster.start_process("stubborn", &sh(stubborn), &[]).ok();
    assert!(!carriers("stubborn").is_empty());
    cluster.kill_parent();
    until_none_of("stubborn");
    until(
        "no sleep 88011 is left",
        || running("sleep 88011"),
        Vec::is_empty,
    );
    until(
        "no process of the cluster is left",
        || outside::processes_of(cluster.home()),
        Vec::is_empty,
    );
}

// acceptance: 2
// proves: S26
#[test]
fn logs_are_read_from_the_first_line_and_followed_over_restarts_of_process_and_agent() {
    let cluster = cluster();
    let talks = "echo first of $MAINSTAY_INCARNATION; echo to stderr >&2; exec sleep 100000";
    cluster.start_process("talks", &sh(talks), &[]).ok();
    let one = cluster.until_state("talks@n1", "Running");
    let text = until(
        "both lines are there",
        || cluster.sh("logs talks@n1").ok().stdout,
        |text| text.lines().count() == 2,
    );
    assert!(
        text.contains(" out first of 1\n") && text.contains(" err to stderr\n"),
        "{text}"
    );
    cluster.sh("logs talks@n1 --previous").expect_code(3);

    let follower = cluster.home().join("follower");
    let mut following =
        mainstay_tests::command::command(&mainstay_tests::mainstay_binary(), cluster.home())
            .args(["logs", "talks@n1", "-f"])
            .stdout(fs::File::create(&follower).unwrap())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
    let heard = || fs::read_to_string(&follower).unwrap_or_default();
    until("it follows", heard, |text| text.contains("first of 1"));
    signal(pid_of(&one), Signal::KILL);
    until("the next is followed", heard, |text| {
        text.contains("first of 2")
    });
    cluster.sh("chaos kill node/n1").ok();
    until(
        "the agent is back",
        || cluster.sh("chaos kill talks@n1"),
        |killed| killed.code == Some(0),
    );
    let text = until("the third is followed", heard, |text| {
        text.contains("first of 3")
    });
    for incarnation in 1..=3 {
        let line = format!("first of {incarnation}\n");
        assert_eq!(text.matches(&line).count(), 1, "{text}");
    }
    following.kill().unwrap();
    following.wait().unwrap();
    let previous = cluster.list("logs talks@n1 --previous");
    assert_eq!(previous[0]["text"], "first of 2", "{previous:#?}");
    assert_eq!(previous[0]["stream"], "out");
    cluster.sh("logs talks@n1 -f --previous").expect_code(2);
}

// proves: S7
#[test]
fn what_an_instance_uses_is_shown_to_whoever_looks_and_a_silent_node_is_not_waited_for() {
    let cluster = cluster();
    // A child that has ended, one that works, one that has memory.
    let script = "i=0; (while [ $i -lt 200000 ]; do i=$((i+1)); done); sleep 100000 & \
        exec python3 -c 'import time; memory = b\"x\" * 50_000_000; time.sleep(100000)'";
    cluster.start_process("user", &sh(script), &[]).ok();
    let usage =
        |reference: &str| cluster.json(&format!("get instances {reference}"))["usage"].clone();
    let used = until(
        "its memory is there",
        || usage("user@n1"),
        |used| used["memory_bytes"].as_u64() > Some(50_000_000),
    );
    assert!(used["cpu_ms"].as_u64() > Some(50), "{used:#}");
    assert_eq!(
        (&used["processes"], &used["restarts"]),
        (&json!(2), &json!(0))
    );
    assert!(used["started"].is_string(), "{used:#}");
    let wide = cluster.sh("get instances user@n1 -o wide").ok().stdout;
    assert!(
        wide.contains(" MEMORY ") && wide.contains(" MiB "),
        "{wide}"
    );
    let told = cluster.sh("describe user@n1").ok().stdout;
    assert!(
        told.contains(" in 2 processes; began ") && told.contains(", 0 restarts\n"),
        "{told}"
    );

    // Adopted by the next agent it is as old as it was.
    let began = pid_of(&cluster.until_state("user@n1", "Running"));
    cluster.sh("chaos kill node/n1").ok();
    let adopted = until("the agent is back", || usage("user@n1"), Value::is_object);
    assert_eq!(adopted["restarts"], 0);
    let difference = wall_ms(&used["started"]).abs_diff(wall_ms(&adopted["started"]));
    assert!(difference < 1_000, "{used:#} {adopted:#}");
    signal(began, Signal::KILL);
    cluster.until_restarted("user@n1", 1);
    let next = until(
        "the next is measured",
        || usage("user@n1"),
        Value::is_object,
    );
    assert_eq!(next["restarts"], 1);

    // An actor shares its agent's process: what is not known is not said.
    cluster.sh("start greeter --on n1").ok();
    cluster.greet("greeter@n1");
    let used = usage("greeter@n1");
    assert_eq!(used["served"], 1);
    for unknown in ["cpu_ms", "memory_bytes", "processes"] {
        assert_eq!(used[unknown], Value::Null, "{used:#}");
    }

    // A stopped agent says nothing; what the graph knows is shown all the same.
    let agent = cluster.agent_pid("n1");
    signal(agent, Signal::STOP);
    let rows = cluster.list("get instances");
    signal(agent, Signal::CONT);
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|row| row["usage"].is_null()), "{rows:#?}");
}

fn wall_ms(time: &Value) -> u64 {
    let time: mainstay_api::Time = serde_json::from_value(time.clone()).expect("a time");
    time.wall_ms
}
