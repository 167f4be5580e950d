//! The built-in types that stand for something outside, each in a real cluster.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use mainstay_tests::{Cluster, DevOptions, Shared, outside, until};
use serde_json::Value;

static SHARED: Shared = Shared::new();

fn cluster() -> Arc<Cluster> {
    SHARED.get(&DevOptions {
        nodes: 1,
        ..DevOptions::default()
    })
}

fn modified(path: &Path) -> std::time::SystemTime {
    let metadata = fs::metadata(path).expect("the resource has its state file");
    metadata.modified().expect("files have a time")
}

/// Failed for good on its node, and not tried again.
fn refused(cluster: &Cluster, reference: &str, code: &str, words: &str) {
    let instance = cluster.instance(reference).expect("it is known");
    assert_eq!(instance["state"], "Failed", "{instance:#}");
    assert_eq!(instance["reason"]["code"], code, "{instance:#}");
    assert_eq!(instance["incarnation"], 1, "{instance:#}");
    assert!(instance["next_try"].is_null(), "{instance:#}");
    let why = cluster.sh(&format!("why {reference}")).ok().stdout;
    assert!(why.contains(words), "{why}");
    cluster.expect_decision(reference, "could_not_start", code);
}

// proves: S3, S13, S26
// acceptance: 6
#[test]
fn a_resource_agent_script_is_started_watched_recovered_and_outlives_its_agent() {
    let cluster = cluster();
    let state = cluster.home().join("dummy.state");
    cluster
        .sh(&format!(
            "start ocf --name dummy --on n1 --config agent=heartbeat:Dummy params.state={} monitor_every_ms=200",
            state.display()
        ))
        .ok();
    assert_eq!(cluster.json("check dummy@n1")["health"], "ok");
    let status = cluster.json("ask-status dummy@n1");
    let text = status["text"].as_str().unwrap_or_default();
    assert!(text.contains("success (OCF code 0)"), "{status:#}");
    let began = modified(&state);

    // The agent is killed: the resource stays as it is, and is found.
    let before = cluster.agent_pid("n1");
    cluster.sh("chaos kill node/n1").ok();
    until(
        "the next agent runs",
        || {
            outside::processes().into_iter().any(|process| {
                process.parent == cluster.parent_pid()
                    && process.pid != before
                    && process.arguments.contains("agent\0run")
            })
        },
        |runs| *runs,
    );
    until(
        "its next incarnation took the resource as it is",
        || cluster.sh("ask-status dummy@n1").stdout,
        |text| text.contains("it ran already"),
    );
    assert_eq!(modified(&state), began, "it was not started again");

    // Somebody ends the resource: that is a failure in the script's own words, and it is started again.
    fs::remove_file(&state).expect("it is there");
    until("it is started again", || state.exists(), |there| *there);
    cluster.until_state("dummy@n1", "Running");
    let told = cluster.list("events --since 1h").iter().any(|event| {
        event["subject"] == "dummy@n1"
            && event["message"]
                .as_str()
                .is_some_and(|text| text.contains("No process state file found"))
    });
    assert!(told, "the script's reason is in the events");

    cluster.sh("stop dummy@n1").ok();
    assert!(!state.exists(), "its stop was run");
}

// proves: S8
// acceptance: 6
#[test]
fn a_resource_agent_that_cannot_run_there_is_refused_once_and_explained() {
    let cluster = cluster();
    cluster
        .sh("start ocf --name nobody --on n1 --config agent=heartbeat:Nobody")
        .expect_code(9);
    refused(
        &cluster,
        "nobody@n1",
        "MS-CANNOT-RUN-HERE",
        "there is no resource agent",
    );
    cluster
        .sh("start ocf --name typo --on n1 --config agent=heartbeat:Dummy params.stat=/x")
        .expect_code(9);
    refused(
        &cluster,
        "typo@n1",
        "MS-CONFIG-REFUSED",
        "did you mean state?",
    );
    cluster
        .sh("start systemd --name unit --on n1 --config unit=nginx.service")
        .expect_code(9);
    refused(&cluster, "unit@n1", "MS-CANNOT-RUN-HERE", "nginx.service");
}

// proves: S3
#[test]
fn a_site_its_proxy_and_a_watch_on_both_tell_what_is_down() {
    let cluster = cluster();
    let artifact = cluster.home().join("site");
    fs::create_dir(&artifact).expect("a directory");
    fs::write(artifact.join("index.html"), "all is well").expect("a file");
    let address = |reference: &str| -> String {
        let told: Value = cluster.json(&format!("call {reference} address"));
        let address = told["answer"]["address"].as_str().map(str::to_owned);
        address.unwrap_or_else(|| panic!("no address: {told:#}"))
    };
    let start_site = |listen: &str| {
        let artifact = artifact.display();
        let line = format!(
            "start app-server --name site --on n1 --config artifact={artifact} listen={listen}"
        );
        cluster.sh(&line).ok();
    };
    start_site("127.0.0.1:0");
    let site = address("site@n1");
    cluster
        .sh(&format!(
            "start service-proxy --name front --on n1 --config upstream=http://{site} check=/ check_every_ms=100"
        ))
        .ok();
    let front = address("front@n1");
    cluster
        .sh(&format!(
            "start http-watch --name eye --on n1 --config url=http://{front}/ every_ms=100 'expect.text=all is well'"
        ))
        .ok();
    for reference in ["site@n1", "front@n1", "eye@n1"] {
        assert_eq!(cluster.json(&format!("check {reference}"))["health"], "ok");
    }
    // The site goes: what stands before it and what watches it say so, and are not restarted for it.
    cluster.sh("stop site@n1").ok();
    let front_degraded = cluster.until_state("front@n1", "Degraded");
    let text = front_degraded["reason"]["text"]
        .as_str()
        .unwrap_or_default();
    assert!(
        text.contains(&site) && text.contains("cannot be reached"),
        "{text}"
    );
    let eye = cluster.until_state("eye@n1", "Degraded");
    let text = eye["reason"]["text"].as_str().unwrap_or_default();
    assert!(text.contains("answered 502"), "{text}");
    assert_eq!(
        (&eye["incarnation"], &front_degraded["incarnation"]),
        (&1.into(), &1.into())
    );
    start_site(&site);
    cluster.until_state("front@n1", "Running");
    cluster.until_state("eye@n1", "Running");
    let status = cluster.json("ask-status front@n1");
    assert!(
        status["text"]
            .as_str()
            .is_some_and(|text| text.contains(&front)),
        "{status:#}"
    );
}
