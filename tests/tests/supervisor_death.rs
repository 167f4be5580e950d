//! A supervisor only reports: its end changes nothing for what it watched, and nothing is missed. An agent's end is
//! the end of its actors, and each is started again once.

use std::thread;

use mainstay_protocol::limits;
use mainstay_tests::cluster::signal;
use mainstay_tests::{Cluster, DevOptions, Shared, Witness, until};
use rustix::process::Signal;

static SHARED: Shared = Shared::new();

fn two_nodes() -> DevOptions {
    DevOptions {
        nodes: 2,
        ..DevOptions::default()
    }
}

fn supervisor_incarnation(cluster: &Cluster, node: &str) -> u64 {
    let supervisor = cluster.json(&format!("get supervisors {node}"));
    supervisor["incarnation"]
        .as_u64()
        .expect("a supervisor has an incarnation")
}

/// Three instances on a node; the supervisor is broken; nothing happens to them, and the next failure is seen.
fn survives(cluster: &Cluster, act: &str, node: &str) {
    let greeter = format!("greeter@{node}");
    let flaky = format!("later@{node}");
    let other = format!("bystander@{node}");
    cluster.sh(&format!("start greeter --on {node}")).ok();
    cluster
        .sh(&format!("start flaky --name later --on {node}"))
        .ok();
    cluster
        .sh(&format!("start noisy --name bystander --on {node}"))
        .ok();
    let all = [&greeter, &flaky, &other];
    let before: Vec<u64> = all.iter().map(|one| cluster.incarnation(one)).collect();
    let count = cluster.greet(&greeter);
    let supervisor = supervisor_incarnation(cluster, node);

    cluster.sh(&format!("chaos {act} supervisor/{node}")).ok();
    until(
        "the next supervisor is reported",
        || supervisor_incarnation(cluster, node),
        |now| *now > supervisor,
    );
    assert_eq!(
        cluster.greet(&greeter),
        count + 1,
        "its memory is unchanged"
    );
    let after: Vec<u64> = all.iter().map(|one| cluster.incarnation(one)).collect();
    assert_eq!(before, after, "nothing was restarted");
    cluster.sh(&format!("check supervisor/{node}")).ok();
    let watches = cluster.json(&format!("get supervisors {node}"))["watches"].clone();
    for one in all {
        let watched = watches
            .as_array()
            .is_some_and(|list| list.iter().any(|watched| watched == one.as_str()));
        assert!(watched, "{one} is watched: {watches:#}");
    }

    let text = format!("after the supervisor of {node}");
    let panic = cluster.sh(&format!("call {flaky} panic '{{\"text\":\"{text}\"}}'"));
    assert_ne!(panic.code, Some(0));
    cluster.until_restarted(&flaky, before[1]);
    cluster.expect_root(&flaky, &text);
    assert_eq!(cluster.greet(&greeter), count + 2);
}

// acceptance: 5
// case: services 32
// proves: S10, S11
#[test]
fn a_killed_supervisor_is_replaced_and_its_instances_do_not_notice() {
    survives(&SHARED.get(&two_nodes()), "kill", "n1");
}

// acceptance: 5
// case: services 32
// proves: S10, S11
#[test]
fn a_supervisor_that_panics_is_replaced_and_its_instances_do_not_notice() {
    survives(&SHARED.get(&two_nodes()), "panic", "n2");
}

/// Breaks a node's supervisor, and returns the number of the next one.
fn followed(cluster: &Cluster, act: &str, node: &str) -> u64 {
    let before = supervisor_incarnation(cluster, node);
    cluster.sh(&format!("chaos {act} supervisor/{node}")).ok();
    until(
        "the next supervisor is reported",
        || supervisor_incarnation(cluster, node),
        |now| *now > before,
    )
}

/// What a Check of a node's supervisor says while there is none.
fn vacancy(cluster: &Cluster, node: &str) -> Option<String> {
    let check = cluster.sh(&format!("check supervisor/{node} -o json"));
    check.stdout.contains(" in a row").then_some(check.stdout)
}

/// Makes them panic, each with its place in the list in its words.
fn panic_at_once(cluster: &Cluster, references: &[String]) {
    thread::scope(|scope| {
        for (at, reference) in references.iter().enumerate() {
            let line = format!("call {reference} panic '{{\"text\":\"gap number {at}\"}}'");
            scope.spawn(move || cluster.sh(&line));
        }
    });
}

// acceptance: 5
// case: services 27
// proves: S10
#[test]
fn what_fails_while_no_supervisor_lives_is_reported_too() {
    const INSTANCES: usize = 4;
    /// The next end in a row is followed by nobody for five seconds.
    const ENDS: u64 = 7;
    let cluster = Cluster::with(&DevOptions {
        nodes: 1,
        ..DevOptions::default()
    });
    let file = cluster.home().join("gap.witness");
    let name = |at: usize| format!("gap{at}");
    let reference = |at: usize| format!("{}@n1", name(at));
    for at in 0..INSTANCES {
        let line = format!(
            "start flaky --name {} --on n1 --config witness={}",
            name(at),
            file.display()
        );
        cluster.sh(&line).ok();
    }
    for end in 1..=ENDS {
        assert_eq!(followed(&cluster, "kill", "n1"), end + 1);
    }
    cluster.sh("chaos kill supervisor/n1").ok();
    until(
        "there is no supervisor",
        || vacancy(&cluster, "n1"),
        Option::is_some,
    );
    let all: Vec<String> = (0..INSTANCES).map(reference).collect();
    panic_at_once(&cluster, &all);
    let unreported: Vec<(String, u64)> = (0..INSTANCES)
        .map(|at| {
            let reference = reference(at);
            (cluster.state(&reference), cluster.incarnation(&reference))
        })
        .collect();
    // There was none all the while: so all of them failed, and were looked at, unwatched.
    let vacancy = vacancy(&cluster, "n1").expect("there still is no supervisor");
    assert!(
        vacancy.contains(&format!("supervisor {} ended", ENDS + 1)),
        "{vacancy}"
    );
    assert_eq!(
        unreported,
        vec![("Running".to_owned(), 1); INSTANCES],
        "nobody has seen it"
    );
    for at in 0..INSTANCES {
        let reference = reference(at);
        cluster.until_restarted(&reference, 1);
        cluster.expect_root(&reference, &format!("gap number {at}"));
        assert_eq!(
            cluster.incarnation(&reference),
            2,
            "one failure, one restart"
        );
    }
    assert_eq!(supervisor_incarnation(&cluster, "n1"), ENDS + 2);
    let starts = Witness::read(&file).starts();
    assert_eq!(starts.len(), 2 * INSTANCES, "{starts:#?}");
    for ((who, incarnation), starts) in starts {
        assert_eq!(starts, 1, "{who} {incarnation}");
    }
}

// proves: S11, S23
#[test]
fn an_agent_whose_supervisors_do_not_live_ends_and_its_instances_are_recovered() {
    let cluster = Cluster::with(&two_nodes());
    cluster.sh("start greeter --all").ok();
    let pid = cluster.agent_pid("n1");
    for end in 1..u64::from(limits::SUPERVISOR_DEATHS_MAX) {
        assert_eq!(followed(&cluster, "panic", "n1"), end + 1);
        assert_eq!(
            cluster.incarnation("greeter@n1"),
            1,
            "nothing was restarted"
        );
    }
    cluster.sh("chaos panic supervisor/n1").ok();
    cluster.until_restarted("greeter@n1", 1);
    assert_ne!(cluster.agent_pid("n1"), pid, "another process");
    // It was the last to begin there, and not long ago: that counts against it.
    cluster.expect_decision("greeter@n1", "restart", "MS-RESTARTED-AT-ONCE");
    cluster.sh("check supervisor/n1").ok();
    assert_eq!(cluster.incarnation("greeter@n2"), 1, "it is another node");
}

// acceptance: 5
// case: services 34
// proves: S12, S23
#[test]
fn a_killed_agent_comes_back_with_its_actors_and_each_start_happens_once() {
    let cluster = Cluster::with(&two_nodes());
    let file = cluster.home().join("agent.witness");
    let witness = file.display();
    cluster
        .sh(&format!("start greeter --all --config witness={witness}"))
        .ok();
    cluster
        .sh(&format!(
            "start flaky --name a --on n1 --config witness={witness}"
        ))
        .ok();
    cluster
        .sh(&format!(
            "start flaky --name b --on n1 --config witness={witness}"
        ))
        .ok();
    cluster.sh("stop b@n1").ok();
    let count = cluster.greet("greeter@n2");
    let began: usize = Witness::read(&file).starts().values().sum();
    assert_eq!(began, 4);

    for round in 1..=3 {
        let pid = cluster.agent_pid("n1");
        signal(pid, Signal::KILL);
        let greeter = cluster.until_restarted("greeter@n1", round);
        assert_eq!(greeter["incarnation"], round + 1, "{greeter:#}");
        let a = cluster.until_restarted("a@n1", round);
        assert_eq!(a["incarnation"], round + 1, "{a:#}");
        // By the rule; whoever was the last to begin may have waited a moment for its turn.
        let decisions = cluster.list("decisions a@n1");
        let next = format!("incarnation {}", round + 1);
        let decided = decisions.iter().any(|decision| {
            let did = decision["did"]["text"].as_str().unwrap_or_default();
            decision["rule"] == "restart" && did.contains(&next)
        });
        assert!(decided, "{decisions:#?}");
    }
    assert_eq!(
        cluster.state("b@n1"),
        "Stopped",
        "what was stopped stays stopped"
    );
    assert_eq!(
        cluster.greet("greeter@n2"),
        count + 1,
        "the other node has no part in it"
    );
    let starts = Witness::read(&file).starts();
    assert_eq!(starts.values().sum::<usize>(), 4 + 2 * 3, "{starts:#?}");
    for ((who, incarnation), times) in &starts {
        // A witness knows names, not nodes: both greeters began their first incarnation.
        let right = if who == "greeter" && incarnation == "1" {
            2
        } else {
            1
        };
        assert_eq!(*times, right, "{who} {incarnation}");
    }
}
