//! Trust in a hub's certificate: by its fingerprint alone, or as browsers trust.
//!
//! Hubs sign their own certificates, so names, dates and issuers prove nothing. The fingerprint
//! comes from the invitation; the handshake's signature proves that the other side holds the
//! certificate's key, and is checked as for any certificate.
//!
//! A certificate that an authority renews every few weeks has no fingerprint worth remembering:
//! an invitation to such a hub names none, and the authorities this system trusts decide.

use std::sync::Arc;

use documents::{certificate_fingerprint, origin_identity};
use hub_api::Hex;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, OtherError, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use rustls_platform_verifier::Verifier;

/// How a hub is recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pin {
    /// By the SHA-256 of its certificate's DER bytes; for `https://`.
    Fingerprint([u8; 32]),
    /// By the authorities this system trusts, its name and its dates; for `https://`.
    WebPki,
    /// Not at all, though over TLS; for `https://`, by a client without a key. Somebody in between
    /// reads and changes everything, so nothing may depend on it: see the messages of a handover.
    Unknown,
    /// Not at all; for `http://`, behind a proxy or tunnel of one's own.
    None,
}

impl Pin {
    /// How an invitation to the hub at `url` says that it is recognised: all zero stands for no
    /// fingerprint.
    #[must_use]
    pub fn of_invitation(url: &str, fingerprint: [u8; 32]) -> Self {
        match fingerprint {
            fingerprint if fingerprint != [0; 32] => Self::Fingerprint(fingerprint),
            _ if url.starts_with("https://") => Self::WebPki,
            _ => Self::None,
        }
    }

    /// What session proofs name the hub at `url` by: the fingerprint, else the URL's origin, all
    /// zero for plain HTTP.
    #[must_use]
    pub fn hub_identity(&self, url: &str) -> [u8; 32] {
        match self {
            Self::Fingerprint(fingerprint) => *fingerprint,
            Self::WebPki => origin_identity(url),
            Self::Unknown | Self::None => [0; 32],
        }
    }
}

/// The hub showed another certificate than the pinned one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the certificate's fingerprint is {got}, expected {expected}")]
pub(crate) struct WrongFingerprint {
    pub(crate) expected: Hex<32>,
    pub(crate) got: Hex<32>,
}

#[derive(Debug)]
struct PinnedCertificate {
    /// `None` takes any certificate.
    fingerprint: Option<[u8; 32]>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for PinnedCertificate {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let got = certificate_fingerprint(end_entity);
        let Some(expected) = self.fingerprint.filter(|expected| *expected != got) else {
            return Ok(ServerCertVerified::assertion());
        };
        let wrong = WrongFingerprint { expected: Hex(expected), got: Hex(got) };
        Err(CertificateError::Other(OtherError(Arc::new(wrong))).into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// A TLS client that accepts certificates from the authorities this system trusts: those in the
/// file or directory that `SSL_CERT_FILE` or `SSL_CERT_DIR` names, else those installed.
pub(crate) fn web_tls_config() -> Result<ClientConfig, &'static str> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Verifier::new(Arc::clone(&provider))
        .map_err(|_| "no certificate authorities are installed here (package ca-certificates)")?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has suites for TLS 1.2 and 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// A TLS client that accepts the certificate with this fingerprint and no other, for what is no hub: it speaks
/// `protocol` (RFC 7301).
#[must_use]
pub fn pinned(fingerprint: [u8; 32], protocol: &[u8]) -> ClientConfig {
    let mut config = tls_config(Some(fingerprint));
    config.alpn_protocols = vec![protocol.to_vec()];
    config
}

/// A TLS client that accepts the certificate with this fingerprint and no other; without one, any whose
/// key the other side has.
pub(crate) fn tls_config(fingerprint: Option<[u8; 32]>) -> ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = PinnedCertificate { fingerprint, provider: Arc::clone(&provider) };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has suites for TLS 1.2 and 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}

/// Finds our own reason in an error of the handshake.
pub(crate) fn wrong_fingerprint_in(error: &std::io::Error) -> Option<WrongFingerprint> {
    let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    if let rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(reason))) = error {
        reason.downcast_ref().copied()
    } else {
        None
    }
}
