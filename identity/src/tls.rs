//! TLS 1.3 in which both sides show who they are. A certificate that has run out still opens a connection, and says so: its
//! bearer may ask for a new one and for nothing else, so that a cluster that was dark for months comes back by itself. Who
//! shows none is a stranger, who may show a token and do nothing else.

mod verify;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mainstay_protocol::{Bearer, ClusterId};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, Error, RootCertStore, ServerConfig};
use webpki::{EndEntityCert, KeyUsage};

use crate::IdentityError;
use crate::authority::{Digest, Fingerprint, NodeKey, digest, point_of};
use verify::{AlsoExpired, ByFingerprint, OfBearer};

/// What every station's certificate answers to.
pub const STATION_NAME: &str = "station.mainstay";
/// Behind it the frozen handshake is spoken: sessions, and stations among themselves.
pub const ALPN_SESSION: &[u8] = b"mainstay/1";
/// The API.
pub const ALPN_API: &[u8] = b"http/1.1";

/// What somebody shows, and whom it believes.
#[derive(Debug, Clone)]
pub struct Credentials {
    pub authority: CertificateDer<'static>,
    pub certificate: CertificateDer<'static>,
    pub key: NodeKey,
}

/// Who is at the other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    pub cluster: ClusterId,
    pub bearer: Bearer,
    /// Its public key, as `NodeKey::public` gives it.
    pub public: Vec<u8>,
    /// Until when its certificate stands.
    pub not_after: SystemTime,
}

impl Peer {
    pub fn key(&self) -> Digest {
        digest(&self.public)
    }

    /// It may do nothing any more but ask for a new certificate.
    pub fn is_over(&self) -> bool {
        self.not_after < SystemTime::now()
    }
}

/// The side of whoever is come to: a station, or an agent.
pub fn server(shown: &Credentials) -> Result<ServerConfig, IdentityError> {
    let verifier =
        WebPkiClientVerifier::builder_with_provider(roots(&shown.authority)?, provider())
            .allow_unauthenticated()
            .build()
            .map_err(|error| Error::General(error.to_string()))?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(Arc::new(AlsoExpired(verifier)))
        .with_single_cert(chain(shown), shown.key.for_tls())?;
    config.alpn_protocols = vec![ALPN_SESSION.to_vec(), ALPN_API.to_vec()];
    Ok(config)
}

/// The side of whoever comes to a station.
pub fn client(shown: &Credentials, alpn: &[u8]) -> Result<ClientConfig, IdentityError> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots(&shown.authority)?)
        .with_client_auth_cert(chain(shown), shown.key.for_tls())?;
    config.alpn_protocols = vec![alpn.to_vec()];
    Ok(config)
}

/// The side of whoever comes to an agent: to this one, and no other.
pub fn to_agent(shown: &Credentials, agent: Bearer) -> Result<ClientConfig, IdentityError> {
    let verifier = OfBearer {
        authority: shown.authority.clone(),
        bearer: agent,
        provider: provider(),
    };
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_auth_cert(chain(shown), shown.key.for_tls())?;
    config.alpn_protocols = vec![ALPN_SESSION.to_vec()];
    Ok(config)
}

/// The side of whoever has nothing yet but a token, and by it the fingerprint of the authority that it believes.
pub fn stranger(authority: Fingerprint) -> Result<ClientConfig, IdentityError> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(ByFingerprint::new(authority, provider())))
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN_API.to_vec()];
    Ok(config)
}

/// With the authority's, so that who knows that by its fingerprint alone can look at it.
fn chain(shown: &Credentials) -> Vec<CertificateDer<'static>> {
    vec![shown.certificate.clone(), shown.authority.clone()]
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn roots(authority: &CertificateDer<'static>) -> Result<Arc<RootCertStore>, IdentityError> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.clone())?;
    Ok(Arc::new(roots))
}

/// Who showed these certificates, which were verified; none for a stranger.
pub fn peer(
    authority: &CertificateDer<'_>,
    certificates: Option<&[CertificateDer<'_>]>,
) -> Result<Option<Peer>, IdentityError> {
    let Some(first) = certificates.and_then(<[_]>::first) else {
        return Ok(None);
    };
    let (cluster, bearer, public) = read(first)?;
    Ok(Some(Peer {
        cluster,
        bearer,
        public,
        not_after: not_after(authority, first)?,
    }))
}

fn read(certificate: &CertificateDer<'_>) -> Result<(ClusterId, Bearer, Vec<u8>), IdentityError> {
    let bad = |what: String| IdentityError::Name(what);
    let read = EndEntityCert::try_from(certificate).map_err(|error| bad(error.to_string()))?;
    let uris: Vec<&str> = read.valid_uri_names().collect();
    let [uri] = uris[..] else {
        return Err(bad(format!("it has {} URIs and not one", uris.len())));
    };
    let (cluster, bearer) = Bearer::of_uri(uri).ok_or_else(|| bad(uri.to_owned()))?;
    let public = point_of(&read.subject_public_key_info());
    let public = public.ok_or_else(|| bad("its key is not on the curve P-256".to_owned()))?;
    Ok((cluster, bearer, public))
}

/// Whose certificate it is.
pub fn bearer(certificate: &CertificateDer<'_>) -> Result<(ClusterId, Bearer), IdentityError> {
    read(certificate).map(|(cluster, bearer, _)| (cluster, bearer))
}

/// Until when a certificate of this authority stands. There is one reader of certificates here, which is asked whether it
/// stands at the end of all days, and answers that it does not since then.
pub fn not_after(
    authority: &CertificateDer<'_>,
    certificate: &CertificateDer<'_>,
) -> Result<SystemTime, IdentityError> {
    let end = UnixTime::since_unix_epoch(Duration::from_secs(u64::from(u32::MAX) * 8));
    let bad = |error: webpki::Error| IdentityError::Name(error.to_string());
    let read = EndEntityCert::try_from(certificate).map_err(bad)?;
    let anchors = [webpki::anchor_from_trusted_cert(authority).map_err(bad)?];
    let provider = provider();
    let algorithms = provider.signature_verification_algorithms.all;
    let verified = read.verify_for_usage(
        algorithms,
        &anchors,
        &[],
        end,
        KeyUsage::client_auth(),
        None,
        None,
    );
    match verified {
        Err(webpki::Error::CertExpired { not_after, .. }) => {
            Ok(SystemTime::UNIX_EPOCH + Duration::from_secs(not_after.as_secs()))
        }
        Err(error) => Err(bad(error)),
        Ok(_) => Err(IdentityError::Name("it never ends".to_owned())),
    }
}
