//! Accepts connections and takes them off the accept loop at once.

use std::sync::Arc;
use std::time::Duration;

use mainstay_api::routes::Asker;
use mainstay_identity::local;
use mainstay_identity::tls::Peer;
use mainstay_identity::way::BoxedStream;
use mainstay_protocol::handshake::Handshake;
use mainstay_protocol::{StationId, limits};
use mainstay_resource_graph::{StationState, ViewExt};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::JoinSet;

use super::introduce::Introduced;
use super::{introduce, network, serve};
use crate::http::{Connected, ToApi};
use crate::shared::Shared;

/// What the listener of sessions needs.
pub struct ListenerConfig {
    pub local: UnixListener,
    /// None for a station that is on one machine only.
    pub network: Option<Arc<TcpListener>>,
    /// Ends with the station.
    pub stop: watch::Receiver<bool>,
    pub ground: Ground,
}

/// What each connection needs.
#[derive(Clone)]
pub struct Ground {
    pub shared: Arc<Shared>,
    /// How this station introduces itself.
    pub handshake: Arc<Handshake>,
    /// Where connections go on which requests come.
    pub to_api: mpsc::Sender<ToApi>,
}

/// From where somebody came.
pub enum Came {
    /// Over the socket, as a process of the station's user, or root's.
    Local(Option<i32>),
    /// With this to show; a stranger shows nothing.
    Network(Option<Peer>),
}

/// Time for sessions to end by themselves when the station stops.
const STOP_GRACE: Duration = Duration::from_millis(300);
/// After an accept that failed (too many open files): time for some to close.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How often it is looked whether a station is still one of the group.
const LOOK: Duration = Duration::from_secs(1);

pub async fn listen(config: ListenerConfig) {
    let ListenerConfig {
        local,
        network: outside,
        mut stop,
        ground,
    } = config;
    // Whoever comes over the network keeps nobody out who is on the machine.
    let here = Arc::new(Semaphore::new(limits::HANDSHAKES_MAX));
    let there = Arc::new(Semaphore::new(limits::HANDSHAKES_MAX));
    let mut sessions = JoinSet::new();
    let place = |among: &Arc<Semaphore>| {
        let permit = Arc::clone(among).try_acquire_owned();
        if permit.is_err() {
            tracing::warn!(
                "too many connections have not introduced themselves; one more is closed"
            );
        }
        permit.ok()
    };
    loop {
        let failed = tokio::select! {
            accepted = local.accept() => match accepted {
                Ok((stream, _address)) => {
                    if let Some(permit) = place(&here) {
                        let ground = ground.clone();
                        sessions.spawn(async move { from_here(stream, &ground, permit).await });
                    }
                    None
                }
                Err(error) => Some(error),
            },
            accepted = network::accept(outside.as_ref()) => match accepted {
                Ok((stream, from)) => {
                    if let Some(permit) = place(&there) {
                        let ground = ground.clone();
                        sessions.spawn(async move { network::welcome(stream, from, &ground, permit).await });
                    }
                    None
                }
                Err(error) => Some(error),
            },
            Some(ended) = sessions.join_next(), if !sessions.is_empty() => {
                if let Err(error) = ended && error.is_panic() {
                    tracing::error!(%error, "a session panicked; the others go on");
                }
                None
            }
            _ = stop.changed() => break,
        };
        if let Some(error) = failed {
            tracing::warn!(%error, "accepting a session failed");
            tokio::time::sleep(ACCEPT_PAUSE).await;
        }
    }
    ground.shared.sessions.close_all("the station stops");
    let ended = async { while sessions.join_next().await.is_some() {} };
    if tokio::time::timeout(STOP_GRACE, ended).await.is_err() {
        sessions.shutdown().await;
    }
}

/// A station that was taken out of the group has nothing more to say in it.
async fn until_removed(shared: &Shared, station: StationId) {
    let removed = || {
        let known = shared.store.view().station(station);
        known.is_some_and(|station| station.state == StationState::Removed)
    };
    while !removed() {
        tokio::time::sleep(LOOK).await;
    }
}

async fn from_here(stream: UnixStream, ground: &Ground, permit: OwnedSemaphorePermit) {
    match local::admit(&stream) {
        Ok(Ok(pid)) => connection(Box::new(stream), ground, Came::Local(pid), permit).await,
        Ok(Err(stranger)) => tracing::warn!(%stranger, "a session was refused"),
        Err(error) => tracing::debug!(%error, "a peer left before it was looked at"),
    }
}

/// From the frozen handshake on.
pub async fn connection(
    mut stream: BoxedStream,
    ground: &Ground,
    came: Came,
    permit: OwnedSemaphorePermit,
) {
    let shared = &ground.shared;
    let deadline = Duration::from_millis(limits::HANDSHAKE_DEADLINE_MS);
    let mine = Handshake {
        epoch: shared.ways.epoch(),
        ..Handshake::clone(&ground.handshake)
    };
    let introducing = introduce::introduce(&mut stream, &mine, &came, shared);
    let introduced = tokio::time::timeout(deadline, introducing).await;
    drop(permit);
    let pid = match &came {
        Came::Local(pid) => *pid,
        Came::Network(_) => None,
    };
    match introduced {
        Ok(Ok(Introduced::Agent(agent))) => serve::serve(stream, *agent, pid, shared).await,
        Ok(Ok(Introduced::Log(from))) => {
            let serving = shared.store.serve_peer(from, Box::new(stream));
            let ended = tokio::select! {
                ended = serving => ended.map_err(|error| error.to_string()),
                () = until_removed(shared, from) => Err("it was removed".to_owned()),
            };
            tracing::debug!(%from, ?ended, "a station's connection ended");
        }
        // With the API's end the station ends.
        Ok(Ok(Introduced::Api(from))) => {
            let whose = match came {
                Came::Network(Some(peer)) => Connected::Shown(Arc::new(peer)),
                Came::Network(None) => Connected::Stranger,
                Came::Local(_) => Connected::Known(Asker::Station(from)),
            };
            drop(ground.to_api.send(ToApi { stream, whose }).await);
        }
        Ok(Ok(Introduced::Renewed)) => {}
        Ok(Err(bad)) => {
            tracing::info!(peer = %bad.frames.peer(), why = %bad.why, "a peer could not introduce itself");
            shared.metrics.bad_frame();
            shared.sessions.keep_bad(bad.frames);
        }
        Err(_elapsed) => tracing::info!(?pid, "a peer did not introduce itself in time"),
    }
}
