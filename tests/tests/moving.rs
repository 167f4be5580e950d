//! What goes from one node to another, by hand or by its policy, and what is kept meanwhile: on real nodes.

use std::path::PathBuf;

use mainstay_tests::answers::pid_of;
use mainstay_tests::{Cluster, DevOptions, outside, signal, until};
use rustix::process::Signal;
use serde_json::{Value, json};

fn cluster(nodes: usize) -> Cluster {
    Cluster::with(&DevOptions {
        nodes,
        ..DevOptions::default()
    })
}

/// A process with this script, placed as the rest of the file says.
fn apply(cluster: &Cluster, name: &str, script: &str, rest: Value) {
    let mut spec = json!({
        "kind": "Placement",
        "name": name,
        "type": "process",
        "config": {"command": ["/bin/sh", "-c", script]},
    });
    let fields = spec.as_object_mut().expect("an object");
    fields.extend(rest.as_object().expect("an object").clone());
    let file = cluster.home().join(format!("{name}.json"));
    std::fs::write(&file, spec.to_string()).expect("a directory of its own");
    cluster
        .sh(&format!("apply -f {} --no-wait", file.display()))
        .ok();
}

fn lives(pid: u32) -> bool {
    outside::process(pid).is_some_and(|process| process.state != 'Z')
}

fn placement(cluster: &Cluster, name: &str) -> Value {
    let all = cluster.list("get placements");
    let found = all.into_iter().find(|one| one["name"] == name);
    found.unwrap_or_else(|| panic!("there is no placement {name}"))
}

fn file(cluster: &Cluster, name: &str) -> PathBuf {
    cluster.home().join(name)
}

// proves: S25
// acceptance: issue 5, line 6
#[test]
fn what_is_moved_serves_there_before_it_ends_here_and_stays_if_it_cannot() {
    let cluster = cluster(2);
    let broken = file(&cluster, "broken");
    let script = format!("test -e {} && exit 1; exec sleep 100000", broken.display());
    let on_n1 = json!({"target": {"nodes": ["n1"]}, "policy": {"attempts": 1}});
    apply(&cluster, "web", &script, on_n1);
    let first = pid_of(&cluster.until_state("web@n1", "Running"));

    cluster.sh("move web@n1 --to n2 --no-wait").ok();
    // Somebody who looks finds one of them alive, whenever that is.
    let gap = until(
        "the other is alone",
        || {
            let old = lives(first);
            let new = cluster.instance("web@n2");
            let new = new.filter(|one| one["state"] == "Running");
            (!old, new.map(|one| lives(pid_of(&one))))
        },
        |(gone, new)| *gone || *new == Some(false),
    );
    assert_eq!(gap, (true, Some(true)), "it ended before the other served");
    cluster.sh("wait web@n1 --for gone").ok();
    assert_eq!(placement(&cluster, "web")["target"]["nodes"], json!(["n2"]));
    assert_eq!(placement(&cluster, "web")["moves"], json!([]));
    cluster.expect_decision("placement/web", "move", "MS-MOVED");

    // What comes up nowhere else stays, and whoever asked is told.
    let second = pid_of(&cluster.until_state("web@n2", "Running"));
    std::fs::write(&broken, "").expect("a directory of its own");
    let failed = cluster.sh("move web@n2 --to n1").expect_code(9);
    assert!(failed.stderr.contains("web@n1"), "{}", failed.stderr);
    until(
        "it is taken back",
        || cluster.instance("web@n1"),
        Option::is_none,
    );
    assert!(lives(second));
    assert_eq!(placement(&cluster, "web")["target"]["nodes"], json!(["n2"]));
    cluster.expect_decision("placement/web", "move", "MS-MOVE-FAILED");
    let refused = cluster.sh("move web@n2 --to n2").expect_code(2);
    assert!(
        refused.stderr.contains("is on n2 already"),
        "{}",
        refused.stderr
    );
    cluster.sh("move web@n2 --to n7").expect_code(3);
}

// proves: S20
#[test]
fn what_fails_too_often_on_one_node_is_tried_on_another() {
    let cluster = cluster(2);
    let starts = file(&cluster, "starts");
    // Its first two starts fail, wherever they are.
    let script = format!(
        "echo x >> {0}; test $(wc -l < {0}) -le 2 && exit 1; exec sleep 100000",
        starts.display()
    );
    let policy = json!({"attempts": 1, "escalate": "move"});
    let so_many = json!({"target": {"count": 1}, "policy": policy});
    apply(&cluster, "web", &script, so_many);
    let third = || std::fs::read_to_string(&starts).is_ok_and(|said| said.lines().count() == 3);
    let serves = until(
        "its third start, on the other node, runs",
        || cluster.list("get instances web"),
        |all| all.len() == 1 && all[0]["state"] == "Running" && third(),
    );
    let there = serves[0]["node"].as_str().expect("a name").to_owned();
    let other = if there == "n1" { "n2" } else { "n1" };
    let failed = format!("web@{other}");
    cluster.expect_decision(&failed, "quarantine", "MS-RESTART-BUDGET-USED");
    let on_named = json!({
        "target": {"nodes": ["n1"]},
        "policy": {"escalate": "move"},
    });
    let spec = json!({
        "kind": "Placement", "name": "fixed", "type": "greeter",
        "target": on_named["target"], "policy": on_named["policy"],
    });
    let path = file(&cluster, "fixed.json");
    std::fs::write(&path, spec.to_string()).expect("a directory of its own");
    let refused = cluster
        .sh(&format!("apply -f {}", path.display()))
        .expect_code(2);
    assert!(refused.stderr.contains("count: 3"), "{}", refused.stderr);
}

// proves: S25
// acceptance: issue 5, line 6
#[test]
fn a_minimum_is_kept_and_a_placement_and_all_nodes_can_be_worked_on() {
    let cluster = cluster(3);
    let nodes = json!({"target": {"nodes": ["n1", "n2", "n3"]}, "minimum": 2});
    apply(&cluster, "web", "exec sleep 100000", nodes);
    for node in ["n1", "n2", "n3"] {
        cluster.until_state(&format!("web@{node}"), "Running");
    }
    cluster.sh("node drain n2").ok();
    let refused = cluster.sh("node drain n3").expect_code(10);
    for part in ["1 of web would serve", "at least 2", "--force"] {
        assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
    }
    cluster.sh("node uncordon n2").ok();
    cluster.until_state("web@n2", "Running");

    for (on, off, root) in [
        ("web", "placement/web", "web is in maintenance"),
        ("cluster", "cluster", "n2 is in maintenance"),
    ] {
        cluster
            .sh(&format!("maintenance on {on} --reason 'a new switch'"))
            .ok();
        let web = pid_of(&cluster.until_state("web@n2", "Running"));
        signal(web, Signal::KILL);
        cluster.until_state("web@n2", "Pending");
        let status = cluster.json("status");
        assert_eq!(status["problems"], json!([]), "somebody knows: {status:#}");
        let why = cluster.sh("why web@n2").ok().stdout;
        assert!(why.contains(root), "{root}: {why}");
        cluster.sh(&format!("maintenance off {off}")).ok();
        cluster.until_state("web@n2", "Running");
    }
    let unknown = cluster.sh("maintenance on wbe --for 5m").expect_code(3);
    assert!(unknown.stderr.contains("web"), "{}", unknown.stderr);
}
