//! The only ones of a cluster: what is not renewed is ended here, whatever it is.

use mainstay_protocol::health::FailureKind;
use mainstay_protocol::report::{Presence, Report};

use crate::station::{Cluster, instance};

/// Longer than two heartbeats, so that it is renewed in time.
const LEASE_MS: u64 = 3_000;

fn ran_out(cluster: &Cluster, placement: &str) {
    let report = cluster.report("how it ended", |report| {
        matches!(report, Report::Failed { instance: of, .. } if *of == instance(placement))
    });
    let Report::Failed { kind, presence, .. } = report else {
        unreachable!()
    };
    assert_eq!((kind, presence), (FailureKind::LeaseRanOut, Presence::Gone));
}

/// Both started by now, and older than their leases.
fn is_renewed(cluster: &Cluster) {
    let before = cluster.heartbeats();
    cluster.wait("more heartbeats than a lease is long", |heard| {
        (heard.heartbeats.len() > before + 5).then_some(())
    });
}

// proves: S23
#[test]
fn an_actor_that_is_renewed_lives_on_and_is_ended_when_nobody_does() {
    let cluster = Cluster::new();
    cluster.start_leased("greeter", "greeter", "{}", LEASE_MS);
    cluster.started("greeter", 1);
    is_renewed(&cluster);
    cluster.renew_nothing();
    ran_out(&cluster, "greeter");
}

// proves: S23
#[test]
fn a_process_that_is_renewed_lives_on_and_is_ended_by_its_hold_when_nobody_does() {
    let cluster = Cluster::new();
    let config = r#"{"command":["/bin/sh","-c","trap '' TERM; echo $MAINSTAY_FENCING_TOKEN; while :; do sleep 1; done"]}"#;
    cluster.start_leased("process", "p", config, LEASE_MS);
    cluster.started("p", 1);
    is_renewed(&cluster);
    cluster.renew_nothing();
    ran_out(&cluster, "p");
}

// proves: S23
#[test]
fn what_takes_longer_to_be_ready_than_its_lease_is_renewed_meanwhile() {
    let cluster = Cluster::new();
    let config = r#"{"command":["/bin/sh","-c","sleep 5; echo ready; exec sleep 1000"],"ready":{"line":"ready"}}"#;
    cluster.start_leased("process", "p", config, LEASE_MS);
    cluster.started("p", 1);
}

// proves: S23
#[test]
fn a_start_that_nobody_renews_never_takes_effect() {
    let cluster = Cluster::new();
    cluster.renew_nothing();
    cluster.start_leased("greeter", "greeter", "{}", LEASE_MS);
    let before = cluster.heartbeats();
    cluster.wait("some heartbeats", |heard| {
        (heard.heartbeats.len() > before + 3).then_some(())
    });
    let begun = cluster.wait("no word of it", |heard| {
        Some(
            heard
                .reports
                .iter()
                .any(|(_, report)| report.about().is_some()),
        )
    });
    assert!(!begun);
}
