//! A station in a directory of its own, with agents.

use std::path::PathBuf;
use std::time::Duration;

use mainstay_api::Client;
use mainstay_api::Problem;
use mainstay_api::types::{Accepted, On, StartRequest, Until, WaitAnswer, WaitRequest};
use mainstay_protocol::{ClusterName, InstanceKey, NodeName};
use mainstay_station::{Profile, Running, Station, StationOptions};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::agent::{Agent, AgentConfig};

/// Far above what a start takes.
const READY_MAX: Duration = Duration::from_secs(60);

pub struct Cluster {
    pub client: Client,
    pub options: StationOptions,
    dir: TempDir,
    running: Option<Running>,
}

impl Cluster {
    /// A station that leads, and no agent.
    pub async fn alone() -> Self {
        let mut cluster = Self::unstarted();
        cluster.start().await;
        cluster
    }

    pub fn unstarted() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut options =
            StationOptions::new(dir.path().join("s1"), ClusterName::new("test").unwrap());
        options.profile = Profile::Dev;
        options.chaos = true;
        options.node = Some(NodeName::new("n1").unwrap());
        let client = Client::new(&options.api_socket).with_timeout(Duration::from_secs(20));
        Self {
            client,
            options,
            dir,
            running: None,
        }
    }

    /// A station and the agents of these nodes, online.
    pub async fn with(nodes: &[&str]) -> (Self, Vec<Agent>) {
        let cluster = Self::alone().await;
        let mut agents = Vec::new();
        for node in nodes {
            agents.push(cluster.agent(AgentConfig::named(node)).await);
        }
        (cluster, agents)
    }

    pub async fn agent(&self, config: AgentConfig) -> Agent {
        let agent = Agent::connect(&self.sessions(), config).await.unwrap();
        self.wait(
            &format!("node/{}", agent.node()),
            Until::State("Online".to_owned()),
        )
        .await
        .unwrap();
        agent
    }

    pub fn sessions(&self) -> PathBuf {
        self.options.sessions_socket.clone()
    }

    pub fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// The stopped station's directory gets another name, and its sockets with it.
    pub fn move_to(&mut self, name: &str) {
        assert!(self.running.is_none(), "it is stopped");
        let old = self.options.clone();
        let dir = self.dir.path().join(name);
        std::fs::rename(&old.dir, &dir).unwrap();
        self.options = StationOptions {
            profile: old.profile,
            chaos: old.chaos,
            node: old.node,
            ..StationOptions::new(dir, old.cluster_name)
        };
        self.client = Client::new(&self.options.api_socket).with_timeout(Duration::from_secs(20));
    }

    pub async fn start(&mut self) {
        self.start_with(|station| station).await;
    }

    pub async fn start_with(&mut self, link: impl FnOnce(Station) -> Station) {
        let station = link(Station::new());
        self.running = Some(station.start(self.options.clone()).await.unwrap());
        self.ready().await;
    }

    async fn ready(&self) {
        let led = async {
            // The cluster may be there from an earlier life; that this one leads is another thing.
            while self.client.resource("cluster").await.is_err()
                || self.client.ready().await.is_err()
            {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(READY_MAX, led)
            .await
            .expect("the station leads");
    }

    pub async fn stop(&mut self) {
        self.running.take().unwrap().stop().await;
    }

    pub async fn start_on(&self, service_type: &str, nodes: &[&str]) -> Result<Accepted, Problem> {
        self.client.start(&request(service_type, nodes)).await
    }

    /// Started, and seen running.
    pub async fn run_on(&self, service_type: &str, nodes: &[&str]) {
        self.start_on(service_type, nodes).await.unwrap();
        self.wait(service_type, Until::Running).await.unwrap();
    }

    pub async fn wait(&self, reference: &str, until: Until) -> Result<WaitAnswer, Problem> {
        let request = WaitRequest {
            reference: reference.to_owned(),
            until,
            timeout_ms: 20_000,
            unless_blocked: false,
            after_revision: 0,
        };
        self.client.wait(&request).await
    }

    /// A route's whole answer, head and body, as it stands on the wire.
    pub async fn raw(&self, path: &str) -> String {
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        self.exchange(&request).await
    }

    /// A whole request as it stands on the wire, and its whole answer.
    pub async fn exchange(&self, request: &str) -> String {
        let mut stream = UnixStream::connect(&self.options.api_socket).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    /// A route's JSON.
    pub async fn json(&self, path: &str) -> Value {
        self.client.get(path).await.unwrap()
    }
}

impl Drop for Cluster {
    /// A station whose directory vanishes beneath it ends its process, and that is the test's.
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            let stop = running.stop();
            tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(stop));
        }
    }
}

pub fn request(service_type: &str, nodes: &[&str]) -> StartRequest {
    StartRequest {
        service_type: service_type.to_owned(),
        name: None,
        holds: None,
        on: On::Nodes(nodes.iter().map(|node| (*node).to_owned()).collect()),
        config: Value::Null,
    }
}

/// Tries until it holds; panics if it never does.
pub async fn until<F: Future<Output = bool>>(what: &str, holds: impl Fn() -> F) {
    let trying = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    let over = tokio::time::timeout(READY_MAX, trying).await;
    assert!(over.is_ok(), "never: {what}");
}

/// `placement@node`
pub fn instance(reference: &str) -> InstanceKey {
    let (placement, node) = reference.split_once('@').unwrap();
    InstanceKey::new(node.parse().unwrap(), placement.parse().unwrap())
}

pub fn named(name: &str, nodes: &[&str]) -> StartRequest {
    StartRequest {
        name: Some(name.to_owned()),
        ..request("generic", nodes)
    }
}

/// The keys of a JSON object, in order.
pub fn keys(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

/// Keys as the contract lists them, in the order of `keys`.
pub fn contract(list: &'static str) -> Vec<&'static str> {
    let mut keys: Vec<&str> = list.split(", ").collect();
    keys.sort_unstable();
    keys
}
