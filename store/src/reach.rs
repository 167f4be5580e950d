//! How the log reaches other stations. Addresses, encryption and who may come are the station's business; the log gets
//! connections that are introduced already.

use std::io;

use futures::future::BoxFuture;
use mainstay_protocol::StationId;
use tokio::io::{AsyncRead, AsyncWrite};

/// A connection to another station of the group.
pub trait PeerStream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> PeerStream for T {}

/// Opens them.
pub trait Reach: Send + Sync + 'static {
    fn connect(
        &self,
        station: StationId,
        address: &str,
    ) -> BoxFuture<'static, io::Result<Box<dyn PeerStream>>>;
}

/// Of a station that is alone, and stays so.
#[derive(Debug, Clone, Copy)]
pub struct Alone;

impl Reach for Alone {
    fn connect(
        &self,
        _station: StationId,
        address: &str,
    ) -> BoxFuture<'static, io::Result<Box<dyn PeerStream>>> {
        let text = format!("no way to the station at {address}");
        Box::pin(async move { Err(io::Error::other(text)) })
    }
}
