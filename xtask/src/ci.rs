//! Everything CI runs, cheapest first; stops at the first step that fails. The last line is a test summary
//! in cargo's form, whichever runner ran the tests.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::step::{self, Tally};
use crate::{layers, licences, tidy};

struct Done {
    name: &'static str,
    took: Duration,
    ok: bool,
}

pub fn run(root: &Path) -> anyhow::Result<()> {
    let started = Instant::now();
    let mut done = Vec::new();
    let mut tally = Tally::default();
    let outcome = steps(root, &mut done, &mut tally);
    report(&done, tally, outcome.is_ok(), started.elapsed());
    outcome
}

fn steps(root: &Path, done: &mut Vec<Done>, tally: &mut Tally) -> anyhow::Result<()> {
    let mut step = |name: &'static str, work: &mut dyn FnMut() -> anyhow::Result<()>| {
        println!("== {name}");
        let started = Instant::now();
        let outcome = work();
        let took = started.elapsed();
        println!(
            "== {name}: {} in {:.1} s",
            if outcome.is_ok() { "ok" } else { "FAILED" },
            took.as_secs_f64()
        );
        done.push(Done {
            name,
            took,
            ok: outcome.is_ok(),
        });
        outcome
    };
    step("fmt", &mut || {
        step::run(step::cargo(root).args(["fmt", "--all", "--check"]))
    })?;
    step("tidy", &mut || tidy::run(root))?;
    step("layers", &mut || layers::run(root))?;
    step("licences", &mut || licences::run(root))?;
    step("clippy", &mut || {
        let args = [
            "clippy",
            "--workspace",
            "--all-targets",
            "--quiet",
            "--",
            "-D",
            "warnings",
        ];
        step::run(step::cargo(root).args(args))
    })?;
    step("tests", &mut || tests(root, tally))?;
    step("doc tests", &mut || {
        let (counted, outcome) =
            step::run_tests(step::cargo(root).args(["test", "--workspace", "--doc", "--quiet"]));
        tally.add(counted);
        outcome
    })
}

/// nextest runs each test in a process of its own and is quicker; without it cargo does.
fn tests(root: &Path, tally: &mut Tally) -> anyhow::Result<()> {
    let mut command = step::cargo(root);
    if step::nextest_is_there(root) {
        let shown = [
            "--no-fail-fast",
            "--status-level",
            "slow",
            "--final-status-level",
            "fail",
        ];
        command
            .args(["nextest", "run", "--workspace", "--cargo-quiet"])
            .args(shown);
    } else {
        command.args([
            "test",
            "--workspace",
            "--all-targets",
            "--no-fail-fast",
            "--quiet",
        ]);
    }
    let (counted, outcome) = step::run_tests(&mut command);
    tally.add(counted);
    outcome?;
    // A run that counted nothing proves nothing, however green it looks.
    anyhow::ensure!(counted.passed > 0, "the test run reported no passed test");
    Ok(())
}

fn report(done: &[Done], tally: Tally, ok: bool, took: Duration) {
    println!("\n== summary");
    for step in done {
        println!(
            "{:>8.1} s  {:<6} {}",
            step.took.as_secs_f64(),
            if step.ok { "ok" } else { "FAILED" },
            step.name
        );
    }
    let verdict = if ok { "ok" } else { "FAILED" };
    println!(
        "test result: {verdict}. {} passed; {} failed; {} ignored; 0 measured; 0 filtered out; finished in {:.2}s",
        tally.passed,
        tally.failed,
        tally.ignored,
        took.as_secs_f64()
    );
}
