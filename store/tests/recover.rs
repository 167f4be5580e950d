//! Recovery makes a group of one of what a survivor has, and leaves the survivor's directory as it was.
#![allow(clippy::unwrap_used, reason = "the failing line is the explanation")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use mainstay_protocol::StationId;
use mainstay_resource_graph::{Graph, View};
use mainstay_store::{OpenError, Survivor, replay};
use support::{Driver, Fate, config, copy, watermark};
use tempfile::TempDir;

const NOW_MS: u64 = 1_800_000_000_000;

fn written(dir: &Path) -> Graph {
    let mut driver = Driver::open_leading(config(dir));
    driver.found();
    driver.populate();
    for number in 1..=30 {
        assert_eq!(
            driver.write(1, number),
            Fate::Committed { took_effect: true }
        );
    }
    driver.graph.clone()
}

/// Every file and what is in it; but for the lock, in which each says who it is.
fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![dir.to_owned()];
    while let Some(path) = open.pop() {
        for entry in fs::read_dir(path).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => open.push(path),
                false => _ = found.insert(path.clone(), fs::read(&path).unwrap()),
            }
        }
    }
    found.retain(|path, _| path.file_name().is_some_and(|name| name != "lock"));
    found
}

// proves: S17
#[test]
fn a_survivors_directory_becomes_a_group_of_one_and_is_itself_untouched() {
    let dir = TempDir::new().unwrap();
    let (from, to) = (dir.path().join("s1"), dir.path().join("to"));
    let graph = written(&from);
    let before = contents(&from);
    let survivor = Survivor::open(&from).unwrap();
    assert_eq!(survivor.found.cluster.as_str(), "test");
    assert_eq!(survivor.found.voters, [StationId(1)]);
    assert_eq!(survivor.found.revision, graph.revision());
    let error = Survivor::open(&from).err().expect("one at a time");
    assert!(matches!(error, OpenError::Locked { .. }), "{error}");
    let made = survivor.rebuild(&to, NOW_MS).unwrap();
    let twice = survivor.rebuild(&to, NOW_MS).unwrap_err();
    assert!(matches!(twice, OpenError::NotEmpty { .. }), "{twice}");
    drop(survivor);
    assert!(
        contents(&from) == before,
        "the survivor's directory is as it was"
    );

    let mut driver = Driver::open_leading(config(&to));
    assert_eq!(driver.begun, Some(made.epoch));
    assert!(driver.graph.records().eq(graph.records()));
    assert_eq!(driver.write(1, 2000), Fate::Committed { took_effect: true });
    let page = mainstay_store::Reading {
        rows: 5,
        scanned: 50,
    };
    let decisions = driver
        .store
        .view()
        .decisions(&Default::default(), page, None);
    assert_eq!(decisions.unwrap().rows.len(), 5, "history comes along");
    drop(driver);
    assert!(replay(&to).unwrap().is_equal());
}

#[test]
fn a_running_station_a_strange_directory_and_damage_are_refused() {
    let dir = TempDir::new().unwrap();
    let from = dir.path().join("s1");
    let driver = Driver::open_leading(config(&from));
    let error = Survivor::open(&from).err().expect("it runs");
    assert!(matches!(error, OpenError::Locked { .. }), "{error}");
    drop(driver);
    let error = Survivor::open(&from).err().expect("no cluster was founded");
    assert!(matches!(error, OpenError::Empty { .. }), "{error}");
    let error = Survivor::open(dir.path()).err().expect("it is none");
    assert!(matches!(error, OpenError::NotOne { .. }), "{error}");
    assert!(!dir.path().join("lock").exists(), "nothing is left there");

    let whole = dir.path().join("whole");
    written(&whole);
    let damaged = dir.path().join("damaged");
    copy(&whole, &damaged);
    support::flip(&support::last_log(&damaged), 200);
    let error = Survivor::open(&damaged).err().expect("it is damaged");
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("station repair"), "{error}");
}

#[test]
fn entries_behind_the_state_count_and_a_torn_end_does_not() {
    let dir = TempDir::new().unwrap();
    let (from, torn, to) = (
        dir.path().join("s1"),
        dir.path().join("torn"),
        dir.path().join("to"),
    );
    let graph = written(&from);
    copy(&from, &torn);
    // The last of the write-ahead log is what the last entry did; before it, the entry itself.
    let log = support::last_log(&torn);
    let length = fs::metadata(&log).unwrap().len();
    let file = fs::File::options().write(true).open(&log).unwrap();
    file.set_len(length - 3).unwrap();
    let survivor = Survivor::open(&torn).unwrap();
    assert!(!survivor.found.torn.is_empty());
    let behind = survivor.found.entries_to_apply;
    assert_eq!(behind, 1, "{:?}", survivor.found);
    survivor.rebuild(&to, NOW_MS).unwrap();
    let driver = Driver::open_leading(config(&to));
    assert_eq!(watermark(&driver.graph, 1), Some(30));
    assert!(driver.graph.records().eq(graph.records()));
}
