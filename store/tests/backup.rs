//! A backup holds one revision whole, while entries go on being applied; what is not whole is refused before anything is written.
#![allow(clippy::unwrap_used, reason = "the failing line is the explanation")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use mainstay_protocol::{Epoch, StationId};
use mainstay_resource_graph::{Graph, View};
use mainstay_store::{About, Backup, BackupError, OpenError, RestoreError, Store, replay};
use support::{Driver, Fate, config, copy, watermark};
use tempfile::TempDir;

const NOW_MS: u64 = 1_800_000_000_000;

/// The backup in a file, and what it says of itself.
fn back_up(store: &Store, file: &Path) -> About {
    let mut bytes = Vec::new();
    let about = store.backup(NOW_MS, |piece| {
        bytes.extend_from_slice(piece);
        Ok(())
    });
    fs::write(file, bytes).unwrap();
    about.unwrap().expect("a cluster is there")
}

struct Kept {
    dir: TempDir,
    about: About,
    graph: Graph,
}

impl Kept {
    /// A backup, and what happened after it.
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let mut driver = Driver::open_leading(config(&dir.path().join("s1")));
        driver.found();
        driver.populate();
        for number in 1..=40 {
            driver.write(number % 7, number);
        }
        let about = back_up(&driver.store, &dir.path().join("kept"));
        let graph = driver.graph.clone();
        assert_eq!(driver.write(1, 1000), Fate::Committed { took_effect: true });
        drop(driver);
        Self { dir, about, graph }
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("kept")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

// proves: U6
#[test]
fn a_backup_is_restored_as_it_was_under_a_new_epoch_and_its_log_goes_on() {
    let kept = Kept::new();
    let backup = Backup::read(&kept.file()).unwrap();
    assert_eq!(backup.about, kept.about);
    assert_eq!(backup.about.revision, kept.graph.revision());
    assert_eq!(backup.bytes, fs::metadata(kept.file()).unwrap().len());

    let dir = kept.path("restored");
    let made = backup.restore(&dir, StationId(1), NOW_MS).unwrap();
    assert_eq!(made.epoch, Epoch(57_600_000_000));
    let mode = fs::metadata(&dir).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o700, "what is configured is not for everybody");
    let mut driver = Driver::open_leading(config(&dir));
    assert_eq!(driver.begun, Some(made.epoch));
    assert_eq!(driver.graph.revision(), made.revision);
    assert!(made.revision.0 > kept.graph.revision().0 + 1_000_000);
    let records = |graph: &Graph| graph.records().cloned().collect::<Vec<_>>();
    assert_eq!(records(&driver.graph), records(&kept.graph));
    assert_eq!(
        watermark(&driver.graph, 1),
        watermark(&kept.graph, 1),
        "not 1000"
    );
    assert!(driver.leading.unwrap().0 > kept.about.last.term);
    assert_eq!(driver.store.status().voters, [StationId(1)]);
    assert_eq!(driver.write(1, 2000), Fate::Committed { took_effect: true });
    drop(driver);
    let again = Driver::open_leading(config(&dir));
    assert_eq!(watermark(&again.graph, 1), Some(2000));
    drop(again);
    let replayed = replay(&dir).unwrap();
    assert!(replayed.is_equal(), "{replayed:?}");

    let later = kept.path("later");
    let again = backup.restore(&later, StationId(1), NOW_MS + 1000).unwrap();
    assert!(again.epoch > made.epoch && again.revision.0 > made.revision.0 + 30);
}

#[test]
fn a_backup_taken_while_entries_are_applied_holds_one_revision() {
    let dir = TempDir::new().unwrap();
    let mut driver = Driver::open_leading(config(&dir.path().join("s1")));
    driver.found();
    driver.populate();
    driver.write(1, 1);
    let before = driver.graph.clone();
    let mut bytes = Vec::new();
    let view = driver.store.view();
    assert_eq!(view.revision(), before.revision());
    drop(view);
    let mut writes = 0;
    let mut pieces = Vec::new();
    // The store is asked piece by piece, and committed to between two of them.
    let (store, log) = (&driver.store, driver.log.clone());
    let entry = driver.entry(driver.watermark(1, 2), Vec::new());
    let about = store
        .backup(NOW_MS, |piece| {
            if writes == 0 {
                mainstay_coordinator::log::Log::propose(&mut log.clone(), entry.clone());
                support::wait_until("the entry is applied", || {
                    store.view().revision() > before.revision()
                });
            }
            writes += 1;
            pieces.push(piece.to_vec());
            Ok(())
        })
        .unwrap()
        .unwrap();
    for piece in &pieces {
        bytes.extend_from_slice(piece);
    }
    assert_eq!(about.revision, before.revision());
    fs::write(dir.path().join("kept"), &bytes).unwrap();
    let backup = Backup::read(&dir.path().join("kept")).unwrap();
    let restored = dir.path().join("restored");
    backup.restore(&restored, StationId(1), NOW_MS).unwrap();
    let again = Driver::open_leading(config(&restored));
    assert_eq!(watermark(&again.graph, 1), Some(1));
}

// proves: U6
#[test]
fn a_file_that_is_cut_flipped_lengthened_or_foreign_is_refused_and_nothing_is_written() {
    let kept = Kept::new();
    let whole = fs::read(kept.file()).unwrap();
    let bad = kept.path("bad");
    let refused = |bytes: &[u8]| {
        fs::write(&bad, bytes).unwrap();
        Backup::read(&bad).expect_err("it is not whole")
    };
    let step = (whole.len() / 150).max(1);
    for at in (0..whole.len()).step_by(step).chain([whole.len() - 1]) {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x20;
        let error = refused(&flipped);
        match at {
            0..16 => assert!(matches!(error, BackupError::NotOne(_)), "{error}"),
            16..18 => assert!(matches!(error, BackupError::Newer { .. }), "{error}"),
            _ => assert!(
                matches!(
                    error,
                    BackupError::Damaged { .. } | BackupError::CutOff { .. }
                ),
                "byte {at}: {error}"
            ),
        }
        let error = refused(&whole[..at]);
        match at {
            0..16 => assert!(matches!(error, BackupError::NotOne(_)), "{error}"),
            _ => assert!(matches!(error, BackupError::CutOff { .. }), "{at}: {error}"),
        }
    }
    let longer = [&whole[..], b"x"].concat();
    assert!(refused(&longer).to_string().contains("follows its end"));
    assert!(
        refused(b"SQLite format 3\0and so on")
            .to_string()
            .contains("no backup")
    );
    assert!(matches!(
        Backup::read(&kept.path("nowhere")),
        Err(BackupError::Io { .. })
    ));
}

#[test]
fn a_directory_that_is_not_empty_or_was_not_finished_is_left_alone() {
    let kept = Kept::new();
    let backup = Backup::read(&kept.file()).unwrap();
    let own = kept.path("s1");
    let before = fs::read_dir(&own).unwrap().count();
    let error = backup.restore(&own, StationId(1), NOW_MS).unwrap_err();
    assert!(
        matches!(&error, RestoreError::Directory(OpenError::NotEmpty { .. })),
        "{error}"
    );
    assert!(error.to_string().contains("is not empty"), "{error}");
    assert_eq!(fs::read_dir(&own).unwrap().count(), before);

    // Killed in the middle: what is there is neither a data directory nor an empty one.
    let half = kept.path("half");
    backup.restore(&half, StationId(1), NOW_MS).unwrap();
    let whole = kept.path("whole");
    copy(&half, &whole);
    fs::write(half.join("unfinished"), "").unwrap();
    fs::remove_file(half.join("station.json")).unwrap();
    let error = Store::open(config(&half)).err().expect("refused");
    assert!(matches!(error, OpenError::Unfinished { .. }), "{error}");
    backup.restore(&half, StationId(1), NOW_MS).unwrap_err();
    drop(Driver::open_leading(config(&whole)));

    // Another station's, or another cluster's, it is not either.
    let mut other = config(&whole);
    other.station = StationId(2);
    let error = Store::open(other).err().expect("refused");
    assert!(matches!(error, OpenError::Foreign { .. }), "{error}");
}
