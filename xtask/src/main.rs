//! The project's own build tasks: what CI runs, and the checks that keep style and structure true.
//!
//! ```text
//! cargo xtask ci         fmt, tidy, layers, licences, clippy, build, tests, doc tests
//! cargo xtask tidy       style as code: STYLE.md's countable rules, codes and pages, requirement rows, manifests
//! cargo xtask layers     edges between our crates against the table of ARCHITECTURE, purity of the pure crates
//! cargo xtask licences   licences, sources, bans and written waivers of everything we link
//! cargo xtask bench      every bench target of the workspace, in the dev profile
//! cargo xtask soak       the tests named soak with their long settings, then the planted bugs
//! ```
//!
//! What must hold:
//! - every cargo step uses `--workspace` and the dev profile, so one build of RocksDB serves them all;
//! - a check is a function over texts that returns problems, so each has a unit test with a bad sample;
//! - a step that fails ends the run with a non-zero exit, and the last line of `ci` is a test summary.
//!
//! Absent on purpose: no network (licences alone may ask cargo to fetch what the build needs anyway), no
//! rewriting of sources, no configuration file beside `ratchet.txt`.

mod bench;
mod cases;
mod ci;
mod layers;
mod licences;
mod metadata;
mod problem;
mod requirements;
mod room;
mod rust_source;
mod soak;
mod step;
mod tidy;
mod tree;

use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask ci | tidy | layers | licences | bench [NAME] | soak";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let task = args.next();
    let rest: Vec<String> = args.collect();
    match run(task.as_deref(), &rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Option<&str>, rest: &[String]) -> anyhow::Result<()> {
    let root = tree::root();
    match (task, rest) {
        (Some("ci"), []) => ci::run(&root),
        (Some("tidy"), []) => tidy::run(&root),
        (Some("layers"), []) => layers::run(&root),
        (Some("licences"), []) => licences::run(&root),
        (Some("bench"), names) => bench::run(&root, names),
        (Some("soak"), []) => soak::run(&root),
        _ => anyhow::bail!("{USAGE}"),
    }
}
