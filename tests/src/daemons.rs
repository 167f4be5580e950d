//! A cluster without a `dev` parent: the test itself is what starts and kills its daemons, when it likes.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use mainstay_store::Replayed;
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cluster::{signal, words};
use crate::command::{self, Run};
use crate::outside;
use crate::power::Power;
use crate::until::until;

const CONTEXT: &str = "bare";

/// A station and agents n1 .. nN as processes of the test. Dropped, all are killed -9.
#[derive(Debug)]
pub struct Daemons {
    home: TempDir,
    station: Option<Child>,
    agents: Vec<Child>,
    /// None: it is not to be cut.
    power: Option<Power>,
}

impl Daemons {
    /// A station that is this program, and so many agents; returns when all are online.
    pub fn start(station: &Path, nodes: usize) -> Self {
        Self::begin(station, nodes, false)
    }

    /// The same, with power that can be cut.
    pub fn on_power(station: &Path, nodes: usize) -> Self {
        Self::begin(station, nodes, true)
    }

    fn begin(station: &Path, nodes: usize, on_power: bool) -> Self {
        let home = tempfile::Builder::new()
            .prefix("ms")
            .tempdir()
            .expect("a temporary directory");
        let contexts = home.path().join("home/contexts");
        std::fs::create_dir_all(&contexts).expect("a directory for the context");
        let mut daemons = Self {
            power: on_power.then(|| Power::of(home.path())),
            home,
            station: None,
            agents: Vec::new(),
        };
        let context = json!({ "name": CONTEXT, "sockets": [daemons.api_socket()], "dev": null });
        std::fs::write(contexts.join("bare.json"), context.to_string()).expect("a context");
        daemons.start_station(station);
        for node in 1..=nodes {
            daemons.start_agent(&format!("n{node}"));
        }
        daemons.until_online();
        daemons
    }

    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The station's data directory.
    pub fn data(&self) -> PathBuf {
        self.home().join("s1")
    }

    pub fn api_socket(&self) -> PathBuf {
        self.home().join("api.sock")
    }

    pub fn session_socket(&self) -> PathBuf {
        self.home().join("agents.sock")
    }

    pub fn start_station(&mut self, program: &Path) {
        assert!(self.station.is_none(), "one station at a time");
        let words = [
            "station".into(),
            "run".into(),
            "--chaos".into(),
            "--cluster".into(),
            CONTEXT.into(),
            "--profile".into(),
            "dev".into(),
            "--dir".into(),
            self.data().into_os_string(),
            "--api".into(),
            self.api_socket().into_os_string(),
            "--agents".into(),
            self.session_socket().into_os_string(),
        ];
        let log = self.log_file("station.log");
        let child = command::command(program, self.home())
            .envs(self.environment())
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("a station can be started");
        self.station = Some(child);
    }

    pub fn start_agent(&mut self, node: &str) {
        let child = self
            .agent_command(node)
            .spawn()
            .expect("an agent can be started");
        self.agents.push(child);
    }

    /// As `start_agent` runs it.
    pub fn agent_command(&self, node: &str) -> Command {
        let words = [
            "agent".into(),
            "run".into(),
            "--chaos".into(),
            "--node".into(),
            node.into(),
            "--dir".into(),
            self.home().join(node).into_os_string(),
            "--station".into(),
            self.session_socket().into_os_string(),
        ];
        let log = self.log_file(&format!("{node}.log"));
        let mut agent = command::command(&command::mainstay_binary(), self.home());
        agent
            .envs(self.environment())
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        agent
    }

    /// Ends the agent that was started last by this signal, and waits for its end.
    pub fn end_agent(&mut self, with: Signal) -> ExitStatus {
        let mut agent = self.agents.pop().expect("there is an agent");
        signal(agent.id(), with);
        agent.wait().expect("a child can be waited for")
    }

    fn log_file(&self, name: &str) -> std::fs::File {
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.home().join(name))
            .expect("a log file")
    }

    /// kill -9, and waits for its end.
    pub fn kill_station(&mut self) {
        let mut station = self.station.take().expect("there is a station");
        station.kill().expect("a child can be killed");
        station.wait().expect("a child can be waited for");
    }

    /// Ends everything with kill -9; the data stays until this is dropped.
    pub fn kill_all(&mut self) {
        for child in self.station.iter_mut().chain(&mut self.agents) {
            // It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
        self.station = None;
        self.agents.clear();
    }

    fn environment(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        self.power.iter().flat_map(Power::environment)
    }

    /// Everything ends at once, and what was not synced is gone. Says how many bytes that were.
    pub fn cut_power(&mut self) -> u64 {
        let agents = self.agents.len();
        self.kill_all();
        for left in outside::processes_of(self.home()) {
            signal(left.pid, Signal::KILL);
        }
        let power = self.power.as_ref().expect("it was started on power");
        let nodes = (1..=agents).map(|node| self.home().join(format!("n{node}")));
        let all = nodes.chain([self.data()]);
        all.map(|directory| power.cut(&directory)).sum()
    }

    pub fn station_pid(&self) -> u32 {
        self.station.as_ref().expect("there is a station").id()
    }

    pub fn agent_pids(&self) -> Vec<u32> {
        self.agents.iter().map(Child::id).collect()
    }

    pub fn until_online(&self) {
        let nodes = self.agents.len();
        until(
            "every node is online",
            || self.sh("get nodes -o json"),
            |run| {
                run.code == Some(0)
                    && run.json().as_array().is_some_and(|all| {
                        all.len() == nodes && all.iter().all(|node| node["state"] == "Online")
                    })
            },
        );
    }

    /// `mainstay LINE` against this cluster.
    pub fn sh(&self, line: &str) -> Run {
        let mut words = words(line);
        words.extend(["--context".to_owned(), CONTEXT.to_owned()]);
        command::run(self.home(), &words)
    }

    /// `mainstay LINE -f FILE`, with this in the file.
    pub fn given(&self, line: &str, said: &Value) -> Run {
        let file = self.home().join("given.json");
        std::fs::write(&file, said.to_string()).expect("a directory of its own");
        self.sh(&format!("{line} -f {}", file.display()))
    }

    /// `mainstay LINE -o json`, which must end well.
    #[track_caller]
    pub fn json(&self, line: &str) -> Value {
        self.sh(&format!("{line} -o json")).ok().json()
    }

    #[track_caller]
    pub fn list(&self, line: &str) -> Vec<Value> {
        match self.json(line) {
            Value::Array(list) => list,
            other => panic!("mainstay {line} printed no list: {other:#}"),
        }
    }

    /// `mainstay get instances REF`, its one object.
    pub fn instance(&self, reference: &str) -> Option<Value> {
        let run = self.sh(&format!("get instances {reference} -o json"));
        (run.code == Some(0)).then(|| run.json())
    }

    /// Waits until an instance is in a state, and returns it.
    pub fn until_state(&self, reference: &str, state: &str) -> Value {
        let found = until(
            &format!("{reference} is {state}"),
            || self.instance(reference),
            |found| found.as_ref().is_some_and(|found| found["state"] == state),
        );
        found.expect("the condition holds for something only")
    }

    /// Ends everything, and applies the station's log anew: the graph must be the stored one, byte for byte.
    #[track_caller]
    pub fn end_and_replay(&mut self) -> Replayed {
        self.kill_all();
        let replayed = mainstay_store::replay(&self.data()).expect("the data can be read");
        assert!(replayed.is_equal(), "{replayed:#?}");
        replayed
    }

    /// What the daemons logged, for a failing test to show.
    pub fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.home().join(name)).unwrap_or_default()
    }
}

impl Drop for Daemons {
    fn drop(&mut self) {
        self.kill_all();
        // What outlives agents: holds are killed, and the kernel takes what they hold.
        for left in outside::processes_of(self.home()) {
            signal(left.pid, Signal::KILL);
        }
        if std::thread::panicking() {
            let log = self.log("station.log");
            let tail = log.len().saturating_sub(8 * 1024);
            eprintln!(
                "the station's log ends with:\n{}",
                log.get(tail..).unwrap_or(&log)
            );
        }
    }
}
