//! Logs of real processes: nothing is lost, nothing fills the disk, nobody waits.

use std::fs;

use mainstay_hold::{How, LogBounds, Spec, limits};

use crate::held::{Held, shell, until};

#[test]
fn a_flood_neither_stalls_nor_fills_the_disk_and_has_no_hole() {
    // acceptance: 1
    let spec = Spec {
        log: LogBounds {
            bytes_max: limits::LOG_BYTES_MIN,
            files_max: 3,
        },
        ..shell("seq 1 200000 >&2")
    };
    let mut held = Held::start(&spec);
    let exit = held.ended();
    assert_eq!((exit.how.clone(), exit.lines_lost), (How::Code(0), 0));
    assert!(exit.stderr_tail.ends_with("199999\n200000\n"));
    assert_eq!(exit.stderr_tail.len(), limits::STDERR_TAIL_BYTES);
    let log = held.log();
    let numbers: Vec<u32> = log
        .lines()
        .map(|line| line.split_once(" err ").unwrap().1.parse().unwrap())
        .collect();
    // All that is kept is the end of what was said, without a gap.
    assert_eq!(numbers.last(), Some(&200_000));
    assert!(numbers.windows(2).all(|two| two[1] == two[0] + 1));
    let files = fs::read_dir(held.slot.log_directory()).unwrap();
    let sizes: Vec<u64> = files
        .map(|file| file.unwrap().metadata().unwrap().len())
        .collect();
    assert_eq!(sizes.len(), 3);
    assert!(
        sizes.iter().all(|size| *size <= limits::LOG_BYTES_MIN),
        "{sizes:?}"
    );
}

#[test]
fn both_streams_are_read_while_one_floods() {
    let held = Held::start(&shell("yes flood >&2 & echo heard; exec sleep 1000"));
    until("the quiet one is heard", || {
        held.log().contains(" out heard\n").then_some(())
    });
    held.running();
}
