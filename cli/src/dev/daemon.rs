//! One daemon of a dev cluster: spawned so that it dies with its parent, started again when it ends, asked to end,
//! and killed if it does not.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mainstay_api::{Exit, Problem};
use rustix::process::{Pid, Signal, getppid, kill_process, set_parent_process_death_signal};
use tokio::process::Child;
use tokio::sync::{mpsc, watch};

use super::reaper::Reaper;
use crate::arguments::DaemonArguments;
use crate::outcome::{Outcome, machine};
use crate::process;

/// Between the end of a daemon and its next start.
const RESTART_FIRST: Duration = Duration::from_millis(100);
const RESTART_MAX: Duration = Duration::from_secs(5);
/// Having run so long, a daemon starts again at once when it ends.
const SETTLED: Duration = Duration::from_secs(10);
/// An agent stops its services when it is asked to end; they have their own stop deadlines.
const END_PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Clone)]
pub struct Daemon {
    pub name: String,
    /// This program, which ties the daemon to its parent before it becomes the daemon's.
    pub launcher: PathBuf,
    pub program: PathBuf,
    pub arguments: Vec<OsString>,
    pub log: PathBuf,
}

/// What is asked of all daemons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asked {
    Run,
    End,
    Kill,
}

/// A daemon ended unasked.
#[derive(Debug)]
pub struct Died {
    pub name: String,
    pub how: String,
    /// How often in a row, without having settled.
    pub times: u32,
    pub again_in: Duration,
}

/// How soon what ends again and again is started anew.
#[derive(Debug, Default)]
pub(super) struct Pace {
    began: Option<Instant>,
    times: u32,
}

impl Pace {
    pub(super) fn begins(&mut self) {
        self.began = Some(Instant::now());
    }

    pub(super) fn died(&mut self, name: &str, how: String) -> Died {
        let settled = self.began.is_some_and(|began| began.elapsed() >= SETTLED);
        self.times = if settled { 1 } else { self.times + 1 };
        Died {
            name: name.to_owned(),
            how,
            times: self.times,
            again_in: RESTART_FIRST
                .saturating_mul(1 << (self.times - 1).min(16))
                .min(RESTART_MAX),
        }
    }
}

/// `dev-daemon`: from here on the kernel kills this process when the parent's main thread ends.
pub fn become_daemon(arguments: &DaemonArguments) -> Outcome {
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| machine("tie a daemon to its parent", error))?;
    // A parent that ended before the line above took its signal with it.
    let parent = getppid().map(|pid| pid.as_raw_nonzero().get().unsigned_abs());
    if parent != Some(arguments.parent) {
        return Ok(Exit::Ok);
    }
    let (program, rest) = arguments
        .program
        .split_first()
        .expect("the command line asks for a program");
    let error = Command::new(program).args(rest).exec();
    Err(machine(format!("run {}", program.to_string_lossy()), error))
}

impl Daemon {
    /// Until asked to end. Only a failure to spawn ends it earlier.
    pub async fn keep_running(
        self,
        reaper: Arc<Mutex<Reaper>>,
        mut asked: watch::Receiver<Asked>,
        died: mpsc::Sender<Died>,
    ) -> Result<(), Problem> {
        let mut pace = Pace::default();
        loop {
            if *asked.borrow_and_update() != Asked::Run {
                return Ok(());
            }
            let mut child = self.spawn(&reaper)?;
            pace.begins();
            let how = tokio::select! {
                how = child.wait() => how,
                _ = asked.changed() => return end(child, asked).await,
            };
            let how = how.map_or_else(|error| error.to_string(), described);
            let told = pace.died(&self.name, how);
            let again_in = told.again_in;
            // Where nobody listens any more, the end was asked for.
            let _ = died.send(told).await;
            tokio::select! {
                () = tokio::time::sleep(again_in) => {}
                _ = asked.changed() => return Ok(()),
            }
        }
    }

    fn spawn(&self, reaper: &Mutex<Reaper>) -> Result<Child, Problem> {
        let doing = |error: std::io::Error| machine(format!("start {}", self.name), error);
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .map_err(doing)?;
        let mut command = Command::new(&self.launcher);
        command
            .arg("dev-daemon")
            .arg("--parent")
            .arg(std::process::id().to_string())
            .arg("--")
            .arg(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(doing)?)
            .stderr(log)
            // The terminal's Ctrl-C is for the parent, which ends its daemons in its own way.
            .process_group(0);
        let child = tokio::process::Command::from(command)
            .spawn()
            .map_err(doing)?;
        if let Some(pid) = child.id() {
            let mut reaper = reaper
                .lock()
                .expect("nobody panics while telling the reaper");
            reaper.daemon(process::of_child(pid));
        }
        Ok(child)
    }
}

/// Asks, waits, kills, confirms.
async fn end(mut child: Child, mut asked: watch::Receiver<Asked>) -> Result<(), Problem> {
    let pid = child
        .id()
        .and_then(|pid| i32::try_from(pid).ok())
        .and_then(Pid::from_raw);
    if *asked.borrow_and_update() == Asked::End {
        if let Some(pid) = pid {
            // It may have ended by itself; it is not waited for yet, so the number is still its own.
            let _ = kill_process(pid, Signal::TERM);
        }
        tokio::select! {
            _ = child.wait() => return Ok(()),
            () = tokio::time::sleep(END_PATIENCE) => {}
            _ = asked.changed() => {}
        }
    }
    child
        .kill()
        .await
        .map_err(|error| machine("kill a daemon", error))
}

pub(super) fn described(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}
