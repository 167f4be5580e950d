//! `mainstay chaos partition|delay|slow-disk|skew|heal`: what people see of a network, a disk and a clock that are broken on
//! purpose, and that short faults cost nothing.

use std::time::{Duration, Instant};

use mainstay_tests::{Cluster, DevOptions, until};
use serde_json::{Value, json};

/// Half of what a dev cluster takes for silence.
const SLOWER: Duration = Duration::from_millis(1250);

fn cluster() -> Cluster {
    Cluster::with(&DevOptions {
        nodes: 3,
        ..DevOptions::default()
    })
}

fn node_state(cluster: &Cluster, name: &str) -> Value {
    let nodes = cluster.list("get nodes");
    let found = nodes.into_iter().find(|node| node["name"] == name);
    found.unwrap_or_else(|| panic!("there is no node {name}"))["state"].clone()
}

fn until_node(cluster: &Cluster, name: &str, state: &str) {
    until(
        &format!("{name} is {state}"),
        || node_state(cluster, name),
        |now| now == state,
    );
}

// proves: S23
// acceptance: issue 5, line 1
#[test]
fn a_node_cut_off_from_everybody_is_lost_and_replaced_and_taken_back_when_that_is_healed() {
    let cluster = cluster();
    cluster.sh("start greeter --count 2").ok();
    let there: Vec<String> = cluster
        .list("get instances greeter")
        .iter()
        .map(|one| one["node"].as_str().expect("a name").to_owned())
        .collect();
    // Not the station's own machine: an operator would look there first.
    let cut = there
        .iter()
        .find(|node| *node != "n1")
        .expect("two of three")
        .clone();
    let said = cluster.sh(&format!("chaos partition node/{cut}")).ok();
    assert!(said.stderr.contains("mainstay why"), "{}", said.stderr);
    until_node(&cluster, &cut, "Lost");
    let why = cluster.sh(&format!("why node/{cut}")).ok().stdout;
    assert!(why.contains("sees nothing of it"), "who saw what: {why}");
    let heal = format!("mainstay chaos heal node/{cut}");
    for part in ["MS-BROKEN-ON-PURPOSE", heal.as_str()] {
        assert!(why.contains(part), "{part}: {why}");
    }
    let status = cluster.json("status");
    assert_eq!(status["broken"][0]["undo"], heal.as_str(), "{status:#}");
    until(
        "two serve elsewhere",
        || cluster.list("get instances greeter"),
        |all| {
            let serves = |one: &&Value| one["state"] == "Running" && one["node"] != cut.as_str();
            all.iter().filter(serves).count() == 2
        },
    );
    cluster.sh(&format!("chaos heal node/{cut}")).ok();
    until_node(&cluster, &cut, "Online");
    until(
        "what was replaced has ended there",
        || cluster.instance(&format!("greeter@{cut}")),
        Option::is_none,
    );
}

// proves: S23
// acceptance: issue 5, line 1
#[test]
fn a_node_cut_off_from_the_station_alone_is_isolated_and_nothing_of_it_is_restarted() {
    let cluster = cluster();
    cluster.sh("start greeter --on n3").ok();
    let before = cluster.until_state("greeter@n3", "Running");
    cluster.sh("chaos partition node/n3 --from-station").ok();
    until_node(&cluster, "n3", "Isolated");
    let why = cluster.sh("why node/n3").ok().stdout;
    assert!(why.contains("sees its agent"), "who saw what: {why}");
    cluster.sh("chaos heal cluster").ok();
    until_node(&cluster, "n3", "Online");
    let after = cluster.until_state("greeter@n3", "Running");
    assert_eq!(after["incarnation"], before["incarnation"]);
}

// proves: S23
// acceptance: issue 5, line 1
#[test]
fn a_slow_way_a_slow_disk_and_a_wrong_clock_restart_nothing_and_what_fails_is_still_restarted() {
    let cluster = cluster();
    cluster.sh("start greeter --all").ok();
    for node in ["n1", "n2", "n3"] {
        cluster.until_state(&format!("greeter@{node}"), "Running");
    }
    cluster.sh("chaos delay node/n2 --by 1250ms").ok();
    cluster.sh("chaos slow-disk station/s1 --by 150ms").ok();
    for back in ["", " --back"] {
        cluster
            .sh(&format!("chaos skew station/s1 --by 1h{back}"))
            .ok();
        for _ in 0..3 {
            let asked = Instant::now();
            let check = cluster.json("check greeter@n2");
            assert!(asked.elapsed() >= SLOWER, "the way is slow: {check:#}");
            assert_eq!(check["health"], "ok");
        }
        let before = cluster.until_state("greeter@n3", "Running")["incarnation"].as_u64();
        cluster.sh("chaos kill greeter@n3").ok();
        cluster.until_restarted("greeter@n3", before.expect("a number"));
    }
    for node in ["n1", "n2"] {
        let one = cluster.until_state(&format!("greeter@{node}"), "Running");
        assert_eq!(one["incarnation"], 1, "{one:#}");
        until_node(&cluster, node, "Online");
    }
    cluster.sh("chaos heal cluster").ok();
    assert_eq!(cluster.json("check greeter@n2")["health"], "ok");
}

#[test]
fn what_chaos_cannot_do_is_refused_with_what_it_can() {
    let cluster = cluster();
    for (line, says) in [
        ("chaos partition greeter@n1", "NODE"),
        ("chaos skew node/n1 --by 1h", "STATION"),
        ("chaos delay station/s1 --by 1s", "NODE"),
        ("chaos heal greeter@n1", "node/NODE"),
        ("chaos delay node/n2", "--by"),
        ("chaos delay node/n2 --by 9999h", "as good as cut off"),
        // Only the station knows; what to read is known here.
        (
            "chaos delay node/n2 --by 9999h",
            "mainstay chaos delay --help",
        ),
    ] {
        let refused = cluster.sh(line).expect_code(2);
        assert!(refused.stderr.contains(says), "{line}: {}", refused.stderr);
    }
    let healed = cluster.json("chaos heal node/n2");
    assert_eq!(healed["ref"], json!("node/n2"));
    cluster.sh("chaos partition node/n9").expect_code(3);
}
