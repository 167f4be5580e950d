//! An instance that other nodes watch, on machines with cables of their own: what its own node finds well and nobody else
//! reaches is told, and left alone.

use std::path::PathBuf;

use mainstay_tests::answers::pid_of;
use mainstay_tests::{Machines, outside, until};
use rustix::process::Signal;
use serde_json::{Value, json};

fn wish(machines: &Machines, watched_from: u64) -> PathBuf {
    let spec = json!({
        "kind": "Placement", "name": "web", "type": "process", "target": {"nodes": ["n3"]},
        "config": {"command": ["/bin/sh", "-c", "exec sleep 100000"]},
        "policy": {"watched_from": watched_from},
    });
    let path = machines.dir(1).join("web.json");
    std::fs::write(&path, spec.to_string()).expect("a machine has a directory");
    path
}

/// Of n3, Checked from so many other nodes.
fn is_watched_from(machines: &Machines, watched_from: u64) {
    let path = wish(machines, watched_from);
    machines
        .sh(1, &format!("apply -f {} --no-wait", path.display()))
        .ok();
}

fn web(machines: &Machines) -> Value {
    let all = machines.list(1, "get instances web");
    all.into_iter().next().unwrap_or_default()
}

/// Until it is in this state, and its watchers say what they are to say.
fn until_it_is(machines: &Machines, state: &str, right: impl Fn(&[Value]) -> bool) -> Value {
    until(
        &format!("it is {state}, and seen as it is to be"),
        || web(machines),
        |web| {
            let watchers = web["watched_by"].as_array();
            web["state"] == state && watchers.is_some_and(|all| right(all))
        },
    )
}

fn answers(watcher: &Value) -> bool {
    watcher["answers"] == true
}

fn is_the_same(now: &Value, before: &Value) {
    assert_eq!(now["incarnation"], before["incarnation"]);
    assert_eq!(pid_of(now), pid_of(before));
    assert!(outside::process(pid_of(before)).is_some());
}

fn watched_from(machines: &Machines, node: &str) -> bool {
    let all = machines.list(1, "get supervisors");
    let one = all.iter().find(|one| one["node"] == node);
    let watches = one.and_then(|one| one["watches"].as_array());
    watches.is_some_and(|watches| watches.iter().any(|key| key == "web@n3"))
}

// proves: S11
#[test]
fn an_instance_that_no_other_node_reaches_is_degraded_and_not_restarted_until_one_does() {
    let machines = Machines::guarded();
    let too_many = wish(&machines, 3);
    let refused = machines.sh(1, &format!("apply -f {}", too_many.display()));
    let refused = refused.expect_code(2).stderr;
    assert!(refused.contains("policy.watched_from"), "{refused}");

    is_watched_from(&machines, 2);
    let before = until_it_is(&machines, "Running", |all| {
        all.len() == 2 && all.iter().all(answers)
    });
    for node in ["n2", "n3", "n4"] {
        assert!(watched_from(&machines, node), "{node} does not watch it");
    }

    // One of two is nothing.
    machines.part(2, 3);
    until_it_is(&machines, "Running", |all| {
        all.iter().filter(|one| !answers(one)).count() == 1
    });
    // Both are, while the station hears everybody.
    machines.part(4, 3);
    let unseen = until_it_is(&machines, "Degraded", |all| !all.iter().any(answers));
    assert_eq!(unseen["reason"]["code"], "MS-UNSEEN", "{unseen:#}");
    assert_eq!(unseen["health"], "ok", "as its own node says");
    is_the_same(&unseen, &before);
    let why = machines.sh(1, "why web@n3").ok().stdout;
    for node in ["n2", "n4"] {
        let says = format!("{node} does not reach its node");
        assert!(why.contains(&says), "{why}");
    }
    let described = machines.sh(1, "describe web@n3").ok().stdout;
    assert!(
        described.contains("supervisor/n2: n2 does not"),
        "{described}"
    );
    let status = machines.sh(1, "status").stdout;
    assert!(status.contains("web@n3"), "{status}");
    let nodes = machines.list(1, "get nodes");
    assert!(
        nodes.iter().all(|one| one["state"] == "Online"),
        "{nodes:#?}"
    );

    // One sees it again.
    machines.join_again(2, 3);
    let seen = until_it_is(&machines, "Running", |all| all.iter().any(answers));
    assert!(seen["reason"].is_null(), "{seen:#}");
    machines.join_again(4, 3);
    let seen = until_it_is(&machines, "Running", |all| all.iter().all(answers));
    is_the_same(&seen, &before);
}

// proves: S11
#[test]
fn when_a_watcher_is_gone_another_one_watches_and_when_nobody_is_to_what_was_seen_goes() {
    let mut machines = Machines::guarded();
    is_watched_from(&machines, 1);
    let before = until_it_is(&machines, "Running", |all| {
        all.len() == 1 && all.iter().all(answers)
    });
    let first = before["watched_by"][0]["supervisor"].clone();
    let (first, other) = match first.as_str() {
        Some("supervisor/n2") => (2, "supervisor/n4"),
        Some("supervisor/n4") => (4, "supervisor/n2"),
        _ => panic!("{before:#}"),
    };
    machines.signal(first, "agent", Signal::KILL);
    let now = until_it_is(&machines, "Running", |all| {
        all.len() == 1 && all[0]["supervisor"] == other && answers(&all[0])
    });
    is_the_same(&now, &before);

    let dir = machines.data(first, "agent");
    machines.start(first, &format!("agent run {dir}"));
    machines.until_online(1, 3);
    is_watched_from(&machines, 0);
    let now = until_it_is(&machines, "Running", |all| all.is_empty());
    is_the_same(&now, &before);
    assert!(!watched_from(&machines, "n2") && !watched_from(&machines, "n4"));
}
