//! The reaper: waits until the parent has ended, then until its daemons have, then removes what it made. One that is
//! killed is followed by another that knows the same; one that is stopped does not hold up the end.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mainstay_api::{Exit, Problem};
use mainstay_protocol::limits::DEV_NOTE_BYTES_MAX;
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::process::{Signal, setsid};
use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

use super::daemon::{Asked, Died, Pace, described};
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

/// What a reaper needs at most: processes that do not end in order are killed after seconds.
const REAPED_WITHIN: Duration = Duration::from_secs(20);

/// The parent's end of the pipe.
pub struct Reaper {
    program: PathBuf,
    child: Child,
    notes: ChildStdin,
    /// What was told, for the next one.
    plan: Plan,
    daemons: Vec<ProcessId>,
}

impl Reaper {
    pub fn spawn(program: &Path, plan: Plan) -> Result<Self, Problem> {
        let (child, notes) = begin(program)?;
        let mut reaper = Self {
            program: program.to_owned(),
            child,
            notes,
            plan: plan.clone(),
            daemons: Vec::new(),
        };
        reaper.plan(plan)?;
        Ok(reaper)
    }

    /// The last plan told is the one that is carried out. Fails before anything is made that only the reaper could remove.
    pub fn plan(&mut self, plan: Plan) -> Result<(), Problem> {
        self.plan = plan.clone();
        self.tell(&Note::Plan(plan))
            .map_err(|error| machine("speak to the dev cluster's reaper", error))
    }

    /// If this one does not hear it, the next one will.
    pub fn daemon(&mut self, daemon: ProcessId) {
        self.daemons
            .retain(|known| *known != daemon && process::is_alive(*known));
        self.daemons.push(daemon);
        if self.tell(&Note::Daemon(daemon)).is_err() {
            // Gone, or stopped so long that its pipe is full.
            let _ = self.child.kill();
        }
    }

    /// The pipe's end is the sign; returns when everything is removed.
    pub fn finish(self) -> Result<(), Problem> {
        self.finish_within(REAPED_WITHIN)
    }

    fn finish_within(self, time: Duration) -> Result<(), Problem> {
        let Self {
            mut child,
            notes,
            plan,
            ..
        } = self;
        drop(notes);
        let waiting = |error| machine("wait for the dev cluster's reaper", error);
        if let Some(reaper) = process::open(process::of_child(child.id())) {
            // One that somebody stopped would never come to it.
            process::signal(&reaper, Signal::CONT);
            if !process::ended_within(&reaper, time) {
                child.kill().map_err(waiting)?;
            }
        }
        let status = child.wait().map_err(waiting)?;
        if status.success() {
            return Ok(());
        }
        if status.signal().is_some() {
            // Killed: what it left undone is done here. The daemons have ended.
            return clean(&plan);
        }
        Err(machine(
            "remove what the dev cluster made",
            format!("its reaper {}", described(status)),
        )
        .to_do("mainstay dev stop"))
    }

    /// How it ended, if it did; nobody asked it to.
    fn ended(&mut self) -> Result<Option<String>, Problem> {
        let status = self
            .child
            .try_wait()
            .map_err(|error| machine("look after the dev cluster's reaper", error))?;
        Ok(status.map(described))
    }

    /// Another one in its place. One that ends before it was told everything is replaced again.
    fn replace(&mut self) -> Result<(), Problem> {
        (self.child, self.notes) = begin(&self.program)?;
        let daemons = self.daemons.iter().copied().map(Note::Daemon);
        for note in std::iter::once(Note::Plan(self.plan.clone())).chain(daemons) {
            if write(&mut self.notes, &note).is_err() {
                let _ = self.child.kill();
            }
        }
        Ok(())
    }

    fn tell(&mut self, note: &Note) -> io::Result<()> {
        write(&mut self.notes, note)
    }
}

/// Until asked to end: a reaper that ends is followed by the next.
pub async fn keep_reaping(
    reaper: Arc<Mutex<Reaper>>,
    mut asked: watch::Receiver<Asked>,
    died: mpsc::Sender<Died>,
) -> Result<(), Problem> {
    let reaper = || {
        reaper
            .lock()
            .expect("nobody panics while telling the reaper")
    };
    let mut children = signal(SignalKind::child())
        .map_err(|error| machine("look after the dev cluster's reaper", error))?;
    let mut pace = Pace::default();
    pace.begins();
    while *asked.borrow_and_update() == Asked::Run {
        let ended = reaper().ended()?;
        let Some(how) = ended else {
            tokio::select! {
                _ = children.recv() => continue,
                _ = asked.changed() => break,
            }
        };
        let told = pace.died("the reaper", how);
        let again_in = told.again_in;
        // Where nobody listens any more, the end was asked for.
        let _ = died.send(told).await;
        tokio::select! {
            () = tokio::time::sleep(again_in) => {}
            _ = asked.changed() => break,
        }
        reaper().replace()?;
        pace.begins();
    }
    Ok(())
}

fn begin(program: &Path) -> Result<(Child, ChildStdin), Problem> {
    let doing = |error| machine(format!("start {} dev-reaper", program.display()), error);
    let mut child = Command::new(program)
        .arg("dev-reaper")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(doing)?;
    let notes = child
        .stdin
        .take()
        .expect("its input was asked to be a pipe");
    // Nobody waits for a reaper that does not read.
    fcntl_setfl(&notes, OFlags::NONBLOCK).map_err(|error| doing(error.into()))?;
    Ok((child, notes))
}

fn write(notes: &mut ChildStdin, note: &Note) -> io::Result<()> {
    let mut line = serde_json::to_vec(note).expect("notes are plain data");
    line.push(b'\n');
    notes.write_all(&line)
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
        outside::take_away_secrets(directory);
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
    use std::os::unix::fs::PermissionsExt;

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
            sockets: vec![PathBuf::from("/nowhere")],
            stations: Vec::new(),
            identity: None,
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

    /// A program that neither reads nor ends.
    fn deaf(directory: &Path) -> PathBuf {
        let program = directory.join("deaf");
        fs::write(&program, "#!/bin/sh\nexec sleep 1000\n").unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
        program
    }

    #[test]
    fn what_a_reaper_does_not_do_in_time_its_parent_does() {
        let directory = tempfile::tempdir().unwrap();
        let tree = directory.path().join("tree");
        let plan = plan(&directory.path().join("home"), tree.clone());
        fs::create_dir(&tree).unwrap();
        let reaper = Reaper::spawn(&deaf(directory.path()), plan).unwrap();
        let child = process::open(process::of_child(reaper.child.id())).unwrap();
        reaper.finish_within(Duration::from_millis(50)).unwrap();
        assert!(!tree.exists());
        assert!(process::ended_within(&child, Duration::ZERO));
    }

    #[test]
    fn a_reaper_that_reads_nothing_does_not_hold_up_its_parent_and_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let home = directory.path().join("home");
        let plan = plan(&home, directory.path().join("tree"));
        let mut reaper = Reaper::spawn(&deaf(directory.path()), plan.clone()).unwrap();
        let first = process::open(process::of_child(reaper.child.id())).unwrap();
        // A pipe has room for 64 KiB.
        for _ in 0..4_000 {
            reaper.daemon(process::own());
        }
        assert!(process::ended_within(&first, Duration::from_secs(10)));
        assert_eq!(reaper.ended().unwrap().unwrap(), "was ended by signal 9");
        // The next one is told of those that still live, once.
        assert_eq!(reaper.daemons, [process::own()]);
        reaper.replace().unwrap();
        assert_eq!(reaper.ended().unwrap(), None);
        reaper.finish_within(Duration::ZERO).unwrap();
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
