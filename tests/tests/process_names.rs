//! A process's name on its node, and what happens to it while its agent is away.

#![allow(
    clippy::unwrap_used,
    reason = "in a test the failing line is the explanation"
)]

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use mainstay_tests::answers::pid_of;
use mainstay_tests::command::{mainstay_binary, program};
use mainstay_tests::daemons::Daemons;
use mainstay_tests::{outside, signal, until};
use rustix::process::Signal;
use serde_json::Value;

const SLEEPS: &str =
    "start process --on n1 --config 'command=[\"/bin/sh\",\"-c\",\"exec sleep 100000\"]'";

fn daemons() -> Daemons {
    Daemons::start(&mainstay_binary(), 1)
}

fn slot(daemons: &Daemons, name: &str) -> PathBuf {
    daemons.home().join("n1/slots").join(name)
}

fn by_hand(daemons: &Daemons, name: &str) -> Command {
    let mut hold = Command::new(program("mainstay-hold"));
    hold.arg("run")
        .arg("--slot")
        .arg(slot(daemons, name))
        .args(["--", "sleep", "100000"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    hold
}

/// Tries to start one by hand on a held name: exit 4, and why.
fn refused(daemons: &Daemons, name: &str) -> String {
    let output = by_hand(daemons, name).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(4), "{said}");
    said
}

fn lives(pid: u32) -> bool {
    outside::process(pid).is_some_and(|process| process.state != 'Z')
}

/// The hold of a process: its parent.
fn hold_of(pid: u32) -> u32 {
    let hold = outside::process(pid).expect("it lives").parent;
    let process = outside::process(hold).expect("its parent lives");
    assert!(process.arguments.contains("mainstay-hold"), "{process:?}");
    hold
}

fn failures(daemons: &Daemons, reference: &str) -> Vec<Value> {
    let mut events = daemons.list("events --since 1h");
    events.retain(|event| event["subject"] == reference && event["type"] == "instance.failed");
    events
}

fn end(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

// acceptance: 3
// proves: S4
#[test]
fn a_held_name_is_refused_to_whoever_comes_by_hand_and_a_taken_one_to_the_coordinator() {
    let mut daemons = daemons();
    daemons.sh(&format!("{SLEEPS} --name web")).ok();
    let web = daemons.until_state("web@n1", "Running");
    let said = refused(&daemons, "web");
    assert!(
        said.contains(&format!("process {}", pid_of(&web))),
        "{said}"
    );
    daemons.sh("start greeter --on n1").ok();
    refused(&daemons, "greeter");
    // Without an agent the process has its name all the same, and the actor, which is gone, has not.
    daemons.end_agent(Signal::KILL);
    refused(&daemons, "web");
    let taken = by_hand(&daemons, "greeter").spawn().unwrap();
    until(
        "the name is taken by hand",
        || fs::read_to_string(slot(&daemons, "greeter").join("state")).unwrap_or_default(),
        |state| state.contains("phase=running"),
    );
    daemons.start_agent("n1");
    daemons.until_online();
    // The coordinator wants it back, again and again; whoever has it keeps it, and nobody is killed.
    let told = until(
        "the coordinator is told",
        || daemons.list("decisions greeter@n1"),
        |decisions| {
            decisions
                .iter()
                .any(|decision| decision.to_string().contains("is taken by"))
        },
    );
    assert!(!told.is_empty());
    let hands: Vec<u32> = outside::processes_of(&slot(&daemons, "greeter"))
        .into_iter()
        .filter(|process| process.arguments.starts_with("sleep"))
        .map(|process| process.pid)
        .collect();
    assert_eq!(hands.len(), 1, "one holder, by the witness: {hands:?}");
    assert!(lives(pid_of(&web)));
    end(taken);
    daemons.until_state("greeter@n1", "Running");
}

// acceptance: 2
// proves: S26
#[test]
fn what_ends_while_its_agent_is_away_is_told_once_and_what_lives_is_taken_over() {
    let mut daemons = daemons();
    for name in ["lives", "ends", "loses"] {
        daemons.sh(&format!("{SLEEPS} --name {name}")).ok();
    }
    let [lives_on, ends, loses] = ["lives@n1", "ends@n1", "loses@n1"]
        .map(|reference| daemons.until_state(reference, "Running"));
    // In order this time: the end of an agent is not that of its processes.
    assert!(daemons.end_agent(Signal::TERM).success());
    assert!(lives(pid_of(&lives_on)));
    signal(pid_of(&ends), Signal::SEGV);
    signal(hold_of(pid_of(&loses)), Signal::KILL);
    until(
        "both are gone",
        || [&ends, &loses].map(|instance| lives(pid_of(instance))),
        |living| *living == [false, false],
    );
    daemons.start_agent("n1");
    daemons.until_online();
    let second = |reference: &str| {
        until(
            &format!("{reference} runs again"),
            || (daemons.instance(reference), failures(&daemons, reference)),
            |(found, _)| {
                found
                    .as_ref()
                    .is_some_and(|found| found["incarnation"] == 2 && found["state"] == "Running")
            },
        );
    };
    second("ends@n1");
    second("loses@n1");
    for (reference, words) in [("ends@n1", "SIGSEGV"), ("loses@n1", "its hold was killed")] {
        assert_eq!(failures(&daemons, reference).len(), 1, "{reference}");
        let why = daemons.sh(&format!("why {reference}")).ok().stdout;
        assert!(why.contains(words), "{why}");
    }
    let after = daemons.until_state("lives@n1", "Running");
    assert_eq!(after["process"], lives_on["process"], "{after:#}");
    assert_eq!(after["incarnation"], 1, "{after:#}");
    assert_eq!(failures(&daemons, "lives@n1").len(), 0);

    // A second agent on its directory is refused, and touches nothing.
    let output = daemons
        .agent_command("n1")
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("another agent runs with it"), "{said}");
    assert!(lives(pid_of(&after)));

    // Not even the loss of its file makes it two, or none.
    daemons.end_agent(Signal::KILL);
    fs::remove_file(daemons.home().join("n1/agent.log")).unwrap();
    daemons.start_agent("n1");
    daemons.until_online();
    let after = daemons.until_state("lives@n1", "Running");
    assert_eq!(after["process"], lives_on["process"], "{after:#}");
    daemons.sh("stop lives@n1").ok();
    until("it is gone", || lives(pid_of(&lives_on)), |living| !living);
    daemons.end_and_replay();
}
