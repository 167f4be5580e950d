//! Snapshots cut the log; what they cut is still in the state, the counters and the replay.
#![allow(clippy::unwrap_used, reason = "the failing line is the explanation")]

mod support;

use mainstay_protocol::Revision;
use mainstay_resource_graph::View;
use mainstay_store::{DecisionFilter, DecisionRow, LogStatus, Reading, replay};
use support::{Driver, Fate, config, wait_until};
use tempfile::TempDir;

const ALL: Reading = Reading {
    rows: usize::MAX,
    scanned: usize::MAX,
};

const THRESHOLD: u64 = 64;

fn length(status: &LogStatus) -> u64 {
    status.last_entry.unwrap_or(0) + 1 - status.purged.map_or(0, |purged| purged + 1)
}

// proves: S17
// case: services 53
// acceptance: 9
#[test]
fn after_three_thresholds_the_log_is_at_most_two_long_and_counters_survive() {
    let dir = TempDir::new().unwrap();
    let mut small = config(dir.path());
    small.snapshot_entries = THRESHOLD;
    let mut driver = Driver::open_leading(small.clone());
    driver.populate();
    for number in 1..3 * THRESHOLD {
        assert_eq!(
            driver.write(number % 3, number),
            Fate::Committed { took_effect: true }
        );
    }
    wait_until("a short log", || {
        length(&driver.store.status()) <= 2 * THRESHOLD + 1
    });
    assert!(driver.store.status().snapshot.is_some());
    let before = driver.store.view().counters();
    assert_eq!(before.entries, 3 * THRESHOLD);
    drop(driver);

    let mut driver = Driver::open_leading(small);
    assert_eq!(driver.store.view().counters(), before);
    assert_eq!(driver.graph.revision(), Revision(3 * THRESHOLD));
    driver.assert_stored();
    let counts = driver.graph.counts();
    for (kind, count) in counts {
        let counted = before.vertices.get(&(kind as u16)).copied().unwrap_or(0);
        assert_eq!(counted, count as u64, "{}", kind.as_str());
    }
    assert_eq!(
        driver.write(1, 1_000_000),
        Fate::Committed { took_effect: true }
    );
    driver.assert_stored();
    drop(driver);
    let replayed = replay(dir.path()).unwrap();
    assert!(
        replayed.from.is_some(),
        "the log's beginning is gone: the replay begins at a snapshot"
    );
    assert!(replayed.is_equal(), "{replayed:?}");
    assert_eq!(replayed.digest_replayed, replayed.digest_stored);
}

#[test]
fn a_log_of_many_bytes_is_cut_before_it_has_many_entries() {
    let dir = TempDir::new().unwrap();
    let mut small = config(dir.path());
    small.snapshot_bytes = 8 * 1024;
    let mut driver = Driver::open_leading(small);
    for number in 1..=100 {
        driver.write(number % 3, number);
    }
    wait_until("a snapshot", || driver.store.status().snapshot.is_some());
}

#[test]
fn history_is_bounded_by_its_age_in_log_time() {
    let dir = TempDir::new().unwrap();
    let mut small = config(dir.path());
    small.snapshot_entries = 16;
    small.history_seconds = 20;
    let mut driver = Driver::open_leading(small);
    let rows = write_until_trimmed(&mut driver);
    // Each entry is one second of log time after the one before.
    assert!(
        rows.len() >= 20,
        "what is younger than the limit stays: {}",
        rows.len()
    );
    assert_eq!(
        rows[0].revision,
        driver.graph.revision(),
        "the newest is there"
    );
}

#[test]
fn history_is_bounded_by_its_bytes() {
    let dir = TempDir::new().unwrap();
    let mut small = config(dir.path());
    small.snapshot_entries = 16;
    small.history_bytes = 2000;
    let mut driver = Driver::open_leading(small);
    let rows = write_until_trimmed(&mut driver);
    assert_eq!(
        rows[0].revision,
        driver.graph.revision(),
        "the newest is there"
    );
}

/// History is trimmed with a snapshot, which comes some entries late: writes until the first decision is gone.
fn write_until_trimmed(driver: &mut Driver) -> Vec<DecisionRow> {
    for number in 1..10_000 {
        driver.write(number % 3, number);
        let rows = driver
            .store
            .view()
            .decisions(&DecisionFilter::default(), ALL, None)
            .unwrap()
            .rows;
        if (rows.len() as u64) < number {
            return rows;
        }
    }
    panic!("10 000 decisions, and the first is still there");
}

// acceptance: 9
#[test]
fn a_replay_finds_a_state_that_is_not_what_the_log_makes() {
    let dir = TempDir::new().unwrap();
    let mut driver = Driver::open_leading(config(dir.path()));
    for number in 1..=10 {
        driver.write(number % 3, number);
    }
    drop(driver);
    assert!(replay(dir.path()).unwrap().is_equal());
    // One vertex is changed behind the log's back.
    support::tamper(dir.path());
    let replayed = replay(dir.path()).unwrap();
    assert!(!replayed.is_equal());
    assert_ne!(replayed.digest_replayed, replayed.digest_stored);
}
