//! Seeds: hundreds of whole clusters, each under its own storm. A failing one says how to see it again.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use mainstay_sim::{Counts, Report, replay_command, run, run_traced};

const SEEDS: u64 = 320;
/// Of a failing seed's last happenings; its replay shows them all.
const LINES_SHOWN: usize = 250;

fn kept_seeds() -> Vec<u64> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "txt"))
        .collect();
    files.sort();
    files
        .iter()
        .flat_map(|path| {
            let text = std::fs::read_to_string(path).unwrap();
            let seeds: Vec<u64> = text
                .lines()
                .map(|line| line.split('#').next().unwrap_or_default().trim())
                .filter(|line| !line.is_empty())
                .map(|line| line.parse().unwrap())
                .collect();
            seeds
        })
        .collect()
}

/// Each seed is one thread's whole cluster; several run beside each other.
fn run_all(seeds: Vec<u64>, until: Option<Instant>) -> (Counts, Vec<Report>) {
    let queue = Mutex::new(seeds.into_iter());
    let sums = Mutex::new((Counts::default(), Vec::new()));
    let threads = std::thread::available_parallelism().map_or(2, |found| found.get());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap().next();
                    let Some(seed) = next else { break };
                    if until.is_some_and(|until| Instant::now() >= until) {
                        break;
                    }
                    let report = run(seed);
                    let mut sums = sums.lock().unwrap();
                    sums.0.add(&report.counts);
                    if report.violation.is_some() {
                        sums.1.push(report);
                    }
                }
            });
        }
    });
    sums.into_inner().unwrap()
}

fn fail_on(broken: &[Report]) {
    let Some(first) = broken.iter().min_by_key(|report| report.seed) else {
        return;
    };
    let again = run_traced(first.seed);
    for line in again.trace.iter().rev().take(LINES_SHOWN).rev() {
        println!("{line}");
    }
    for report in broken {
        let violation = report.violation.as_ref().unwrap();
        let text: String = violation.to_string().chars().take(600).collect();
        println!("seed {}: {text}", report.seed);
    }
    panic!(
        "{} seeds violate an invariant; see the first again: {}",
        broken.len(),
        replay_command(first.seed)
    );
}

// acceptance: 9
// proves: S17
#[test]
fn hundreds_of_storms_violate_no_invariant_and_every_fault_and_rule_fires() {
    let began = Instant::now();
    let first: u64 = std::env::var("MAINSTAY_FIRST_SEED").map_or(1, |text| {
        text.parse().expect("MAINSTAY_FIRST_SEED is a number")
    });
    let (counts, broken) = run_all((first..first + SEEDS).collect(), None);
    println!("{}", counts.table());
    println!("took {:.1} s", began.elapsed().as_secs_f64());
    fail_on(&broken);
    assert_eq!(counts.missing(), Vec::<String>::new(), "never fired");
}

#[test]
fn seeds_that_once_failed_hold() {
    let (_, broken) = run_all(kept_seeds(), None);
    fail_on(&broken);
}

// proves: S12
#[test]
fn the_same_seed_gives_the_same_log_byte_for_byte() {
    for seed in 1..=12 {
        let (one, other) = (run(seed), run(seed));
        assert_eq!(one.log_crc, other.log_crc, "seed {seed}");
        assert_eq!(one.counts, other.counts, "seed {seed}");
    }
}

#[test]
fn replay_the_seed_in_the_environment() {
    let Ok(text) = std::env::var("MAINSTAY_SEED") else {
        return;
    };
    let report = run_traced(text.parse().expect("MAINSTAY_SEED is a number"));
    for line in &report.trace {
        println!("{line}");
    }
    println!("{}", report.counts.table());
    if let Some(violation) = report.violation {
        panic!("{violation}");
    }
}

/// `MAINSTAY_SOAK` is a number of minutes, 1 a whole hour; without it a moment.
#[test]
fn soak_of_random_storms() {
    let minutes: Option<u64> = std::env::var("MAINSTAY_SOAK")
        .ok()
        .map(|text| text.parse().unwrap_or(1))
        .map(|minutes| if minutes == 1 { 60 } else { minutes });
    let length = minutes.map_or(Duration::from_secs(2), |minutes| {
        Duration::from_secs(60 * minutes)
    });
    let first = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
        * 1_000_000;
    let seeds = (first..first + 1_000_000).collect();
    let (counts, broken) = run_all(seeds, Some(Instant::now() + length));
    println!("{}", counts.table());
    fail_on(&broken);
}
