//! TLS 1.3 in which both sides show who they are. A certificate that has run out still opens a connection, and says so: its
//! bearer may ask for a new one and for nothing else, so that a cluster that was dark for months comes back by itself.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mainstay_protocol::ClusterId;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    ServerConfig, SignatureScheme,
};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::{Bearer, IdentityError};

/// What every station's certificate answers to.
pub const STATION_NAME: &str = "station.mainstay";
/// Behind it the frozen handshake is spoken: sessions, and stations among themselves.
pub const ALPN_SESSION: &[u8] = b"mainstay/1";
/// The API.
pub const ALPN_API: &[u8] = b"http/1.1";

/// Who is at the other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    pub cluster: ClusterId,
    pub bearer: Bearer,
    /// It may do nothing but ask for a new certificate.
    pub expired: bool,
}

/// A station's side.
pub fn server(
    authority: &CertificateDer<'static>,
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, IdentityError> {
    let verifier = WebPkiClientVerifier::builder_with_provider(roots(authority)?, provider())
        .build()
        .map_err(|error| Error::General(error.to_string()))?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(Arc::new(AlsoExpired(verifier)))
        .with_single_cert(vec![certificate, authority.clone()], key)?;
    config.alpn_protocols = vec![ALPN_SESSION.to_vec(), ALPN_API.to_vec()];
    Ok(config)
}

/// The side of whoever comes to a station.
pub fn client(
    authority: &CertificateDer<'static>,
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
    alpn: &[u8],
) -> Result<ClientConfig, IdentityError> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots(authority)?)
        .with_client_auth_cert(vec![certificate, authority.clone()], key)?;
    config.alpn_protocols = vec![alpn.to_vec()];
    Ok(config)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn roots(authority: &CertificateDer<'static>) -> Result<Arc<RootCertStore>, IdentityError> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.clone())?;
    Ok(Arc::new(roots))
}

/// Who showed these certificates; they were verified.
pub fn peer(
    certificates: Option<&[CertificateDer<'_>]>,
    now: SystemTime,
) -> Result<Peer, IdentityError> {
    let bad = |what: &str| IdentityError::Name(what.to_owned());
    let first = certificates
        .and_then(<[_]>::first)
        .ok_or_else(|| bad("it showed none"))?;
    let (_, read) = X509Certificate::from_der(first).map_err(|error| bad(&error.to_string()))?;
    let names = read
        .subject_alternative_name()
        .map_err(|error| bad(&error.to_string()))?
        .ok_or_else(|| bad("it has no names"))?;
    let uris: Vec<&str> = names
        .value
        .general_names
        .iter()
        .filter_map(|name| match name {
            GeneralName::URI(uri) => Some(*uri),
            _ => None,
        })
        .collect();
    let [uri] = uris[..] else {
        return Err(bad("it has not one URI"));
    };
    let (cluster, bearer) = Bearer::of_uri(uri).ok_or_else(|| bad(uri))?;
    Ok(Peer {
        cluster,
        bearer,
        expired: end_of(&read) < seconds(now),
    })
}

/// Until when a certificate stands.
pub fn not_after(certificate: &CertificateDer<'_>) -> Result<SystemTime, IdentityError> {
    let (_, read) = X509Certificate::from_der(certificate)
        .map_err(|error| IdentityError::Name(error.to_string()))?;
    Ok(SystemTime::UNIX_EPOCH + Duration::from_secs(end_of(&read)))
}

fn end_of(certificate: &X509Certificate<'_>) -> u64 {
    u64::try_from(certificate.validity().not_after.timestamp()).unwrap_or(0)
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// Verifies a certificate that has run out as of its last second.
#[derive(Debug)]
struct AlsoExpired(Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for AlsoExpired {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.0.verify_client_cert(certificate, chain, now);
        let expired = matches!(
            verified,
            Err(Error::InvalidCertificate(
                CertificateError::Expired | CertificateError::ExpiredContext { .. }
            ))
        );
        if !expired {
            return verified;
        }
        let (_, read) = X509Certificate::from_der(certificate)
            .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
        let last = UnixTime::since_unix_epoch(Duration::from_secs(end_of(&read)));
        self.0.verify_client_cert(certificate, chain, last)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
