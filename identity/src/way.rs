//! A connection to a daemon: over the machine's own socket, or over the network with TLS.

use std::io;
use std::path::Path;
use std::sync::Arc;

use mainstay_protocol::code::{self, Code};
use mainstay_protocol::{Address, Bearer};
use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use crate::tls::{STATION_NAME, bearer};

/// Both ways of a connection, whatever it goes over.
pub trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for T {}

pub type BoxedStream = Box<dyn Stream>;

/// A connection that nothing has been said on: so far it says that a machine is there.
pub enum Bare {
    Unix(UnixStream),
    Network(TcpStream),
}

pub async fn reach(address: &Address) -> io::Result<Bare> {
    match address {
        Address::Unix(path) => unix(path).await.map(Bare::Unix),
        Address::Tls { host, port } => network(host, *port).await.map(Bare::Network),
    }
}

/// Whether what went wrong on the way was said by the machine there: nobody listens, or what does broke off.
pub fn is_its_word(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, NotFound};
    matches!(
        error.kind(),
        // Of a socket on this machine nothing may be left.
        ConnectionRefused | ConnectionReset | ConnectionAborted | NotFound
    )
}

/// What is shown on a bare connection over the network.
pub async fn secure(bare: Bare, shown: Option<Arc<ClientConfig>>) -> io::Result<BoxedStream> {
    match (bare, shown) {
        (Bare::Unix(stream), _) => Ok(Box::new(stream)),
        (Bare::Network(stream), Some(shown)) => Ok(Box::new(tls(stream, shown).await?)),
        (Bare::Network(_), None) => Err(nothing_to_show("it")),
    }
}

fn nothing_to_show(whom: impl std::fmt::Display) -> io::Error {
    io::Error::new(
        io::ErrorKind::PermissionDenied,
        format!("{whom} is on the network, and there is nothing to show there: join first"),
    )
}

/// Over the network without anything to show there is nobody to go to.
pub async fn open(address: &Address, shown: Option<Arc<ClientConfig>>) -> io::Result<BoxedStream> {
    to_whom(address, shown).await.map(|(stream, _)| stream)
}

/// The same, and whose certificate is shown there, over the network.
pub async fn to_whom(
    address: &Address,
    shown: Option<Arc<ClientConfig>>,
) -> io::Result<(BoxedStream, Option<Bearer>)> {
    match (address, shown) {
        (Address::Unix(path), _) => Ok((Box::new(unix(path).await?), None)),
        (Address::Tls { host, port }, Some(shown)) => {
            let stream = tls(network(host, *port).await?, shown).await?;
            let theirs = stream.get_ref().1.peer_certificates();
            let theirs = theirs.and_then(<[_]>::first);
            let theirs = theirs.and_then(|first| bearer(first).ok());
            let bearer = theirs.map(|(_, bearer)| bearer);
            Ok((Box::new(stream), bearer))
        }
        (Address::Tls { .. }, None) => Err(nothing_to_show(address)),
    }
}

/// Only to a socket of this user's, or root's.
async fn unix(path: &Path) -> io::Result<UnixStream> {
    let stream = UnixStream::connect(path).await?;
    let theirs = stream.peer_cred()?.uid();
    let ours = rustix::process::geteuid().as_raw();
    if theirs != ours && theirs != 0 {
        let why = format!("the socket belongs to user {theirs}, not to {ours}");
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    }
    Ok(stream)
}

async fn network(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await?;
    // Frames are small, and somebody waits for each.
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn tls(
    stream: TcpStream,
    shown: Arc<ClientConfig>,
) -> io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let name = ServerName::try_from(STATION_NAME).map_err(io::Error::other)?;
    TlsConnector::from(shown).connect(name, stream).await
}

/// What a failed connection means, where TLS says more than that it failed.
pub fn told(error: &io::Error) -> Option<(Code, String)> {
    let inner = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    let both = |code, text: &str| Some((code, text.to_owned()));
    match inner {
        rustls::Error::InvalidCertificate(
            CertificateError::ExpiredContext { .. } | CertificateError::NotValidYetContext { .. },
        ) => Some((
            code::CLOCK,
            format!(
                "the station's certificate does not stand by this machine's clock: {inner}; one of the clocks is wrong, or the station has not run for days"
            ),
        )),
        rustls::Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => both(
            code::WRONG_CLUSTER,
            "the station there is of another cluster: its authority is not the one that is believed here",
        ),
        rustls::Error::InvalidCertificate(_) => Some((
            code::STRANGER,
            format!("what is there is no station: {inner}"),
        )),
        rustls::Error::AlertReceived(
            rustls::AlertDescription::UnknownCA
            | rustls::AlertDescription::DecryptError
            | rustls::AlertDescription::BadCertificate,
        ) => both(
            code::WRONG_CLUSTER,
            "the station does not believe what it was shown: it is of another cluster",
        ),
        rustls::Error::AlertReceived(_) | rustls::Error::PeerMisbehaved(_) => {
            Some((code::STRANGER, format!("the station broke off: {inner}")))
        }
        rustls::Error::InvalidMessage(_) => both(
            code::STRANGER,
            "what is there does not speak TLS; is this the address of a station?",
        ),
        _ => None,
    }
}
