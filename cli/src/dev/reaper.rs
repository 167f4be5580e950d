//! The reaper: waits until the parent has ended, then until its daemons have, then removes what it made.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use mainstay_api::{Exit, Problem};
use mainstay_protocol::limits::DEV_NOTE_BYTES_MAX;
use rustix::process::{Signal, setsid};
use serde::{Deserialize, Serialize};

use super::layout::Removal;
use super::lock::DevLock;
use super::outside;
use crate::home::{DEV, Home, ProcessId};
use crate::outcome::{Outcome, machine};
use crate::process;

/// What the parent tells, a line each: the plan first, then every daemon it spawns.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Note {
    Plan(Plan),
    Daemon(ProcessId),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub parent: ProcessId,
    pub removal: Removal,
    /// Where the nodes have their data; none before anything was started.
    pub directory: Option<PathBuf>,
    pub home: PathBuf,
    /// The home's directory was not there before.
    pub home_made: bool,
    pub previous: Option<String>,
}

/// A daemon is killed by the kernel together with its parent; one that is still there after this is killed again.
const KILLED_AFTER: Duration = Duration::from_secs(2);

/// The parent's end of the pipe.
pub struct Reaper {
    child: Child,
    notes: ChildStdin,
}

impl Reaper {
    pub fn spawn(program: &Path, plan: Plan) -> Result<Self, Problem> {
        let mut child = Command::new(program)
            .arg("dev-reaper")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| machine(format!("start {} dev-reaper", program.display()), error))?;
        let notes = child
            .stdin
            .take()
            .expect("its input was asked to be a pipe");
        let mut reaper = Self { child, notes };
        reaper.plan(plan)?;
        Ok(reaper)
    }

    /// The last plan told is the one that is carried out.
    pub fn plan(&mut self, plan: Plan) -> Result<(), Problem> {
        self.tell(&Note::Plan(plan))
    }

    pub fn daemon(&mut self, daemon: ProcessId) -> Result<(), Problem> {
        self.tell(&Note::Daemon(daemon))
    }

    /// The pipe's end is the sign; returns when everything is removed.
    pub fn finish(self) -> Result<(), Problem> {
        let Self { mut child, notes } = self;
        drop(notes);
        let status = child
            .wait()
            .map_err(|error| machine("wait for the dev cluster's reaper", error))?;
        if status.success() {
            return Ok(());
        }
        Err(machine(
            "remove what the dev cluster made",
            format!("its reaper ended with {status}"),
        )
        .to_do("mainstay dev stop"))
    }

    fn tell(&mut self, note: &Note) -> Result<(), Problem> {
        let mut line = serde_json::to_vec(note).expect("notes are plain data");
        line.push(b'\n');
        self.notes
            .write_all(&line)
            .map_err(|error| machine("speak to the dev cluster's reaper", error))
    }
}

/// `dev-reaper`.
pub fn run() -> Outcome {
    // Away from the terminal: neither its Ctrl-C nor its end is meant for the one that cleans up.
    // Fails only for a leader of a process group, which is then away already.
    let _ = setsid();
    let (plan, daemons) = listen(BufReader::new(io::stdin()));
    let Some(plan) = plan else {
        return Ok(Exit::Ok);
    };
    for daemon in daemons {
        if !process::ended_within(&daemon, KILLED_AFTER) {
            process::signal(&daemon, Signal::KILL);
            process::ended_within(&daemon, KILLED_AFTER);
        }
    }
    clean(&plan).map(|()| Exit::Ok)
}

/// Until the parent's end. A line cut short by it is none.
fn listen(mut notes: impl BufRead) -> (Option<Plan>, Vec<OwnedFd>) {
    let mut plan = None;
    let mut daemons = Vec::new();
    loop {
        let mut line = Vec::new();
        let read = (&mut notes)
            .take(DEV_NOTE_BYTES_MAX)
            .read_until(b'\n', &mut line);
        if !matches!(read, Ok(bytes) if bytes > 0) {
            return (plan, daemons);
        }
        match serde_json::from_slice(&line) {
            Ok(Note::Plan(told)) => plan = Some(told),
            Ok(Note::Daemon(daemon)) => {
                daemons.retain(|known| !process::ended_within(known, Duration::ZERO));
                daemons.extend(process::open(daemon));
            }
            Err(_) => {}
        }
    }
}

/// Ends what outlives agents, removes what the plan says, and the context if it is still this cluster's.
pub fn clean(plan: &Plan) -> Result<(), Problem> {
    if let Some(directory) = &plan.directory {
        outside::end_all(directory);
    }
    let complaints = plan.removal.carry_out();
    let home = Home::at(&plan.home);
    // Whoever has the lock now has written a context of its own.
    if let Some(lock) = DevLock::try_take(&home.dev_lock())? {
        let ours = home
            .context(DEV)?
            .and_then(|context| context.dev)
            .is_none_or(|dev| dev.parent == plan.parent);
        if ours {
            home.forget(DEV, plan.previous.as_deref())?;
        }
        lock.remove();
        if plan.home_made {
            // Not empty: somebody else has put something there.
            let _ = fs::remove_dir(&plan.home);
        }
    }
    if complaints.is_empty() {
        return Ok(());
    }
    Err(machine(
        "remove what the dev cluster made",
        complaints.join("; "),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::home::{Context, DevCluster};

    fn plan(home: &Path, tree: PathBuf) -> Plan {
        Plan {
            parent: ProcessId { pid: 1, started: 7 },
            removal: Removal {
                trees: vec![tree],
                files: Vec::new(),
                empty_directories: Vec::new(),
            },
            directory: None,
            home: home.to_owned(),
            home_made: true,
            previous: Some("prod".to_owned()),
        }
    }

    fn context(parent: ProcessId) -> Context {
        Context {
            name: DEV.to_owned(),
            socket: PathBuf::from("/nowhere"),
            dev: Some(DevCluster {
                parent,
                directory: PathBuf::from("/nowhere"),
                runtime: PathBuf::from("/nowhere"),
                previous: None,
            }),
        }
    }

    #[test]
    fn notes_are_read_until_the_end_and_a_torn_line_is_none() {
        let plan = plan(Path::new("/h"), PathBuf::from("/t"));
        let mut text = serde_json::to_vec(&Note::Plan(plan.clone())).unwrap();
        text.push(b'\n');
        text.extend(serde_json::to_vec(&Note::Daemon(process::own())).unwrap());
        text.extend(b"\n{\"daemon\":{\"pid\":12");
        let (heard, daemons) = listen(text.as_slice());
        assert_eq!(heard, Some(plan));
        assert_eq!(daemons.len(), 1);
    }

    #[test]
    fn cleaning_leaves_no_directory_and_restores_the_previous_context() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::at(directory.path().join("home"));
        let plan = plan(home.directory(), directory.path().join("tree"));
        fs::create_dir(directory.path().join("tree")).unwrap();
        home.write(&context(plan.parent)).unwrap();
        home.make_current(DEV).unwrap();
        clean(&plan).unwrap();
        assert_eq!(home.current().unwrap().as_deref(), Some("prod"));
        assert!(home.context(DEV).unwrap().is_none() && !directory.path().join("tree").exists());

        home.forget("prod", None).unwrap();
        clean(&plan).unwrap();
        assert!(
            !home.directory().exists(),
            "an empty home of our making goes too"
        );
    }

    #[test]
    fn the_context_of_a_successor_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::at(directory.path());
        let successor = ProcessId { pid: 2, started: 9 };
        home.write(&context(successor)).unwrap();
        clean(&plan(home.directory(), directory.path().join("tree"))).unwrap();
        assert!(home.context(DEV).unwrap().is_some());
    }
}
