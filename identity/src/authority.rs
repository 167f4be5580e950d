//! The cluster's authority. Its own certificate stands for ten years and is known by its fingerprint; those it issues to
//! daemons stand for three days.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mainstay_protocol::{Bearer, ClusterId};
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SanType, SignatureAlgorithm, SigningKey,
};
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use time::OffsetDateTime;

use crate::hex::hex;
use crate::{IdentityError, tls};

/// How long a daemon's certificate stands; it is renewed when two thirds are over.
pub const DAEMON_VALID: Duration = Duration::from_secs(72 * 3600);
/// A person's: nobody renews it but the person, with another token.
pub const PERSON_VALID: Duration = Duration::from_secs(90 * 24 * 3600);
const OWN_VALID: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// A clock that is behind by less than this refuses nothing.
const BACKDATED: Duration = Duration::from_secs(3600);

pub struct Authority {
    cluster: ClusterId,
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
}

/// SHA-256 of an authority's certificate.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

/// SHA-256.
pub type Digest = [u8; 32];

pub fn digest(bytes: &[u8]) -> Digest {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

impl Fingerprint {
    pub fn of(certificate: &CertificateDer<'_>) -> Self {
        Self(digest(certificate))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The long-lived key of a daemon; it never leaves its machine, and certificates are issued to its public half.
#[derive(Clone)]
pub struct NodeKey(Arc<KeyPair>);

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NodeKey")
    }
}

impl NodeKey {
    pub fn mint() -> Result<Self, IdentityError> {
        Ok(Self(Arc::new(KeyPair::generate()?)))
    }

    pub fn read(pkcs8: &[u8]) -> Result<Self, IdentityError> {
        key_pair(pkcs8).map(|pair| Self(Arc::new(pair)))
    }

    /// To be kept in a file that nobody else can read.
    pub fn secret(&self) -> Vec<u8> {
        self.0.serialize_der()
    }

    /// What is sent to be certified.
    pub fn public(&self) -> Vec<u8> {
        self.0.der_bytes().to_vec()
    }

    /// Proves that whoever says this has the key.
    pub fn sign(&self, said: &str) -> Result<Vec<u8>, IdentityError> {
        Ok(self.0.sign(said.as_bytes())?)
    }

    pub fn for_tls(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.0.serialize_der()).into()
    }
}

fn key_pair(pkcs8: &[u8]) -> Result<KeyPair, IdentityError> {
    let key = PrivatePkcs8KeyDer::from(pkcs8.to_vec());
    KeyPair::from_pkcs8_der_and_sign_algo(&key, &rcgen::PKCS_ECDSA_P256_SHA256)
        .map_err(|error| IdentityError::Key(error.to_string()))
}

/// What stands before the point in the public key of a certificate, if the key is on the curve P-256.
const P256_SPKI: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

pub(crate) fn point_of(spki: &[u8]) -> Option<Vec<u8>> {
    let point = spki.strip_prefix(&P256_SPKI)?;
    is_public(point).then(|| point.to_vec())
}

/// Whether these bytes can be a public key: an uncompressed point, of the right length.
pub fn is_public(point: &[u8]) -> bool {
    point.len() == 65 && point.first() == Some(&4)
}

/// Whether the bearer of this public key said that.
pub fn has_signed(public: &[u8], said: &str, proof: &[u8]) -> bool {
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, public);
    key.verify(said.as_bytes(), proof).is_ok()
}

/// The point of a P-256 key, as `NodeKey::public` gives it.
struct Public(Vec<u8>);

impl PublicKeyData for Public {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

impl Authority {
    /// A new one, for a new cluster.
    pub fn found(cluster: ClusterId, now: SystemTime) -> Result<Self, IdentityError> {
        let key = KeyPair::generate()?;
        let certificate = own_params(cluster, Some(now)).self_signed(&key)?;
        let der = certificate.der().clone();
        Self::of(cluster, der, key)
    }

    /// One that was founded before.
    pub fn open(
        cluster: ClusterId,
        certificate: CertificateDer<'static>,
        pkcs8: &[u8],
    ) -> Result<Self, IdentityError> {
        Self::of(cluster, certificate, key_pair(pkcs8)?)
    }

    fn of(
        cluster: ClusterId,
        certificate: CertificateDer<'static>,
        key: KeyPair,
    ) -> Result<Self, IdentityError> {
        let secret = key.serialize_der();
        Ok(Self {
            cluster,
            issuer: Issuer::new(own_params(cluster, None), key),
            certificate,
            key: secret,
        })
    }

    pub fn cluster(&self) -> ClusterId {
        self.cluster
    }

    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// To be sealed before it is stored.
    pub fn secret(&self) -> &[u8] {
        &self.key
    }

    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.certificate)
    }

    /// A certificate for whoever has the other half of this public key.
    pub fn issue(
        &self,
        bearer: &Bearer,
        public: &[u8],
        now: SystemTime,
        valid: Duration,
    ) -> Result<CertificateDer<'static>, IdentityError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = named(bearer.to_string());
        let uri = Ia5String::try_from(bearer.uri(self.cluster))?;
        params.subject_alt_names = vec![SanType::URI(uri)];
        if let Bearer::Station(_) = bearer {
            // What clients ask for; which station it is, the URI says.
            let name = Ia5String::try_from(tls::STATION_NAME)?;
            params.subject_alt_names.push(SanType::DnsName(name));
        }
        params.not_before = moment(now - BACKDATED);
        params.not_after = moment(now + valid);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = match bearer {
            // Stations also come to stations.
            Bearer::Station(_) => vec![
                ExtendedKeyUsagePurpose::ServerAuth,
                ExtendedKeyUsagePurpose::ClientAuth,
            ],
            Bearer::Agent(_) | Bearer::Person { .. } => vec![ExtendedKeyUsagePurpose::ClientAuth],
        };
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&Public(public.to_vec()), &self.issuer)?;
        Ok(certificate.der().clone())
    }
}

impl fmt::Debug for Authority {
    /// Without its key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authority({}, {})", self.cluster, self.fingerprint())
    }
}

fn own_params(cluster: ClusterId, founded: Option<SystemTime>) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(format!("mainstay {cluster}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    if let Some(founded) = founded {
        params.not_before = moment(founded - BACKDATED);
        params.not_after = moment(founded + OWN_VALID);
    }
    params
}

fn named(name: String) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn moment(at: SystemTime) -> OffsetDateTime {
    OffsetDateTime::from(at)
}
