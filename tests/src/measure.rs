//! What benches measure with: medians, and the disk's own pace beside whatever waits for it.

use std::fs::File;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Of times in their order.
pub fn at(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

/// A number of a living process, as the kernel has it: `VmRSS` in KiB, `PPid`.
pub fn of_status(pid: u32, field: &str) -> u32 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
    let lines = status.lines().filter_map(|line| line.split_once(':'));
    let number = lines
        .filter(|(name, _)| *name == field)
        .find_map(|(_, rest)| rest.split_whitespace().next()?.parse().ok());
    number.expect("the kernel has it of each")
}

/// Whether all that a bench measures beside is installed; says what is not.
pub fn are_there(programs: &[&str]) -> bool {
    let is_there = |program: &&&str| {
        let found = Command::new("sh")
            .args(["-c", &format!("command -v {program}")])
            .stdout(Stdio::null())
            .status();
        found.is_ok_and(|status| status.success())
    };
    let missing = programs.iter().filter(|program| !is_there(program));
    let missing: Vec<&str> = missing.copied().collect();
    if !missing.is_empty() {
        println!(
            "FAILED: {} missing; scripts/setup bench installs them",
            missing.join(", ")
        );
    }
    missing.is_empty()
}

/// One sync on the file system the station writes to. Taken between what is measured, because a disk's pace changes.
pub fn fdatasync(file: &mut File) -> Duration {
    file.write_all(&[7; 512]).expect("space");
    let begun = Instant::now();
    file.sync_data().expect("a sync");
    begun.elapsed()
}
