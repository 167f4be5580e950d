//! Repair salvages a prefix, says what it leaves out, and touches nothing.
#![allow(clippy::unwrap_used, reason = "the failing line is the explanation")]

mod support;

use std::fs;
use std::path::Path;

use mainstay_store::{OpenError, Store, repair, replay};
use support::{Driver, Fate, config, copy, files, flip, last_log, watermark};
use tempfile::TempDir;

const NOW_MS: u64 = 1_800_000_000_000;
const ENTRIES: u64 = 40;

fn write(driver: &mut Driver, from: u64, to: u64) {
    for number in from..=to {
        assert_eq!(
            driver.write(1, number),
            Fate::Committed { took_effect: true }
        );
    }
}

fn written(dir: &Path) {
    let mut driver = Driver::open_leading(config(dir));
    driver.found();
    write(&mut driver, 1, ENTRIES);
}

// proves: S17
#[test]
fn what_stands_before_a_flipped_byte_is_salvaged_and_the_rest_is_named() {
    let dir = TempDir::new().unwrap();
    let original = dir.path().join("s1");
    written(&original);
    let length = fs::metadata(last_log(&original)).unwrap().len();
    for part in [3, 5, 8] {
        let damaged = dir.path().join(format!("damaged-{part}"));
        copy(&original, &damaged);
        let log = last_log(&damaged);
        flip(&log, length * part / 10);
        let before = fs::read(&log).unwrap();
        let error = Store::open(config(&damaged)).err().expect("it is damaged");
        assert!(matches!(error, OpenError::Damaged { .. }), "{error}");

        let to = dir.path().join(format!("to-{part}"));
        let repaired = repair(&damaged, &to, NOW_MS, None).unwrap();
        let told = repaired.dropped.join("\n");
        assert!(told.contains("bytes of the write-ahead log"), "{told}");
        assert!(!told.contains(" 0 whole writes"), "{told}");
        assert_eq!(
            fs::read(&log).unwrap(),
            before,
            "the damaged one is not touched"
        );
        let mut driver = Driver::open_leading(config(&to));
        let last = watermark(&driver.graph, 1).unwrap();
        assert!(0 < last && last < ENTRIES, "{last}");
        let far = ENTRIES * part / 10;
        assert!(last + 8 > far && last < far + 8, "{last} of {far}: {told}");
        driver.assert_stored();
        write(&mut driver, 1000, 1001);
        drop(driver);
        assert!(replay(&to).unwrap().is_equal());
        assert!(!to.join("salvage").exists());
    }
}

// proves: S17
#[test]
fn a_state_that_cannot_be_read_gives_way_to_the_snapshot_and_the_log_behind_it() {
    let dir = TempDir::new().unwrap();
    let damaged = dir.path().join("s1");
    let mut driver = Driver::open_leading(config(&damaged));
    driver.found();
    write(&mut driver, 1, 20);
    driver.store.take_snapshot();
    support::wait_until("a snapshot is taken", || {
        driver.store.status().snapshot.is_some()
    });
    write(&mut driver, 21, ENTRIES);
    drop(driver);
    // The newest files of the state, which the snapshot does not have.
    drop(Driver::open_leading(config(&damaged)));
    let snapshots = damaged.join("snapshots");
    let kept = fs::read_dir(&snapshots).unwrap().next().unwrap().unwrap();
    let in_snapshot = |file: &Path| kept.path().join(file.file_name().unwrap()).exists();
    let newer = files(&damaged, "sst")
        .into_iter()
        .filter(|file| !in_snapshot(file));
    for file in newer {
        let length = fs::metadata(&file).unwrap().len();
        for at in (0..length.min(400)).step_by(7) {
            flip(&file, at);
        }
    }
    let error = Store::open(config(&damaged)).err().expect("it is damaged");
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
    let to = dir.path().join("to");
    let repaired = repair(&damaged, &to, NOW_MS, None).unwrap();
    let told = repaired.dropped.join("\n");
    assert!(told.contains("the state as it was"), "{told}");
    let driver = Driver::open_leading(config(&to));
    assert!(watermark(&driver.graph, 1).unwrap() >= 20, "{told}");
    driver.assert_stored();
}

#[test]
fn what_is_sound_or_only_torn_is_no_case_for_repair() {
    let dir = TempDir::new().unwrap();
    let (sound, to) = (dir.path().join("s1"), dir.path().join("to"));
    written(&sound);
    for cut in [0, 3] {
        let log = last_log(&sound);
        let file = fs::File::options().write(true).open(&log).unwrap();
        file.set_len(fs::metadata(&log).unwrap().len() - cut)
            .unwrap();
        let error = repair(&sound, &to, NOW_MS, None).unwrap_err();
        assert!(matches!(error, OpenError::Sound { .. }), "{error}");
        assert!(!to.exists(), "nothing is left of the try");
    }
    let error = repair(dir.path(), &to, NOW_MS, None).unwrap_err();
    assert!(matches!(error, OpenError::NotOne { .. }), "{error}");
    let running = Driver::open_leading(config(&sound));
    let error = repair(&sound, &to, NOW_MS, None).unwrap_err();
    assert!(matches!(error, OpenError::Locked { .. }), "{error}");
    drop(running);
}
