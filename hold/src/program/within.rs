//! `within`: becomes another program, in control groups that whoever wants it has made, and with limits of its own. Between
//! fork and exec there would be no other place for that in a program without unsafe code.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use super::arguments::Within;
use super::stage;

/// As shells have them.
const NOT_FOUND: u8 = 127;
const CANNOT_RUN: u8 = 126;

/// Returns only if it cannot.
pub fn run(within: &Within) -> ExitCode {
    let program = &within.command[0];
    let (doing, error) = match enter(within) {
        Ok(()) => {
            let error = Command::new(program).args(&within.command[1..]).exec();
            (format!("running {program}"), error)
        }
        Err(why) => why,
    };
    let (words, kind) = (stage::in_words(&error), error.kind());
    eprintln!("{doing}: {words}");
    ExitCode::from(match kind {
        ErrorKind::NotFound => NOT_FOUND,
        _ => CANNOT_RUN,
    })
}

fn enter(within: &Within) -> Result<(), (String, io::Error)> {
    for group in &within.groups {
        let doing = || format!("entering the control group {}", group.display());
        join(group).map_err(|error| (doing(), error))?;
    }
    for (name, limit) in &within.limits {
        stage::set_limit(name, *limit).map_err(|error| (format!("limiting its {name}"), error))?;
    }
    Ok(())
}

fn join(group: &Path) -> io::Result<()> {
    fs::write(group.join("cgroup.procs"), "0")
}
