//! Ends: panics, failures, clean ends, stops; each with its words.

use mainstay_protocol::health::{Evidence, FailureKind};
use mainstay_protocol::report::{CommandOutcome, Ending, Presence, Report};
use mainstay_protocol::request::{ChaosAct, ChaosTarget};

use crate::station::{Cluster, instance, lines};

fn failure(cluster: &Cluster, placement: &str) -> (FailureKind, Presence, Evidence) {
    let report = cluster.report(
        "a failure",
        |report| matches!(report, Report::Failed { instance: i, .. } if *i == instance(placement)),
    );
    let Report::Failed {
        kind,
        presence,
        evidence,
        ..
    } = report
    else {
        unreachable!()
    };
    (kind, presence, evidence)
}

fn ending(cluster: &Cluster, placement: &str) -> Ending {
    let report = cluster.report(
        "an end",
        |report| matches!(report, Report::Ended { instance: i, .. } if *i == instance(placement)),
    );
    let Report::Ended { ending, .. } = report else {
        unreachable!()
    };
    ending
}

fn flaky(placement: &str, config: &str) -> Cluster {
    let cluster = Cluster::new();
    cluster.start("flaky", placement, 1, config);
    cluster.started(placement, 1);
    cluster
}

#[test]
fn a_panic_is_reported_with_its_words_and_place() {
    // proves: S10
    // case: services 27
    let cluster = flaky("f", "{}");
    cluster.send("f", "panic", r#"{"text":"the cable is cut"}"#);
    let (kind, presence, evidence) = failure(&cluster, "f");
    assert_eq!((kind, presence), (FailureKind::Panic, Presence::Gone));
    assert_eq!(evidence.text, "the cable is cut");
    assert!(evidence.location.unwrap().contains("flaky.rs:"));
    // The next incarnation can have the name at once.
    cluster.start("flaky", "f", 2, "{}");
    cluster.started("f", 2);
}

#[test]
fn an_error_from_handle_is_reported_as_the_end_and_a_report_as_a_living_failure() {
    // proves: S7
    // case: services 26
    let cluster = flaky("f", "{}");
    cluster.start("flaky", "g", 1, "{}");
    cluster.started("g", 1);
    cluster.send("f", "fail", r#"{"text":"no more disk"}"#);
    let (kind, presence, evidence) = failure(&cluster, "f");
    assert_eq!((kind, presence), (FailureKind::Reported, Presence::Gone));
    assert_eq!(evidence.text, "no more disk");
    cluster.call("g", "report", r#"{"text":"half is lost"}"#);
    let (kind, presence, evidence) = failure(&cluster, "g");
    assert_eq!((kind, presence), (FailureKind::Reported, Presence::Living));
    assert_eq!(evidence.text, "half is lost");
    let stop = cluster.stop("g", 1, 5_000);
    assert_eq!(cluster.outcome(stop), CommandOutcome::Done);
    assert_eq!(ending(&cluster, "g"), Ending::Asked);
}

#[test]
fn a_clean_end_by_itself_and_a_kill_are_told_apart() {
    // proves: S10
    // case: services 30
    let cluster = flaky("f", "{}");
    cluster.call("f", "end", "");
    assert_eq!(ending(&cluster, "f"), Ending::ByItself);
    cluster.start("flaky", "g", 1, "{}");
    cluster.started("g", 1);
    cluster.chaos(ChaosTarget::Instance(instance("g")), ChaosAct::Kill);
    assert_eq!(failure(&cluster, "g").0, FailureKind::Killed);
    for (placement, act) in [("h", ChaosAct::Panic), ("i", ChaosAct::Stop)] {
        cluster.start("flaky", placement, 1, "{}");
        cluster.started(placement, 1);
        cluster.chaos(ChaosTarget::Instance(instance(placement)), act);
    }
    assert_eq!(failure(&cluster, "h").2.text, "panic on purpose");
    assert_eq!(ending(&cluster, "i"), Ending::ByItself);
}

#[test]
fn a_stop_runs_the_hook_and_is_idempotent() {
    // case: services 17, 21
    let cluster = Cluster::new();
    let witness = cluster.path("witness");
    let config = format!(r#"{{"witness":"{}"}}"#, witness.display());
    cluster.start("greeter", "greeter", 1, &config);
    cluster.started("greeter", 1);
    let stop = cluster.stop("greeter", 1, 5_000);
    assert_eq!(cluster.outcome(stop), CommandOutcome::Done);
    assert_eq!(ending(&cluster, "greeter"), Ending::Asked);
    let pid = std::process::id();
    let seen = lines(&witness);
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert!(
        seen[0].starts_with(&format!("start greeter {pid} 1 ")),
        "{seen:?}"
    );
    assert!(
        seen[1].starts_with(&format!("stop greeter {pid} 1 ")),
        "{seen:?}"
    );
    let again = cluster.stop("greeter", 1, 5_000);
    assert_eq!(cluster.outcome(again), CommandOutcome::NotRunning);
}

#[test]
fn a_stop_that_takes_too_long_becomes_a_kill() {
    // case: services 20
    let cluster = flaky("f", r#"{"stop_ms":60000}"#);
    let stop = cluster.stop("f", 1, 200);
    assert_eq!(cluster.outcome(stop), CommandOutcome::Done);
    assert_eq!(ending(&cluster, "f"), Ending::Killed);
}

#[test]
fn a_killed_supervisor_is_replaced_and_nothing_restarts() {
    // proves: S10
    // case: services 32
    let cluster = Cluster::new();
    cluster.start("greeter", "greeter", 1, "{}");
    cluster.start("flaky", "f", 1, "{}");
    cluster.started("greeter", 1);
    cluster.started("f", 1);
    cluster.call("greeter", "greet", r#"{"name":"Ada"}"#);
    for (act, next) in [(ChaosAct::Kill, 2), (ChaosAct::Panic, 3)] {
        cluster.chaos(ChaosTarget::Supervisor, act);
        cluster.report("the next supervisor", |report| {
            matches!(report, Report::SupervisorChanged { incarnation, watches: 2, .. } if *incarnation == next)
        });
    }
    let answer = format!(
        "{:?}",
        cluster.call("greeter", "greet", r#"{"name":"Ada"}"#)
    );
    assert!(answer.contains(r#"\"count\":2"#), "{answer}");
    cluster.send("f", "panic", r#"{"text":"after it"}"#);
    assert_eq!(failure(&cluster, "f").2.text, "after it");
}
