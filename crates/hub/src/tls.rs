//! The hub's certificate.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::Tls;
use crate::files::{DataDir, write_private};

/// TLS settings and the SHA-256 of the hub's certificate.
pub(crate) struct Identity {
    pub(crate) server: Arc<ServerConfig>,
    pub(crate) fingerprint: [u8; 32],
}

/// Loads the certificate, making the self-signed one at the first start; `None` without TLS.
pub(crate) fn identity(tls: &Tls, data: &DataDir) -> io::Result<Option<Identity>> {
    let directory = data.tls();
    let (cert, key) = match tls {
        Tls::Off => return Ok(None),
        Tls::Files { cert, key } => (cert.clone(), key.clone()),
        Tls::SelfSigned => {
            let (cert, key) = (directory.join("cert.pem"), directory.join("key.pem"));
            if !cert.exists() {
                make_certificate(&directory, &cert, &key)?;
            }
            (cert, key)
        }
    };
    load(&cert, &key).map(Some)
}

/// The key is written first: a certificate without its key would never be replaced.
fn make_certificate(directory: &Path, cert: &Path, key: &Path) -> io::Result<()> {
    std::fs::create_dir_all(directory)?;
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])
        .map_err(io::Error::other)?;
    write_private(key, made.signing_key.serialize_pem().as_bytes())?;
    write_private(cert, made.cert.pem().as_bytes())
}

fn load(cert: &Path, key: &Path) -> io::Result<Identity> {
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
    let fingerprint = documents::certificate_fingerprint(first);
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| named(key, error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(io::Error::other)?;
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Identity { server: Arc::new(server), fingerprint })
}
