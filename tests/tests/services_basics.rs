//! The named cases of starting, stopping and asking services: `cases/services`, 11 to 25, 52, 60, 62.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::thread;

use mainstay_tests::{Cluster, DevOptions, Shared, Witness, command, outside, until};
use serde_json::Value;

static SHARED: Shared = Shared::new();

fn cluster() -> Arc<Cluster> {
    SHARED.get(&DevOptions {
        nodes: 2,
        ..DevOptions::default()
    })
}

/// What an agent logged so far.
fn log_of(cluster: &Cluster, node: &str) -> String {
    let logs = cluster
        .said
        .lines()
        .find_map(|line| line.strip_prefix("logs "))
        .expect("it says where the logs are")
        .trim();
    std::fs::read_to_string(Path::new(logs).join(format!("{node}.log"))).unwrap_or_default()
}

// case: services 11
// proves: S1, S6, S8
#[test]
fn a_start_happens_once_and_is_seen_with_process_name_and_configuration() {
    let cluster = cluster();
    let file = cluster.home().join("eleven.witness");
    let line = format!(
        "start flaky --name eleven --on n1 --config witness={} stop_ms=1",
        file.display()
    );
    cluster.sh(&line).ok();
    let seen = cluster.instance("eleven@n1").expect("it is known");
    assert_eq!(seen["state"], "Running");
    assert_eq!(seen["type"], "flaky");
    assert_eq!(seen["name"], "eleven");
    assert_eq!(seen["config"]["stop_ms"], 1, "{seen:#}");
    assert_eq!(
        seen["process"][0]["pid"],
        cluster.agent_pid("n1"),
        "{seen:#}"
    );
    assert_eq!(cluster.json("get names n1/eleven")["holder"], "eleven@n1");
    let starts = Witness::read(&file).starts();
    assert_eq!(starts.values().sum::<usize>(), 1, "{starts:?}");
    let started = cluster
        .list("events --since 1h")
        .iter()
        .filter(|event| event["subject"] == "eleven@n1" && event["type"] == "instance.running")
        .count();
    assert_eq!(started, 1, "one event of its start");
}

// case: services 12
#[test]
fn a_start_on_an_unknown_node_is_refused_and_leaves_nothing() {
    let cluster = cluster();
    let refused = cluster
        .sh("start flaky --name twelve --on n9")
        .expect_code(3);
    assert!(refused.stderr.contains("n9"), "{refused:#?}");
    assert!(refused.stderr.contains("MS-UNKNOWN-NODE"), "{refused:#?}");
    cluster.sh("get placements twelve").expect_code(3);
    cluster.sh("get instances twelve@n9").expect_code(3);
    cluster
        .sh("start flacky --name twelve --on n1")
        .expect_code(3);
}

// case: services 13
// proves: S9
#[test]
fn a_start_of_what_runs_says_so_and_starts_no_second() {
    let cluster = cluster();
    let file = cluster.home().join("thirteen.witness");
    let line = format!(
        "start flaky --name thirteen --on n1 --config witness={}",
        file.display()
    );
    cluster.sh(&line).ok();
    let before = cluster.instance("thirteen@n1").expect("it is known");
    let again = cluster.sh(&line).ok();
    assert!(again.stderr.contains("already running"), "{again:#?}");
    let after = cluster.instance("thirteen@n1").expect("it is known");
    assert_eq!(before["incarnation"], after["incarnation"]);
    assert_eq!(before["process"], after["process"]);
    assert_eq!(Witness::read(&file).lines.len(), 1);
    let other = cluster
        .sh("start flaky --name thirteen --on n1 --config stop_ms=5")
        .expect_code(4);
    assert!(
        other.stderr.contains("stop_ms"),
        "it shows the difference: {other:#?}"
    );
}

// case: services 17
// case: services 18
// case: services 21
// proves: S9
#[test]
fn a_stop_is_kept_can_be_repeated_and_a_start_works_again() {
    let cluster = cluster();
    let file = cluster.home().join("seventeen.witness");
    let line = format!(
        "start flaky --name seventeen --on n1 --config witness={}",
        file.display()
    );
    cluster.sh(&line).ok();
    cluster.sh("stop seventeen@n1").ok();
    let stopped = cluster
        .instance("seventeen@n1")
        .expect("its placement is still there");
    assert_eq!(
        (&stopped["state"], &stopped["desired"]),
        (&"Stopped".into(), &"Stopped".into())
    );
    let words: Vec<String> = Witness::read(&file)
        .lines
        .iter()
        .map(|line| line[0].clone())
        .collect();
    assert_eq!(words, ["start", "stop"], "its stop was run");
    cluster.sh("get names n1/seventeen").expect_code(3);

    let again = cluster.sh("stop seventeen@n1").ok();
    assert!(again.stderr.contains("not running"), "{again:#?}");
    let never = cluster.sh("stop seventeen@n2").ok();
    assert!(never.stderr.contains("not running"), "{never:#?}");
    cluster.sh("stop nothing-of-that-name@n2").expect_code(3);

    // Still stopped when other things were decided and carried out meanwhile.
    cluster.sh("start flaky --name meanwhile --on n1").ok();
    cluster.sh("restart meanwhile@n1").ok();
    assert_eq!(cluster.state("seventeen@n1"), "Stopped");
    cluster.sh(&line).ok();
    let running = cluster.instance("seventeen@n1").expect("it is known");
    assert_eq!(running["state"], "Running");
    assert_eq!(running["incarnation"], 2);
    cluster.sh("check seventeen@n1").ok();
}

// case: services 22
// proves: S8
#[test]
fn a_malformed_configuration_is_refused_with_its_reason_and_not_retried() {
    let cluster = cluster();
    for (at, config) in ["start_ms=soon", "start_ms=-1", "unheard_of=1"]
        .iter()
        .enumerate()
    {
        let name = format!("malformed{at}");
        let refused = cluster.sh(&format!(
            "start flaky --name {name} --on n1 --config {config}"
        ));
        assert!([Some(2), Some(9)].contains(&refused.code), "{refused:#?}");
        let key = config.split('=').next().unwrap_or_default();
        assert!(
            refused.stderr.contains(key) || refused.stderr.contains("invalid"),
            "the reason is named: {refused:#?}"
        );
        if let Some(instance) = cluster.instance(&format!("{name}@n1")) {
            assert_eq!(instance["state"], "Failed", "{instance:#}");
            assert_eq!(
                instance["reason"]["code"], "MS-CONFIG-REFUSED",
                "{instance:#}"
            );
            assert_eq!(
                instance["incarnation"], 1,
                "it is not tried again: {instance:#}"
            );
            assert!(instance["next_try"].is_null(), "{instance:#}");
        }
    }
}

// case: services 24
// case: services 25
// proves: S13
#[test]
fn check_and_status_are_answered_by_the_instance_itself() {
    let cluster = cluster();
    cluster.sh("start noisy --name loud --on n2").ok();
    let check = cluster.json("check loud@n2");
    assert_eq!(check["health"], "ok", "{check:#}");
    cluster.sh("call loud@n2 emit '{\"n\":1}'").ok();
    let degraded = cluster.until_state("loud@n2", "Degraded");
    let text = degraded["reason"]["text"].as_str().unwrap_or_default();
    assert!(
        text.contains("toggled 1 times"),
        "its own words in the graph: {degraded:#}"
    );
    assert_eq!(degraded["health"], "degraded");

    let said = cluster.json("ask-status loud@n2");
    assert_eq!(said["text"], "toggled 1 times", "{said:#}");
    until(
        "the status is in the agent's log",
        || log_of(&cluster, "n2"),
        |log| log.contains("toggled 1 times"),
    );
    cluster.sh("call loud@n2 emit '{\"n\":1}'").ok();
    cluster.until_state("loud@n2", "Running");
    cluster.sh("check nobody@n2").expect_code(3);
}

// case: services 52
// proves: S22
#[test]
fn five_hundred_restarts_in_a_burst_are_each_seen() {
    const INSTANCES: u64 = 10;
    const RESTARTS: u64 = 50;
    let cluster = cluster();
    for at in 0..INSTANCES {
        cluster
            .sh(&format!("start flaky --name ping{at} --on n2"))
            .ok();
    }
    thread::scope(|scope| {
        for at in 0..INSTANCES {
            let cluster = &cluster;
            scope.spawn(move || {
                for _ in 0..RESTARTS {
                    cluster.sh(&format!("restart ping{at}@n2")).ok();
                }
            });
        }
    });
    let events = cluster.list("events --since 1h");
    for at in 0..INSTANCES {
        let reference = format!("ping{at}@n2");
        assert_eq!(cluster.incarnation(&reference), RESTARTS + 1);
        let running = events
            .iter()
            .filter(|event| event["subject"] == reference.as_str())
            .filter(|event| event["type"] == "instance.running");
        let begun: BTreeSet<String> = running
            .map(|event| event["data"]["incarnation"].to_string())
            .collect();
        assert_eq!(begun.len() as u64, RESTARTS + 1, "{reference}: {begun:?}");
    }
}

// case: services 52
// proves: S22
#[test]
fn a_burst_of_reports_is_recorded_in_order_and_its_last_word_counts() {
    const BURST: u64 = 500;
    let cluster = cluster();
    cluster.sh("start noisy --name bursting --on n2").ok();
    cluster
        .sh(&format!("call bursting@n2 emit '{{\"n\":{BURST}}}'"))
        .ok();
    // One more, and a start in between that needs the graph.
    cluster.sh("call bursting@n2 emit '{\"n\":1}'").ok();
    cluster.sh("start flaky --name amid --on n2").ok();
    let last = format!("toggled {} times", BURST + 1);
    until(
        "the last report of the burst is in the graph",
        || cluster.instance("bursting@n2"),
        |seen| {
            seen.as_ref()
                .is_some_and(|seen| seen["reason"]["text"].as_str() == Some(last.as_str()))
        },
    );
    let told: Vec<Value> = cluster
        .list("events --since 1h")
        .into_iter()
        .filter(|event| event["subject"] == "bursting@n2")
        .collect();
    let toggles: Vec<u64> = told
        .iter()
        .filter_map(|event| {
            event["message"]
                .as_str()?
                .split("toggled ")
                .nth(1)?
                .split(' ')
                .next()?
                .parse()
                .ok()
        })
        .collect();
    assert!(toggles.is_sorted(), "in order: {toggles:?}");
    assert_eq!(toggles.last(), Some(&(BURST + 1)));
}

// case: services 60
// proves: S24
#[test]
fn the_graph_as_json_agrees_with_status() {
    let cluster = cluster();
    cluster.sh("start greeter --all").ok();
    // Other tests of this file change the cluster: two looks that agree with the one between them are the same graph.
    let (before, status) = until(
        "a status between two equal lists of instances",
        || {
            let before = cluster.list("get instances");
            let status = cluster.json("status");
            let after = cluster.list("get instances");
            let states = |list: &[Value]| -> Vec<String> {
                list.iter()
                    .map(|one| format!("{} {} {}", one["ref"], one["state"], one["health"]))
                    .collect()
            };
            (states(&before) == states(&after)).then_some((before, status))
        },
        Option::is_some,
    )
    .expect("the condition holds for something only");
    assert_eq!(
        status["instances"]["total"].as_u64(),
        Some(before.len() as u64),
        "{status:#}"
    );
    let nodes = cluster.list("get nodes");
    assert_eq!(status["nodes"]["total"].as_u64(), Some(nodes.len() as u64));
    let online = nodes
        .iter()
        .filter(|node| node["state"] == "Online")
        .count();
    assert_eq!(status["nodes"]["ok"].as_u64(), Some(online as u64));
    for instance in &before {
        for key in [
            "ref",
            "node",
            "name",
            "type",
            "incarnation",
            "desired",
            "state",
            "health",
            "process",
            "placement",
        ] {
            assert!(
                instance.get(key).is_some(),
                "{key} is never omitted: {instance:#}"
            );
        }
    }
    let wrong: Vec<&Value> = before
        .iter()
        .filter(|one| one["state"] == "Blocked" || one["state"] == "Failed")
        .collect();
    for instance in wrong {
        let problems = status["problems"].as_array().expect("a list");
        let told = problems
            .iter()
            .any(|problem| problem["ref"] == instance["ref"]);
        assert!(told, "status tells of {instance:#}: {status:#}");
    }
}

// case: services 62
// proves: S24
#[test]
fn who_follows_events_sees_what_the_rules_decide() {
    let cluster = cluster();
    let past = cluster.list("events");
    let last = past.last().and_then(|event| event["seq"].as_u64());
    assert!(last.is_some(), "something has happened before");
    let mut sink = command::command(&mainstay_tests::mainstay_binary(), cluster.home())
        .args(["events", "-f", "-o", "json"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the sink can be started");
    let talk = BufReader::new(sink.stderr.take().expect("it is piped"));
    talk.lines()
        .map_while(Result::ok)
        .find(|line| line.contains("waiting for what happens"))
        .expect("it says from when on it follows");
    let output = BufReader::new(sink.stdout.take().expect("it is piped"));
    cluster.sh("start flaky --name watched --on n2").ok();
    let mut seen = Vec::new();
    let entry = output
        .lines()
        .map_while(Result::ok)
        .filter_map(|line| serde_json::from_str::<Value>(&line).ok())
        .inspect(|event| seen.push(event["seq"].as_u64()))
        .find(|event| event["subject"] == "watched@n2" && event["rule"] == "start")
        .expect("the rule's entry comes");
    assert!(
        seen.iter().all(|seq| *seq > last),
        "without --since it begins with what comes: {seen:?} after {last:?}"
    );
    assert!(
        entry["cause"]
            .as_str()
            .is_some_and(|cause| cause.contains("start")),
        "{entry:#}"
    );
    sink.kill().expect("it still runs");
    sink.wait().expect("it can be waited for");
    assert!(outside::process(sink.id()).is_none());

    let decision = cluster.expect_decision("watched@n2", "start", "MS-WANTED");
    let listed = decision["events"].as_array().expect("a list");
    assert!(
        listed.contains(&entry["seq"]),
        "the decision names its events: {decision:#}"
    );
}
