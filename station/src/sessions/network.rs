//! Who comes over the network: TLS first, then either what comes to the session socket, or the API.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mainstay_identity::tls::{self, ALPN_API};
use mainstay_identity::way;
use mainstay_protocol::limits;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;

use super::listener::{Came, Ground};
use crate::http::{Connected, ToApi};

/// One that was accepted, up to who it is.
pub async fn welcome(
    stream: TcpStream,
    from: SocketAddr,
    ground: &Ground,
    permit: OwnedSemaphorePermit,
) {
    let shared = &ground.shared;
    let Some(access) = &shared.access else { return };
    // Frames are small and somebody waits for each.
    drop(stream.set_nodelay(true));
    let within = Duration::from_millis(limits::HANDSHAKE_DEADLINE_MS);
    let accepting = access.acceptor().accept(stream);
    let stream = match tokio::time::timeout(within, accepting).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            let why = way::told(&error).map_or_else(|| error.to_string(), |(_, why)| why);
            tracing::info!(%from, why, "a connection was no TLS that is taken here");
            return;
        }
        Err(_elapsed) => {
            tracing::info!(%from, "a connection did not come to TLS in time");
            return;
        }
    };
    let session = stream.get_ref().1;
    let authority = access.shown().credentials().authority;
    let peer = match tls::peer(&authority, session.peer_certificates()) {
        Ok(peer) => peer,
        Err(error) => {
            tracing::warn!(%from, %error, "a certificate of this cluster says nobody");
            return;
        }
    };
    if let Some(peer) = &peer {
        access.saw(&peer.bearer, peer.not_after);
    }
    let to_api = session.alpn_protocol() == Some(ALPN_API);
    if !to_api {
        return super::listener::connection(Box::new(stream), ground, Came::Network(peer), permit)
            .await;
    }
    drop(permit);
    let passed = ground.to_api.send(ToApi {
        stream: Box::new(stream),
        whose: peer.map_or(Connected::Stranger, |peer| Connected::Shown(Arc::new(peer))),
    });
    // With the API's end the station ends.
    drop(passed.await);
}

/// Binds what a station is to listen on.
pub async fn bind(host: &str, port: u16) -> std::io::Result<TcpListener> {
    let mut failed = None;
    for address in tokio::net::lookup_host((host, port)).await? {
        let socket = match address {
            SocketAddr::V4(_) => tokio::net::TcpSocket::new_v4()?,
            SocketAddr::V6(_) => tokio::net::TcpSocket::new_v6()?,
        };
        socket.set_reuseaddr(true)?;
        match socket
            .bind(address)
            .and_then(|()| socket.listen(limits::LISTEN_BACKLOG))
        {
            Ok(listener) => return Ok(listener),
            Err(error) => failed = Some(error),
        }
    }
    Err(failed.unwrap_or_else(|| std::io::ErrorKind::NotFound.into()))
}

/// For as long as the listener's loop lives.
pub type Accepted = std::io::Result<(TcpStream, SocketAddr)>;

/// Nobody comes where nobody listens.
pub async fn accept(listener: Option<&Arc<TcpListener>>) -> Accepted {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}
