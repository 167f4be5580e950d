//! Ways to a station. A Unix socket today, of the same user; its two halves hide which way it is.

use rustix::process::geteuid;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;

use super::SessionError;
use crate::options::Endpoint;

pub(super) type ReadHalf = Box<dyn AsyncRead + Send + Unpin>;
pub(super) type WriteHalf = Box<dyn AsyncWrite + Send + Unpin>;

pub(super) struct Connection {
    pub(super) read: ReadHalf,
    pub(super) write: WriteHalf,
}

pub(super) async fn connect(endpoint: &Endpoint) -> Result<Connection, SessionError> {
    let io = |cause| SessionError::Io {
        doing: "connecting to the station",
        cause,
    };
    match endpoint {
        Endpoint::Unix(path) => {
            let stream = UnixStream::connect(path).await.map_err(io)?;
            let theirs = stream.peer_cred().map_err(io)?.uid();
            let ours = geteuid().as_raw();
            if theirs != ours {
                return Err(SessionError::ForeignUser { ours, theirs });
            }
            let (read, write) = stream.into_split();
            Ok(Connection {
                read: Box::new(read),
                write: Box::new(write),
            })
        }
    }
}
