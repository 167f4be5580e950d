//! Nodes that are not heard, on machines with cables of their own: what has become of each is told apart, and nothing is
//! given up that others see.

use std::time::Instant;

use mainstay_tests::answers::pid_of;
use mainstay_tests::{Machines, outside, until};
use rustix::process::Signal;
use serde_json::Value;

const SLEEPS: &str = r#"--config 'command=["/bin/sh","-c","exec sleep 100000"]'"#;

fn state_of(machines: &Machines, node: &str) -> Value {
    let nodes = machines.list(1, "get nodes");
    let found = nodes.iter().find(|found| found["name"] == node);
    found.map_or(Value::Null, |found| found["state"].clone())
}

/// Why n3 is in this state, once it is.
fn why_it_is(machines: &Machines, state: &str) -> String {
    until(
        &format!("n3 is {state}"),
        || state_of(machines, "n3"),
        |now| now == state,
    );
    machines.sh(1, "why node/n3").ok().stdout
}

fn web(machines: &Machines) -> Value {
    let all = machines.list(1, "get instances web");
    all.into_iter().next().expect("there is one")
}

/// n3 is heard again, and what runs there is what ran there.
fn nothing_happened(machines: &Machines, before: &Value) {
    until(
        "n3 is back, and all of it",
        || (state_of(machines, "n3"), web(machines)),
        |(state, web)| state == "Online" && web["state"] == "Running",
    );
    let now = web(machines);
    assert_eq!(pid_of(&now), pid_of(before));
    assert_eq!(now["incarnation"], before["incarnation"]);
    assert!(outside::process(pid_of(before)).is_some());
}

// proves: S11, S23
// case: services 38
// case: services 39
// acceptance: issue 5, line 1
#[test]
fn a_cut_a_stopped_agent_and_a_killed_one_are_told_apart_and_nothing_of_theirs_is_restarted() {
    let mut machines = Machines::guarded();
    machines
        .sh(1, &format!("start process --name web --on n3 {SLEEPS}"))
        .ok();
    let before = web(&machines);

    // Cut from the station alone, in one way and the other: others see it.
    for (from, to) in [(3, 1), (1, 3)] {
        machines.part(from, to);
        let why = why_it_is(&machines, "Isolated");
        assert!(why.contains("the station sees nothing of it"), "{why}");
        assert!(why.contains("sees its agent"), "{why}");
        assert_eq!(web(&machines)["state"], "Unknown");
        machines.join_again(from, to);
        nothing_happened(&machines, &before);
    }

    machines.signal(3, "agent", Signal::STOP);
    let why = why_it_is(&machines, "AgentDown");
    assert!(why.contains("the station sees its machine"), "{why}");
    machines.signal(3, "agent", Signal::CONT);
    nothing_happened(&machines, &before);

    machines.signal(3, "agent", Signal::KILL);
    let why = why_it_is(&machines, "AgentDown");
    assert!(
        why.contains("session closed; the station sees its machine"),
        "{why}"
    );
    let dir = machines.data(3, "agent");
    machines.start(3, &format!("agent run {dir}"));
    nothing_happened(&machines, &before);
}

// proves: S23
// acceptance: issue 5, line 1
#[test]
fn a_machine_that_nobody_sees_is_given_up_and_what_it_had_runs_elsewhere() {
    let machines = Machines::guarded();
    machines
        .sh(1, &format!("start process --name web --count 2 {SLEEPS}"))
        .ok();
    let nodes = |state: &str| -> Vec<String> {
        let all = machines.list(1, "get instances web");
        let right = all.iter().filter(|one| one["state"] == state);
        right.map(|one| one["node"].to_string()).collect()
    };
    until("both run", || nodes("Running"), |nodes| nodes.len() == 2);
    let has = nodes("Running");
    let lost: usize = if has.iter().any(|node| node.contains("n2")) {
        2
    } else {
        3
    };
    let name = format!("n{lost}");

    let cut = Instant::now();
    machines.cut(lost);
    until(
        "it is given up",
        || state_of(&machines, &name),
        |state| state == "Lost",
    );
    println!("given up after {} ms", cut.elapsed().as_millis());
    let why = machines.sh(1, &format!("why node/{name}")).ok().stdout;
    assert!(why.contains("sees nothing of it"), "{why}");
    until(
        "both run elsewhere",
        || nodes("Running"),
        |nodes| nodes.len() == 2 && nodes.iter().all(|node| !node.contains(&name)),
    );

    machines.heal(lost);
    until(
        "it is back, and what was replaced has ended",
        || {
            (
                state_of(&machines, &name),
                machines.list(1, "get instances web"),
            )
        },
        |(state, all)| state == "Online" && all.len() == 2,
    );
}

// proves: S23
// acceptance: issue 5, line 1
#[test]
fn with_three_packets_of_ten_lost_nothing_is_restarted() {
    let machines = Machines::guarded();
    machines
        .sh(1, &format!("start process --name web --on n3 {SLEEPS}"))
        .ok();
    let before = web(&machines);
    machines.drop_packets(3, 30);
    // Far longer than what is given up is waited for.
    let waited = machines.sh(1, "wait node/n3 --for state=Lost --timeout 20s");
    assert_eq!(waited.code, Some(8), "{waited:#?}");
    until(
        "it answers, through whatever the network makes of it",
        || machines.sh(1, "check web@n3 --timeout 10s"),
        |run| run.code == Some(0),
    );
    nothing_happened(&machines, &before);
}
