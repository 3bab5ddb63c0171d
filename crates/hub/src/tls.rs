//! The hub's certificate.

use std::io;
use std::path::Path;
use std::sync::Arc;

use documents::Validity;
use rustls::server::WantsServerCert;
use rustls::{ConfigBuilder, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::acme::{CHALLENGE_PROTOCOL, Renewal};
use crate::config::{Acme, CertificateTrust, Tls};
use crate::files::{DataDir, write_private};

/// TLS settings, and what clients recognise the hub by.
pub(crate) struct Identity {
    pub(crate) server: Arc<ServerConfig>,
    /// SHA-256 of the hub's certificate; `None` where authorities vouch for it.
    pub(crate) fingerprint: Option<[u8; 32]>,
    /// When the certificate in use ends, in seconds since 1970, if there is one.
    pub(crate) ends: CertificateEnds,
    /// Obtains the certificate, while it runs.
    pub(crate) renewal: Option<Renewal>,
}

/// Asked by whoever warns of a certificate that ends.
pub(crate) type CertificateEnds = Arc<dyn Fn() -> Option<u64> + Send + Sync>;

/// Loads the certificate, making the self-signed one at the first start; `None` without TLS.
pub(crate) fn identity(tls: &Tls, data: &DataDir) -> io::Result<Option<Identity>> {
    let directory = data.tls();
    let (cert, key, trust) = match tls {
        Tls::Off => return Ok(None),
        Tls::Acme(acme) => return renewed(acme, data).map(Some),
        Tls::Files { cert, key, trust } => (cert.clone(), key.clone(), *trust),
        Tls::SelfSigned => {
            let (cert, key) = (directory.join("cert.pem"), directory.join("key.pem"));
            if !cert.exists() {
                make_certificate(&directory, &cert, &key)?;
            }
            (cert, key, CertificateTrust::Fingerprint)
        }
    };
    load(&cert, &key, trust).map(Some)
}

fn renewed(acme: &Acme, data: &DataDir) -> io::Result<Identity> {
    let renewal = Renewal::open(acme.clone(), data.acme())?;
    let mut server = server_builder()?.with_cert_resolver(renewal.certificates());
    server.alpn_protocols = vec![b"http/1.1".to_vec(), CHALLENGE_PROTOCOL.to_vec()];
    let certificates = renewal.certificates();
    let ends: CertificateEnds = Arc::new(move || certificates.ends());
    Ok(Identity { server: Arc::new(server), fingerprint: None, ends, renewal: Some(renewal) })
}

fn server_builder() -> io::Result<ConfigBuilder<ServerConfig, WantsServerCert>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    Ok(builder.with_no_client_auth())
}

/// The key is written first: a certificate without its key would never be replaced.
fn make_certificate(directory: &Path, cert: &Path, key: &Path) -> io::Result<()> {
    std::fs::create_dir_all(directory)?;
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])
        .map_err(io::Error::other)?;
    write_private(key, made.signing_key.serialize_pem().as_bytes())?;
    write_private(cert, made.cert.pem().as_bytes())
}

fn load(cert: &Path, key: &Path, trust: CertificateTrust) -> io::Result<Identity> {
    let named = |path: &Path, error: rustls_pki_types::pem::Error| {
        io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", path.display()))
    };
    let chain = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| named(cert, error))?;
    let first = chain.first().ok_or_else(|| {
        let none = format!("{}: no certificate in it", cert.display());
        io::Error::new(io::ErrorKind::InvalidData, none)
    })?;
    let fingerprint = match trust {
        CertificateTrust::Fingerprint => Some(documents::certificate_fingerprint(first)),
        CertificateTrust::WebPki => None,
    };
    let validity = Validity::of(first);
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| named(key, error))?;
    let mut server = server_builder()?.with_single_cert(chain, key).map_err(io::Error::other)?;
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    let ends: CertificateEnds = Arc::new(move || validity.map(|validity| validity.ends));
    Ok(Identity { server: Arc::new(server), fingerprint, ends, renewal: None })
}
