//! A cluster as `mainstay dev` makes it, with a home and a runtime directory of its own.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::command::{self, Run};
use crate::nats::NatsServer;
use crate::outside;
use crate::until::until;

/// How to start it; the default is three nodes and one station without the demo.
#[derive(Debug, Clone)]
pub struct DevOptions {
    pub nodes: usize,
    pub stations: u16,
    pub demo: bool,
    pub program: PathBuf,
    pub agent_bin: Option<PathBuf>,
    pub station_bin: Option<PathBuf>,
    pub extra: Vec<String>,
    /// Its stations have a NATS server of its own for their queue.
    pub nats: bool,
}

impl Default for DevOptions {
    fn default() -> Self {
        Self {
            nodes: 3,
            stations: 1,
            demo: false,
            program: command::mainstay_binary(),
            agent_bin: None,
            station_bin: None,
            extra: Vec::new(),
            nats: false,
        }
    }
}

/// A running `mainstay dev`. Dropped, it is killed -9: nothing must be left even then.
#[derive(Debug)]
pub struct Cluster {
    home: TempDir,
    program: PathBuf,
    parent: Child,
    /// What the parent printed until it was ready.
    pub said: String,
    pub ready_after: Duration,
    rest: Option<BufReader<ChildStdout>>,
    /// Its stations' queue, if it is outside.
    pub nats: Option<NatsServer>,
}

impl Cluster {
    pub fn dev() -> Self {
        Self::with(&DevOptions::default())
    }

    pub fn with(options: &DevOptions) -> Self {
        // Short, because a socket's path has 107 bytes at most.
        let home = tempfile::Builder::new()
            .prefix("ms")
            .tempdir()
            .expect("a temporary directory");
        let mut command = command::command(&options.program, home.path());
        command
            .arg("dev")
            .arg("--nodes")
            .arg(options.nodes.to_string())
            .arg("--stations")
            .arg(options.stations.to_string());
        if !options.demo {
            command.arg("--no-demo");
        }
        for (flag, path) in [
            ("--agent-bin", &options.agent_bin),
            ("--station-bin", &options.station_bin),
        ] {
            if let Some(path) = path {
                command.arg(flag).arg(path);
            }
        }
        let nats = options.nats.then(NatsServer::start);
        let log = std::fs::File::create(home.path().join("dev.log")).expect("a log file");
        let begun = Instant::now();
        let mut parent = command
            .args(&options.extra)
            .envs(nats.iter().map(|nats| ("MAINSTAY_NATS", nats.servers())))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("mainstay dev can be started");
        let mut rest = BufReader::new(parent.stdout.take().expect("its output is piped"));
        let said = read_until_ready(&mut rest, home.path());
        Self {
            home,
            program: options.program.clone(),
            parent,
            said,
            ready_after: begun.elapsed(),
            rest: Some(rest),
            nats,
        }
    }

    pub fn home(&self) -> &Path {
        self.home.path()
    }

    pub fn parent_pid(&self) -> u32 {
        self.parent.id()
    }

    /// Runs `mainstay ARGUMENTS` in this cluster's home.
    pub fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Run {
        command::run_program(&self.program, self.home.path(), arguments)
    }

    /// The same from a line as it is typed; words in single quotes stay together.
    pub fn sh(&self, line: &str) -> Run {
        self.run(&words(line))
    }

    /// `mainstay get instances REF -o json`, its one object.
    pub fn instance(&self, reference: &str) -> Option<Value> {
        let run = self.run(&["get", "instances", reference, "-o", "json"]);
        if run.code != Some(0) {
            return None;
        }
        match run.json() {
            Value::Array(list) => list.into_iter().next(),
            other => Some(other),
        }
    }

    /// The first station's socket for the API.
    pub fn api_socket(&self) -> PathBuf {
        outside::files_below(self.home.path())
            .into_iter()
            .find(|path| path.ends_with("s1.api.sock"))
            .expect("a running cluster has one below its runtime directory")
    }

    /// Waits until an instance is in a state, and returns it.
    pub fn until_state(&self, reference: &str, state: &str) -> Value {
        let found = until(
            &format!("{reference} is {state}"),
            || self.instance(reference),
            |instance| {
                instance
                    .as_ref()
                    .is_some_and(|instance| instance["state"] == state)
            },
        );
        found.expect("the condition holds for something only")
    }

    /// Pids of the daemons by their role, as the process table shows them: children of the parent.
    pub fn daemon(&self, role: &str) -> Vec<u32> {
        outside::processes()
            .into_iter()
            .filter(|process| {
                process.parent == self.parent.id() && process.arguments.contains(role)
            })
            .map(|process| process.pid)
            .collect()
    }

    /// The agent process of a node; when it is there again, if it is just being started.
    pub fn agent_pid(&self, node: &str) -> u32 {
        let pids = crate::until(
            &format!("one agent of {node}"),
            || self.agent_pids(node),
            |pids| pids.len() == 1,
        );
        pids[0]
    }

    /// None while it is started again.
    pub fn agent_pids(&self, node: &str) -> Vec<u32> {
        outside::processes()
            .into_iter()
            .filter(|process| process.parent == self.parent.id())
            .filter(|process| {
                let words: Vec<&str> = process.arguments.split('\0').collect();
                words.windows(2).any(|pair| pair == ["agent", "run"])
                    && words.windows(2).any(|pair| pair == ["--node", node])
            })
            .map(|process| process.pid)
            .collect()
    }

    /// Of the first station.
    pub fn station_pid(&self) -> u32 {
        let pids = self.station_pids();
        *pids
            .get("s1")
            .unwrap_or_else(|| panic!("s1 runs: {pids:?}"))
    }

    /// By the stations' names. Those that are being started again are left out.
    pub fn station_pids(&self) -> BTreeMap<String, u32> {
        let processes = outside::processes().into_iter();
        let of_cluster = processes.filter(|process| process.parent == self.parent.id());
        let mut pids = BTreeMap::new();
        for process in of_cluster {
            let Some(name) = station_of(&process.arguments) else {
                continue;
            };
            let other = pids.insert(name.clone(), process.pid);
            assert_eq!(other, None, "there is one {name}: {pids:?}");
        }
        pids
    }

    /// Ctrl-C, and waits for the parent's end.
    pub fn interrupt(&mut self) -> Option<i32> {
        signal(self.parent.id(), Signal::INT);
        self.rest = None;
        self.parent
            .wait()
            .expect("the parent can be waited for")
            .code()
    }

    /// kill -9 of the parent alone.
    pub fn kill_parent(&mut self) {
        signal(self.parent.id(), Signal::KILL);
        self.parent.wait().expect("the parent can be waited for");
    }

    /// What the parent and its daemons logged, for a failing test to show.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.home.path().join("dev.log")).unwrap_or_default()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("mainstay dev said:\n{}\n{}", self.said, self.log());
        }
        signal(self.parent.id(), Signal::KILL);
        let _ = self.parent.wait();
    }
}

/// Commands that a ready cluster suggests.
const TO_TRY: usize = 3;

fn read_until_ready(output: &mut BufReader<ChildStdout>, home: &Path) -> String {
    let mut said = String::new();
    loop {
        let mut line = String::new();
        let read = output.read_line(&mut line).expect("its output can be read");
        if read == 0 {
            let log = std::fs::read_to_string(home.join("dev.log")).unwrap_or_default();
            panic!("mainstay dev ended before it was ready:\n{said}\n{log}");
        }
        said.push_str(&line);
        // The last of the three things to try is the last line it prints.
        if said.matches("mainstay ").count() == TO_TRY {
            return said;
        }
    }
}

/// The name of the station that was started with these arguments, which its directory has.
fn station_of(arguments: &str) -> Option<String> {
    let words: Vec<&str> = arguments.split('\0').collect();
    words.windows(2).find(|pair| *pair == ["station", "run"])?;
    let dir = words.windows(2).find(|pair| pair[0] == "--dir")?[1];
    Some(Path::new(dir).file_name()?.to_str()?.to_owned())
}

pub fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(pid as i32).expect("a pid is not zero");
    // It may have ended already: that is what the caller wants to see.
    let _ = kill_process(pid, signal);
}

pub(crate) fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (at, piece) in line.split('\'').enumerate() {
        if at % 2 == 1 {
            words.push(piece.to_owned());
        } else {
            words.extend(piece.split_whitespace().map(str::to_owned));
        }
    }
    words
}
