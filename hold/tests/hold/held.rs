//! One real hold in a directory of its own.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use mainstay_hold::{
    Client, Event, Exit, Fields, Phase, ProcessId, Request, Slot, Spec, State, processes,
};
use rustix::process::Signal;
use tempfile::TempDir;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_mainstay-hold");
/// A test that waits longer has found a defect.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub struct Held {
    pub slot: Slot,
    pub hold: Child,
    pub up: String,
    dir: TempDir,
}

pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(began.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}");
        // tidy: waits because files and /proc tell nobody when they change
        sleep(Duration::from_millis(5));
    }
}

pub fn spec(command: &[&str]) -> Spec {
    Spec {
        instance: "web@n1".to_owned(),
        incarnation: "0-1-1".to_owned(),
        command: command.iter().map(|word| (*word).to_owned()).collect(),
        environment: vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())],
        ..Spec::default()
    }
}

pub fn shell(script: &str) -> Spec {
    spec(&["/bin/sh", "-c", script])
}

impl Held {
    pub fn start(spec: &Spec) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self::start_in(dir, spec)
    }

    /// In a path that is longer than a socket's address may be.
    pub fn start_in(dir: TempDir, spec: &Spec) -> Self {
        let path = dir.path().join("x".repeat(120)).join("slots").join("web");
        let slot = Slot::make(&path).unwrap();
        slot.write_spec(spec).unwrap();
        let (hold, up) = launch(&slot);
        Self {
            slot,
            hold,
            up,
            dir,
        }
    }

    pub fn client(&self) -> Client {
        Client::connect(&self.slot, PATIENCE).unwrap()
    }

    pub fn ask(&self, request: &Request) -> Event {
        self.client().ask(request).unwrap()
    }

    pub fn state(&self) -> State {
        match self.ask(&Request::State) {
            Event::State(state) => state,
            other => panic!("{other:?}"),
        }
    }

    pub fn until_state(&self, what: &str, wanted: impl Fn(&State) -> bool) -> State {
        until(what, || Some(self.state()).filter(|state| wanted(state)))
    }

    pub fn running(&self) -> ProcessId {
        let state = self.until_state("it runs", |state| state.phase == Phase::Running);
        state.process.unwrap()
    }

    /// The exit file, and the hold gone.
    pub fn ended(&mut self) -> Exit {
        let status = until("the hold's end", || self.hold.try_wait().unwrap());
        assert!(status.success(), "{status}");
        self.slot
            .exit()
            .unwrap()
            .expect("it was written before the end")
    }

    pub fn signal(&self, signal: Signal) {
        assert!(processes::signal(self.running(), signal));
    }

    pub fn log(&self) -> String {
        let mut files: BTreeMap<u64, PathBuf> = BTreeMap::new();
        for entry in fs::read_dir(self.slot.log_directory()).unwrap() {
            let path = entry.unwrap().path();
            let number = path.extension().unwrap().to_str().unwrap().parse();
            files.insert(number.unwrap_or(u64::MAX), path);
        }
        // One that was rotated away meanwhile says nothing.
        let texts = files.values().map(fs::read_to_string);
        texts.map(Result::unwrap_or_default).collect()
    }

    /// Looked at from outside: by the mark, and by the session.
    pub fn left(&self) -> Vec<ProcessId> {
        processes::left_behind(self.slot.path(), None)
    }

    /// A file outside the slot, for scripts to say something.
    pub fn notes(dir: &TempDir) -> String {
        dir.path().join("notes").display().to_string()
    }

    pub fn directory(&self) -> &TempDir {
        &self.dir
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.hold.kill();
        let _ = self.hold.wait();
        processes::clear(self.slot.path(), None, PATIENCE);
    }
}

/// Starts the program on a slot; the line it says.
pub fn launch(slot: &Slot) -> (Child, String) {
    let mut hold = Command::new(PROGRAM)
        .args(["run", "--slot"])
        .arg(slot.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    // To the end, which comes when the hold has let go of what it was given.
    let mut said = BufReader::new(hold.stdout.take().unwrap());
    while said.read_line(&mut line).unwrap() > 0 {}
    (hold, line.trim().to_owned())
}

pub fn said(line: &str) -> (String, Fields) {
    let (word, fields) = Fields::from_line(line).unwrap();
    (word.to_owned(), fields)
}
