//! Three stations as processes of this machine, with the settings of a LAN (their elections are the same in dev clusters),
//! on Unix sockets: what they say to each other and to nodes is not encrypted, as etcd's is not. No `mainstay dev` above
//! them, which would start a killed one again at once: who leads is to be missing, as it is in etcd's case.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::Duration;

use mainstay_api::Client;
use mainstay_api::client::InstanceFilter;
use mainstay_api::types::{On, StartRequest};
use mainstay_protocol::limits;
use mainstay_tests::{command, mainstay_binary, until};
use tempfile::TempDir;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::etcd::end;
use super::reporter::{Reporter, WRITER};
use super::{Acks, Group, MEMBERS, WRITERS, until_settled};

/// A look at the group; it is asked for again.
const LOOK_MAX: Duration = Duration::from_secs(2);

pub struct Stations {
    runtime: Handle,
    home: TempDir,
    client: Client,
    /// The first station's, once it has founded one.
    cluster: Option<String>,
    processes: [Option<Child>; MEMBERS],
    window: watch::Sender<usize>,
    _reporters: JoinSet<()>,
    acks: Arc<Acks>,
}

impl Stations {
    /// Returns once it is whole, and every reporter has something to report of.
    pub fn start(runtime: &Handle) -> Self {
        // Short, because a socket's path has 107 bytes at most.
        let home = tempfile::Builder::new().prefix("ms").tempdir();
        let home = home.expect("a temporary directory");
        let sockets = |which: fn(&Path, usize) -> PathBuf| -> Vec<PathBuf> {
            (0..MEMBERS).map(|at| which(home.path(), at)).collect()
        };
        let (window, watched) = watch::channel(0);
        let acks = Arc::new(Acks::new());
        let mut reporters = JoinSet::new();
        for number in 0..WRITERS {
            let (watched, acks) = (watched.clone(), Arc::clone(&acks));
            let reporter = Reporter::new(number, sockets(session_socket), watched, acks);
            reporters.spawn_on(reporter.live(), runtime);
        }
        let mut stations = Self {
            runtime: runtime.clone(),
            client: Client::of(sockets(api_socket)).with_timeout(LOOK_MAX),
            home,
            cluster: None,
            processes: [const { None }; MEMBERS],
            window,
            _reporters: reporters,
            acks,
        };
        stations.found();
        stations.place();
        stations
    }

    /// The first founds a cluster, the others are added to it.
    fn found(&mut self) {
        self.begin(0);
        let ask = || {
            let version = self.runtime.block_on(self.client.version());
            version.ok().and_then(|version| version.cluster_id)
        };
        self.cluster = until("the first station is there", ask, |id| id.is_some());
        for member in 1..MEMBERS {
            self.begin(member);
            let (name, socket) = (name(member), session_socket(self.home.path(), member));
            let address = format!("unix:{}", socket.display());
            let patient = Client::new(api_socket(self.home.path(), 0));
            let added = until(
                "one more is in the group",
                || self.runtime.block_on(patient.add_station(&name, &address)),
                Result::is_ok,
            );
            added.expect("the condition holds for it");
        }
        until_settled(self);
    }

    /// One instance on every node.
    fn place(&self) {
        let nodes = || {
            self.runtime
                .block_on(self.client.nodes())
                .map_or(0, |nodes| nodes.len())
        };
        until("every reporter is a node", nodes, |nodes| *nodes == WRITERS);
        let request = StartRequest {
            service_type: WRITER.to_owned(),
            name: None,
            holds: None,
            on: On::All,
            config: serde_json::json!({}),
        };
        let started = self.runtime.block_on(self.client.start(&request));
        started.expect("it is accepted");
        let running = || {
            let all = self
                .runtime
                .block_on(self.client.instances(&InstanceFilter::default()));
            let all = all.unwrap_or_default();
            all.iter().filter(|one| one.state == "Running").count()
        };
        until("every reporter has an instance", running, |running| {
            *running == WRITERS
        });
    }

    /// As `write`, but with as many reports under way as an agent may have.
    pub fn write_with_all_credits(&mut self) {
        self.window.send_replace(limits::REPORT_CREDITS);
    }
}

impl Group for Stations {
    const TITLE: &'static str = "mainstay";

    fn acks(&self) -> &Acks {
        &self.acks
    }

    fn write(&mut self) {
        self.window.send_replace(1);
    }

    fn rest(&mut self) {
        self.window.send_replace(0);
    }

    fn settled(&self) -> Option<usize> {
        let stations = self.runtime.block_on(self.client.stations()).ok()?;
        let runs = stations.iter().filter(|one| one.state == "Running");
        let follows = stations.iter().filter(|one| one.role == "follower");
        if runs.count() < MEMBERS || follows.count() < MEMBERS - 1 {
            return None;
        }
        let leader = stations.iter().find(|one| one.role == "leader")?;
        (0..MEMBERS).find(|member| name(*member) == leader.id)
    }

    fn kill(&mut self, member: usize) {
        let mut process = self.processes[member].take().expect("it runs");
        process.kill().expect("a child can be killed");
        process.wait().expect("a child can be waited for");
    }

    fn begin(&mut self, member: usize) {
        let home = self.home.path();
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(home.join(format!("{}.log", name(member))));
        let mut station = command::command(&mainstay_binary(), home);
        station
            .args(["station", "run", "--cluster", "bench", "--station"])
            .arg(name(member))
            .arg("--dir")
            .arg(home.join(name(member)))
            .arg("--api")
            .arg(api_socket(home, member))
            .arg("--agents")
            .arg(session_socket(home, member));
        if let Some(cluster) = self.cluster.as_ref().filter(|_| member > 0) {
            station.args(["--joins", cluster]);
        }
        let process = station
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.expect("a log file"))
            .spawn();
        self.processes[member] = Some(process.expect("a station can be started"));
    }
}

impl Drop for Stations {
    fn drop(&mut self) {
        for process in self.processes.iter_mut().filter_map(Option::take) {
            end(process);
        }
    }
}

fn name(member: usize) -> String {
    format!("s{}", member + 1)
}

fn api_socket(home: &Path, member: usize) -> PathBuf {
    home.join(format!("{}.api.sock", name(member)))
}

fn session_socket(home: &Path, member: usize) -> PathBuf {
    home.join(format!("{}.sock", name(member)))
}
