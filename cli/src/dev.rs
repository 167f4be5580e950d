//! `dev`: a whole cluster on this machine, of real processes, that leaves nothing behind.
//!
//! ```text
//!   mainstay dev (parent) --pipe--> reaper      outlives the parent; at the pipe's end it waits for the daemons'
//!      |        |                               end and removes sockets, directories and the context
//!      v        v
//!   stations  agents n1..nN                     killed by the kernel when the parent's main thread ends
//! ```
//!
//! What must hold:
//! - However the parent ends (Ctrl-C, `dev stop`, kill -9), no process, socket or directory stays, nor what the nodes'
//!   outside processes are. There is one way of cleaning up, the reaper's, and it is taken every time.
//! - The reaper knows what to remove before the first of it is made. One that is killed is followed by another; if there is
//!   none at the end, or it was stopped, the parent does the same itself.
//! - Daemons are spawned by the parent's main thread, because the kernel ties a death signal to the thread that
//!   forked.

mod daemon;
mod demo;
mod detach;
mod identities;
mod layout;
mod lock;
mod logs;
mod outside;
mod parent;
mod ready;
mod reaper;
mod report;
mod stations;
mod stop;

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use mainstay_api::Problem;

use crate::app::App;
use crate::arguments::{DevArguments, DevCommand};
use crate::outcome::{Outcome, usage};

pub use daemon::become_daemon;
pub use reaper::run as run_reaper;

/// Runs on the calling thread, which must be the one that lives as long as the process: the main thread.
pub fn run(app: &mut App<'_>, arguments: &DevArguments) -> Outcome {
    if let Some(DevCommand::Stop) = arguments.command {
        return stop::run(app);
    }
    for (flag, program) in [
        ("--agent-bin", &arguments.agent_bin),
        ("--station-bin", &arguments.station_bin),
    ] {
        if let Some(program) = program {
            runnable(flag, program)?;
        }
    }
    if arguments.detach {
        return detach::run();
    }
    if let Some(advice) = even(arguments.stations) {
        app.console.say(&advice);
    }
    parent::run(app, arguments)
}

/// Said at once: a daemon that cannot be run would be tried again and again. A name alone is looked up in PATH.
fn runnable(flag: &str, program: &Path) -> Result<(), Problem> {
    let what = || format!("start a dev cluster with {flag} {}", program.display());
    let wrong = |why: String| Err(usage(what(), why).to_do("mainstay dev --help"));
    let looked_up = program.components().count() == 1 && !program.starts_with(".");
    let found = match env::var_os("PATH").filter(|_| looked_up) {
        Some(path) => env::split_paths(&path)
            .map(|directory| directory.join(program))
            .find(|candidate| candidate.is_file()),
        None => Some(program.to_owned()),
    };
    let Some(found) = found else {
        return wrong(format!("no directory of PATH has {}", program.display()));
    };
    match fs::metadata(&found) {
        Err(error) => wrong(format!("{}: {error}", found.display())),
        Ok(meta) if !meta.is_file() || meta.permissions().mode() & 0o111 == 0 => {
            wrong(format!("{} is no program", found.display()))
        }
        Ok(_) => Ok(()),
    }
}

/// A majority of an even number is as large as that of one more.
fn even(stations: u16) -> Option<String> {
    let lost = |stations: u16| (stations - 1) / 2;
    stations.is_multiple_of(2).then(|| {
        let (one_fewer, bears) = (stations - 1, lost(stations));
        match bears {
            0 => format!("{stations} stations bear no loss, as {one_fewer}; 3 bear that of one"),
            _ => format!("{stations} stations bear the loss of {bears}, as {one_fewer}"),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_even_number_of_stations_is_advised_against() {
        assert_eq!([1, 3, 5].map(even), [None, None, None]);
        let said = [2, 4].map(|stations| even(stations).unwrap());
        assert_eq!(
            said,
            [
                "2 stations bear no loss, as 1; 3 bear that of one",
                "4 stations bear the loss of 1, as 3"
            ]
        );
    }

    #[test]
    fn a_program_that_cannot_be_run_is_named_at_once() {
        for bad in ["/nonexistent", "no-such-program-anywhere", "/"] {
            let problem = runnable("--agent-bin", Path::new(bad)).unwrap_err();
            assert_eq!(problem.exit, mainstay_api::Exit::Usage, "{problem}");
            assert!(problem.why.contains(bad), "{problem}");
        }
        runnable("--agent-bin", Path::new("sh")).unwrap();
        runnable("--agent-bin", &env::current_exe().unwrap()).unwrap();
    }
}
