//! Runs of orchestrations, from files to their ends: real agents, scripts as activities, a ledger of what they did. The same
//! with each queue: whoever includes this says which.

use std::path::PathBuf;

use crate::ledger::Ledger;
use mainstay_tests::{Cluster, DevOptions, soak, until};
use serde_json::{Value, json};

pub fn cluster(nodes: usize, stations: u16) -> Cluster {
    Cluster::with(&DevOptions {
        nodes,
        stations,
        nats: crate::NATS,
        ..DevOptions::default()
    })
}

fn file(cluster: &Cluster, name: &str, text: &str) -> PathBuf {
    let file = cluster.home().join(name);
    std::fs::write(&file, text).expect("a directory of its own");
    file
}

/// Instances of `activity-agent` on every node that do what the ledger's script does.
fn workers(cluster: &Cluster, ledger: &Ledger) {
    let spec = json!({
        "kind": "Placement", "name": "worker", "type": "activity-agent", "target": {"all": {}},
        "config": {"hands": 4, "activities": {"shop.example.com": {"*": {"process": {"command": ["/bin/sh", ledger.script()]}}}}},
    });
    let spec = file(cluster, "worker.json", &spec.to_string());
    cluster.sh(&format!("apply -f {}", spec.display())).ok();
}

pub fn activity(cluster: &Cluster, name: &str, more: Value) {
    let mut definition = json!({"type": name, "provider": "shop.example.com"});
    let fields = definition.as_object_mut().expect("an object");
    fields.extend(more.as_object().expect("an object").clone());
    let file = file(cluster, "activity.json", &definition.to_string());
    cluster
        .sh(&format!("activity apply -f {}", file.display()))
        .ok();
}

pub fn orchestration(cluster: &Cluster, definition: &Value) {
    let file = file(cluster, "orchestration.json", &definition.to_string());
    cluster
        .sh(&format!("orchestration apply -f {}", file.display()))
        .ok();
}

/// Three, one after the other.
fn chain() -> Value {
    json!({
        "type": "order", "output": [{"source": "ship.of", "target": "shipped"}],
        "activities": [
            {"id": "reserve", "type": "reserve", "inputs": ["item"]},
            {"id": "pay", "type": "pay", "dependsOn": "reserve", "inputs": [{"source": "reserve.of", "target": "item"}]},
            {"id": "ship", "type": "ship", "dependsOn": "pay", "inputs": [{"source": "pay.of", "target": "item"}]},
        ],
    })
}

pub fn shop(cluster: &Cluster, ledger: &Ledger) {
    workers(cluster, ledger);
    let retry = json!({"retry": {"maxAttempts": 50, "first": "50ms", "max": "500ms"}});
    for name in ["reserve", "pay", "ship"] {
        activity(cluster, name, retry.clone());
    }
    orchestration(cluster, &chain());
}

pub fn run(cluster: &Cluster, id: &str) -> Value {
    cluster.json(&format!("run show {id}"))
}

// proves: O1, O3, O4, O11
// acceptance: issue 6, line 6
#[test]
fn a_run_goes_from_files_to_its_end_by_scripts_and_is_shown_on_the_way() {
    let cluster = cluster(2, 1);
    let ledger = Ledger::new(cluster.home());
    shop(&cluster, &ledger);
    let text = "o'clock \"x\" $(touch /tmp/never) ü";
    let payload = file(&cluster, "payload.json", &json!({"item": text}).to_string());
    let started = cluster.sh(&format!(
        "run start order --id o1 --correlation 'order 1' --payload {}",
        payload.display()
    ));
    let started = started.ok();
    let left: Value = serde_json::from_str(&started.stdout).expect("its outputs");
    assert_eq!(left, json!({"shipped": text}));
    assert!(
        started.stderr.contains("run/o1 Completed"),
        "{}",
        started.stderr
    );

    // The same again is the run that is there; another is not.
    let again = format!(
        "run start order --id o1 --correlation 'order 1' --payload {}",
        payload.display()
    );
    cluster.sh(&again).ok();
    cluster
        .sh("run start order item=other --id o1")
        .expect_code(4);
    assert_eq!(ledger.effects().len(), 3, "{:?}", ledger.effects());

    let shown = run(&cluster, "o1");
    let states: Vec<&str> = shown["steps"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|step| step["state"].as_str().unwrap_or_default())
        .collect();
    assert_eq!(states, ["Completed"; 3]);
    let drawn = cluster.sh("run show o1").ok().stdout;
    let order: Vec<usize> = ["\nreserve", "\n└ pay", "\n└─ ship"]
        .iter()
        .filter_map(|step| drawn.find(step))
        .collect();
    assert!(order.len() == 3 && order.is_sorted(), "{drawn}");
    assert_eq!(cluster.list("run list --state Completed")[0]["id"], "o1");
    assert_eq!(cluster.sh("run list -o name").ok().stdout, "run/o1\n");
    assert_eq!(
        cluster.list("activity list")[0]["used_by"],
        json!(["orchestration/order"])
    );
    cluster.sh("activity delete pay").expect_code(10);
    cluster.sh("run forget o1").ok();
    cluster.sh("run show o1").expect_code(3);
    cluster.sh("orchestration delete order").ok();
}

// acceptance: issue 6, line 3
// proves: O1
#[test]
fn every_fault_of_a_file_is_told_at_its_place() {
    let cluster = cluster(1, 1);
    let bad = "type: t\nactivities:\n  - id: a\n    type: none\n    dependsOn: [b, z]\n  - id: b\n    type: none\n    dependsOn: a\n";
    let bad = file(&cluster, "bad.yaml", bad);
    let refused = cluster.sh(&format!("orchestration apply -f {}", bad.display()));
    let refused = refused.expect_code(2);
    for told in [
        "bad.yaml:4:11: /activities/0/type: ",
        "bad.yaml:5:20: /activities/0/dependsOn/1: ",
        "bad.yaml:7:11: /activities/1/type: ",
    ] {
        assert!(
            refused.stderr.contains(told),
            "{told} is not in:\n{}",
            refused.stderr
        );
    }
    assert!(
        refused.stderr.contains("MS-BAD-DEFINITION"),
        "{}",
        refused.stderr
    );
    cluster.sh("orchestration show t").expect_code(3);
    cluster.sh("run start t").expect_code(3);
}

// case: orchestrations 35, 37, 38, 44
// proves: O5, O11
#[test]
fn a_run_that_fails_says_why_and_goes_on_where_it_failed() {
    let cluster = cluster(1, 1);
    let ledger = Ledger::new(cluster.home());
    shop(&cluster, &ledger);
    activity(
        &cluster,
        "pay",
        json!({"retry": {"maxAttempts": 2, "first": "10ms"}}),
    );
    ledger.fails("o1/pay", "echo 'the card is out of date' >&2; exit 1");
    let failed = cluster.sh("run start order item=1 --id o1").expect_code(9);
    assert!(
        failed.stderr.contains("pay: ") && failed.stderr.contains("the card is out of date"),
        "{}",
        failed.stderr
    );
    assert_eq!(ledger.begun_of("o1/pay"), 2);
    let steps = &run(&cluster, "o1")["steps"];
    assert_eq!(steps[2]["state"], "Skipped");
    let why = cluster.sh("why run/o1").ok().stdout;
    assert!(why.contains("the card is out of date"), "{why}");

    ledger.fails("o1/pay", "");
    cluster.sh("run retry o1").ok();
    assert_eq!(run(&cluster, "o1")["run"]["state"], "Completed");
    assert_eq!(
        ledger.begun_of("o1/reserve"),
        1,
        "what was done is not done again"
    );
    assert_eq!(ledger.effects().len(), 3);
}

// case: orchestrations 40
// proves: O5
#[test]
fn a_run_waits_for_somebody_outside() {
    let cluster = cluster(1, 1);
    let ledger = Ledger::new(cluster.home());
    shop(&cluster, &ledger);
    ledger.fails("o1/pay", "echo '{\"result\": \"wait\"}'; exit 0");
    cluster.sh("run start order item=1 --id o1 --no-wait").ok();
    let waiting = until(
        "pay waits",
        || run(&cluster, "o1"),
        |run| run["steps"][1]["state"] == "Waiting",
    );
    let token = waiting["steps"][1]["token"]
        .as_str()
        .expect("a token")
        .to_owned();
    cluster.sh("run complete o1 pay --token 1").expect_code(4);
    let timed_out = cluster.sh("run follow o1 --timeout 300ms").expect_code(8);
    assert!(
        timed_out.stderr.contains("mainstay run follow o1"),
        "{}",
        timed_out.stderr
    );
    cluster
        .run(&[
            "run",
            "complete",
            "o1",
            "pay",
            "--token",
            &token,
            "--result",
            r#"{"of":"paid"}"#,
        ])
        .ok();
    cluster.sh("run follow o1").ok();
    assert_eq!(run(&cluster, "o1")["outputs"], json!({"shipped": "paid"}));
}

// case: orchestrations 56, 60
// proves: O8, O12
#[test]
fn what_failed_is_undone_in_the_reverse_order_of_what_was_done() {
    let cluster = cluster(2, 1);
    let ledger = Ledger::new(cluster.home());
    shop(&cluster, &ledger);
    let mut saga = chain();
    let activities = saga["activities"].clone();
    saga["onFatal"] = json!("compensate");
    saga["activities"] = json!({"deploy": activities, "dispose": [
        {"id": "reserve", "type": "reserve"}, {"id": "pay", "type": "pay"}, {"id": "ship", "type": "ship"},
    ]});
    orchestration(&cluster, &saga);
    ledger.fails("o1/ship/deploy", "echo 'no such address' >&2; exit 64");
    let failed = cluster.sh("run start order item=1 --id o1").expect_code(9);
    assert!(
        failed.stderr.contains("no such address"),
        "{}",
        failed.stderr
    );
    let whole = run(&cluster, "o1");
    assert_eq!(whole["run"]["state"], "Compensated", "{whole:#}");
    assert_eq!(whole["run"]["undone_by"], "o1~dispose");
    assert_eq!(run(&cluster, "o1~dispose")["run"]["undoes"], "o1");
    let begun = ledger.begun();
    let undone: Vec<&str> = begun
        .iter()
        .map(String::as_str)
        .filter(|key| key.contains("~dispose"))
        .collect();
    assert_eq!(
        undone,
        [
            "o1~dispose/ship/dispose",
            "o1~dispose/pay/dispose",
            "o1~dispose/reserve/dispose"
        ]
    );

    // One that went well is undone when somebody wants it.
    cluster.sh("run start order item=1 --id o2").ok();
    cluster.sh("run dispose o2").ok();
    assert_eq!(run(&cluster, "o2~dispose")["run"]["state"], "Completed");
}

/// One script for both: who made it is in the context, and who undoes it is told what was made.
const CELL: &str = r#"
case $MAINSTAY_DISCRIMINATOR in
deploy|"") echo '{"result": "complete", "outputs": {"path": "/cells/7"}, "delta": {"set": {"by": "'"$MAINSTAY_DISCRIMINATOR"'"}}}' ;;
dispose) sed -n 's/.*"inputs":\(.*\),"scratch".*"context":\({.*}\),"time.*/{"result": "complete", "outputs": {"given": \1, "context": \2}}/p' ;;
*) echo "unsupported discriminator $MAINSTAY_DISCRIMINATOR" >&2; exit 64 ;;
esac"#;

// case: orchestrations 43, 55
// proves: O8
#[test]
fn one_script_makes_and_unmakes_by_its_discriminator_and_what_it_does_not_know_is_fatal() {
    let cluster = cluster(1, 1);
    let way = json!({"process": {"command": ["/bin/sh", "-c", CELL]}});
    let worker = json!({
        "kind": "Placement", "name": "worker", "type": "activity-agent", "target": {"all": {}},
        "config": {"activities": {"shop.example.com": {"cell": way}}},
    });
    let worker = file(&cluster, "worker.json", &worker.to_string());
    cluster.sh(&format!("apply -f {}", worker.display())).ok();
    activity(&cluster, "cell", json!({"retry": {"maxAttempts": 50}}));
    activity(&cluster, "echo", json!({"provider": "builtin"}));
    let made = json!([{"source": "one.path", "target": "made"}]);
    orchestration(
        &cluster,
        &json!({"type": "cell", "activities": {
            "deploy": [{"id": "one", "type": "cell"}],
            "dispose": [{"id": "one", "type": "cell", "inputs": made}],
        }}),
    );
    let shown = |id: &str| run(&cluster, id);
    cluster.sh("run start cell --id c1").ok();
    let context = json!({"by": "deploy"});
    assert_eq!(shown("c1")["context"], context);
    cluster.sh("run dispose c1").ok();
    let undone = &shown("c1~dispose")["steps"][0];
    assert_eq!(undone["outputs"]["given"], json!({"made": "/cells/7"}));

    for (id, said, end) in [("e1", "", "Completed"), ("f1", "frob", "Errored")] {
        let one = json!({"id": "one", "type": "cell", "discriminator": said});
        orchestration(&cluster, &json!({"type": id, "activities": [one]}));
        cluster
            .sh(&format!("run start {id} --id {id} --no-wait"))
            .ok();
        let over = until("it is over", || shown(id), |run| run["run"]["over"] == true);
        assert_eq!(over["run"]["state"], end, "{over:#}");
        // Fatal: no attempt follows.
        assert_eq!(over["steps"][0]["calls"], 1);
    }
    let why = cluster.sh("why run/f1").ok().stdout;
    assert!(why.contains("unsupported discriminator frob"), "{why}");
}

// case: orchestrations 46, 49
// acceptance: issue 6, line 1
// proves: O7
#[test]
fn soak_runs_survive_kill_9_of_stations_agents_and_scripts() {
    let cluster = cluster(2, 3);
    let ledger = Ledger::new(cluster.home());
    shop(&cluster, &ledger);
    let mut dice = mainstay_tests::random::Random::new(soak::seed());
    let rounds = soak::rounds(3, 60);
    let per_round = 6;
    for round in 0..rounds {
        for number in 0..per_round {
            let start = format!("run start order item={round} --id r{round}-{number} --no-wait");
            // Whoever hears nothing says it again: the same is the same run.
            until(
                "it has begun",
                || cluster.sh(&start).code,
                |code| *code == Some(0),
            );
        }
        ledger.kill_one(&cluster, &mut dice);
    }
    for id in
        (0..rounds).flat_map(|round| (0..per_round).map(move |number| format!("r{round}-{number}")))
    {
        let whole = until(
            "every run comes to its end",
            || cluster.sh(&format!("run show {id} -o json")),
            |shown| shown.code == Some(0) && shown.json()["run"]["over"] == true,
        );
        let whole = whole.json();
        assert_eq!(whole["run"]["state"], "Completed", "{whole:#}");
        for step in whole["steps"].as_array().expect("a list") {
            let key = format!("{id}/{}", step["activity"].as_str().expect("a name"));
            let calls = step["calls"].as_u64().expect("a number");
            assert_eq!(
                ledger.effects().iter().filter(|one| **one == key).count(),
                1,
                "{key}"
            );
            // A call may be lost before its script begins; none is made twice.
            assert!(
                ledger.begun_of(&key) as u64 <= calls,
                "{key} began more often than it was given out: {step:#}"
            );
        }
    }
}
