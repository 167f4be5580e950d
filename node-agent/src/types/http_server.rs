//! Serving HTTP/1.1: connections from clients, bounded in number and in patience.

use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

/// Connections at a time; one more waits in the kernel's queue.
const CONNECTIONS_MAX: usize = 1024;
/// A client that says nothing of what it wants is let go.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of a request's head.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// After an accept that failed (out of descriptors), so that it does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

pub(super) type Body = BoxBody<Bytes, Box<dyn Error + Send + Sync>>;
/// What a connection does after it changed its protocol, until either side ends it.
pub(super) type Tunnel = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What answers requests; always with something.
pub(super) trait Handler: Send + Sync + 'static {
    fn answer(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
        tunnels: mpsc::Sender<Tunnel>,
    ) -> impl Future<Output = Response<Body>> + Send;
}

/// An answer in words of ours.
pub(super) fn said(status: StatusCode, why: &str) -> Response<Body> {
    let text = Bytes::from(format!("{status}: {why}\n"));
    let mut answer = Response::new(whole(text));
    *answer.status_mut() = status;
    answer.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    answer
}

/// To another method than GET and HEAD.
pub(super) fn only_read(why: &str) -> Response<Body> {
    let mut answer = said(StatusCode::METHOD_NOT_ALLOWED, why);
    let allowed = HeaderValue::from_static("GET, HEAD");
    answer.headers_mut().insert(ALLOW, allowed);
    answer
}

pub(super) fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed()
}

/// What clients connect to.
pub(super) trait Listens: Send + Sync + 'static {
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    fn accept(&self) -> impl Future<Output = io::Result<(Self::Stream, SocketAddr)>> + Send;
}

impl Listens for TcpListener {
    type Stream = TcpStream;

    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, peer) = Self::accept(self).await?;
        // A client that has gone by now is noticed when it is read from.
        let _ = stream.set_nodelay(true);
        Ok((stream, peer))
    }
}

/// Of whoever connects nothing is known but that it is on this machine.
impl Listens for UnixListener {
    type Stream = UnixStream;

    async fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        let (stream, _) = Self::accept(self).await?;
        Ok((stream, (Ipv4Addr::LOCALHOST, 0).into()))
    }
}

/// Dropped, it ends with all its connections.
#[derive(Debug)]
pub(super) struct Server {
    ending: watch::Sender<bool>,
    accepting: Option<JoinHandle<()>>,
}

impl Server {
    pub(super) fn begin(listener: impl Listens, handler: Arc<impl Handler>) -> Self {
        let (ending, ends) = watch::channel(false);
        let accepting = Some(tokio::spawn(accept(listener, handler, ends)));
        Self { ending, accepting }
    }

    /// Takes no new connection, and returns when the open ones have finished their requests.
    pub(super) async fn finish(mut self) {
        self.ending.send_replace(true);
        if let Some(accepting) = &mut self.accepting {
            // It ends by itself, or was ended.
            let _ = accepting.await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(accepting) = &self.accepting {
            accepting.abort();
        }
    }
}

async fn accept(listener: impl Listens, handler: Arc<impl Handler>, ends: watch::Receiver<bool>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    // Ends with this task, and they with it.
    let mut open = JoinSet::new();
    loop {
        let next = async {
            let place = Arc::clone(&room).acquire_owned().await;
            (place.expect("it is never closed"), listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            () = asked_to_end(ends.clone()) => break,
            next = next => next,
            Some(_) = open.join_next() => continue,
        };
        match accepted {
            Ok((stream, peer)) => {
                open.spawn(serve(
                    stream,
                    peer,
                    Arc::clone(&handler),
                    ends.clone(),
                    place,
                ));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    while open.join_next().await.is_some() {}
}

/// Also when nobody is left who could ask.
async fn asked_to_end(mut ends: watch::Receiver<bool>) {
    let _ = ends.wait_for(|ends| *ends).await;
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: SocketAddr,
    handler: Arc<impl Handler>,
    ends: watch::Receiver<bool>,
    _place: OwnedSemaphorePermit,
) {
    let mut tunnels = JoinSet::new();
    let (tunnel, mut opened) = mpsc::channel(1);
    let service = service_fn(|request| {
        let (handler, tunnel) = (Arc::clone(&handler), tunnel.clone());
        async move { Ok::<_, Infallible>(handler.answer(request, peer, tunnel).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::pin!(connection);
    let mut is_ending = false;
    loop {
        tokio::select! {
            served = &mut connection => {
                if let Err(error) = served {
                    tracing::debug!(%peer, %error, "a connection ended badly");
                }
                break;
            }
            Some(next) = opened.recv() => {
                tunnels.spawn(next);
            }
            () = asked_to_end(ends.clone()), if !is_ending => {
                is_ending = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
    while let Ok(next) = opened.try_recv() {
        tunnels.spawn(next);
    }
    // What was upgraded goes on until either side ends it, or the server is asked to.
    tokio::select! {
        () = async { while tunnels.join_next().await.is_some() {} } => {}
        () = asked_to_end(ends) => {}
    }
}
