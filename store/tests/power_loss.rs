//! Kill and power loss: a child proposes changes and says which are acknowledged; it is killed at some moment, and
//! every file is cut back to what its last completed sync covered. All that was acknowledged must still be there.
#![allow(clippy::unwrap_used, reason = "the failing line is the explanation")]

#[path = "../../tests/src/power.rs"]
mod power;
mod support;

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use mainstay_store::{EXIT_STORAGE, Store, replay};
use power::Power;
use support::{Driver, NODES, config, copy, watermark};
use tempfile::TempDir;

struct Bench {
    root: TempDir,
    power: Power,
}

/// How the child runs.
#[derive(Clone, Copy)]
enum Mode {
    Syncing,
    /// The planted bug.
    NotSyncing,
    /// Syncs fail after so many.
    FailAfter(u32),
}

impl Bench {
    fn new() -> Self {
        let root = TempDir::new().unwrap();
        let power = Power::of(root.path());
        Self { root, power }
    }

    fn dir(&self) -> PathBuf {
        self.root.path().join("data")
    }

    fn writer(&self, mode: Mode) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mainstay-store-writer"));
        command
            .arg(self.dir())
            .envs(self.power.environment())
            .stdout(Stdio::piped());
        match mode {
            Mode::Syncing => {}
            Mode::NotSyncing => {
                command.arg("no-sync");
            }
            Mode::FailAfter(syncs) => {
                command
                    .env("MAINSTAY_SYNC_FAIL_AFTER", syncs.to_string())
                    .stderr(Stdio::null());
            }
        }
        command.spawn().unwrap()
    }

    /// Lets the writer have so many acknowledged, kills it, and says what was acknowledged in all.
    fn run_and_kill(&self, mode: Mode, acknowledgements: usize) -> Vec<u64> {
        let mut child = self.writer(mode);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut acknowledged: Vec<u64> = lines
            .by_ref()
            .take(acknowledgements)
            .map(|line| number(&line.unwrap()))
            .collect();
        assert_eq!(
            acknowledged.len(),
            acknowledgements,
            "the writer ended by itself"
        );
        child.kill().unwrap();
        child.wait().unwrap();
        acknowledged.extend(lines.map(|line| number(&line.unwrap())));
        acknowledged
    }

    /// Says how many bytes went.
    fn cut_power(&self) -> u64 {
        self.power.cut(&self.dir())
    }

    /// Opens a copy, so that nothing is written to the directory outside the shim's sight.
    fn missing(&self, acknowledged: &[u64]) -> Result<(), String> {
        let aside = TempDir::new().unwrap();
        copy(&self.dir(), aside.path());
        let (store, opened) =
            Store::open(config(aside.path())).map_err(|error| error.to_string())?;
        drop((store, opened));
        let driver = Driver::open_leading(config(aside.path()));
        driver.assert_stored();
        for number in acknowledged {
            let found = watermark(&driver.graph, number % NODES);
            if found < Some(*number) {
                return Err(format!("{number} was acknowledged; found {found:?}"));
            }
        }
        drop(driver);
        let replayed = replay(aside.path()).map_err(|error| error.to_string())?;
        assert!(replayed.is_equal(), "{replayed:?}");
        Ok(())
    }
}

fn number(line: &str) -> u64 {
    line.strip_prefix("ack ").unwrap().parse().unwrap()
}

/// Where the writer is killed: spread over the first snapshots (40 entries each), and different in every round.
const ROUNDS: [usize; 6] = [1, 13, 90, 38, 61, 27];

// proves: S17, S22
// acceptance: 6
#[test]
fn every_acknowledged_change_survives_kill_and_power_loss() {
    let bench = Bench::new();
    let mut acknowledged = Vec::new();
    let mut lost = 0;
    for round in ROUNDS {
        acknowledged.extend(bench.run_and_kill(Mode::Syncing, round));
        bench.missing(&acknowledged).expect("after the kill");
        lost += bench.cut_power();
        bench.missing(&acknowledged).expect("after the power loss");
    }
    assert!(lost > 0, "the cut took nothing: it does not do its work");
}

// acceptance: 6
#[test]
fn without_the_sync_the_power_loss_is_found() {
    let bench = Bench::new();
    let acknowledged = bench.run_and_kill(Mode::NotSyncing, 20);
    bench
        .missing(&acknowledged)
        .expect("a kill alone loses nothing that the kernel has");
    bench.cut_power();
    let found = bench.missing(&acknowledged);
    assert!(found.is_err(), "the planted bug goes unnoticed");
}

// case: orchestrations 51
#[test]
fn a_failed_sync_ends_the_process_with_its_own_code_and_loses_nothing_acknowledged() {
    let bench = Bench::new();
    let mut acknowledged = bench.run_and_kill(Mode::Syncing, 3);
    for syncs in [40, 45] {
        let mut child = bench.writer(Mode::FailAfter(syncs));
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        acknowledged.extend(lines.map(|line| number(&line.unwrap())));
        assert_eq!(child.wait().unwrap().code(), Some(EXIT_STORAGE));
        bench.cut_power();
        bench.missing(&acknowledged).unwrap();
    }
}
