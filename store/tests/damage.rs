//! Torn tails are cut off and said; damage anywhere else is refused, never passed over.
#![allow(clippy::unwrap_used, reason = "the failing line is the explanation")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use mainstay_store::{OpenError, Opened, Store};
use support::{Driver, Fate, config, copy, files, flip, last_log, watermark};
use tempfile::TempDir;

const ENTRIES: u64 = 30;

/// A directory whose write-ahead log holds everything.
fn written() -> TempDir {
    let dir = TempDir::new().unwrap();
    let mut driver = Driver::open_leading(config(dir.path()));
    for number in 1..=ENTRIES {
        assert_eq!(
            driver.write(1, number),
            Fate::Committed { took_effect: true }
        );
    }
    drop(driver);
    dir
}

// case: orchestrations 50
#[test]
fn a_torn_tail_is_cut_off_and_said_at_any_length() {
    let original = written();
    let length = fs::metadata(last_log(original.path())).unwrap().len();
    let cut_bytes = [1, 5, 17, 100, 300, 700];
    for cut in cut_bytes {
        let dir = TempDir::new().unwrap();
        copy(original.path(), dir.path());
        let log = last_log(dir.path());
        fs::File::options()
            .write(true)
            .open(&log)
            .unwrap()
            .set_len(length - cut)
            .unwrap();
        let driver = Driver::open_leading(config(dir.path()));
        let torn = driver.report.torn.first().expect("a cut inside a record");
        assert_eq!(torn.whole_bytes + torn.torn_bytes, length - cut);
        driver.assert_stored();
        let last = watermark(&driver.graph, 1).unwrap();
        assert!(
            last <= ENTRIES && last + 5 >= ENTRIES,
            "{cut} bytes cost all after {last}"
        );
        drop(driver);
        assert_eq!(
            Driver::open_leading(config(dir.path())).report.torn,
            [],
            "it is whole again"
        );
    }
}

/// The log a database would have begun next.
fn next_log(dir: &Path) -> PathBuf {
    let logs = files(dir, "log");
    let newest: u64 = logs
        .last()
        .and_then(|log| log.file_stem()?.to_str()?.parse().ok())
        .expect("there is a log");
    dir.join("db").join(format!("{:06}.log", newest + 1))
}

#[test]
fn a_torn_log_may_be_followed_by_empty_and_torn_ones() {
    let original = written();
    let last = fs::read(last_log(original.path())).unwrap();
    for newer in [&[][..], &last[..1], &last[..40]] {
        let dir = TempDir::new().unwrap();
        copy(original.path(), dir.path());
        let log = last_log(dir.path());
        fs::write(&log, &last[..last.len() - 5]).unwrap();
        fs::write(next_log(dir.path()), newer).unwrap();
        let driver = Driver::open_leading(config(dir.path()));
        let torn: u64 = driver.report.torn.iter().map(|tear| tear.torn_bytes).sum();
        assert!(torn > newer.len() as u64, "{:?}", driver.report.torn);
        driver.assert_stored();
        assert!(watermark(&driver.graph, 1).unwrap() + 5 >= ENTRIES);
        drop(driver);
        let again = Driver::open_leading(config(dir.path()));
        assert_eq!(again.report.torn, [], "it is whole again");
    }
}

#[test]
fn whole_entries_behind_a_torn_log_are_refused_with_both_causes_named() {
    let dir = written();
    let log = last_log(dir.path());
    let last = fs::read(&log).unwrap();
    fs::write(&log, &last[..last.len() - 5]).unwrap();
    fs::write(next_log(dir.path()), &last).unwrap();
    let error = Store::open(config(dir.path())).err().expect("refused");
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("damaged") && text.contains("power failed"),
        "{text}"
    );
    assert_eq!(fs::read(&log).unwrap().len(), last.len() - 5, "untouched");
}

// case: orchestrations 50
#[test]
fn a_flipped_byte_in_the_log_is_never_passed_over() {
    let original = written();
    let length = fs::metadata(last_log(original.path())).unwrap().len();
    let (mut refused, mut torn) = (0, 0);
    let positions = (0..length)
        .step_by(usize::try_from(length / 40).unwrap())
        .chain([length - 1]);
    for at in positions {
        let dir = TempDir::new().unwrap();
        copy(original.path(), dir.path());
        flip(&last_log(dir.path()), at);
        match Store::open(config(dir.path())) {
            Err(error) => {
                assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
                let text = error.to_string();
                assert!(
                    text.contains("repair") && text.contains("restore"),
                    "{text}"
                );
                refused += 1;
            }
            Ok((_store, Opened { report, .. })) => {
                let tear = report.torn.first().expect("whatever is left out is said");
                assert!(tear.whole_bytes <= at, "byte {at} stood before {tear:?}");
                torn += 1;
            }
        }
    }
    assert!(
        refused >= 35,
        "{refused} refused, {torn} taken for a torn tail"
    );
    assert!(torn >= 1, "the last byte cannot be told from a torn tail");
}

#[test]
fn a_flipped_byte_in_a_file_of_the_state_is_refused() {
    let dir = written();
    // Recovery turns the log into files.
    drop(Driver::open_leading(config(dir.path())));
    for file in files(dir.path(), "sst") {
        let length = fs::metadata(&file).unwrap().len();
        for at in (10..length.min(2000)).step_by(97) {
            flip(&file, at);
        }
    }
    let error = Store::open(config(dir.path()))
        .err()
        .expect("it must be refused");
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
}
