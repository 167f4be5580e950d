//! One outside command of a task: run in the root, its output passed on as it comes, its tests counted.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;

use anyhow::Context;

/// What a test runner's summary lines add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub passed: u64,
    pub failed: u64,
    pub ignored: u64,
}

impl Tally {
    pub fn add(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
    }

    /// In the form of cargo's own summary, so that whoever reads test output can read this too.
    pub fn result_line(&self, ok: bool) -> String {
        let verdict = if ok { "ok" } else { "FAILED" };
        let Self {
            passed,
            failed,
            ignored,
        } = self;
        format!(
            "test result: {verdict}. {passed} passed; {failed} failed; {ignored} ignored; 0 measured; 0 filtered out"
        )
    }
}

/// Cargo in `root` with the words of `line`, without what `cargo run` told us about this package: build
/// scripts of others must not see it, or they would be run again.
pub fn cargo(root: &Path, line: &str) -> Command {
    let mut command = Command::new("cargo");
    command
        .current_dir(root)
        .stdin(Stdio::null())
        .args(line.split(' '));
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if [
            "CARGO_PKG_",
            "CARGO_MANIFEST_",
            "CARGO_BIN_",
            "CARGO_CRATE_",
        ]
        .iter()
        .any(|own| name.starts_with(own))
        {
            command.env_remove(&*name);
        }
    }
    command
}

/// Every test of the workspace; a word added to it chooses by name. nextest runs each test in a process of its
/// own and ends one that hangs; without it cargo runs them. Benches are left out: cargo would really run them.
pub fn tests(root: &Path) -> Command {
    let mut asked = cargo(root, "nextest --version");
    let there = asked
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    let line = if there {
        "nextest run --workspace --no-fail-fast --cargo-quiet --status-level slow --final-status-level fail"
    } else {
        "test --workspace --lib --bins --tests --no-fail-fast --quiet"
    };
    cargo(root, line)
}

/// Runs the command to its end; an unsuccessful exit is an error that names the command.
pub fn run(command: &mut Command) -> anyhow::Result<()> {
    let line = command_line(command);
    let status = command
        .status()
        .with_context(|| format!("starting `{line}`"))?;
    anyhow::ensure!(status.success(), "`{line}` failed ({status})");
    Ok(())
}

/// A test run; one that passed nothing proves nothing, however green it looks.
pub fn run_tests(command: &mut Command, tally: &mut Tally) -> anyhow::Result<()> {
    let mut counted = Tally::default();
    let outcome = pass_on_and_count(command, &mut counted);
    tally.add(counted);
    outcome?;
    anyhow::ensure!(
        counted.passed > 0,
        "`{}` reported no passed test",
        command_line(command)
    );
    Ok(())
}

/// As `run`, and adds what the runner counted, also when it failed.
pub fn pass_on_and_count(command: &mut Command, tally: &mut Tally) -> anyhow::Result<()> {
    let line = command_line(command);
    let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped
        .spawn()
        .with_context(|| format!("starting `{line}`"))?;
    let out = child.stdout.take().expect("stdout is piped");
    let err = child.stderr.take().expect("stderr is piped");
    let counted = Mutex::new(Tally::default());
    std::thread::scope(|scope| {
        scope.spawn(|| pass_on(out, std::io::stdout(), &counted));
        scope.spawn(|| pass_on(err, std::io::stderr(), &counted));
    });
    tally.add(counted.into_inner().expect("no reader panicked"));
    let status = child
        .wait()
        .with_context(|| format!("waiting for `{line}`"))?;
    anyhow::ensure!(status.success(), "`{line}` failed ({status})");
    Ok(())
}

/// Bytes, not text: a test may print anything.
fn pass_on(from: impl Read, mut to: impl Write, tally: &Mutex<Tally>) {
    for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
        if let Some(counted) = summary(&String::from_utf8_lossy(&line)) {
            tally.lock().expect("no reader panicked").add(counted);
        }
        // A closed terminal is no reason to stop counting.
        let _ = to.write_all(&line).and_then(|()| to.write_all(b"\n"));
    }
}

fn command_line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Reads `test result: ok. 3 passed; 0 failed; 1 ignored; ..` of cargo and
/// `Summary [ 1.2s] 3 tests run: 2 passed (1 slow), 1 failed, 1 skipped` of nextest.
fn summary(line: &str) -> Option<Tally> {
    let plain = without_colours(line);
    let counts = match plain.trim().strip_prefix("test result:") {
        Some(rest) => rest.split_once(". ")?.1,
        None => {
            plain
                .trim()
                .strip_prefix("Summary [")?
                .split_once(" run: ")?
                .1
        }
    };
    let mut tally = Tally::default();
    for part in counts.split([';', ',']) {
        let mut words = part.split_whitespace();
        let (Some(number), Some(what)) = (words.next(), words.next()) else {
            continue;
        };
        let Ok(number) = number.parse::<u64>() else {
            continue;
        };
        match what {
            "passed" => tally.passed += number,
            "failed" | "timed" | "exec" => tally.failed += number,
            "ignored" => tally.ignored += number,
            // nextest's "skipped" are those the name did not choose.
            _ => {}
        }
    }
    Some(tally)
}

fn without_colours(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            chars.by_ref().find(|c| c.is_ascii_alphabetic());
        } else {
            plain.push(c);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_of_both_runners_are_counted() {
        let cargo = "test result: FAILED. 3 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.1s";
        assert_eq!(
            summary(cargo),
            Some(Tally {
                passed: 3,
                failed: 1,
                ignored: 2
            })
        );
        let nextest = "     \u{1b}[32mSummary\u{1b}[0m [   1.5s] 5 tests run: 3 passed (1 slow), 1 failed, 1 timed out, 4 skipped";
        assert_eq!(
            summary(nextest),
            Some(Tally {
                passed: 3,
                failed: 2,
                ignored: 0
            })
        );
    }

    #[test]
    fn other_lines_are_not_counted() {
        assert_eq!(summary("test a::b ... ok"), None);
        assert_eq!(summary("Summary of the day: 3 passed"), None);
    }
}
