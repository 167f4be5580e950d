//! Where an agent can be called, and by whom.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mainstay_identity::way::BoxedStream;
use mainstay_identity::{Renewing, local, tls};
use mainstay_protocol::frame::Channel;
use mainstay_protocol::request::Ask;
use mainstay_protocol::{Address, Bearer, NodeName, code, limits};
use tokio::net::{TcpListener, TcpStream, UdpSocket, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::Mesh;
use crate::options::{AgentOptions, CannotRun};
use crate::requests::Requests;
use crate::session::{Answers, Asker, Opened, SessionError, hear_questions, speak_answers};

/// The socket in the directory of an agent that shows nothing over the network.
const SOCKET: &str = "agent.sock";
/// Up to the first question.
const OPENING_MAX: Duration = Duration::from_secs(5);
/// After an accept that failed (too many open files): time for some to close.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
const PEER: Asker = Asker {
    channel: Channel::Control,
    may: |ask| matches!(ask, Ask::Look | Ask::Call { .. } | Ask::WatcherCheck { .. }),
    // Whoever guards this node asks once a second; calls take as long as they take.
    in_turn: |ask| matches!(ask, Ask::Look),
    silence: Some(Duration::from_secs(30)),
};

/// What an agent listens on.
#[derive(Debug)]
pub(crate) struct Listening {
    on: On,
    whereabouts: Whereabouts,
}

#[derive(Debug)]
enum On {
    Socket(UnixListener),
    Network(TcpListener, Renewing),
    Nothing,
}

/// Where it is to be found.
#[derive(Debug, Clone)]
pub(crate) enum Whereabouts {
    Nowhere,
    At(String),
    /// On every interface: where, depends on who asks.
    Port(u16),
}

impl Whereabouts {
    /// For those on the way to this station; empty where nobody can call it.
    pub(crate) async fn towards(&self, station: &Address) -> String {
        match (self, station) {
            (Self::At(address), _) => address.clone(),
            (Self::Port(port), Address::Tls { host, port: theirs }) => {
                let own = own_address(host, *theirs).await;
                own.map_or_else(String::new, |mut own| {
                    own.set_port(*port);
                    own.to_string()
                })
            }
            (Self::Port(_), Address::Unix(_)) | (Self::Nowhere, _) => String::new(),
        }
    }
}

/// The address that this machine has on the way there. Nothing is sent.
async fn own_address(host: &str, port: u16) -> Option<SocketAddr> {
    for there in tokio::net::lookup_host((host, port)).await.ok()? {
        let any: SocketAddr = match there {
            SocketAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
            SocketAddr::V6(_) => ([0u16; 8], 0).into(),
        };
        if let Ok(socket) = UdpSocket::bind(any).await
            && socket.connect(there).await.is_ok()
        {
            return socket.local_addr().ok();
        }
    }
    None
}

impl Listening {
    pub(crate) async fn bind(
        options: &AgentOptions,
        shown: Option<&Renewing>,
    ) -> Result<Self, CannotRun> {
        match (options.listen.as_ref(), shown) {
            (Some(asked @ Address::Tls { host, port }), Some(shown)) => {
                let bound = TcpListener::bind((host.as_str(), *port)).await;
                let listener = bound.map_err(|error| cannot_listen(host, *port, &error))?;
                let whereabouts = match host.as_str() {
                    "0.0.0.0" | "::" => Whereabouts::Port(*port),
                    _ => Whereabouts::At(asked.to_string()),
                };
                Ok(Self {
                    on: On::Network(listener, shown.clone()),
                    whereabouts,
                })
            }
            (Some(asked), None) => Err(nothing_to_show(asked)),
            (None | Some(Address::Unix(_)), Some(shown)) => Ok(anywhere(shown).await),
            (None, None) => Ok(in_directory(&options.dir)),
        }
    }

    pub(crate) fn whereabouts(&self) -> Whereabouts {
        self.whereabouts.clone()
    }

    /// For as long as the agent runs. Dropped, it ends every connection.
    pub(crate) async fn serve(self, mesh: Mesh, requests: Requests) {
        // Strangers keep nobody out for longer than they take to introduce themselves.
        let strangers = Arc::new(Semaphore::new(limits::PEERS_MAX));
        let peers = Arc::new(Semaphore::new(limits::PEERS_MAX));
        let mut connections = JoinSet::new();
        let requests = requests.of_peers();
        loop {
            let accepted = tokio::select! {
                accepted = self.accept() => accepted,
                Some(ended) = connections.join_next(), if !connections.is_empty() => {
                    if let Err(error) = ended && error.is_panic() {
                        tracing::error!(%error, "a peer's connection panicked; the others go on");
                    }
                    continue;
                }
            };
            let from = match accepted {
                Ok(from) => from,
                Err(error) => {
                    tracing::warn!(%error, "accepting a peer failed");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let Ok(place) = Arc::clone(&strangers).try_acquire_owned() else {
                tracing::debug!("too many have not introduced themselves; one more is closed");
                continue;
            };
            let (mesh, requests, peers) = (mesh.clone(), requests.clone(), Arc::clone(&peers));
            connections.spawn(async move {
                if let Err(why) = connection(from, &mesh, requests, (place, peers)).await {
                    tracing::debug!(%why, "a peer's connection ended");
                }
            });
        }
    }

    async fn accept(&self) -> std::io::Result<From> {
        match &self.on {
            On::Socket(listener) => listener
                .accept()
                .await
                .map(|(stream, _)| From::Here(stream)),
            On::Network(listener, shown) => {
                let (stream, from) = listener.accept().await?;
                Ok(From::Network(stream, from, shown.clone()))
            }
            On::Nothing => std::future::pending().await,
        }
    }
}

/// An address of its own for every interface of this machine; the system chooses the port.
async fn anywhere(shown: &Renewing) -> Listening {
    let both: [SocketAddr; 2] = [([0u16; 8], 0).into(), ([0, 0, 0, 0], 0).into()];
    for address in both {
        if let Ok(listener) = TcpListener::bind(address).await
            && let Ok(bound) = listener.local_addr()
        {
            return Listening {
                on: On::Network(listener, shown.clone()),
                whereabouts: Whereabouts::Port(bound.port()),
            };
        }
    }
    uncalled("no port could be had")
}

fn in_directory(dir: &Path) -> Listening {
    let path = std::path::absolute(dir.join(SOCKET)).unwrap_or_else(|_| dir.join(SOCKET));
    match local::listen(&path) {
        Ok(listener) => Listening {
            on: On::Socket(listener),
            whereabouts: Whereabouts::At(Address::Unix(path).to_string()),
        },
        Err(error) => uncalled(&format!("{}: {error}", path.display())),
    }
}

/// It runs all the same: nobody can guard it.
fn uncalled(why: &str) -> Listening {
    tracing::warn!(
        why,
        "no other agent can call this one, and none can guard it"
    );
    Listening {
        on: On::Nothing,
        whereabouts: Whereabouts::Nowhere,
    }
}

fn cannot_listen(host: &str, port: u16, error: &std::io::Error) -> CannotRun {
    CannotRun {
        what: format!("the agent cannot listen on {host}:{port}"),
        why: error.to_string(),
        remedy: "name another address in --listen, or none".to_owned(),
        code: code::BAD_REQUEST,
        exit: 2,
    }
}

fn nothing_to_show(asked: &Address) -> CannotRun {
    CannotRun {
        what: format!("the agent does not listen on {asked}"),
        why: "it has not joined a cluster, so it has nothing to show over the network".to_owned(),
        remedy: "mainstay join --help".to_owned(),
        code: code::BAD_REQUEST,
        exit: 2,
    }
}

/// From where somebody came.
enum From {
    Here(tokio::net::UnixStream),
    Network(TcpStream, SocketAddr, Renewing),
}

/// Who it is, is settled before the first question.
enum Whose {
    User,
    Agent(NodeName),
    Station,
}

async fn connection(
    from: From,
    mesh: &Mesh,
    requests: Requests,
    (stranger, peers): (OwnedSemaphorePermit, Arc<Semaphore>),
) -> Result<(), SessionError> {
    let opening = opened(from, mesh);
    let opened = timeout(OPENING_MAX, opening)
        .await
        .map_err(|_| SessionError::Silent {
            doing: "waiting for a peer's introduction",
            after: OPENING_MAX,
        })??;
    drop(stranger);
    let Ok(_place) = peers.try_acquire() else {
        tracing::warn!("too many peers; one more is closed");
        return Ok(());
    };
    let (outgoing, queued) = mpsc::channel(limits::PEER_QUEUE_MAX);
    let (answers, _no_bulk) = Answers::new(outgoing);
    tokio::select! {
        ended = speak_answers(opened.write, queued, PEER) => ended,
        ended = hear_questions(opened.read, opened.decoder, &requests, &answers, PEER) => ended,
    }
}

async fn opened(from: From, mesh: &Mesh) -> Result<Opened, SessionError> {
    let io = |cause| SessionError::Io {
        doing: "letting a peer in",
        cause,
    };
    let refused = |text: String| SessionError::Refused {
        code: code::NOT_ALLOWED,
        text,
    };
    let (stream, whose): (BoxedStream, Whose) = match from {
        From::Here(stream) => match local::admit(&stream).map_err(io)? {
            Ok(_pid) => (Box::new(stream), Whose::User),
            Err(stranger) => return Err(refused(stranger.to_string())),
        },
        From::Network(stream, from, shown) => secured(stream, from, &shown).await?,
    };
    let mut opened = Opened::over(stream, Channel::Control);
    let theirs = opened.shake_hands(mesh.introduction()).await?;
    match whose {
        Whose::User | Whose::Station => Ok(opened),
        Whose::Agent(node) if theirs.node.as_ref() == Some(&node) => Ok(opened),
        Whose::Agent(node) => Err(refused(format!(
            "its certificate is of agent/{node}, and that is not what it says to be"
        ))),
    }
}

async fn secured(
    stream: TcpStream,
    from: SocketAddr,
    shown: &Renewing,
) -> Result<(BoxedStream, Whose), SessionError> {
    let doing = "letting a peer in";
    let io = |cause| SessionError::Io { doing, cause };
    let bad = |error: mainstay_identity::IdentityError| io(std::io::Error::other(error));
    let refused = |text: &str| SessionError::Refused {
        code: code::STRANGER,
        text: format!("{from} {text}"),
    };
    drop(stream.set_nodelay(true));
    let shown = shown.credentials();
    let acceptor = TlsAcceptor::from(Arc::new(tls::server(&shown).map_err(bad)?));
    let stream = acceptor.accept(stream).await.map_err(io)?;
    let certificates = stream.get_ref().1.peer_certificates();
    let peer = tls::peer(&shown.authority, certificates).map_err(bad)?;
    let peer = peer.ok_or_else(|| refused("shows no certificate"))?;
    if peer.is_over() {
        return Err(refused("shows a certificate that has run out"));
    }
    let whose = match peer.bearer {
        Bearer::Agent(node) => Whose::Agent(node),
        Bearer::Station(_) => Whose::Station,
        Bearer::Person { .. } => return Err(refused("is a person, and people ask stations")),
    };
    Ok((Box::new(stream), whose))
}
