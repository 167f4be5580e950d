//! Fifty services that fail as soon as they begin: at once, then after 1, 2, 4 .. s, then in quarantine, at hardly
//! any cost.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use mainstay_api::Client;
use mainstay_api::types::{On, StartRequest};
use mainstay_tests::daemons::Daemons;
use mainstay_tests::until::until_within;
use mainstay_tests::{Witness, mainstay_binary, outside, until};
use serde_json::{Value, json};
use tokio::task::JoinSet;

const LOOPS: usize = 50;
/// The first start and the five restarts of the default policy.
const STARTS_EACH: usize = 6;
/// What must lie between two starts, at least; the first restart comes at once.
const BACKOFF_MS: [u64; 5] = [0, 1000, 2000, 4000, 8000];
/// Up to a quarter more by jitter and marks, and what the way there and back takes on a machine with other things to do.
const SLACK_MS: u64 = 750;
/// Percent of a core. How fast this machine is does not matter here (docs/performance.md has what was measured): what
/// spins, or asks again and again instead of waiting, takes many times as much.
const SHARE_MAX: f64 = 6.0;
/// Entries of the log: far fewer than 300 starts and their 300 failures, because those that come due between two marks
/// are one.
const ENTRIES_MAX: u64 = 120;
const TICKS_PER_SECOND: f64 = 100.0;

/// When each instance began, by its own word in a file: milliseconds, in order.
fn starts(witness: &Witness) -> BTreeMap<String, Vec<u64>> {
    let mut starts: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for line in &witness.lines {
        if let [what, who, _, _, at] = line.as_slice()
            && what == "start"
        {
            let at = at.parse().expect("a time");
            starts.entry(who.clone()).or_default().push(at);
        }
    }
    starts
}

/// All of them at once.
fn start_all(cluster: &Daemons, config: &Value) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let client = Client::new(cluster.api_socket());
    runtime.block_on(async {
        let mut asked = JoinSet::new();
        for at in 0..LOOPS {
            let request = StartRequest {
                service_type: "flaky".to_owned(),
                name: Some(format!("loop{at}")),
                holds: None,
                on: On::Nodes(vec!["n1".to_owned()]),
                config: config.clone(),
            };
            let client = client.clone();
            asked.spawn(async move { client.start(&request).await });
        }
        for taken in asked.join_all().await {
            taken.expect("a start is taken");
        }
    });
}

fn ticks(pids: &[u32]) -> u64 {
    pids.iter()
        .map(|pid| outside::process(*pid).expect("it runs").ticks)
        .sum()
}

// acceptance: 4
// case: services 30, services 31
// proves: S12, S20, S24
#[test]
fn fifty_crash_loops_back_off_are_quarantined_and_cost_hardly_anything() {
    let mut cluster = Daemons::start(&mainstay_binary(), 1);
    let file = cluster.home().join("loops.witness");
    let config = json!({ "refuse": "panic: out of luck", "witness": file });
    let mut pids = cluster.agent_pids();
    pids.push(cluster.station_pid());
    let begun = Instant::now();
    let ticks_before = ticks(&pids);
    start_all(&cluster, &config);

    // Looked at from outside alone, so that nothing but the loops costs anything; one look is for the next try.
    let lines = || Witness::read(&file).lines.len();
    until(
        "all wait for their third try or a later one",
        lines,
        |lines| *lines >= 3 * LOOPS,
    );
    let waiting = cluster.list("get instances");
    until_within(
        Duration::from_secs(90),
        "every start that the policy allows was tried",
        lines,
        |lines| *lines >= STARTS_EACH * LOOPS,
    );
    let used = ticks(&pids) - ticks_before;
    let elapsed = begun.elapsed();
    let share = used as f64 / TICKS_PER_SECOND / elapsed.as_secs_f64() * 100.0;
    let each: Vec<u64> = pids.iter().map(|pid| ticks(&[*pid])).collect();
    println!(
        "agent and station: {used} ticks in {elapsed:?}, {share:.2} % of a core; in all {each:?}"
    );

    assert_waiting(&waiting);
    assert_gaps(&starts(&Witness::read(&file)));
    let quarantined = until(
        "all are quarantined",
        || cluster.list("get instances"),
        |all| all.iter().all(|one| one["state"] == "Quarantined"),
    );
    assert_eq!(quarantined.len(), LOOPS);
    for one in &quarantined {
        assert_eq!(one["reason"]["code"], "MS-RESTART-BUDGET-USED", "{one:#}");
        assert_eq!(one["next_try"], Value::Null, "{one:#}");
    }
    assert_decided(&cluster);
    assert_eq!(
        Witness::read(&file).lines.len(),
        STARTS_EACH * LOOPS,
        "nothing is tried in quarantine"
    );
    cleared_one_begins_anew(&cluster, &file);
    let replayed = cluster.end_and_replay();
    let entries = replayed.entries;
    println!("{entries} entries in the log");
    assert!(entries <= ENTRIES_MAX, "{entries} entries");
    assert!(
        share < SHARE_MAX,
        "{share:.2} % of a core for what waits nearly all the time"
    );
}

/// Those that wait say since when, until when and why.
fn assert_waiting(instances: &[Value]) {
    let waiting: Vec<&Value> = instances
        .iter()
        .filter(|one| one["state"] == "Backoff")
        .collect();
    assert!(waiting.len() > LOOPS / 2, "{waiting:#?}");
    for one in waiting {
        let (since, next) = (one["since"].as_str(), one["next_try"].as_str());
        assert!(next > since, "the next try is said and ahead: {one:#}");
        let text = one["reason"]["text"].as_str().unwrap_or_default();
        assert!(
            text.contains("out of luck") && text.contains("attempt"),
            "{one:#}"
        );
        assert_eq!(one["reason"]["code"], "MS-BACKOFF", "{one:#}");
    }
}

/// Never earlier than the policy says, hardly later, and not all at the same time.
fn assert_gaps(starts: &BTreeMap<String, Vec<u64>>) {
    assert_eq!(starts.len(), LOOPS);
    let mut last_gaps = Vec::new();
    for (who, times) in starts {
        assert_eq!(times.len(), STARTS_EACH, "{who}: {times:?}");
        for (pair, nominal) in times.windows(2).zip(BACKOFF_MS) {
            let gap = pair[1] - pair[0];
            assert!(
                gap >= nominal,
                "{who} came back after {gap} ms, not {nominal}"
            );
            let latest = nominal + nominal / 4 + SLACK_MS;
            assert!(
                gap <= latest,
                "{who} came back after {gap} ms, later than {latest}"
            );
        }
        last_gaps.push(times[STARTS_EACH - 1] - times[STARTS_EACH - 2]);
    }
    let spread = last_gaps.iter().max().expect("some") - last_gaps.iter().min().expect("some");
    assert!(spread > 500, "jitter keeps them apart: {last_gaps:?}");
}

/// Each step is a decision of a named rule that says what it did.
fn assert_decided(cluster: &Daemons) {
    let decisions = cluster.list("decisions loop7@n1");
    let did = |rule: &str, code: &str| {
        decisions
            .iter()
            .filter(|one| one["rule"] == rule && one["did"]["code"] == code)
            .count()
    };
    // At once, unless so many others begin that it has to wait its turn.
    let in_turn = |one: &Value| {
        let outcomes = [&one["did"], &one["declined"]];
        outcomes
            .iter()
            .any(|outcome| outcome["code"] == "MS-STARTS-IN-TURN")
    };
    let at_once = did("restart", "MS-RESTARTED-AT-ONCE");
    assert!(
        at_once == 1 || decisions.iter().any(in_turn),
        "{decisions:#?}"
    );
    assert!(did("restart", "MS-BACKOFF") >= 4, "{decisions:#?}");
    assert_eq!(
        did("quarantine", "MS-RESTART-BUDGET-USED"),
        1,
        "{decisions:#?}"
    );
}

fn cleared_one_begins_anew(cluster: &Daemons, file: &std::path::Path) {
    cluster.sh("clear loop7@n1 --no-wait").ok();
    until(
        "it begins again, and comes back at once as the first time",
        || {
            starts(&Witness::read(file))
                .remove("loop7")
                .unwrap_or_default()
        },
        |times| times.len() >= STARTS_EACH + 2,
    );
    let again = cluster.instance("loop7@n1").expect("it is known");
    assert_ne!(again["state"], "Quarantined", "{again:#}");
    cluster.sh("stop loop7@n1").ok();
}
