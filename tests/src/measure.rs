//! What benches measure with: medians, and the disk's own pace beside whatever waits for it.

use std::fs::File;
use std::io::Write;
use std::time::{Duration, Instant};

/// Of times in their order.
pub fn at(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

/// One sync on the file system the station writes to. Taken between what is measured, because a disk's pace changes.
pub fn fdatasync(file: &mut File) -> Duration {
    file.write_all(&[7; 512]).expect("space");
    let begun = Instant::now();
    file.sync_data().expect("a sync");
    begun.elapsed()
}
