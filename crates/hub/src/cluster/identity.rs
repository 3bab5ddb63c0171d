//! How front-ends of one hub know each other: by the hub's key, which all of them have.
//!
//! From it comes a certificate, the same for each, and a word that is said under it. So neither the database nor the
//! network can put a stranger between two front-ends.

use std::io;
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, ServerConfig, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};

/// What stands before the 32 bytes of an Ed25519 key in PKCS#8 (RFC 8410, section 7).
const PKCS8_HEAD: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// The name in the certificate; nobody looks for it in any directory.
const NAME: &str = "front-end.consign";

/// What a front-end shows to others, and recognises them by.
pub(crate) struct Identity {
    pub(crate) server: Arc<ServerConfig>,
    pub(crate) client: Arc<ClientConfig>,
    pub(crate) name: ServerName<'static>,
    word: [u8; 32],
}

impl Identity {
    /// Of the hub with this secret key.
    pub(crate) fn of_hub(secret: &[u8; 32]) -> io::Result<Self> {
        let seed = blake3::derive_key("consign 2026-11 certificate between front-ends", secret);
        let word = blake3::derive_key("consign 2026-11 word between front-ends", secret);
        let pkcs8: Vec<u8> = PKCS8_HEAD.iter().chain(&seed).copied().collect();
        let key = PrivatePkcs8KeyDer::from(pkcs8);
        let pair = KeyPair::try_from(&key).map_err(io::Error::other)?;
        let params = CertificateParams::new([NAME.to_owned()]).map_err(io::Error::other)?;
        // The same bytes each time: the signature follows from the key and the contents.
        let certificate = params.self_signed(&pair).map_err(io::Error::other)?.der().clone();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let versions = [&rustls::version::TLS13];
        let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&versions)
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key.into())
            .map_err(io::Error::other)?;
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        let verifier = Arc::new(Same { certificate, provider: Arc::clone(&provider) });
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&versions)
            .map_err(io::Error::other)?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        client.alpn_protocols = vec![b"http/1.1".to_vec()];
        let name = ServerName::try_from(NAME).map_err(io::Error::other)?;
        Ok(Self { server: Arc::new(server), client: Arc::new(client), name, word })
    }

    /// What a front-end says to another whose certificate it has seen.
    pub(crate) fn word(&self) -> String {
        hex::encode(self.word)
    }

    /// Whether somebody said it; in constant time, as hashes are compared.
    pub(crate) fn is_word(&self, said: &[u8]) -> bool {
        blake3::hash(said) == blake3::hash(self.word().as_bytes())
    }
}

/// Accepts the very certificate that this front-end would show.
#[derive(Debug)]
struct Same {
    certificate: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Same {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match *end_entity == self.certificate {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
    use tokio_rustls::{TlsAcceptor, TlsConnector};

    use super::*;

    /// Whether somebody with one key speaks to somebody with another.
    async fn speaks(client: [u8; 32], server: [u8; 32]) -> bool {
        let (near, far) = duplex(64 * 1024);
        let server = Identity::of_hub(&server).expect("an identity");
        let serving = tokio::spawn(async move {
            let mut stream = TlsAcceptor::from(server.server).accept(far).await?;
            stream.write_all(b"hello").await?;
            stream.shutdown().await
        });
        let client = Identity::of_hub(&client).expect("an identity");
        let connected = TlsConnector::from(client.client).connect(client.name, near).await;
        let mut said = String::new();
        if let Ok(mut stream) = connected {
            stream.read_to_string(&mut said).await.expect("reads");
        }
        let _ = serving.await.expect("no panic");
        said == "hello"
    }

    #[tokio::test]
    async fn front_ends_of_one_hub_recognise_each_other_and_nobody_else() {
        assert!(speaks([1; 32], [1; 32]).await);
        assert!(!speaks([1; 32], [2; 32]).await);
        let [own, other] = [1, 2].map(|it| Identity::of_hub(&[it; 32]).expect("an identity"));
        assert!(own.is_word(own.word().as_bytes()));
        assert!(!own.is_word(other.word().as_bytes()) && !own.is_word(b""));
    }
}
