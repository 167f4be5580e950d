//! Accepts connections and takes them off the accept loop at once.

use std::sync::Arc;
use std::time::Duration;

use mainstay_protocol::handshake::Handshake;
use mainstay_protocol::limits;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;

use super::introduce::Introduced;
use super::{introduce, serve};
use crate::peers;
use crate::shared::Shared;

/// What the listener of the session socket needs.
pub struct ListenerConfig {
    pub listener: UnixListener,
    pub shared: Arc<Shared>,
    /// How this station introduces itself.
    pub handshake: Handshake,
    /// Ends with the station.
    pub stop: watch::Receiver<bool>,
    /// Where connections go on which another station passes requests on.
    pub passed_on: mpsc::Sender<UnixStream>,
}

/// Time for sessions to end by themselves when the station stops.
const STOP_GRACE: Duration = Duration::from_millis(300);
/// After an accept that failed (too many open files): time for some to close.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

pub async fn listen(config: ListenerConfig) {
    let ListenerConfig {
        listener,
        shared,
        handshake,
        mut stop,
        passed_on,
    } = config;
    let introducing = Arc::new(Semaphore::new(limits::HANDSHAKES_MAX));
    let handshake = Arc::new(handshake);
    let mut sessions = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _address)) => {
                    let Ok(permit) = Arc::clone(&introducing).try_acquire_owned() else {
                        tracing::warn!("too many connections have not introduced themselves; one more is closed");
                        continue;
                    };
                    let shared = Arc::clone(&shared);
                    let way = Way { handshake: Arc::clone(&handshake), passed_on: passed_on.clone() };
                    sessions.spawn(async move { connection(stream, &shared, way, permit).await });
                }
                Err(error) => {
                    tracing::warn!(%error, "accepting a session failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(ended) = sessions.join_next(), if !sessions.is_empty() => {
                if let Err(error) = ended && error.is_panic() {
                    tracing::error!(%error, "a session panicked; the others go on");
                }
            }
            _ = stop.changed() => break,
        }
    }
    shared.sessions.close_all("the station stops");
    let ended = async { while sessions.join_next().await.is_some() {} };
    if tokio::time::timeout(STOP_GRACE, ended).await.is_err() {
        sessions.shutdown().await;
    }
}

/// What each connection needs of the listener's.
struct Way {
    handshake: Arc<Handshake>,
    passed_on: mpsc::Sender<UnixStream>,
}

async fn connection(
    mut stream: UnixStream,
    shared: &Arc<Shared>,
    way: Way,
    permit: tokio::sync::OwnedSemaphorePermit,
) {
    let pid = match peers::admit(&stream) {
        Ok(Ok(pid)) => pid,
        Ok(Err(stranger)) => {
            tracing::warn!(%stranger, "a session was refused");
            return;
        }
        Err(error) => {
            tracing::debug!(%error, "a peer left before it was looked at");
            return;
        }
    };
    let deadline = Duration::from_millis(limits::HANDSHAKE_DEADLINE_MS);
    let mine = Handshake {
        epoch: shared.ways.epoch(),
        ..Handshake::clone(&way.handshake)
    };
    let introduced = tokio::time::timeout(deadline, introduce::introduce(&mut stream, &mine)).await;
    drop(permit);
    match introduced {
        Ok(Ok(Introduced::Agent(agent))) => serve::serve(stream, *agent, pid, shared).await,
        Ok(Ok(Introduced::Log(from))) => {
            let ended = shared.store.serve_peer(from, Box::new(stream)).await;
            tracing::debug!(%from, ?ended, "a station's connection ended");
        }
        // With the API's end the station ends.
        Ok(Ok(Introduced::Api)) => drop(way.passed_on.send(stream).await),
        Ok(Err(bad)) => {
            tracing::info!(peer = %bad.frames.peer(), why = %bad.why, "a peer could not introduce itself");
            shared.metrics.bad_frame();
            shared.sessions.keep_bad(bad.frames);
        }
        Err(_elapsed) => tracing::info!(?pid, "a peer did not introduce itself in time"),
    }
}
