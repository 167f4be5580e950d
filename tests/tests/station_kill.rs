//! kill -9 of the station at random moments, under clients that keep their own books: what was acknowledged is
//! there, nothing is told twice, nothing runs twice.

mod clients;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use clients::{Clients, Phase, Wish};
use mainstay_api::Client;
use mainstay_api::client::{EventFilter, InstanceFilter};
use mainstay_api::types::{Event, Instance};
use mainstay_tests::daemons::Daemons;
use mainstay_tests::{Random, mainstay_binary, soak, until};
use tokio::runtime::Runtime;

const CLIENTS: usize = 64;
const NODES: usize = 3;
/// Kills in every run, and where time is no matter.
const KILLS: usize = 20;
const KILLS_SOAK: usize = 200;
/// The clients are let loose for up to so long before a kill.
const BUSY_MS: u64 = 400;
/// From the restart of the station until everything is as wished: what is promised, and what fails the test on a
/// machine with other things to do.
const CONVERGED_PROMISED: Duration = Duration::from_secs(5);
const CONVERGED_MAX: Duration = Duration::from_secs(20);

// acceptance: 6
// acceptance: 9
// case: services 41, services 48
// proves: S12, S17, S22
#[test]
fn a_station_killed_twenty_times_under_clients_or_two_hundred_in_soak_loses_and_doubles_nothing() {
    let runtime = Runtime::new().expect("a runtime");
    let mut cluster = Daemons::start(&mainstay_binary(), NODES);
    let client = Client::new(cluster.api_socket());
    let clients = Clients::start(&runtime, &client, CLIENTS, NODES, cluster.home());
    let mut random = Random::new(0x5eed);
    let mut took = Vec::new();
    for round in 0..soak::rounds(KILLS, KILLS_SOAK) {
        clients.enter(Phase::Busy);
        // tidy: waits because the moment of the kill is random
        std::thread::sleep(Duration::from_millis(random.below(BUSY_MS)));
        cluster.kill_station();
        clients.enter(Phase::Finish);
        let restarted = Instant::now();
        cluster.start_station(&mainstay_binary());
        until_converged(&runtime, &client, &clients, round);
        took.push(restarted.elapsed());
        clients.assert_books_are_right(round);
    }
    clients.enter(Phase::Over);
    took.sort();
    let (median, worst) = (took[took.len() / 2], took[took.len() - 1]);
    let totals = clients.totals();
    println!(
        "{} kills under {CLIENTS} clients: converged in {median:?} (median), {worst:?} (worst); {totals:?}",
        took.len()
    );
    assert!(
        median <= CONVERGED_PROMISED && worst <= CONVERGED_MAX,
        "converged in {median:?} (median), {worst:?} (worst): {took:?}"
    );
    let events = runtime.block_on(all_events(&client));
    let failures = assert_told_once(&events);
    assert!(
        (totals.panics_answered..=totals.panics_sent).contains(&failures),
        "{failures} failures were told of {totals:?}"
    );
    assert!(
        totals.acknowledged > 10 * soak::rounds(KILLS, KILLS_SOAK),
        "the clients were busy: {totals:?}"
    );
    cluster.end_and_replay();
}

/// Waits until nobody has anything open, and every instance is as its client wished last.
fn until_converged(runtime: &Runtime, client: &Client, clients: &Clients, round: usize) {
    until(
        &format!("the clients have an answer to everything, after kill {round}"),
        || clients.busy(),
        |busy| *busy == 0,
    );
    until(
        &format!("everything is as wished, after kill {round}"),
        || not_as_wished(runtime, client, clients),
        Vec::is_empty,
    );
}

fn not_as_wished(runtime: &Runtime, client: &Client, clients: &Clients) -> Vec<String> {
    let instances: Vec<Instance> =
        match runtime.block_on(client.instances(&InstanceFilter::default())) {
            Ok(instances) => instances,
            Err(problem) => return vec![problem.to_string()],
        };
    let states: BTreeMap<&str, &Instance> = instances
        .iter()
        .map(|instance| (instance.reference.as_str(), instance))
        .collect();
    let mut wrong = Vec::new();
    for (reference, wish) in clients.wishes() {
        let state = states
            .get(reference.as_str())
            .map(|instance| instance.state.as_str());
        let right = match wish {
            Wish::Nothing => state.is_none(),
            Wish::Running => state == Some("Running"),
            Wish::Stopped => state == Some("Stopped"),
        };
        if !right {
            wrong.push(format!("{reference} is {state:?}, and {wish:?} is wished"));
        }
    }
    wrong
}

/// All there ever were, oldest first.
async fn all_events(client: &Client) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    loop {
        let filter = EventFilter {
            after: Some(events.last().map_or(0, |event| event.seq)),
            limit: Some(1000),
            reference: None,
        };
        let page = client.events(&filter).await.expect("events can be had");
        if page.is_empty() {
            return events;
        }
        events.extend(page);
    }
}

/// Each incarnation fails once at most and starts once at most. Returns how many failed.
fn assert_told_once(events: &[Event]) -> usize {
    let mut seen: BTreeMap<(&str, &str, u64), usize> = BTreeMap::new();
    for event in events {
        if let Some(incarnation) = event.data["incarnation"].as_u64()
            && ["instance.failed", "instance.running"].contains(&event.kind.as_str())
        {
            *seen
                .entry((&event.kind, &event.subject, incarnation))
                .or_default() += 1;
        }
    }
    for ((kind, subject, incarnation), times) in &seen {
        // What was Unknown while its node was away is Running again without having begun anew.
        assert!(
            *times == 1 || *kind == "instance.running",
            "{kind} of {subject} {incarnation}: {times} times"
        );
    }
    seen.keys()
        .filter(|(kind, _, _)| *kind == "instance.failed")
        .count()
}
