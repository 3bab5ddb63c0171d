//! TLS connections by hand, for what no client does: thousands of them, from many addresses, whatever
//! certificate is shown.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

/// Takes whatever certificate is shown, unlooked at: the hub is this test's own, and thousands of
/// signatures take their time.
#[derive(Debug)]
struct Any;

impl ServerCertVerifier for Any {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// Makes connections to one hub.
#[derive(Clone)]
pub struct Dialler {
    hub: SocketAddr,
    connector: TlsConnector,
}

/// One connection.
#[derive(Debug)]
pub struct Wire(TlsStream<TcpStream>);

/// Connects to any hub, whatever its certificate.
///
/// # Panics
/// Never: the provider has the default versions.
#[must_use]
pub fn any_connector() -> TlsConnector {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Any))
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

impl Dialler {
    /// To the hub at this address.
    #[must_use]
    pub fn new(hub: SocketAddr) -> Self {
        Self { hub, connector: any_connector() }
    }

    /// A connection from an address of this machine: all of 127/8 are.
    ///
    /// # Panics
    /// When the hub does not take it.
    pub async fn connect(&self, from: Ipv4Addr) -> Wire {
        self.try_connect(from).await.expect("connects")
    }

    /// The same to a hub that may be gone.
    ///
    /// # Errors
    /// It does not take the connection.
    ///
    /// # Panics
    /// Never: the name is one.
    pub async fn try_connect(&self, from: Ipv4Addr) -> std::io::Result<Wire> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::new(from.into(), 0))?;
        let stream = socket.connect(self.hub).await?;
        let name = ServerName::try_from("localhost").expect("a name");
        Ok(Wire(self.connector.connect(name, stream).await?))
    }
}

impl Wire {
    /// The connection, to speak another way over it.
    #[must_use]
    pub fn into_stream(self) -> TlsStream<TcpStream> {
        self.0
    }

    /// The certificate that was shown.
    ///
    /// # Panics
    /// Never: a server shows one.
    #[must_use]
    pub fn certificate(&self) -> &[u8] {
        let shown = self.0.get_ref().1.peer_certificates().expect("a certificate");
        &shown[0]
    }

    /// Sends all of it.
    ///
    /// # Panics
    /// When the other side has gone.
    pub async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.expect("sends");
    }

    /// Reads until this text has come; all that came.
    ///
    /// # Panics
    /// When the other side ends before.
    pub async fn until(&mut self, text: &str) -> String {
        let mut heard = Vec::new();
        while !String::from_utf8_lossy(&heard).contains(text) {
            let came = self.0.read_buf(&mut heard).await.expect("reads");
            assert_ne!(came, 0, "ended after {:?}", String::from_utf8_lossy(&heard));
        }
        String::from_utf8_lossy(&heard).into_owned()
    }
}
