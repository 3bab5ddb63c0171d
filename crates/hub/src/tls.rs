//! The hub's certificate.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::{ResolvesServerCert, WantsServerCert};
use rustls::{ConfigBuilder, ServerConfig};

use crate::acme::{CHALLENGE_PROTOCOL, Renewal};
use crate::certificate_files::CertificateFiles;
use crate::config::{Acme, CertificateTrust, Tls};
use crate::files::{DataDir, write_private};

/// TLS settings, and what clients recognise the hub by.
pub(crate) struct Identity {
    pub(crate) server: Arc<ServerConfig>,
    /// SHA-256 of the hub's certificate; `None` where authorities vouch for it.
    pub(crate) fingerprint: Option<[u8; 32]>,
    /// How the certificate in use is.
    pub(crate) certificate: CertificateNow,
    /// Where another one comes from, while the hub runs.
    pub(crate) source: CertificateSource,
}

/// Where another certificate comes from.
pub(crate) enum CertificateSource {
    /// From nowhere: the hub made its own.
    Own,
    /// From whoever replaces the files.
    Files(Arc<CertificateFiles>),
    /// From an authority.
    Authority(Renewal),
}

/// How a certificate is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct CertificateState {
    /// When it ends, in seconds since 1970, if there is one.
    pub(crate) ends: Option<u64>,
    /// Whether another one is in the files, and cannot be served.
    pub(crate) is_stale: bool,
}

/// Asked by whoever warns of a certificate.
pub(crate) type CertificateNow = Arc<dyn Fn() -> CertificateState + Send + Sync>;

/// Loads the certificate, making the self-signed one at the first start; `None` without TLS.
pub(crate) fn identity(tls: &Tls, data: &DataDir) -> io::Result<Option<Identity>> {
    let directory = data.tls();
    match tls {
        Tls::Off => Ok(None),
        Tls::Acme(acme) => renewed(acme, data).map(Some),
        Tls::Files { cert, key, trust } => {
            let files = in_files(cert.clone(), key.clone(), *trust)?;
            served(&files, CertificateSource::Files(Arc::clone(&files))).map(Some)
        }
        Tls::SelfSigned => {
            let (cert, key) = (directory.join("cert.pem"), directory.join("key.pem"));
            if !cert.exists() {
                make_certificate(&directory, &cert, &key)?;
            }
            let files = in_files(cert, key, CertificateTrust::Fingerprint)?;
            served(&files, CertificateSource::Own).map(Some)
        }
    }
}

fn renewed(acme: &Acme, data: &DataDir) -> io::Result<Identity> {
    let renewal = Renewal::open(acme.clone(), data.acme())?;
    let mut server = server_builder()?.with_cert_resolver(renewal.certificates());
    server.alpn_protocols = vec![b"http/1.1".to_vec(), CHALLENGE_PROTOCOL.to_vec()];
    let certificates = renewal.certificates();
    let certificate: CertificateNow =
        Arc::new(move || CertificateState { ends: certificates.ends(), is_stale: false });
    let source = CertificateSource::Authority(renewal);
    Ok(Identity { server: Arc::new(server), fingerprint: None, certificate, source })
}

fn in_files(
    cert: PathBuf,
    key: PathBuf,
    trust: CertificateTrust,
) -> io::Result<Arc<CertificateFiles>> {
    Ok(Arc::new(CertificateFiles::open(cert, key, trust, provider())?))
}

fn served(files: &Arc<CertificateFiles>, source: CertificateSource) -> io::Result<Identity> {
    let resolver: Arc<dyn ResolvesServerCert> = Arc::<CertificateFiles>::clone(files);
    let mut server = server_builder()?.with_cert_resolver(resolver);
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    let fingerprint = files.pinned();
    let files = Arc::clone(files);
    let certificate: CertificateNow =
        Arc::new(move || CertificateState { ends: files.ends(), is_stale: files.is_stale() });
    Ok(Identity { server: Arc::new(server), fingerprint, certificate, source })
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn server_builder() -> io::Result<ConfigBuilder<ServerConfig, WantsServerCert>> {
    let builder = ServerConfig::builder_with_provider(provider())
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
