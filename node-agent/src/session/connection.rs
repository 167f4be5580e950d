//! Ways to a station: a Unix socket of the same user, or TLS over the network. Two halves hide which it is.

use mainstay_identity::Renewing;
use mainstay_identity::way::{self, BoxedStream};
use mainstay_protocol::Address;
use tokio::io::{AsyncRead, AsyncWrite};

use super::SessionError;

pub(crate) type ReadHalf = Box<dyn AsyncRead + Send + Unpin>;
pub(crate) type WriteHalf = Box<dyn AsyncWrite + Send + Unpin>;

pub(super) struct Connection {
    pub(super) read: ReadHalf,
    pub(super) write: WriteHalf,
}

impl Connection {
    pub(super) fn over(stream: BoxedStream) -> Self {
        let (read, write) = tokio::io::split(stream);
        Self {
            read: Box::new(read),
            write: Box::new(write),
        }
    }
}

pub(super) async fn connect(
    station: &Address,
    shown: Option<&Renewing>,
) -> Result<Connection, SessionError> {
    let opened = way::open(station, shown.map(Renewing::session)).await;
    let stream = opened.map_err(|cause| broken("connecting to the station", cause))?;
    Ok(Connection::over(stream))
}

/// What TLS has to say about it comes first. Whether the station took what it was shown is only heard with its first word.
pub(super) fn broken(doing: &'static str, cause: std::io::Error) -> SessionError {
    match way::told(&cause) {
        Some((code, text)) => SessionError::Refused { code, text },
        None => SessionError::Io { doing, cause },
    }
}
