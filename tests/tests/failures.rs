//! Every way a service can fail: seen as a state, decided by a named rule, handled by its policy, explained by `why`
//! in the failure's own words.

use std::sync::Arc;

use mainstay_tests::answers::decided;
use mainstay_tests::{Cluster, DevOptions, Shared, until};
use serde_json::Value;

static SHARED: Shared = Shared::new();

/// A cluster that the tests of this file share; each has its own placement on it.
fn with_flaky(name: &str, config: &str) -> (Arc<Cluster>, String) {
    let cluster = SHARED.get(&DevOptions {
        nodes: 2,
        ..DevOptions::default()
    });
    cluster
        .sh(&format!("start flaky --name {name} --on n1 {config}"))
        .ok();
    (cluster, format!("{name}@n1"))
}

/// The states an instance went through, from its events.
fn states(cluster: &Cluster, reference: &str) -> Vec<String> {
    cluster
        .list("events --since 1h")
        .into_iter()
        .filter(|event| event["subject"] == reference)
        .filter_map(|event| event["type"].as_str().map(str::to_owned))
        .collect()
}

fn did_text(decision: &Value) -> &str {
    decision["did"]["text"].as_str().unwrap_or_default()
}

// acceptance: 2
// case: services 27
// proves: S10, S12, S24
#[test]
fn two_panics_are_restarted_and_why_tells_each_in_its_own_words() {
    let (cluster, first) = with_flaky("panic1", "");
    let (_, second) = with_flaky("panic2", "");
    for (reference, text) in [(&first, "out of cheese"), (&second, "a tin of worms")] {
        let before = cluster.incarnation(reference);
        cluster
            .sh(&format!("call {reference} panic '{{\"text\":\"{text}\"}}'"))
            .expect_code(9);
        let after = cluster.until_restarted(reference, before);
        assert_eq!(after["incarnation"], before + 1);
    }
    cluster.expect_root(&first, "out of cheese");
    cluster.expect_root(&second, "a tin of worms");
    for reference in [&first, &second] {
        let decision = cluster.expect_decision(reference, "restart", "MS-RESTARTED-AT-ONCE");
        assert_eq!(
            decision["saw"][0]["ref"],
            reference.as_str(),
            "{decision:#}"
        );
        assert!(!did_text(&decision).is_empty(), "{decision:#}");
    }
    let text = cluster.sh(&format!("why {first}")).ok().stdout;
    assert!(
        text.contains("out of cheese") && text.contains("MS-PANICKED"),
        "{text}"
    );
}

// acceptance: 2
// case: services 26, services 29
// proves: S7, S12, S22
#[test]
fn a_failure_is_told_once_and_started_again_once() {
    let (cluster, reference) = with_flaky("failing", "");
    let before = cluster.incarnation(&reference);
    cluster
        .sh(&format!(
            "call {reference} fail '{{\"text\":\"the disk is full\"}}'"
        ))
        .expect_code(9);
    cluster.until_restarted(&reference, before);
    cluster.expect_root(&reference, "the disk is full");
    cluster.expect_decision(&reference, "restart", "MS-RESTARTED-AT-ONCE");
    let told = states(&cluster, &reference);
    let failures = told
        .iter()
        .filter(|kind| *kind == "instance.failed")
        .count();
    assert_eq!(failures, 1, "{told:?}");
    assert_eq!(cluster.incarnation(&reference), before + 1, "{told:?}");
}

// acceptance: 2
// proves: S7
#[test]
fn a_living_instance_that_reports_a_failure_is_stopped_before_its_next_start() {
    let (cluster, reference) = with_flaky("reporting", "");
    let before = cluster.incarnation(&reference);
    cluster
        .sh(&format!(
            "call {reference} report '{{\"text\":\"no licence\"}}'"
        ))
        .ok();
    cluster.until_restarted(&reference, before);
    cluster.expect_root(&reference, "no licence");
    cluster.expect_decision(&reference, "stop", "MS-REPORTED-FAILURE");
    cluster.expect_decision(&reference, "restart", "MS-RESTARTED-AT-ONCE");
    assert_eq!(
        cluster.incarnation(&reference),
        before + 1,
        "one failure, one restart"
    );
}

// acceptance: 2
// case: services 30
// proves: S12
#[test]
fn a_clean_end_by_itself_stays_stopped_and_frees_its_name() {
    let (cluster, reference) = with_flaky("ending", "");
    cluster.sh(&format!("call {reference} end")).ok();
    let ended = cluster.until_state(&reference, "Stopped");
    assert_eq!(ended["reason"]["code"], "MS-ENDED-BY-ITSELF");
    let declined = cluster.expect_decision(&reference, "restart", "MS-NO-RESTART");
    assert!(declined["did"].is_null(), "{declined:#}");
    cluster.sh("get names n1/ending").expect_code(3);
    assert_eq!(cluster.state(&reference), "Stopped");
    assert!(!states(&cluster, &reference).contains(&"instance.failed".to_owned()));
    cluster.sh(&format!("restart {reference}")).ok();
    assert_eq!(cluster.state(&reference), "Running");
}

// acceptance: 2
// case: services 22
// proves: S8
#[test]
fn a_refused_configuration_waits_for_a_changed_wish() {
    let (cluster, bystander) = with_flaky("calm", "");
    let line = "start flaky --name picky --on n1 --config 'refuse=config: port 99999 is no port'";
    let refused = cluster.sh(line).expect_code(9);
    assert!(
        refused.stderr.contains("port 99999 is no port"),
        "{refused:#?}"
    );
    let picky = cluster.instance("picky@n1").expect("the placement stays");
    assert_eq!(picky["state"], "Failed", "{picky:#}");
    assert_eq!(picky["reason"]["code"], "MS-CONFIG-REFUSED", "{picky:#}");
    cluster.expect_decision("picky@n1", "could_not_start", "MS-CONFIG-REFUSED");
    cluster.expect_root("picky@n1", "port 99999 is no port");
    assert!(
        decided(
            &cluster.decisions("picky@n1"),
            "restart",
            "MS-RESTARTED-AT-ONCE"
        )
        .is_none()
    );
    assert_eq!(cluster.state(&bystander), "Running");

    let unknown = cluster.sh("start flaky --name typo --on n1 --config refuze=now");
    assert!([Some(2), Some(9)].contains(&unknown.code), "{unknown:#?}");
    assert!(unknown.stderr.contains("refuze"), "{unknown:#?}");
    assert_eq!(cluster.incarnation("picky@n1"), 1, "it was not tried again");
}

// acceptance: 2
// case: services 31
// proves: S20
#[test]
fn a_crash_loop_backs_off_visibly_and_ends_in_quarantine() {
    let (cluster, bystander) = with_flaky("steady", "");
    let text = "refuse=not-now: the disk is away";
    cluster
        .sh(&format!(
            "start flaky --name doomed --on n1 --no-wait --config '{text}'"
        ))
        .ok();
    let waiting = cluster.until_state("doomed@n1", "Backoff");
    assert!(waiting["next_try"].is_string(), "{waiting:#}");
    assert_eq!(waiting["reason"]["code"], "MS-BACKOFF");
    cluster.expect_decision("doomed@n1", "restart", "MS-BACKOFF");
    let scheduled = cluster.json("status")["scheduled"].clone();
    let listed = scheduled
        .as_array()
        .is_some_and(|list| list.iter().any(|work| work["ref"] == "doomed@n1"));
    assert!(listed, "{scheduled:#}");
    cluster.sh(&format!("check {bystander}")).ok();
    let wait = "wait doomed@n1 --for state=Quarantined --timeout 60s";
    cluster.sh(wait).ok();
    let over = cluster.expect_decision("doomed@n1", "quarantine", "MS-RESTART-BUDGET-USED");
    assert!(did_text(&over).contains("the disk is away"), "{over:#}");
    cluster.expect_root("doomed@n1", "the disk is away");
    let quarantined = cluster.instance("doomed@n1").expect("it is known");
    assert_eq!(quarantined["attempts"], 5, "{quarantined:#}");
    assert!(quarantined["next_try"].is_null(), "{quarantined:#}");
    let you_can = cluster.why("doomed@n1")["you_can"].clone();
    assert_eq!(you_can[0], "mainstay clear doomed@n1");
    cluster.sh("clear doomed@n1 --no-wait").ok();
    until(
        "it is tried again",
        || cluster.incarnation("doomed@n1"),
        |now| Some(*now) > quarantined["incarnation"].as_u64(),
    );
    cluster.sh("stop doomed@n1").ok();
    cluster.sh(&format!("check {bystander}")).ok();
}

// acceptance: 2
// proves: S8, S20
#[test]
fn a_start_beyond_its_deadline_is_broken_off_and_tried_again() {
    let (cluster, _) = with_flaky("quick", "");
    cluster
        .sh("start flaky --name slow --on n1 --no-wait --config start_ms=600000")
        .ok();
    cluster.until_state("slow@n1", "Starting");
    // The default deadline of a start: half a minute.
    until(
        "the deadline is noted as a failure",
        || cluster.incarnation("slow@n1"),
        |incarnation| *incarnation == 2,
    );
    cluster.expect_root("slow@n1", "30000 ms");
    let decision = cluster.expect_decision("slow@n1", "restart", "MS-RESTARTED-AT-ONCE");
    assert!(
        decision["saw"].to_string().contains("slow@n1"),
        "{decision:#}"
    );
    // A start under way is cancelled by a stop.
    cluster.sh("stop slow@n1").ok();
    assert_eq!(cluster.state("slow@n1"), "Stopped");
}

// acceptance: 2
// case: services 20
// proves: S9
#[test]
fn a_stop_that_takes_too_long_becomes_a_kill_and_says_so() {
    let (cluster, reference) = with_flaky("clinging", "--config stop_ms=600000");
    let stopped = cluster.sh(&format!("stop {reference} -o json")).ok();
    let row = stopped.json()[0].clone();
    assert_eq!(row["instance"]["state"], "Stopped", "{row:#}");
    let reason = row["instance"]["reason"]["text"]
        .as_str()
        .unwrap_or_default();
    assert!(
        reason.contains("killed"),
        "it says that it took a kill: {row:#}"
    );
    cluster.expect_decision(&reference, "stop", "MS-STOPPED-BY-OPERATOR");
}

// acceptance: 2
// case: services 24
// proves: S10, S13
#[test]
fn a_hang_is_seen_by_checks_and_ends_in_a_restart() {
    let (cluster, reference) = with_flaky("hanging", "");
    let before = cluster.incarnation(&reference);
    cluster
        .sh(&format!(
            "call {reference} hang '{{\"how\":\"wait\"}}' --timeout 1s"
        ))
        .expect_code(8);
    cluster.until_state(&reference, "Unresponsive");
    let check = cluster
        .sh(&format!("check {reference} -o json"))
        .expect_code(9)
        .json();
    assert_eq!(check["health"], "unresponsive", "{check:#}");
    assert!(
        check["detail"]
            .as_str()
            .is_some_and(|detail| detail.contains("busy in handle")),
        "{check:#}"
    );
    cluster.until_restarted(&reference, before);
    cluster.expect_decision(&reference, "unresponsive", "MS-UNRESPONSIVE");
    cluster.expect_decision(&reference, "restart", "MS-RESTARTED-AT-ONCE");
    cluster.expect_root(&reference, "busy in handle");
    cluster.sh(&format!("check {reference}")).ok();
}

// acceptance: 2
// proves: S10, S12
#[test]
fn chaos_from_outside_is_handled_like_any_other_failure() {
    let (cluster, reference) = with_flaky("victim", "");
    let before = cluster.incarnation(&reference);
    cluster.sh(&format!("chaos kill {reference}")).ok();
    cluster.until_restarted(&reference, before);
    cluster.expect_root(&reference, "killed on purpose");
    cluster.expect_decision(&reference, "restart", "MS-RESTARTED-AT-ONCE");
    cluster.sh(&format!("chaos stop {reference}")).ok();
    cluster.until_state(&reference, "Stopped");
    cluster.expect_decision(&reference, "restart", "MS-NO-RESTART");
}
