//! One member: it proposes, reads back, restarts, and gives each entry out exactly once.
#![allow(clippy::unwrap_used, reason = "the failing line is the explanation")]

mod support;

use mainstay_protocol::{Revision, StationId};
use mainstay_resource_graph::{Delta, Key, View};
use mainstay_store::{DecisionFilter, OpenError, Reading, Store, StoreConfig, replay};
use support::{Driver, Fate, config, node_name, watermark};
use tempfile::TempDir;

const TEN: Reading = Reading {
    rows: 10,
    scanned: 10,
};
const ALL: Reading = Reading {
    rows: 1000,
    scanned: 1000,
};

// proves: S17
#[test]
fn a_new_station_leads_and_reads_back_what_it_proposed() {
    let dir = TempDir::new().unwrap();
    let mut driver = Driver::open_leading(config(dir.path()));
    assert!(driver.report.new);
    assert_eq!(driver.write(1, 7), Fate::Committed { took_effect: true });
    driver.assert_stored();
    assert_eq!(watermark(&driver.store.view(), 1), Some(7));
    let status = driver.store.status();
    assert!(status.leads);
    assert_eq!(status.voters, [StationId(1)]);
    assert_eq!(Some(status.term), driver.leading);
}

// proves: S17, S22
// case: services 9
#[test]
fn after_a_restart_graph_and_events_hold_every_entry_once() {
    let dir = TempDir::new().unwrap();
    let mut term = None;
    for round in 0..4u64 {
        let mut driver = Driver::open_leading(config(dir.path()));
        assert!(
            driver.leading > term,
            "each leadership has a term of its own"
        );
        term = driver.leading;
        assert_eq!(driver.graph.revision(), Revision(round * 25));
        for number in 0..25 {
            assert_eq!(
                driver.write(number % 5, round * 100 + number),
                Fate::Committed { took_effect: true }
            );
        }
        driver.assert_stored();
        driver.store.shutdown();
    }
    let replayed = replay(dir.path()).unwrap();
    assert!(replayed.is_equal(), "{replayed:?}");
    assert_eq!(replayed.entries, 100);
}

#[test]
fn a_stale_entry_changes_nothing_but_its_counter() {
    let dir = TempDir::new().unwrap();
    let mut driver = Driver::open_leading(config(dir.path()));
    let stale = driver.watermark(1, 1);
    assert_eq!(driver.write(1, 2), Fate::Committed { took_effect: true });
    let entry = driver.entry(stale, vec![support::decision(1, 1)]);
    assert_eq!(
        driver.propose(entry),
        Fate::Committed { took_effect: false }
    );
    driver.assert_stored();
    let view = driver.store.view();
    assert_eq!(view.revision(), Revision(1));
    assert_eq!((view.counters().entries, view.counters().stale), (1, 1));
    let decisions = view
        .decisions(&DecisionFilter::default(), TEN, None)
        .unwrap()
        .rows;
    assert_eq!(decisions.len(), 1, "a stale entry decides nothing");
    drop(view);
    // A delta that is not stale and still does not fit is refused by every replica alike, too.
    let mut missing = Delta {
        expected: Revision(1),
        changes: Vec::new(),
    };
    missing
        .changes
        .push(mainstay_resource_graph::Change::Remove(Key::Node(
            node_name(9),
        )));
    let entry = driver.entry(missing, Vec::new());
    assert_eq!(
        driver.propose(entry),
        Fate::Committed { took_effect: false }
    );
    driver.assert_stored();
}

// proves: S24
#[test]
fn decisions_and_events_are_found_again_after_a_restart() {
    let dir = TempDir::new().unwrap();
    let mut driver = Driver::open_leading(config(dir.path()));
    driver.populate();
    for number in 1..=5 {
        driver.write(number % 2, number);
    }
    drop(driver);
    let driver = Driver::open_leading(config(dir.path()));
    let view = driver.store.view();
    let all = view
        .decisions(&DecisionFilter::default(), TEN, None)
        .unwrap()
        .rows;
    let revisions: Vec<u64> = all.iter().map(|row| row.revision.0).collect();
    assert_eq!(revisions, [6, 5, 4, 3, 2], "the newest first");
    assert_eq!(all[0].decision, support::decision(1, 5));
    let filter = DecisionFilter {
        subject: Some(support::decision(0, 0).subject),
        ..DecisionFilter::default()
    };
    let of_one = view.decisions(&filter, TEN, None).unwrap().rows;
    assert_eq!(of_one.len(), 2);
    let page = view
        .decisions(&filter, TEN, Some((of_one[0].revision, of_one[0].number)))
        .unwrap();
    assert_eq!((&page.rows[..], page.next), (&of_one[1..], None));
    assert_eq!(
        view.decision(Revision(3), 0).unwrap().as_ref(),
        Some(&all[3])
    );
    let events = view.events_after(None, ALL, |_| true).unwrap().rows;
    assert_eq!(events.len() as u64, view.counters().events);
    if let Some(first) = events.first() {
        let rest = view
            .events_after(Some((first.revision, first.number)), ALL, |_| true)
            .unwrap();
        assert_eq!(rest.rows, events[1..]);
    }
    assert_eq!(
        view.first_event().unwrap(),
        events.first().map(|row| (row.revision, row.number))
    );
    assert_eq!(
        view.last_event().unwrap(),
        events.last().map(|row| (row.revision, row.number))
    );
}

#[test]
fn a_view_stands_still_while_entries_are_applied() {
    let dir = TempDir::new().unwrap();
    let mut driver = Driver::open_leading(config(dir.path()));
    driver.write(1, 1);
    let entry = driver.entry(driver.watermark(1, 2), Vec::new());
    let before = driver.store.view().revision();
    let mut log = driver.log.clone();
    {
        let view = driver.store.view();
        mainstay_coordinator::log::Log::propose(&mut log, entry);
        while driver.store.view().revision() == before {
            std::thread::yield_now();
        }
        assert_eq!((view.revision(), watermark(&view, 1)), (before, Some(1)));
    }
    assert_eq!(driver.take(), Some(Fate::Committed { took_effect: true }));
    driver.assert_stored();
}

fn refusal(config: StoreConfig) -> OpenError {
    Store::open(config).err().expect("it must be refused")
}

#[test]
fn a_second_opener_is_refused_and_told_who_has_it() {
    let dir = TempDir::new().unwrap();
    let driver = Driver::open_leading(config(dir.path()));
    let error = refusal(config(dir.path()));
    assert!(
        matches!(error, OpenError::Locked { pid: Some(pid), .. } if pid == std::process::id()),
        "{error}"
    );
    drop(driver);
    Driver::open_leading(config(dir.path()));
}

#[test]
fn a_directory_of_another_cluster_station_or_newer_format_is_refused() {
    let dir = TempDir::new().unwrap();
    drop(Driver::open_leading(config(dir.path())));
    let (cluster, other) = (support::cluster(1), support::cluster(2));
    let error = refusal(StoreConfig::new(dir.path(), other, StationId(1)));
    assert!(
        error
            .to_string()
            .contains(&format!("belongs to station s1 of cluster {cluster}")),
        "{error}"
    );
    let error = refusal(StoreConfig::new(dir.path(), cluster, StationId(2)));
    assert!(matches!(error, OpenError::Foreign { .. }), "{error}");
    let path = dir.path().join("station.json");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("\"format\": 1", "\"format\": 2")).unwrap();
    let error = refusal(config(dir.path()));
    assert!(
        matches!(
            error,
            OpenError::NewerFormat {
                found: 2,
                known: 1,
                ..
            }
        ),
        "{error}"
    );
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(
        refusal(config(dir.path())),
        OpenError::Damaged { .. }
    ));
    std::fs::write(&path, text).unwrap();
    std::fs::remove_dir_all(dir.path().join("db")).unwrap();
    let error = refusal(config(dir.path()));
    assert!(
        error.to_string().contains("no database"),
        "a station whose database is gone must not begin anew: {error}"
    );
}

#[test]
fn the_drivers_queue_ends_with_the_log() {
    let dir = TempDir::new().unwrap();
    let mut driver = Driver::open_leading(config(dir.path()));
    driver.write(1, 1);
    driver.store.shutdown();
    driver.store.shutdown();
    assert!(driver.ends(), "no more events, though a handle is left");
    assert_eq!(watermark(&driver.store.view(), 1), Some(1), "reads go on");
}

/// An election timeout is at least a second; the only voter waits for none. On a loaded machine one start may take
/// long for other reasons, three in a row do not.
// proves: S17
#[test]
fn an_only_voter_leads_at_once_after_a_restart() {
    let dir = TempDir::new().unwrap();
    drop(Driver::open_leading(config(dir.path())));
    let took_ms = [(); 3].map(|()| {
        let start = std::time::Instant::now();
        let driver = Driver::open_leading(config(dir.path()));
        let took_ms = start.elapsed().as_millis();
        drop(driver);
        took_ms
    });
    assert!(took_ms.iter().any(|ms| *ms < 1000), "{took_ms:?} ms");
}

#[test]
fn a_question_looks_at_so_many_rows_and_says_where_to_go_on() {
    let dir = TempDir::new().unwrap();
    let mut driver = Driver::open_leading(config(dir.path()));
    for number in 1..=40 {
        driver.write(number % 4, number);
    }
    for number in 10..20 {
        driver.station_joins(number);
    }
    let view = driver.store.view();
    let filter = DecisionFilter {
        subject: Some(support::decision(0, 0).subject),
        ..DecisionFilter::default()
    };
    let reading = Reading {
        rows: 100,
        scanned: 7,
    };
    let whole = Reading {
        rows: 100,
        scanned: 100,
    };
    let at_once = view.decisions(&filter, whole, None).unwrap();
    assert!(at_once.rows.len() > 3 && at_once.next.is_none());
    let (mut rows, mut before, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = view.decisions(&filter, reading, before).unwrap();
        assert!(page.rows.len() <= 7);
        rows.extend(page.rows);
        pages += 1;
        let Some(next) = page.next else { break };
        before = Some(next);
    }
    assert_eq!(rows, at_once.rows, "nothing left out, nothing twice");
    assert!(pages >= 5, "{pages} pages of 40 rows");
    let all = view.events_after(None, ALL, |_| true).unwrap().rows;
    let mut back = view.events_before(None, ALL, |_| true).unwrap().rows;
    back.reverse();
    assert_eq!(back, all);
    let of_last = view.events_of(all.last().unwrap().revision).unwrap();
    assert!(!of_last.is_empty() && all.ends_with(&of_last));
    let none = view.events_after(None, reading, |_| false).unwrap();
    let place = (all[6].revision, all[6].number);
    assert_eq!((none.rows.len(), none.next), (0, Some(place)));
}
