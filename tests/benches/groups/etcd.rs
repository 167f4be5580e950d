//! etcd as Debian has it, three members on this machine, with the defaults it was made with for a LAN: a heartbeat of
//! 100 ms, elections after 1 to 2 s. No TLS, which is its default too, and saves it what Mainstay's network would cost.

use std::fs::File;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Handle;

use super::puts::{Puts, PutsConfig};
use super::{Acks, Group, MEMBERS, until_settled};

pub struct Etcd {
    runtime: Handle,
    directory: TempDir,
    members: Vec<Member>,
    puts: Option<Puts>,
    acks: Arc<Acks>,
    /// Key and value together.
    payload_bytes: usize,
}

struct Member {
    /// Where clients come.
    client: String,
    /// Where the others come.
    peer: String,
    process: Option<Child>,
}

impl Etcd {
    /// Returns once it is whole.
    pub fn start(runtime: &Handle, payload_bytes: usize) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        // All at once, so that they differ.
        let taken: Vec<TcpListener> = (0..2 * MEMBERS)
            .map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port"))
            .collect();
        let addresses: Vec<String> = taken
            .iter()
            .map(|taken| taken.local_addr().expect("its address").to_string())
            .collect();
        drop(taken);
        let members = addresses.chunks(2).map(|pair| Member {
            client: pair[0].clone(),
            peer: pair[1].clone(),
            process: None,
        });
        let mut etcd = Self {
            runtime: runtime.clone(),
            directory,
            members: members.collect(),
            puts: None,
            acks: Arc::new(Acks::new()),
            payload_bytes,
        };
        for member in 0..MEMBERS {
            etcd.begin(member);
        }
        until_settled(&etcd);
        etcd
    }

    /// As `write`, over so many connections to who leads, which writers share.
    pub fn write_over(&mut self, connections: usize) {
        let leader = until_settled(self);
        let clients = self.members.iter().map(|member| member.client.clone());
        let config = PutsConfig {
            endpoints: clients.collect(),
            leader,
            connections,
            payload_bytes: self.payload_bytes,
        };
        self.puts = Some(Puts::start(&self.runtime, &config, &self.acks));
    }

    /// What every member that answers says of itself; `etcdctl` leaves the others out.
    fn statuses(&self) -> Vec<Value> {
        let clients: Vec<&str> = self.members.iter().map(|one| one.client.as_str()).collect();
        let output = Command::new("etcdctl")
            .env("ETCDCTL_API", "3")
            .args(["endpoint", "status", "-w", "json", "--endpoints"])
            .arg(clients.join(","))
            .stdin(Stdio::null())
            .output();
        let output = output.expect("scripts/setup bench installs it");
        let said = String::from_utf8_lossy(&output.stdout);
        let line = said.lines().find(|line| line.starts_with('['));
        line.and_then(|line| serde_json::from_str(line).ok())
            .unwrap_or_default()
    }
}

impl Group for Etcd {
    const TITLE: &'static str = "etcd";

    fn acks(&self) -> &Acks {
        &self.acks
    }

    fn write(&mut self) {
        self.write_over(super::WRITERS);
    }

    fn rest(&mut self) {
        self.puts = None;
    }

    fn settled(&self) -> Option<usize> {
        let statuses = self.statuses();
        let first = statuses.first()?;
        let same = |field: &str| {
            let of_first = &first["Status"][field];
            of_first.is_u64() && statuses.iter().all(|one| one["Status"][field] == *of_first)
        };
        if statuses.len() < MEMBERS || !same("leader") || !same("raftAppliedIndex") {
            return None;
        }
        let leader = statuses
            .iter()
            .find(|one| one["Status"]["header"]["member_id"] == one["Status"]["leader"])?;
        self.members
            .iter()
            .position(|member| leader["Endpoint"] == *member.client)
    }

    fn kill(&mut self, member: usize) {
        let mut process = self.members[member].process.take().expect("it runs");
        process.kill().expect("a child can be killed");
        process.wait().expect("a child can be waited for");
    }

    fn begin(&mut self, member: usize) {
        let name = |member: usize| format!("e{}", member + 1);
        let all: Vec<String> = self
            .members
            .iter()
            .enumerate()
            .map(|(at, one)| format!("{}=http://{}", name(at), one.peer))
            .collect();
        let own = &self.members[member];
        let (client, peer) = (
            format!("http://{}", own.client),
            format!("http://{}", own.peer),
        );
        let at = self.directory.path().join(name(member));
        let log = File::create(at.with_extension("log")).expect("a log file");
        let process = Command::new("etcd")
            .args(["--name", &name(member), "--data-dir"])
            .arg(&at)
            .args(["--listen-client-urls", &client])
            .args(["--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer])
            .args(["--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &all.join(",")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        self.members[member].process = Some(process.expect("scripts/setup bench installs it"));
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        for process in self.members.iter_mut().filter_map(|one| one.process.take()) {
            end(process);
        }
    }
}

/// Before its directory goes.
pub(super) fn end(mut process: Child) {
    // It may have ended already.
    let _ = process.kill();
    let _ = process.wait();
}
