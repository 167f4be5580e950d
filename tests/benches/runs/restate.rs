//! Restate's server as npm has it, one node with its defaults: it syncs its log before it acknowledges. Its worker is a
//! process of Node.js with its SDK. A client calls the handler and is answered with its result: one request.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use mainstay_tests::measure::of_status;
use mainstay_tests::until::until_within;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::http::{Connection, Place};
use super::peers::{self, Process};
use super::system::{Caller, Flow, Memory, SLOW_STEP, Served};

const READY_MAX: Duration = Duration::from_secs(60);
/// npm has the server's program in a package for each kind of machine.
const OF_MACHINE: &str = "restate-server-";

pub struct Restate {
    directory: TempDir,
    ingress: SocketAddr,
    admin: SocketAddr,
    fabric: SocketAddr,
    server: Option<Process>,
    worker: Process,
}

/// What it is, where it is installed.
pub fn versions() -> Option<String> {
    program().and_then(|_| peers::versions("restate"))
}

/// The program itself, not what npm begins it with: it is to be killed.
fn program() -> Option<PathBuf> {
    let packages = peers::installed("restate").join("node_modules/@restatedev");
    let packages = std::fs::read_dir(packages).ok()?.flatten();
    let of_machine = packages.filter(|one| {
        let name = one.file_name();
        name.to_str()
            .is_some_and(|name| name.starts_with(OF_MACHINE))
    });
    let mut programs = of_machine.map(|one| one.path().join("bin/restate-server"));
    programs.find(|program| program.is_file())
}

impl Restate {
    pub fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let [ingress, admin, fabric, worker_at] = peers::free_ports();
        let mut node = Command::new("node");
        node.arg(peers::program("restate/handler.mjs"))
            .arg(peers::installed("restate"))
            .arg(worker_at.port().to_string());
        let worker = peers::logged(&mut node, &directory.path().join("worker.log"));
        let mut restate = Self {
            directory,
            ingress,
            admin,
            fabric,
            server: None,
            worker: Process(worker.expect("scripts/setup bench installs it")),
        };
        restate.begin_again();
        restate.register(worker_at);
        restate
    }

    /// Told of its worker; once both are there.
    fn register(&self, worker: SocketAddr) {
        let at = self.admin;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let told = until_within(
            READY_MAX,
            "Restate knows its worker",
            || {
                runtime.block_on(async {
                    let deployment = json!({"uri": format!("http://{worker}/")});
                    let mut admin = Connection::new(Place::Tcp(at));
                    let told = admin.post("/deployments", &deployment).await;
                    told.and_then(|answer| answer.granted())
                })
            },
            |told| told.is_ok(),
        );
        told.expect("the condition holds for nothing else");
    }
}

impl Served for Restate {
    type Caller = Client;

    fn caller(&self) -> Client {
        Client {
            ingress: Connection::new(Place::Tcp(self.ingress)),
            admin: Connection::new(Place::Tcp(self.admin)),
        }
    }

    async fn all_wait(&self, caller: &mut Client, count: usize) -> anyhow::Result<bool> {
        let query = "SELECT count(*) AS n FROM sys_invocation WHERE status = 'suspended'";
        let request = json!({"query": query});
        let answer = caller.admin.post("/query", &request).await?.granted()?;
        Ok(answer["rows"][0]["n"] == count)
    }

    fn memory(&self) -> Memory {
        let of = |process: &Process| u64::from(of_status(process.0.id(), "VmRSS"));
        Memory {
            server: self.server.as_ref().map_or(0, of),
            worker: of(&self.worker),
        }
    }

    fn kill(&mut self) {
        self.server.as_mut().expect("it runs").kill();
    }

    fn begin_again(&mut self) {
        let port = |address: SocketAddr| address.port().to_string();
        let program = program().expect("scripts/setup bench installs it");
        let mut command = Command::new(program);
        command
            .args(["--no-logo", "--node-name", "one", "--base-dir"])
            .arg(self.directory.path().join("data"))
            .env("RESTATE_DISABLE_TELEMETRY", "true")
            .env("RESTATE_LISTEN_MODE", "tcp")
            .env("RESTATE_BIND_IP", "127.0.0.1")
            .env("RESTATE_BIND_PORT", port(self.fabric))
            .env("RESTATE_INGRESS__BIND_PORT", port(self.ingress))
            .env("RESTATE_ADMIN__BIND_PORT", port(self.admin));
        let server = peers::logged(&mut command, &self.directory.path().join("server.log"));
        self.server = Some(Process(server.expect("scripts/setup bench installs it")));
    }
}

pub struct Client {
    ingress: Connection,
    admin: Connection,
}

fn service(flow: Flow) -> &'static str {
    match flow {
        Flow::Chain | Flow::Fan | Flow::Slow => "runs",
        Flow::Hour => "waiting",
    }
}

fn input(flow: Flow, number: usize) -> Value {
    match flow {
        Flow::Chain | Flow::Fan | Flow::Hour => json!({"item": number}),
        Flow::Slow => json!({"millis": SLOW_STEP.as_millis() as u64}),
    }
}

impl Caller for Client {
    async fn run(&mut self, flow: Flow, number: usize) -> anyhow::Result<()> {
        let path = format!("/{}/{}", service(flow), flow.as_str());
        let input = input(flow, number);
        let left = self.ingress.post(&path, &input).await?.granted()?;
        anyhow::ensure!(left == input, "it left {left} behind");
        Ok(())
    }

    async fn begin(&mut self, flow: Flow, number: usize) -> anyhow::Result<()> {
        let path = format!("/{}/{}/send", service(flow), flow.as_str());
        let key = number.to_string();
        let begun = self
            .ingress
            .post_once(&path, &key, &input(flow, number))
            .await?;
        begun.granted()?;
        Ok(())
    }

    async fn end(&mut self, flow: Flow, number: usize) -> anyhow::Result<()> {
        let (service, flow) = (service(flow), flow.as_str());
        let path = format!("/restate/invocation/{service}/{flow}/{number}/attach");
        self.ingress.get(&path).await?.granted()?;
        Ok(())
    }
}
