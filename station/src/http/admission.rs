//! Who comes in to the API: only whom the socket is for, and only so many at a time. One more is not left waiting: it
//! is told to come back, in HTTP, before any request of it is looked at.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use mainstay_api::Problem;
use mainstay_api::routes::Asker;
use mainstay_identity::local;
use mainstay_identity::way::BoxedStream;
use mainstay_protocol::Role;
use mainstay_protocol::{code, limits};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Sleep;

use super::{Connected, ToApi};

const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Time for who is told to come back to ask, and to take the answer.
const REFUSAL_DEADLINE: Duration = Duration::from_secs(2);

/// The listener.
pub struct Admitting {
    listener: UnixListener,
    places: Places,
}

/// For how long somebody may be here that shows nothing: a token is shown and answered within that.
const STRANGER_DEADLINE: Duration = Duration::from_secs(20);

/// A connection and the place it takes.
pub struct Admitted {
    stream: BoxedStream,
    until: Option<Pin<Box<Sleep>>>,
    _place: OwnedSemaphorePermit,
}

/// Places for connections, and for telling that there is none.
#[derive(Clone)]
struct Places {
    open: Arc<Semaphore>,
    refusals: Arc<Semaphore>,
}

impl Places {
    fn new() -> Self {
        Self {
            open: Arc::new(Semaphore::new(limits::API_CONNECTIONS_MAX)),
            refusals: Arc::new(Semaphore::new(limits::API_REFUSALS_MAX)),
        }
    }

    fn take(&self, stream: BoxedStream) -> Option<Admitted> {
        if let Ok(place) = Arc::clone(&self.open).try_acquire_owned() {
            return Some(Admitted {
                stream,
                until: None,
                _place: place,
            });
        }
        match Arc::clone(&self.refusals).try_acquire_owned() {
            Ok(refusing) => {
                // Ends within its deadline, and nobody waits for it.
                drop(tokio::spawn(async move {
                    let refused = tokio::time::timeout(REFUSAL_DEADLINE, refuse(stream)).await;
                    tracing::debug!(?refused, "too many connections; one was told to come back");
                    drop(refusing);
                }));
            }
            Err(_full) => tracing::debug!("too many connections; one was closed"),
        }
        None
    }
}

impl Admitting {
    pub fn new(listener: UnixListener) -> Self {
        Self {
            listener,
            places: Places::new(),
        }
    }
}

impl Listener for Admitting {
    type Io = Admitted;
    type Addr = Connected;

    async fn accept(&mut self) -> (Admitted, Connected) {
        loop {
            match self.listener.accept().await {
                Ok((stream, _address)) => match local::admit(&stream) {
                    Ok(Ok(_pid)) => {
                        let asker = of_this_machine(&stream);
                        if let Some(admitted) = self.places.take(Box::new(stream)) {
                            return (admitted, Connected::Known(asker));
                        }
                    }
                    Ok(Err(stranger)) => tracing::warn!(%stranger, "a request was refused"),
                    Err(error) => tracing::debug!(%error, "a peer left before it was looked at"),
                },
                Err(error) => {
                    tracing::warn!(%error, "accepting a request failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<Connected> {
        Ok(Connected::Stranger)
    }
}

/// What the name of a user of this machine begins with; nobody who comes over the network has such a name.
pub const OF_THIS_MACHINE: &str = "uid-";

/// Whoever the socket lets in administers the machine, and with it the station.
fn of_this_machine(stream: &UnixStream) -> Asker {
    let uid = stream.peer_cred().map_or(0, |peer| peer.uid());
    Asker::Person {
        name: format!("{OF_THIS_MACHINE}{uid}"),
        role: Role::Admin,
        group: None,
    }
}

/// Connections that came over the network, or that another station passes requests on; TLS has said whose they are.
pub struct Others {
    come: mpsc::Receiver<ToApi>,
    places: Places,
    /// Theirs are few, and their own: nobody who belongs here is kept out by them.
    strangers: Arc<Semaphore>,
}

impl Others {
    pub fn new(come: mpsc::Receiver<ToApi>) -> Self {
        Self {
            come,
            places: Places::new(),
            strangers: Arc::new(Semaphore::new(limits::API_STRANGERS_MAX)),
        }
    }

    fn take(&self, stream: BoxedStream, whose: &Connected) -> Option<Admitted> {
        match whose {
            Connected::Known(_) | Connected::Shown(_) => self.places.take(stream),
            Connected::Stranger => {
                let place = Arc::clone(&self.strangers).try_acquire_owned().ok();
                if place.is_none() {
                    tracing::debug!("too many strangers; one more is closed");
                }
                Some(Admitted {
                    stream,
                    until: Some(Box::pin(tokio::time::sleep(STRANGER_DEADLINE))),
                    _place: place?,
                })
            }
        }
    }
}

impl Listener for Others {
    type Io = Admitted;
    type Addr = Connected;

    async fn accept(&mut self) -> (Admitted, Connected) {
        loop {
            let Some(ToApi { stream, whose }) = self.come.recv().await else {
                // The listener is closed: no more will come.
                std::future::pending::<()>().await;
                continue;
            };
            if let Some(admitted) = self.take(stream, &whose) {
                return (admitted, whose);
            }
        }
    }

    fn local_addr(&self) -> io::Result<Connected> {
        Ok(Connected::Stranger)
    }
}

/// Answers the first request whatever it is. All of it is read, since closing over unread bytes would take the answer
/// back.
async fn refuse(mut stream: BoxedStream) -> io::Result<()> {
    let mut buffer = [0; 4096];
    if stream.read(&mut buffer).await? == 0 {
        return Ok(());
    }
    let why = format!(
        "{} connections are open, and no more are taken",
        limits::API_CONNECTIONS_MAX
    );
    let mut problem = Problem::new(code::OVERLOADED, "connect to the station", why);
    problem = problem.in_request("-");
    let body = serde_json::to_vec(&problem)?;
    let head = format!(
        "HTTP/1.1 {} Service Unavailable\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\n\
         retry-after: 1\r\nconnection: close\r\n\r\n",
        problem.status,
        body.len()
    );
    stream
        .write_all(&[head.into_bytes(), body].concat())
        .await?;
    stream.shutdown().await?;
    let mut left = limits::HTTP_BODY_BYTES_MAX;
    loop {
        let read = stream.read(&mut buffer).await?;
        left = left.saturating_sub(read);
        if read == 0 || left == 0 {
            return Ok(());
        }
    }
}

impl AsyncRead for Admitted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(until) = &mut self.until
            && until.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Admitted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
