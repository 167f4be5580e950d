//! The long run: every test named `soak` with its long settings, then the planted bugs, each of which a named
//! test must find.

use std::path::Path;

use crate::metadata;
use crate::step::{self, Tally};

/// Tests read it to choose their number of rounds.
const LONG: (&str, &str) = ("MAINSTAY_SOAK", "1");

/// Build feature of the simulator that compiles the planted bugs in; its tests are named `planted`.
const PLANTED_FEATURE: &str = "planted-bugs";
const PLANTED_CRATE: &str = "mainstay-sim";

pub fn run(root: &Path) -> anyhow::Result<()> {
    let mut tally = Tally::default();
    let mut command = step::cargo(root);
    command.env(LONG.0, LONG.1);
    if step::nextest_is_there(root) {
        command.args([
            "nextest",
            "run",
            "--workspace",
            "--no-fail-fast",
            "--cargo-quiet",
            "-E",
            "test(soak)",
        ]);
    } else {
        command.args([
            "test",
            "--workspace",
            "--all-targets",
            "--no-fail-fast",
            "--quiet",
            "soak",
        ]);
    }
    println!("== soak: tests named soak, {}={}", LONG.0, LONG.1);
    count(&mut command, &mut tally)?;

    let members = metadata::members(root)?;
    let planted = members.iter().find(|member| member.name == PLANTED_CRATE);
    let has_feature = planted.is_some_and(|member| {
        member
            .features
            .iter()
            .any(|feature| feature == PLANTED_FEATURE)
    });
    anyhow::ensure!(
        has_feature,
        "{PLANTED_CRATE} has no feature `{PLANTED_FEATURE}`: no bug was planted"
    );
    println!("== soak: planted bugs");
    let args = [
        "test",
        "--package",
        PLANTED_CRATE,
        "--features",
        PLANTED_FEATURE,
        "--quiet",
        "planted",
    ];
    count(step::cargo(root).env(LONG.0, LONG.1).args(args), &mut tally)?;
    println!(
        "test result: ok. {} passed; {} failed; {} ignored",
        tally.passed, tally.failed, tally.ignored
    );
    Ok(())
}

fn count(command: &mut std::process::Command, tally: &mut Tally) -> anyhow::Result<()> {
    let (counted, outcome) = step::run_tests(command);
    tally.add(counted);
    outcome?;
    anyhow::ensure!(counted.passed > 0, "the run reported no passed test");
    Ok(())
}
