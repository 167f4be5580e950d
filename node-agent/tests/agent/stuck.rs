//! Instances that hang, waiting or spinning: what is seen of them, and that nobody else suffers.

use std::time::Duration;

use mainstay_protocol::code;
use mainstay_protocol::health::Health;
use mainstay_protocol::report::{CommandOutcome, Ending, Report};
use mainstay_protocol::request::{Answer, Ask, ChaosAct, ChaosTarget};

use crate::station::{Cluster, instance};

fn unresponsive(cluster: &Cluster, placement: &str) -> (u32, u32, String) {
    let report = cluster.report("unresponsive at the limit", |report| {
        matches!(report, Report::Unresponsive { instance: i, missed, limit, .. }
            if *i == instance(placement) && missed == limit)
    });
    let Report::Unresponsive {
        missed,
        limit,
        detail,
        ..
    } = report
    else {
        unreachable!()
    };
    (missed, limit, detail)
}

fn check(cluster: &Cluster, placement: &str) -> (Health, String) {
    match cluster.ask(Ask::Check {
        instance: instance(placement),
    }) {
        Answer::Health { health, detail, .. } => (health, detail),
        other => panic!("{other:?}"),
    }
}

#[test]
fn one_that_waits_for_ever_is_unresponsive_and_can_be_killed() {
    // proves: S10
    // case: services 24, 20
    let cluster = Cluster::new();
    cluster.start("flaky", "f", 1, "{}");
    cluster.started("f", 1);
    cluster.send("f", "hang", r#"{"how":"wait"}"#);
    let (missed, limit, detail) = unresponsive(&cluster, "f");
    assert_eq!((missed, limit), (3, 3));
    assert!(detail.starts_with("busy in handle for "), "{detail}");
    let (health, detail) = check(&cluster, "f");
    assert_eq!(health, Health::Unresponsive);
    assert!(detail.starts_with("busy in handle for "), "{detail}");
    let refusal = cluster.refusal(Ask::Status {
        instance: instance("f"),
    });
    assert_eq!(refusal.code, code::TIMEOUT);
    assert!(
        refusal.text.contains("busy in handle for "),
        "{}",
        refusal.text
    );
    let stop = cluster.stop("f", 1, 200);
    assert_eq!(cluster.outcome(stop), CommandOutcome::Done);
    cluster.report("the kill", |report| {
        matches!(
            report,
            Report::Ended {
                ending: Ending::Killed,
                ..
            }
        )
    });
}

#[test]
fn spinning_services_silence_neither_the_node_nor_their_neighbours() {
    // proves: S10
    // case: services 20, 24
    // acceptance: 8
    let cluster = Cluster::new();
    cluster.start("greeter", "greeter", 1, "{}");
    cluster.started("greeter", 1);
    for spinner in ["f", "g"] {
        cluster.start("flaky", spinner, 1, "{}");
        cluster.started(spinner, 1);
        cluster.send(spinner, "hang", r#"{"how":"spin"}"#);
    }
    for spinner in ["f", "g"] {
        let (_, _, detail) = unresponsive(&cluster, spinner);
        assert!(detail.starts_with("busy in handle for "), "{detail}");
    }
    for _ in 0..5 {
        assert_eq!(check(&cluster, "greeter").0, Health::Ok);
    }
    assert!(matches!(
        cluster.call("greeter", "greet", r#"{"name":"Ada"}"#),
        Answer::Reply { .. }
    ));
    let stop = cluster.stop("f", 1, 200);
    assert_eq!(cluster.outcome(stop), CommandOutcome::WillNotEnd);
    // It keeps its name: no twin.
    let twin = cluster.start_as("flaky", "h", 1, "{}", "f", 1_000);
    assert!(matches!(
        cluster.outcome(twin),
        CommandOutcome::Refused { .. }
    ));
    let kept_time = cluster.wait("heartbeats", |heard| {
        let [.., a, b, c] = heard.heartbeats.as_slice() else {
            return None;
        };
        Some((b.duration_since(*a)).max(c.duration_since(*b)))
    });
    assert!(kept_time < Duration::from_millis(1_800), "{kept_time:?}");
    let greeter_missed = cluster.wait("reports", |heard| {
        Some(heard.reports.iter().any(|(_, report)| {
            matches!(report, Report::Unresponsive { instance: i, .. } if *i == instance("greeter"))
        }))
    });
    assert!(!greeter_missed, "the neighbour stays well");
}

#[test]
fn a_service_broken_into_hanging_is_unresponsive() {
    let cluster = Cluster::new();
    cluster.start("greeter", "greeter", 1, "{}");
    cluster.started("greeter", 1);
    cluster.chaos(ChaosTarget::Instance(instance("greeter")), ChaosAct::Hang);
    unresponsive(&cluster, "greeter");
}
