//! Looks at a hub's address step by step, believing nothing, so that a person can be told which
//! step fails: name, port, TLS, the service behind it.
//!
//! A probe accepts any certificate, for it sends no key, no session and nothing secret; it only
//! reports what it saw. What talks to a hub goes through [`HubClient`](crate::HubClient).

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use documents::{Validity, certificate_fingerprint};
use http_body_util::{BodyExt as _, Empty, Limited};
use hub_api::{HubInfo, routes};
use hyper::body::Bytes;
use hyper::header::{DATE, HOST, HeaderMap, HeaderName, SERVER};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::proxy::{Proxies, ProxyError};
use crate::tunnel;

/// Most bytes of the answer that are read.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// What was seen at an address. A step that was not reached is `None`.
#[derive(Debug)]
pub struct Probe {
    /// The proxy on the way, and how asking it for a tunnel went.
    pub proxy: Option<ProbedProxy>,
    /// What the name stands for: the hub's, or where a proxy is on the way, the proxy's.
    pub addresses: io::Result<Vec<SocketAddr>>,
    /// Which addresses were tried, in turn, and how that went; the last one may have worked.
    pub connections: Vec<(SocketAddr, io::Result<()>)>,
    /// The certificate that was shown; `None` also where the URL says plain HTTP.
    pub certificate: Option<io::Result<SeenCertificate>>,
    /// What answered.
    pub answer: Option<io::Result<Answer>>,
}

/// A proxy on the way to a hub.
#[derive(Debug)]
pub struct ProbedProxy {
    /// Its host.
    pub host: String,
    /// Its host and port.
    pub address: String,
    /// Whether it opened a tunnel.
    pub tunnel: Option<Result<(), ProxyError>>,
}

/// A certificate as it was shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenCertificate {
    /// SHA-256 of its DER bytes, as hubs are pinned by.
    pub fingerprint: [u8; 32],
    /// From when to when it is valid; `None` when that cannot be read.
    pub validity: Option<Validity>,
}

/// What answered a question for the hub's version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The `Server` header, at most 100 printable characters.
    pub server: Option<String>,
    /// The `Date` header in seconds since 1970.
    pub date: Option<u64>,
    /// What it says of itself, if it is a hub.
    pub hub: Option<HubInfo>,
}

/// Probes the hub at `url`, through a proxy where `proxies` has one for it; each step may take as
/// long as `patience`.
///
/// # Errors
/// When `url` is no address of a hub.
pub async fn probe(
    url: &str,
    proxies: &Proxies,
    patience: Duration,
) -> Result<Probe, &'static str> {
    let uri: Uri = url.parse().map_err(|_| "it is no URL")?;
    let host = uri.host().ok_or("it names no host")?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let is_tls = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        _ => return Err("it begins with neither https:// nor http://"),
    };
    let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
    let mut seen = Probe {
        proxy: None,
        addresses: Ok(Vec::new()),
        connections: Vec::new(),
        certificate: None,
        answer: None,
    };
    let proxy = match proxies.to(&uri) {
        Ok(proxy) => proxy,
        Err(error) => {
            let (host, address) = (String::new(), "that is set".to_owned());
            seen.proxy = Some(ProbedProxy { host, address, tunnel: Some(Err(error)) });
            return Ok(seen);
        }
    };
    seen.proxy = proxy.map(|proxy| ProbedProxy {
        host: proxy.host.clone(),
        address: proxy.to_string(),
        tunnel: None,
    });

    let (first_host, first_port) = proxy.map_or((&host, port), |proxy| (&proxy.host, proxy.port));
    seen.addresses = in_time(patience, resolve(first_host, first_port)).await;
    let Ok(addresses) = &seen.addresses else { return Ok(seen) };
    let mut stream = None;
    for address in addresses {
        let opened = in_time(patience, TcpStream::connect(*address)).await;
        let (result, found) = match opened {
            Ok(opened) => (Ok(()), Some(opened)),
            Err(error) => (Err(error), None),
        };
        seen.connections.push((*address, result));
        if found.is_some() {
            stream = found;
            break;
        }
    }
    let Some(mut stream) = stream else { return Ok(seen) };
    if let (Some(proxy), Some(told)) = (proxy, &mut seen.proxy) {
        let opened = timeout(patience, tunnel::open(stream, proxy, &host, port)).await;
        match opened.unwrap_or(Err(ProxyError::TimedOut { after: patience })) {
            Ok(opened) => (stream, told.tunnel) = (opened, Some(Ok(()))),
            Err(error) => {
                told.tunnel = Some(Err(error));
                return Ok(seen);
            }
        }
    }
    if !is_tls {
        seen.answer = Some(in_time(patience, ask(stream, &uri)).await);
        return Ok(seen);
    }
    let shown = Arc::new(Shown::default());
    let opened = in_time(patience, handshake(stream, &host, Arc::clone(&shown))).await;
    match opened {
        Ok(stream) => {
            let certificate = shown.take().ok_or(io::ErrorKind::InvalidData);
            seen.certificate = Some(certificate.map_err(Into::into));
            seen.answer = Some(in_time(patience, ask(stream, &uri)).await);
        }
        Err(error) => seen.certificate = Some(Err(error)),
    }
    Ok(seen)
}

async fn in_time<T>(
    patience: Duration,
    step: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    timeout(patience, step).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    Ok(tokio::net::lookup_host((host, port)).await?.collect())
}

async fn handshake(
    stream: TcpStream,
    host: &str,
    shown: Arc<Shown>,
) -> io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Arc::new(Looking { shown, provider: Arc::clone(&provider) });
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has suites for TLS 1.2 and 1.3")
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

async fn ask<S>(stream: S, uri: &Uri) -> io::Result<Answer>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let base = uri.path().trim_end_matches('/');
    let request = Request::get(format!("{base}{}", routes::HUB))
        .header(HOST, uri.authority().map_or("", |authority| authority.as_str()))
        .body(Empty::<Bytes>::new())
        .map_err(io::Error::other)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    let driver = tokio::spawn(connection);
    let answered = async {
        let response = sender.send_request(request).await.map_err(io::Error::other)?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
        // A body that is too long or breaks is no hub's; the head still tells something.
        let hub = body.ok().and_then(|body| serde_json::from_slice(&body.to_bytes()).ok());
        Ok(Answer {
            status: head.status.as_u16(),
            server: text(&head.headers, &SERVER),
            date: text(&head.headers, &DATE).as_deref().and_then(crate::date::parse),
            hub: hub.filter(|_| head.status.is_success()),
        })
    };
    let result = answered.await;
    driver.abort();
    result
}

fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?;
    Some(value.chars().filter(|c| !c.is_control()).take(100).collect())
}

/// The certificate of one handshake.
#[derive(Debug, Default)]
struct Shown(Mutex<Option<SeenCertificate>>);

impl Shown {
    fn take(&self) -> Option<SeenCertificate> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Accepts whatever is shown and remembers it: a look, not trust.
#[derive(Debug)]
struct Looking {
    shown: Arc<Shown>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Looking {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let seen = SeenCertificate {
            fingerprint: certificate_fingerprint(end_entity),
            validity: Validity::of(end_entity),
        };
        *self.shown.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
