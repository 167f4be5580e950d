//! Services that block their thread without saying so beforehand: the node keeps time, its other services keep
//! answering, and the blockers are treated by policy as far as that is possible.

use std::time::{Duration, Instant};

use mainstay_tests::{Cluster, DevOptions, until};

/// Twice what two looks at the same heartbeat can be apart, and below what makes a dev agent silent.
const HEARD_MS_MAX: u64 = 2400;

/// The node and the neighbours of the blockers, looked at once; fails if they suffer.
fn look(cluster: &Cluster, slowest: &mut Duration) {
    let node = cluster.json("get nodes n1");
    assert_eq!(node["state"], "Online", "{node:#}");
    let heard = node["heard_ms"].as_u64().expect("it is heard");
    assert!(heard <= HEARD_MS_MAX, "a heartbeat is late: {node:#}");
    cluster.greet("greeter@n1");
    for neighbour in ["greeter@n1", "calm@n1"] {
        let began = Instant::now();
        let check = cluster.json(&format!("check {neighbour}"));
        *slowest = (*slowest).max(began.elapsed());
        assert_eq!(check["health"], "ok", "{check:#}");
        let seen = cluster.instance(neighbour).expect("it is known");
        assert_eq!(seen["state"], "Running", "{seen:#}");
        assert_eq!(seen["incarnation"], 1, "{seen:#}");
    }
}

fn is_stuck(cluster: &Cluster, reference: &str) -> bool {
    cluster.instance(reference).is_some_and(|instance| {
        instance["state"] == "Stopping" && instance["reason"]["code"] == "MS-WILL-NOT-END"
    })
}

// acceptance: 2, 8
// case: services 24
// proves: S10, S13
#[test]
fn two_services_that_block_their_threads_harm_nobody_else() {
    let cluster = Cluster::with(&DevOptions {
        nodes: 2,
        ..DevOptions::default()
    });
    cluster.sh("start greeter --on n1").ok();
    cluster.sh("start flaky --name calm --on n1").ok();
    for blocker in ["spin1", "spin2"] {
        cluster
            .sh(&format!("start flaky --name {blocker} --on n1"))
            .ok();
    }
    for blocker in ["spin1", "spin2"] {
        cluster
            .sh(&format!(
                "call {blocker}@n1 hang '{{\"how\":\"spin\"}}' --timeout 500ms"
            ))
            .expect_code(8);
    }
    let mut slowest = Duration::ZERO;
    for blocker in ["spin1@n1", "spin2@n1"] {
        until(
            "the blocker is stuck in Stopping",
            || {
                look(&cluster, &mut slowest);
                (is_stuck(&cluster, blocker), cluster.instance(blocker))
            },
            |(stuck, _)| *stuck,
        );
        cluster.expect_decision(blocker, "unresponsive", "MS-UNRESPONSIVE");
    }
    println!("the slowest Check of a neighbour took {slowest:?}, command and all");
    let events = cluster.list("events --since 1h");
    let down = events
        .iter()
        .find(|event| event["subject"] == "node/n1" && event["type"] == "node.agent_down");
    assert!(
        down.is_none(),
        "its agent was never thought down: {down:#?}"
    );

    // It keeps its name and has no twin.
    assert_eq!(cluster.json("get names n1/spin1")["holder"], "spin1@n1");
    cluster
        .sh("start noisy --name heir --holds spin1 --on n1")
        .expect_code(4);
    let refused = cluster.sh("restart spin1@n1").expect_code(9);
    assert!(
        refused.stderr.contains("restart the agent of n1"),
        "{refused:#?}"
    );
    let why = cluster.why("spin1@n1");
    assert_eq!(why["you_can"][0], "mainstay chaos kill node/n1", "{why:#}");
    look(&cluster, &mut slowest);

    // What `why` offers helps.
    cluster.sh("chaos kill node/n1").ok();
    cluster.until_restarted("greeter@n1", 1);
    cluster.until_restarted("spin1@n1", 1);
    cluster.until_restarted("spin2@n1", 1);
    assert_eq!(cluster.state("heir@n1"), "Blocked");
}
