//! What a task may reach of the cluster's data, and where: the one place that knows of the node's data-proxy.
//!
//! ```text
//!   activity-agent --grant--> endpoint, which its task finds in its environment; dropped, it is revoked
//!   task --HTTP, token--> data-proxy --granted--> the call --> the station, as long as it has the call at work
//! ```
//! A task is given no credential: a token is worth what its call may read, on this node, until the call is over.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mainstay_protocol::NodeName;
use mainstay_service::Call;
use tokio::sync::{Semaphore, SemaphorePermit};
use uuid::Uuid;

/// Where the task reads what it was granted.
const URL: &str = "MAINSTAY_DATA_URL";
/// In a container that reaches no address of its node: the socket that this is asked through.
const SOCKET: &str = "MAINSTAY_DATA_SOCKET";
/// In a container, where the directory of that is.
pub(crate) const DIRECTORY_INSIDE: &str = "/mainstay/data";
/// Artifacts that one task is looking for at a time.
const AT_ONCE: usize = 2;
/// In that directory.
pub(crate) const SOCKET_NAME: &str = "proxy.sock";

/// Gives tasks what they may reach, wherever that is kept and whoever passes it on.
pub(crate) trait DataAccess: Send + Sync + fmt::Debug {
    /// What the inputs of this call name.
    fn grant(self: Arc<Self>, call: &Call, from: Side) -> Result<Endpoint, String>;

    fn revoke(&self, token: &str);
}

/// From where a task asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Machine,
    Container,
}

/// Granted until it is dropped.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// What the task is told.
    pub(crate) environment: Vec<(String, String)>,
    /// To be seen at `DIRECTORY_INSIDE` of its container.
    pub(crate) directory: Option<PathBuf>,
    token: String,
    by: Arc<dyn DataAccess>,
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.by.revoke(&self.token);
    }
}

/// What a call's inputs name, by the data-proxy of its node; none, where they name nothing.
pub(crate) fn granted(call: &Call, from: Side) -> Option<Result<Endpoint, String>> {
    let node = &call.ctx().identity().instance.node;
    let names_some = !call.artifacts().is_empty();
    names_some.then(|| OfNode::called(node).grant(call, from))
}

/// By the data-proxy of a node.
#[derive(Debug, Default)]
pub(crate) struct OfNode(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    proxy: Option<Arc<Reached>>,
    granted: BTreeMap<String, Arc<Granted>>,
}

/// What a token stands for.
#[derive(Debug)]
pub(crate) struct Granted {
    pub(crate) call: Call,
    /// Of one task: others ask as well, and the same artifacts are looked at for all of them.
    at_once: Semaphore,
}

impl Granted {
    /// Waits until so few of its requests are under way that this can be.
    pub(crate) async fn turn(&self) -> SemaphorePermit<'_> {
        let turn = self.at_once.acquire().await;
        turn.expect("it is never closed")
    }
}

/// Where a data-proxy is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reached {
    pub(crate) address: SocketAddr,
    /// `HOST:PORT` at which containers reach it, where they do.
    pub(crate) by_containers: Option<String>,
    /// The directory of its socket.
    pub(crate) directory: Option<PathBuf>,
}

/// The data-proxy of its node, until it is dropped. What is granted outlives it.
#[derive(Debug)]
pub(crate) struct Seat {
    node: Arc<OfNode>,
    reached: Arc<Reached>,
}

impl Drop for Seat {
    /// One that is dropped late takes nothing from the next.
    fn drop(&mut self) {
        let mut state = self.node.state();
        let is_ours = |there: &mut Arc<Reached>| Arc::ptr_eq(there, &self.reached);
        state.proxy.take_if(is_ours);
    }
}

impl OfNode {
    /// An agent has one node; tests have several.
    pub(crate) fn called(node: &NodeName) -> Arc<Self> {
        static NODES: Mutex<BTreeMap<NodeName, Arc<OfNode>>> = Mutex::new(BTreeMap::new());
        let mut nodes = NODES.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(nodes.entry(node.clone()).or_default())
    }

    /// Its name is held by one instance of a node at a time.
    pub(crate) fn served(self: Arc<Self>, reached: Reached) -> Seat {
        let reached = Arc::new(reached);
        self.state().proxy = Some(Arc::clone(&reached));
        Seat {
            node: self,
            reached,
        }
    }

    pub(crate) fn granted(&self, token: &str) -> Option<Arc<Granted>> {
        self.state().granted.get(token).cloned()
    }

    /// To so many calls.
    pub(crate) fn count(&self) -> usize {
        self.state().granted.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DataAccess for OfNode {
    fn grant(self: Arc<Self>, call: &Call, from: Side) -> Result<Endpoint, String> {
        let token = Uuid::new_v4().simple().to_string();
        let mut state = self.state();
        let reached = state.proxy.as_ref().ok_or_else(|| {
            let node = &call.ctx().identity().instance.node;
            format!(
                "its inputs name an artifact, and {node} has no data-proxy that would give it one: \
                 mainstay start data-proxy --on {node}"
            )
        })?;
        let (environment, directory) = reached.told(from, &token)?;
        let granted = Granted {
            call: call.clone(),
            at_once: Semaphore::new(AT_ONCE),
        };
        state.granted.insert(token.clone(), Arc::new(granted));
        drop(state);
        Ok(Endpoint {
            environment,
            directory,
            token,
            by: self,
        })
    }

    fn revoke(&self, token: &str) {
        let granted = self.state().granted.remove(token);
        // Not in the lock: whoever waits for the call goes on.
        drop(granted);
    }
}

type Told = (Vec<(String, String)>, Option<PathBuf>);

impl Reached {
    fn told(&self, from: Side, token: &str) -> Result<Told, String> {
        let url = |host: &str| (URL.to_owned(), format!("http://{host}/{token}"));
        if from == Side::Machine {
            let host = SocketAddr::new(here(self.address.ip()), self.address.port());
            return Ok((vec![url(&host.to_string())], None));
        }
        if let Some(host) = &self.by_containers {
            return Ok((vec![url(host)], None));
        }
        let directory = self.directory.clone().ok_or(
            "its container reaches the data-proxy of its node neither through a socket nor at an address: set containers_reach of the data-proxy",
        )?;
        let socket = format!("{DIRECTORY_INSIDE}/{SOCKET_NAME}");
        Ok((
            vec![url("localhost"), (SOCKET.to_owned(), socket)],
            Some(directory),
        ))
    }
}

/// Where whatever listens everywhere is on its own machine.
fn here(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(at) if at.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(at) if at.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        at => at,
    }
}
