//! Sessions: late stations, broken connections, ends of the agent.

use mainstay_protocol::health::FailureKind;
use mainstay_protocol::report::{CommandOutcome, Report};

use crate::station::{Cluster, instance, message_to};

#[test]
fn an_agent_waits_for_its_station_and_needs_no_restart() {
    // case: services 5
    let cluster = Cluster::agent_alone(true);
    let cluster = cluster.with_station();
    cluster.start("greeter", "greeter", 1, "{}");
    cluster.started("greeter", 1);
}

#[test]
fn what_was_not_acknowledged_is_sent_again_and_what_was_is_not() {
    // case: services 48
    let cluster = Cluster::new();
    let first = cluster.start("greeter", "greeter", 1, "{}");
    assert_eq!(cluster.outcome(first), CommandOutcome::Done);
    cluster.acknowledge(false);
    cluster.start("flaky", "f", 1, "{}");
    cluster.started("f", 1);
    cluster.hang_up();
    let starts = |placement: &'static str| move |(_, report): &&(_, Report)| matches!(report, Report::Started { instance: i, .. } if *i == instance(placement));
    cluster.wait("it again", |heard| {
        (heard.reports.iter().filter(starts("f")).count() == 2).then_some(())
    });
    let (greeters, digests) = cluster.wait("all", |heard| {
        let digests: Vec<_> = heard.node_ups.iter().map(|up| up.digest.len()).collect();
        Some((
            heard.reports.iter().filter(starts("greeter")).count(),
            digests,
        ))
    });
    assert_eq!(greeters, 1);
    assert_eq!(
        digests,
        [0, 2],
        "the second introduction names both instances"
    );
}

#[test]
fn a_deposed_station_is_left_at_once_whatever_is_still_to_be_answered() {
    let cluster = Cluster::new();
    cluster.start("flaky", "busy", 1, "{}");
    cluster.started("busy", 1);
    let slow = message_to("busy", "slow", r#"{"ms":60000}"#);
    let asked = cluster.depose_once(slow, 60_000);
    cluster.hang_up();
    let answered = cluster.wait("the introduction after the deposed one", |heard| {
        let answered = heard.answers.iter().any(|(id, _)| *id == asked);
        (heard.node_ups.len() == 3).then_some(answered)
    });
    assert!(!answered, "nobody is left to be answered");
    cluster.start("greeter", "greeter", 1, "{}");
    cluster.started("greeter", 1);
}

#[test]
fn the_next_agent_on_a_directory_says_what_ended_with_the_last() {
    // proves: S10
    let mut cluster = Cluster::new();
    cluster.start("greeter", "greeter", 1, "{}");
    cluster.started("greeter", 1);
    assert_eq!(
        cluster.end_agent(),
        format!("{:?}", std::process::ExitCode::SUCCESS)
    );
    cluster.run_agent(true);
    let report = cluster.report("what ended", |report| {
        matches!(report, Report::Failed { .. })
    });
    let Report::Failed { kind, .. } = report else {
        unreachable!()
    };
    assert_eq!(kind, FailureKind::AgentStopped);
    let runs = cluster.wait("both introductions", |heard| {
        match heard.node_ups.as_slice() {
            [first, second] => Some((first.agent_run, second.agent_run)),
            _ => None,
        }
    });
    assert_ne!(runs.0, runs.1);
}
