//! A hub that lies: it stands before a real one, shows that one's certificate, and alters what it
//! answers.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Frame, Incoming};
use hyper::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::tls::Dialler;

/// What becomes of one answer of the hub.
pub enum Meddling {
    /// It is passed on as it comes.
    Pass,
    /// So many bytes of its body are passed on, then nothing comes any more.
    Stall(u64),
    /// All of its body is altered.
    Alter(Box<dyn FnOnce(Vec<u8>) -> Vec<u8> + Send>),
    /// This comes in its place, again and again, without end.
    Endless(Bytes),
    /// Its body comes one byte at a time.
    Trickle(Duration),
    /// It never comes.
    Silence,
}

/// Decides by method and path, such as `GET /v1/communities/ID/queue?limit=64`.
type Manner = Box<dyn FnMut(&str) -> Meddling + Send>;

/// A hub between a machine and the real one.
pub struct Meddler {
    url: String,
    shared: Arc<Shared>,
    _runtime: tokio::runtime::Runtime,
}

struct Shared {
    hub: Dialler,
    manner: Mutex<Manner>,
    made_up_bytes: AtomicU64,
    passed_bytes: AtomicU64,
}

impl Meddler {
    /// Before the hub at this address, whose directory `tls` has its certificate and key. It is honest
    /// until it is told otherwise.
    ///
    /// # Panics
    /// When there is no such certificate, or no port.
    #[must_use]
    pub fn before(hub: SocketAddr, tls: &Path) -> Self {
        let server = server_config(tls);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let url = format!("https://{}", listener.local_addr().expect("bound"));
        let shared = Arc::new(Shared {
            hub: Dialler::new(hub),
            manner: Mutex::new(Box::new(|_| Meddling::Pass)),
            made_up_bytes: AtomicU64::new(0),
            passed_bytes: AtomicU64::new(0),
        });
        runtime.spawn(listen(listener, server, Arc::clone(&shared)));
        Self { url, shared, _runtime: runtime }
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it does from the next request on.
    pub fn set(&self, manner: impl FnMut(&str) -> Meddling + Send + 'static) {
        *self.shared.manner.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(manner);
    }

    /// It tells the truth again.
    pub fn relent(&self) {
        self.set(|_| Meddling::Pass);
    }

    /// How many bytes of the hub's bodies were passed on as they were.
    #[must_use]
    pub fn passed_bytes(&self) -> u64 {
        self.shared.passed_bytes.load(Ordering::Relaxed)
    }

    /// How many bytes of [`Meddling::Endless`] were taken off it.
    #[must_use]
    pub fn made_up_bytes(&self) -> u64 {
        self.shared.made_up_bytes.load(Ordering::Relaxed)
    }
}

fn server_config(tls: &Path) -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_file(tls.join("cert.pem")).expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(tls.join("key.pem")).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("they belong together");
    TlsAcceptor::from(Arc::new(config))
}

async fn listen(listener: TcpListener, tls: TlsAcceptor, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, shared) = (tls.clone(), Arc::clone(&shared));
        tokio::spawn(async move {
            let Ok(stream) = tls.accept(stream).await else { return };
            let service = service_fn(|request| answer(request, Arc::clone(&shared)));
            // Whoever goes away in the middle has its reasons.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Response<Piped>, Gone> {
    let meddling = {
        let mut manner = shared.manner.lock().unwrap_or_else(PoisonError::into_inner);
        manner(&format!("{} {}", request.method(), request.uri()))
    };
    let response = ask(request, &shared.hub).await?;
    let (mut head, body) = response.into_parts();
    head.headers.remove(TRANSFER_ENCODING);
    if !matches!(meddling, Meddling::Pass) {
        head.headers.remove(CONTENT_LENGTH);
    }
    let (pipe, piped) = mpsc::channel(1);
    match meddling {
        Meddling::Pass => {
            tokio::spawn(pass(body, pipe, u64::MAX, shared));
        }
        Meddling::Stall(bytes) => {
            tokio::spawn(pass(body, pipe, bytes, shared));
        }
        Meddling::Alter(alter) => {
            let whole = body.collect().await?.to_bytes();
            let _ = pipe.send(alter(whole.into()).into()).await;
        }
        Meddling::Endless(part) => {
            tokio::spawn(async move {
                while pipe.send(part.clone()).await.is_ok() {
                    shared.made_up_bytes.fetch_add(part.len() as u64, Ordering::Relaxed);
                }
            });
        }
        Meddling::Trickle(pause) => {
            let whole = body.collect().await?.to_bytes();
            tokio::spawn(async move {
                for place in 0..whole.len() {
                    if pipe.send(whole.slice(place..=place)).await.is_err() {
                        return;
                    }
                    tokio::time::sleep(pause).await;
                }
            });
        }
        Meddling::Silence => std::future::pending().await,
    }
    Ok(Response::from_parts(head, Piped(piped)))
}

/// The real hub, or whoever asked, has gone.
type Gone = Box<dyn std::error::Error + Send + Sync>;

/// Asks the hub itself.
async fn ask(request: Request<Incoming>, hub: &Dialler) -> Result<Response<Incoming>, Gone> {
    let (mut head, body) = request.into_parts();
    head.headers.remove(TRANSFER_ENCODING);
    let whole = Full::new(body.collect().await?.to_bytes());
    let stream = TokioIo::new(hub.try_connect([127, 0, 0, 1].into()).await?.into_stream());
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
    tokio::spawn(connection);
    Ok(sender.send_request(Request::from_parts(head, whole)).await?)
}

async fn pass(
    mut body: Incoming,
    pipe: mpsc::Sender<Bytes>,
    mut left_bytes: u64,
    shared: Arc<Shared>,
) {
    while let Some(Ok(frame)) = body.frame().await {
        let Ok(mut part) = frame.into_data() else { continue };
        part.truncate(usize::try_from(left_bytes).unwrap_or(usize::MAX));
        left_bytes -= part.len() as u64;
        shared.passed_bytes.fetch_add(part.len() as u64, Ordering::Relaxed);
        if pipe.send(part).await.is_err() {
            return;
        }
        if left_bytes == 0 {
            // Until whoever asked has had enough of waiting.
            pipe.closed().await;
        }
    }
}

/// A body that comes through a channel.
struct Piped(mpsc::Receiver<Bytes>);

impl Body for Piped {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|part| part.map(|part| Ok(Frame::data(part))))
    }
}
