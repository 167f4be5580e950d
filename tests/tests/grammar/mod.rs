//! The command line's grammar, read off its own help: whatever it offers is what is tried.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use mainstay_tests::{Cluster, command, mainstay_binary};

/// No refusal takes so long; whatever runs longer did not refuse.
const PATIENCE: Duration = Duration::from_secs(20);

/// A command that does something, as its help describes it.
#[derive(Debug, Clone)]
pub struct Leaf {
    pub path: Vec<String>,
    pub positionals: Vec<Positional>,
    pub flags: Vec<Flag>,
}

#[derive(Debug, Clone)]
pub struct Positional {
    /// As in the help: `REF`, `TYPE`.
    pub name: String,
    pub required: bool,
}

#[derive(Debug, Clone)]
pub struct Flag {
    pub long: String,
    /// The name of its value, if it takes one.
    pub value: Option<String>,
}

impl Leaf {
    pub fn text(&self) -> String {
        self.path.join(" ")
    }

    /// Runs, once started, until it is asked to end.
    pub fn is_daemon(&self) -> bool {
        matches!(self.path[0].as_str(), "dev" | "agent") || self.text() == "station run"
    }
}

/// A finished attempt.
#[derive(Debug)]
pub struct Attempt {
    pub words: Vec<OsString>,
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs `mainstay WORDS`; fails if it does not end by itself.
pub fn attempt(cluster: &Cluster, words: &[OsString]) -> Attempt {
    let mut child = command_of(cluster, words)
        .spawn()
        .expect("mainstay can be started");
    let begun = Instant::now();
    while child.try_wait().expect("a child can be asked").is_none() {
        if begun.elapsed() > PATIENCE {
            // It may end just now.
            let _ = child.kill();
            panic!("mainstay {words:?} did not end");
        }
        // tidy: waits because the process table is asked again
        thread::sleep(Duration::from_millis(5));
    }
    let output: Output = child.wait_with_output().expect("its output can be read");
    Attempt {
        words: words.to_vec(),
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn command_of(cluster: &Cluster, words: &[OsString]) -> Command {
    let mut command = command::command(&mainstay_binary(), cluster.home());
    command
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Every command of the program.
pub fn leaves(cluster: &Cluster) -> Vec<Leaf> {
    let mut found = Vec::new();
    let mut open = vec![Vec::<String>::new()];
    while let Some(path) = open.pop() {
        let mut words: Vec<OsString> = path.iter().map(OsString::from).collect();
        words.push("--help".into());
        let help = attempt(cluster, &words);
        assert_eq!(help.code, Some(0), "{help:?}");
        for name in entries(&help.stdout, "Commands:") {
            let mut deeper = path.clone();
            deeper.push(first_word(&name).to_owned());
            open.push(deeper);
        }
        // `dev` is a command, and has one below it.
        let usage = help.stdout.lines().find(|line| line.starts_with("Usage:"));
        if usage.is_some_and(|usage| !usage.ends_with("<COMMAND>")) {
            found.push(leaf(path, &help.stdout));
        }
    }
    found.sort_by_key(Leaf::text);
    found
}

fn leaf(path: Vec<String>, help: &str) -> Leaf {
    let positionals = entries(help, "Arguments:")
        .iter()
        .map(|entry| Positional {
            name: first_word(entry)
                .trim_end_matches('.')
                .trim_matches(['<', '>', '[', ']'])
                .to_owned(),
            required: entry.starts_with('<'),
        })
        .collect();
    let flags = entries(help, "Options:")
        .iter()
        .map(|entry| flag(entry))
        .collect();
    Leaf {
        path,
        positionals,
        flags,
    }
}

/// `-o, --output <FORMAT>  How data is printed`
fn flag(entry: &str) -> Flag {
    let words: Vec<&str> = entry
        .split("  ")
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let long = words
        .iter()
        .find(|word| word.starts_with("--"))
        .expect("each has a long form");
    let value = words.iter().find(|word| word.starts_with('<')).map(|word| {
        word.trim_end_matches('.')
            .trim_matches(['<', '>'])
            .to_owned()
    });
    Flag {
        long: (*long).to_owned(),
        value,
    }
}

/// The lines of one part of a help text, without those that only go on with a description.
fn entries(help: &str, title: &str) -> Vec<String> {
    help.lines()
        .skip_while(|line| *line != title)
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter(|line| line.len() - line.trim_start().len() <= 6)
        .map(|line| line.trim().to_owned())
        .collect()
}

fn first_word(line: &str) -> &str {
    line.split_whitespace().next().unwrap_or_default()
}

/// What is wrong with how a refusal was told; nothing if it was told well.
pub fn faults(attempt: &Attempt, codes: &[i32]) -> Option<String> {
    let mut faults = String::new();
    let mut note = |fault: &str| {
        // Writing to a text cannot fail.
        let _ = write!(faults, "{fault}; ");
    };
    if !attempt.code.is_some_and(|code| codes.contains(&code)) {
        note(&format!(
            "ended with {:?}, not one of {codes:?}",
            attempt.code
        ));
    }
    if attempt.stderr.contains("panicked at") || attempt.stdout.contains("panicked at") {
        note("it panicked");
    }
    let lines: Vec<&str> = attempt.stderr.lines().collect();
    let beginnings = ["error: ", "  why: ", "  do:  ", "  MS-"];
    let shaped = lines.windows(4).any(|four| {
        four.iter()
            .zip(beginnings)
            .all(|(line, begins)| line.starts_with(begins))
    });
    if !shaped {
        note("it was not told in four lines");
    }
    if !lines.last().is_some_and(|last| last.contains("(request ")) {
        note("no request is named");
    }
    if attempt
        .stderr
        .chars()
        .any(|one| one.is_control() && one != '\n')
    {
        note("control characters reach the terminal");
    }
    (!faults.is_empty()).then(|| format!("mainstay {:?}: {faults}\n{attempt:#?}", attempt.words))
}
