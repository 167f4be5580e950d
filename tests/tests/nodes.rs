//! What people say of nodes, on real ones: cordoned, drained, labelled, worked on, removed.

use mainstay_tests::answers::pid_of;
use mainstay_tests::{Cluster, DevOptions, outside, signal, until};
use rustix::process::Signal;
use serde_json::{Value, json};

fn cluster() -> Cluster {
    Cluster::with(&DevOptions {
        nodes: 2,
        ..DevOptions::default()
    })
}

fn node(cluster: &Cluster, name: &str) -> Value {
    let nodes = cluster.list("get nodes");
    let found = nodes.into_iter().find(|node| node["name"] == name);
    found.unwrap_or_else(|| panic!("there is no node {name}"))
}

fn lives(pid: u32) -> bool {
    outside::process(pid).is_some_and(|process| process.state != 'Z')
}

// proves: S25
#[test]
fn a_cordoned_node_keeps_what_it_has_and_a_drained_one_is_empty_until_it_is_uncordoned() {
    let cluster = cluster();
    let sleeps = json!({ "command": ["/bin/sh", "-c", "exec sleep 100000"] });
    cluster.start_process("web", &sleeps, &[]).ok();
    let web = pid_of(&cluster.until_state("web@n1", "Running"));

    let reason = "--reason 'an old disk'";
    cluster.sh(&format!("node cordon n1 {reason}")).ok();
    assert_eq!(node(&cluster, "n1")["schedulable"], false);
    assert!(lives(web));
    let refused = cluster.sh("start greeter --on n1").expect_code(10);
    assert!(refused.stderr.contains("an old disk"), "{}", refused.stderr);
    cluster.sh("start greeter --on n2").ok();

    // It is the only one: by force only.
    let refused = cluster.sh("node drain n1").expect_code(10);
    for part in [
        "nothing would be left of web",
        "--force",
        "mainstay impact node/n1",
    ] {
        assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
    }
    assert!(lives(web), "what was refused changed nothing");
    cluster.sh(&format!("node drain n1 --force {reason}")).ok();
    assert!(!lives(web), "it has ended when the command is over");
    cluster.expect_root("web@n1", "an old disk");
    let why = cluster.sh("why web@n1").ok().stdout;
    assert!(why.contains("mainstay"), "{why}");

    // Neither the agent's next life nor its station's starts it.
    signal(cluster.agent_pid("n1"), Signal::KILL);
    until(
        "n1 is there again",
        || cluster.sh("wait node/n1 --for state=Online").code,
        |code| *code == Some(0),
    );
    assert_eq!(cluster.state("web@n1"), "Pending");
    cluster.sh("node uncordon n1").ok();
    let again = pid_of(&cluster.until_state("web@n1", "Running"));
    assert_ne!(again, web);
    assert_eq!(node(&cluster, "n1")["schedulable"], true);
}

// proves: S25
#[test]
fn what_dies_in_maintenance_stays_dead_until_that_is_over_by_itself() {
    let cluster = cluster();
    let sleeps = json!({ "command": ["/bin/sh", "-c", "exec sleep 100000"] });
    cluster.start_process("web", &sleeps, &[]).ok();
    let web = pid_of(&cluster.until_state("web@n1", "Running"));
    cluster
        .sh("maintenance on node/n1 --for 20s --reason 'a new disk'")
        .ok();
    assert_eq!(node(&cluster, "n1")["maintenance"], true);
    assert!(!node(&cluster, "n1")["maintenance_until"].is_null());
    signal(web, Signal::KILL);
    cluster.until_state("web@n1", "Pending");
    let status = cluster.json("status");
    let about_it = |list: &Value| {
        list.as_array()
            .is_some_and(|all| all.iter().any(|one| one["ref"] == "node/n1"))
    };
    assert_eq!(status["problems"], json!([]), "somebody knows: {status:#}");
    assert!(about_it(&status["scheduled"]), "{status:#}");
    cluster.expect_root("web@n1", "a new disk");

    cluster.until_state("web@n1", "Running");
    let said = cluster.sh("events --since 1h").ok().stdout;
    for part in [
        "node/n1 is in maintenance, by",
        "the maintenance of node/n1 is over",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    cluster.expect_decision("node/n1", "maintenance", "MS-MAINTENANCE-OVER");
    assert_eq!(node(&cluster, "n1")["maintenance"], false);
}

// proves: S25
#[test]
fn labels_move_placements_and_outlive_the_agent_and_a_node_in_use_is_not_removed() {
    let cluster = cluster();
    cluster.sh("node label n2 role=web").ok();
    let spec = cluster.home().join("web.yaml");
    std::fs::write(
        &spec,
        "kind: Placement\nname: greeter\ntype: greeter\ntarget: { all: { role: web } }\n",
    )
    .unwrap();
    cluster.sh(&format!("apply -f {}", spec.display())).ok();
    cluster.until_state("greeter@n2", "Running");
    assert!(cluster.instance("greeter@n1").is_none());
    signal(cluster.agent_pid("n2"), Signal::KILL);
    cluster.sh("wait greeter@n2 --for running").ok();
    assert_eq!(node(&cluster, "n2")["labels"]["role"], "web");
    let refused = cluster.sh("node label n2 role=db").expect_code(10);
    for part in ["nothing would be left of greeter", "--force"] {
        assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
    }
    cluster.sh("node label n1 role=web").ok();
    cluster.until_state("greeter@n1", "Running");
    cluster.sh("node label n2 role-").ok();
    until(
        "nothing is on n2",
        || cluster.instance("greeter@n2"),
        Option::is_none,
    );

    let refused = cluster.sh("node remove n2 --yes").expect_code(10);
    assert!(
        refused.stderr.contains("is connected"),
        "{}",
        refused.stderr
    );
    let refused = cluster.sh("node remove n1 --yes").expect_code(10);
    assert!(refused.stderr.contains("station s1"), "{}", refused.stderr);
    cluster.sh("node remove n7 --yes").expect_code(3);
}
