//! `data-proxy`: gives the tasks of its node what they may read of the cluster's data, one for all of them.
//!
//! ```text
//!   task --http://127.0.0.1:PORT/TOKEN/artifacts/URN--> data-proxy --> the call that the token was granted for --> station
//!   task in a container --/mainstay/data/proxy.sock--^
//! ```
//! It holds no credential. What a token is worth is `crate::data`'s to say; the station is asked each time whether that call is
//! still at work, and the bytes are kept on the node.

mod answers;

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mainstay_service::{
    Busy, CannotStart, Context, Failure, Reply, Service, StatusText, StopReason, TypeInfo, json,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::net::UnixListener;
use tokio::task::JoinSet;
use tokio::time::timeout;

use answers::Answers;

use super::http_server::Server;
use super::listening;
use crate::data::{OfNode, Reached, SOCKET_NAME, Seat};

/// What is read is given so long to be read to its end, when the proxy is asked to stop.
const FAREWELL: Duration = Duration::from_secs(5);
/// Below the instance's own, which nobody else enters.
const DIRECTORY: &str = "data";
/// Whoever a container runs as may come; the token says what for.
const ENTERED_BY_ALL: u32 = 0o755;
const ASKED_BY_ALL: u32 = 0o666;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DataProxyConfig {
    /// Where tasks on the machine itself ask; port 0 is a free one, another with each start. Only this machine can reach it
    /// unless another address is given.
    #[serde(default = "listen")]
    pub listen: String,
    /// `HOST:PORT` at which containers reach that, where their network lets them. Without it they are given a socket, which works
    /// without a network: `curl --unix-socket $MAINSTAY_DATA_SOCKET $MAINSTAY_DATA_URL`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub containers_reach: Option<String>,
}

fn listen() -> String {
    "127.0.0.1:0".to_owned()
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DataProxyMessage {
    /// Where it listens, and what it did so far.
    Address,
}

#[derive(Debug)]
pub struct DataProxy {
    answers: Arc<Answers>,
    address: SocketAddr,
    /// None: its directory has too long a path for one.
    socket: Option<PathBuf>,
    servers: Vec<Server>,
    seat: Seat,
}

impl Service for DataProxy {
    type Config = DataProxyConfig;
    type Message = DataProxyMessage;
    type Probe = Busy;
    const TYPE: TypeInfo = TypeInfo::new("data-proxy", "1.0.0");

    async fn start(config: DataProxyConfig, ctx: &Context) -> Result<(Self, Busy), CannotStart> {
        let at = listening::address("listen", &config.listen).map_err(CannotStart::config)?;
        let by_containers = config.containers_reach;
        if let Some(host) = &by_containers {
            checked(host).map_err(CannotStart::config)?;
        }
        let node = OfNode::called(&ctx.identity().instance.node);
        let answers = Arc::new(Answers::of(Arc::clone(&node)));
        let listener = listening::listen(at).await?;
        let address = listener.local_addr().map_err(CannotStart::not_now)?;
        let mut servers = vec![Server::begin(listener, Arc::clone(&answers))];
        let directory = ctx.directory().map_err(CannotStart::not_now)?;
        let directory = directory.join(DIRECTORY);
        let socket = match socket(&directory) {
            Ok((socket, path)) => {
                servers.push(Server::begin(socket, Arc::clone(&answers)));
                Some(path)
            }
            Err(error) => {
                let directory = directory.display();
                tracing::warn!(parent: ctx.span(), %error, "containers have no socket in {directory}");
                None
            }
        };
        let seat = node.served(Reached {
            address,
            by_containers,
            directory: socket.as_ref().map(|_| directory),
        });
        let proxy = Self {
            answers,
            address,
            socket,
            servers,
            seat,
        };
        Ok((proxy, ctx.busy()))
    }

    async fn handle(&mut self, message: DataProxyMessage, _: &Context) -> Result<Reply, Failure> {
        let DataProxyMessage::Address = message;
        Ok(Reply::json(json!({
            "address": self.address,
            "socket": self.socket,
            "granted": self.answers.granted(),
            "requests": self.answers.requests(),
        })))
    }

    async fn status(&mut self, _: &Context) -> StatusText {
        format!(
            "listens on http://{} for tasks of this node; {} have something granted, {} requests so far",
            self.address,
            self.answers.granted(),
            self.answers.requests(),
        )
        .into()
    }

    async fn stop(self, ctx: &Context, _: StopReason) {
        drop(self.seat);
        let ends: JoinSet<()> = self.servers.into_iter().map(Server::finish).collect();
        if timeout(FAREWELL, ends.join_all()).await.is_err() {
            tracing::warn!(parent: ctx.span(), "what was not read to its end in time is broken off");
        }
    }
}

/// As it stands in a URL.
fn checked(host: &str) -> Result<(), String> {
    let wrong = || {
        format!(
            "containers_reach: \"{host}\" is no HOST:PORT; write one as in host.containers.internal:7710"
        )
    };
    let (name, port) = host.rsplit_once(':').ok_or_else(wrong)?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let inner = name
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let is_host = match inner {
        Some(inner) => inner.parse::<Ipv6Addr>().is_ok(),
        None => !name.is_empty() && name.chars().all(is_name),
    };
    let fits = is_host && port.parse::<u16>().is_ok_and(|port| port > 0);
    fits.then_some(()).ok_or_else(wrong)
}

fn socket(directory: &Path) -> io::Result<(UnixListener, PathBuf)> {
    let mut builder = DirBuilder::new();
    builder
        .recursive(true)
        .mode(ENTERED_BY_ALL)
        .create(directory)?;
    // Whatever its agent's mask is.
    fs::set_permissions(directory, Permissions::from_mode(ENTERED_BY_ALL))?;
    let path = directory.join(SOCKET_NAME);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    fs::set_permissions(&path, Permissions::from_mode(ASKED_BY_ALL))?;
    Ok((listener, path))
}

#[cfg(test)]
mod tests;
