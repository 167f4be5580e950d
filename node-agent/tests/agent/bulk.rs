//! The bulk connection: what is long goes over it, and what matters waits for nothing behind it.

use mainstay_protocol::request::{Answer, Ask, LogOf};
use mainstay_protocol::{SlotName, limits};
use serde_json::json;

use crate::station::{Cluster, incarnation, instance};

fn talker() -> Cluster {
    let cluster = Cluster::new();
    let script = "yes a-word-that-is-said-again | head -c 200000; exec sleep 1000";
    let config = json!({ "command": ["/bin/sh", "-c", script] }).to_string();
    cluster.start_as("process", "talks", 1, &config, "talks", 10_000);
    cluster.started("talks", 1);
    loop {
        match cluster.ask(logs()) {
            Answer::Log(page) if page.text.len() >= limits::BULKY_BYTES_MIN => return cluster,
            // It has not begun to talk.
            _ => {}
        }
    }
}

fn logs() -> Ask {
    Ask::Logs {
        instance: instance("talks"),
        name: SlotName::new("talks").unwrap(),
        incarnation: incarnation(1),
        of: LogOf::This,
        from: None,
    }
}

// proves: S22
#[test]
fn a_flood_of_logs_that_nobody_takes_delays_neither_reports_nor_checks_nor_heartbeats() {
    let cluster = talker();
    cluster.wait("the bulk connection", |heard| heard.bulk.then_some(()));
    cluster.stall_bulk(true);
    // Far more than sockets and queues hold, and fewer than an agent answers at a time.
    let flood: Vec<u64> = (0..200).map(|_| cluster.put(logs(), 60_000)).collect();
    let beats = cluster.wait("a heartbeat", |heard| Some(heard.heartbeats.len()));
    cluster.start("greeter", "greeter", 1, "{}");
    cluster.started("greeter", 1);
    let greeter = instance("greeter");
    let health = cluster.ask(Ask::Check { instance: greeter });
    assert!(matches!(health, Answer::Health { .. }), "{health:?}");
    cluster.wait("heartbeats go on", |heard| {
        (heard.heartbeats.len() > beats + 1).then_some(())
    });
    let come = cluster.wait("what has come", |heard| Some(heard.in_bulk.len()));
    assert!(
        come < flood.len(),
        "the flood is held up: {come} of it came"
    );
    cluster.stall_bulk(false);
    cluster.wait("the whole flood", |heard| {
        flood
            .iter()
            .all(|id| heard.in_bulk.contains(id))
            .then_some(())
    });
}
