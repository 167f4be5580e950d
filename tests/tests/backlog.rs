//! Many runs, and one that is wide, with real processes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mainstay_api::Client;
use mainstay_api::client::RunFilter;
use mainstay_api::types::{Exact, RunRequest};
use mainstay_protocol::Json;
use mainstay_tests::daemons::Daemons;
use mainstay_tests::{Random, mainstay_binary, soak, until};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// Who begins runs at a time.
const CLIENTS: usize = 32;
const WIDE: usize = 1_000;

fn define(daemons: &Daemons, activities: &Value) {
    let echo = json!({"type": "echo", "provider": "builtin"});
    daemons.given("activity apply", &echo).ok();
    let definition = json!({"type": "t", "activities": activities});
    daemons.given("orchestration apply", &definition).ok();
}

fn worker(daemons: &Daemons) {
    daemons
        .sh("start activity-agent --name worker --on n1 --config hands=64")
        .ok();
    daemons.until_state("worker@n1", "Running");
}

/// Whoever hears nothing says it again.
fn begin(daemons: &Daemons, runs: usize) {
    let (client, next) = (
        Client::new(daemons.api_socket()),
        Arc::new(AtomicUsize::new(0)),
    );
    let runtime = Runtime::new().expect("a runtime");
    let begins = |_| {
        let (client, next) = (client.clone(), Arc::clone(&next));
        runtime.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= runs {
                    return;
                }
                let request = RunRequest {
                    id: format!("r{number}"),
                    orchestration: "t".to_owned(),
                    correlation_id: None,
                    section: None,
                    payload: Exact(Json::empty_object()),
                };
                client.start_run(&request).await.expect("it begins");
            }
        })
    };
    let all: Vec<_> = (0..CLIENTS).map(begins).collect();
    for one in all {
        runtime.block_on(one).expect("nobody fails");
    }
}

fn count(daemons: &Daemons, state: &str) -> usize {
    let filter = RunFilter {
        state: Some(state.to_owned()),
        ..RunFilter::default()
    };
    let client = Client::new(daemons.api_socket());
    let runtime = Runtime::new().expect("a runtime");
    // A station that has just begun does not answer yet.
    let runs = runtime.block_on(client.runs(&filter));
    runs.map_or(0, |runs| runs.len())
}

fn again(daemons: &mut Daemons) {
    daemons.start_station(&mainstay_binary());
    daemons.start_agent("n1");
    daemons.until_online();
}

// acceptance: issue 6, line 5
// proves: O7
#[test]
fn soak_a_backlog_of_runs_outlives_the_end_of_everything_and_drains() {
    let runs = soak::rounds(1_000, 10_000);
    let mut daemons = Daemons::start(&mainstay_binary(), 1);
    let activities = json!([
        {"id": "one", "type": "echo"},
        {"id": "two", "type": "echo", "dependsOn": "one"},
    ]);
    define(&daemons, &activities);
    begin(&daemons, runs);
    assert_eq!(count(&daemons, "Running"), runs);

    daemons.end_and_replay();
    again(&mut daemons);
    until(
        "all are there again",
        || count(&daemons, "Running"),
        |there| *there == runs,
    );
    worker(&daemons);
    // All at once, as without power, while they are under way.
    until(
        "a tenth is done",
        || count(&daemons, "Completed"),
        |done| *done >= runs / 10,
    );
    daemons.end_and_replay();
    again(&mut daemons);
    until(
        "every run came to its end",
        || count(&daemons, "Completed"),
        |done| *done == runs,
    );
    assert_eq!(daemons.list("run list --state Running").len(), 0);
}

// acceptance: issue 6, line 5
// proves: O2
#[test]
fn a_join_of_a_thousand_begins_once_though_everything_ends_meanwhile() {
    let mut daemons = Daemons::start(&mainstay_binary(), 1);
    let sides: Vec<String> = (0..WIDE).map(|side| format!("side{side}")).collect();
    let mut activities: Vec<Value> = sides
        .iter()
        .map(|side| json!({"id": side, "type": "echo"}))
        .collect();
    activities.push(json!({"id": "join", "type": "echo", "dependsOn": sides}));
    define(&daemons, &json!(activities));
    worker(&daemons);
    begin(&daemons, 1);
    let done = |daemons: &Daemons| {
        let shown = daemons.sh("run show r0 -o json");
        let steps = (shown.code == Some(0)).then(|| shown.json()["steps"].clone());
        let steps = steps.and_then(|steps| steps.as_array().cloned());
        let steps = steps.unwrap_or_default().into_iter();
        steps.filter(|step| step["state"] == "Completed").count()
    };
    until(
        "some are done",
        || done(&daemons),
        |done| *done >= WIDE / 10,
    );
    daemons.end_and_replay();
    again(&mut daemons);
    let whole = until(
        "the run came to its end",
        || daemons.sh("run show r0 -o json"),
        |shown| shown.code == Some(0) && shown.json()["run"]["over"] == true,
    );
    let whole = whole.json();
    assert_eq!(whole["run"]["state"], "Completed", "{:#}", whole["run"]);
    let steps = whole["steps"].as_array().expect("a list");
    assert_eq!(steps.len(), WIDE + 1);
    let join = steps.iter().find(|step| step["activity"] == "join");
    let join = join.expect("it is there");
    assert_eq!(
        (&join["attempt"], &join["calls"]),
        (&json!(1), &json!(1)),
        "{join:#}"
    );
}

/// An effect outside, which has power of its own: once for each key, however often it is asked for.
const EFFECT: &str = r#"grep -qx "$MAINSTAY_IDEMPOTENCY_KEY" "$LEDGER" && exit; echo "$MAINSTAY_IDEMPOTENCY_KEY" >>"$LEDGER""#;

// case: orchestrations 49
// acceptance: issue 6, line 1
// proves: O7
#[test]
fn soak_runs_survive_a_cut_of_the_power_in_their_middle() {
    let (rounds, per_round) = (soak::rounds(2, 20), 20);
    let mut dice = Random::new(soak::seed());
    let mut daemons = Daemons::on_power(&mainstay_binary(), 1);
    let ledger = daemons.home().join("ledger");
    std::fs::write(&ledger, "").expect("a directory of its own");
    let activity = json!({"type": "effect", "provider": "example.com"});
    daemons.given("activity apply", &activity).ok();
    let activities = json!([
        {"id": "one", "type": "effect"},
        {"id": "two", "type": "effect", "dependsOn": "one"},
        {"id": "three", "type": "effect", "dependsOn": "two"},
    ]);
    let retry = json!({"maxAttempts": 20, "first": "200ms", "max": "1s"});
    let definition = json!({"type": "t", "activities": activities, "retry": retry});
    daemons.given("orchestration apply", &definition).ok();
    let way = json!({"process": {"command": ["/bin/sh", "-c", EFFECT], "env": {"LEDGER": ledger}}});
    let spec = json!({
        "kind": "Placement", "name": "worker", "type": "activity-agent", "target": {"all": {}},
        "config": {"hands": 4, "activities": {"example.com": {"*": way}}},
    });
    daemons.given("apply", &spec).ok();
    let effects = || std::fs::read_to_string(&ledger).expect("it is there");

    for round in 0..rounds {
        for number in 0..per_round {
            daemons
                .sh(&format!("run start t --id r{round}-{number} --no-wait"))
                .ok();
        }
        // Somewhere in the middle of them.
        let before = round * per_round * 3;
        let some = before + 1 + dice.below(per_round as u64 * 2) as usize;
        until(
            "some of it is done",
            || effects().lines().count(),
            |done| *done >= some,
        );
        assert!(daemons.cut_power() > 0, "everything was synced by chance");
        again(&mut daemons);
    }
    let runs = rounds * per_round;
    until(
        "every run that was accepted came to its end",
        || count(&daemons, "Completed"),
        |done| *done == runs,
    );
    let mut done: Vec<String> = effects().lines().map(str::to_owned).collect();
    done.sort_unstable();
    done.dedup();
    assert_eq!(
        (done.len(), effects().lines().count()),
        (3 * runs, 3 * runs)
    );
    daemons.end_and_replay();
}
