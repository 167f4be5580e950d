//! The long run: every test named `soak` with its long settings, then the planted bugs, each of which a named
//! test must find.

use std::path::Path;

use crate::metadata;
use crate::step::{self, Tally};

/// Tests read it to choose their number of rounds.
const LONG: (&str, &str) = ("MAINSTAY_SOAK", "1");

/// Without the short run's limit on one test (`.config/nextest.toml`).
const NEXTEST_PROFILE: (&str, &str) = ("NEXTEST_PROFILE", "soak");

/// Build feature of the simulator that compiles the planted bugs in; its tests are named `planted`.
const PLANTED_FEATURE: &str = "planted-bugs";
const PLANTED_CRATE: &str = "mainstay-sim";

pub fn run(root: &Path) -> anyhow::Result<()> {
    let mut tally = Tally::default();
    println!("== soak: tests named soak, {}={}", LONG.0, LONG.1);
    let mut long_tests = step::tests(root);
    long_tests
        .arg("soak")
        .env(LONG.0, LONG.1)
        .env(NEXTEST_PROFILE.0, NEXTEST_PROFILE.1);
    step::run_tests(&mut long_tests, &mut tally)?;

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
    let line =
        format!("test --package {PLANTED_CRATE} --features {PLANTED_FEATURE} --quiet planted");
    step::run_tests(step::cargo(root, &line).env(LONG.0, LONG.1), &mut tally)?;
    println!("{}", tally.result_line(true));
    Ok(())
}
