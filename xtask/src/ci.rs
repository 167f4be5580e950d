//! Everything CI runs, cheapest first; stops at the first step that fails. The last line is a test summary
//! in cargo's form, whichever runner ran the tests.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::step::{self, Tally};
use crate::{layers, licences, room, tidy};

const CLIPPY: &str = "clippy --workspace --all-targets --quiet -- -D warnings";

/// Tests of real processes start the programs, which the test build of another crate does not make. `--tests`
/// so that dependencies get the same features as in the test run.
const BUILD: &str = "build --workspace --bins --tests --quiet";

const DOC_TESTS: &str = "test --workspace --doc --quiet";

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
        let verdict = if outcome.is_ok() { "ok" } else { "FAILED" };
        println!("== {name}: {verdict} in {:.1} s", took.as_secs_f64());
        done.push(Done {
            name,
            took,
            ok: outcome.is_ok(),
        });
        outcome
    };
    let cargo = |line: &str| step::cargo(root, line);
    step("fmt", &mut || step::run(&mut cargo("fmt --all --check")))?;
    step("tidy", &mut || tidy::run(root))?;
    step("layers", &mut || layers::run(root))?;
    step("licences", &mut || licences::run(root))?;
    step("room", &mut || room::run(root))?;
    step("clippy", &mut || step::run(&mut cargo(CLIPPY)))?;
    step("build", &mut || step::run(&mut cargo(BUILD)))?;
    step("tests", &mut || {
        step::run_tests(&mut step::tests(root), tally)
    })?;
    step("doc tests", &mut || {
        step::pass_on_and_count(&mut cargo(DOC_TESTS), tally)
    })
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
    println!(
        "{}; finished in {:.2}s",
        tally.result_line(ok),
        took.as_secs_f64()
    );
}
