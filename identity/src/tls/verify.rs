//! Verifiers that are not as the usual ones, each in one point and for one purpose.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    SignatureScheme,
};

use mainstay_protocol::Bearer;
use webpki::{EndEntityCert, KeyUsage};

use crate::authority::Fingerprint;
use crate::tls;

/// Verifies a certificate that has run out as of its last second.
#[derive(Debug)]
pub struct AlsoExpired(pub Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for AlsoExpired {
    fn client_auth_mandatory(&self) -> bool {
        self.0.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match self.0.verify_client_cert(certificate, chain, now) {
            Err(Error::InvalidCertificate(CertificateError::ExpiredContext {
                not_after, ..
            })) => self.0.verify_client_cert(certificate, chain, not_after),
            verified => verified,
        }
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

/// What a `provider` says of signatures.
macro_rules! signatures_as_usual {
    () => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            let algorithms = &self.provider.signature_verification_algorithms;
            rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            let algorithms = &self.provider.signature_verification_algorithms;
            rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.provider
                .signature_verification_algorithms
                .supported_schemes()
        }
    };
}

/// Believes the authority that the other side shows, if it is the one with this fingerprint; then everything is as usual.
#[derive(Debug)]
pub struct ByFingerprint {
    authority: Fingerprint,
    provider: Arc<CryptoProvider>,
}

impl ByFingerprint {
    pub fn new(authority: Fingerprint, provider: Arc<CryptoProvider>) -> Self {
        Self {
            authority,
            provider,
        }
    }
}

impl ServerCertVerifier for ByFingerprint {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let meant = chain
            .iter()
            .find(|one| Fingerprint::of(one) == self.authority);
        let Some(authority) = meant else {
            return Err(Error::InvalidCertificate(CertificateError::UnknownIssuer));
        };
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        let usual = WebPkiServerVerifier::builder_with_provider(
            Arc::new(roots),
            Arc::clone(&self.provider),
        )
        .build()
        .map_err(|error| Error::General(error.to_string()))?;
        usual.verify_server_cert(certificate, chain, name, ocsp, now)
    }

    signatures_as_usual!();
}

/// A certificate of this authority that says that its bearer is this one. Agents have no name in the net: which address they
/// have says the graph, and who they are says this.
#[derive(Debug)]
pub struct OfBearer {
    pub authority: CertificateDer<'static>,
    pub bearer: Bearer,
    pub provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for OfBearer {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let bad = |error: webpki::Error| Error::General(error.to_string());
        let anchors = [webpki::anchor_from_trusted_cert(&self.authority).map_err(bad)?];
        let read = EndEntityCert::try_from(certificate).map_err(bad)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        // It is the one that the agent shows wherever it goes.
        let usage = KeyUsage::client_auth();
        read.verify_for_usage(algorithms, &anchors, &[], now, usage, None, None)
            .map_err(bad)?;
        match tls::bearer(certificate) {
            Ok((_, bearer)) if bearer == self.bearer => Ok(ServerCertVerified::assertion()),
            Ok((_, bearer)) => Err(Error::General(format!(
                "{bearer} is there, and not {}",
                self.bearer
            ))),
            Err(error) => Err(Error::General(error.to_string())),
        }
    }

    signatures_as_usual!();
}
