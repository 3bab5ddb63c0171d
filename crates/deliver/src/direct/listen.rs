//! The sender's end of a direct path.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use delivery::{DeliveryId, DeliverySecret, DirectPath, Tag, Vault};
use documents::certificate_fingerprint;
use futures_util::StreamExt as _;
use hub_client::HubClient;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{ServerConfig, crypto, version};
use tokio_rustls::server::TlsStream;
use wire::segments::encode_segment_head;

use super::{DirectError, PROTOCOL, REQUEST_BYTES, REQUEST_PATIENCE, STALL_PATIENCE};
use crate::source::Source;

/// Connections at once, those included whose token is not known yet. A recipient needs one, and one more when it
/// lost that.
pub(super) const CONNECTIONS_MAX: usize = 8;
/// Segments that are read and sealed while one is written.
const SEGMENTS_AHEAD: usize = 2;
/// How long nothing is accepted after that failed: this process has no files left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Tags of the segments that this process has sealed.
pub(crate) type Tags = Arc<Mutex<Vec<Option<Tag>>>>;

/// What is sent to whom.
pub(crate) struct Serving {
    pub(crate) source: Arc<Source>,
    pub(crate) vault: Arc<Vault>,
    pub(crate) tags: Tags,
    pub(crate) token: [u8; 32],
}

/// Listens until it is dropped.
pub(crate) struct Listener {
    path: Vec<u8>,
    state: Arc<State>,
    accepting: JoinHandle<()>,
}

struct State {
    serving: Serving,
    /// How many streams were asked for; the newest has the segments.
    streams: AtomicU64,
    /// How many of them are open.
    open: AtomicU64,
    /// Segments that went out here and were not sent before.
    segments: AtomicU64,
}

impl Listener {
    /// Listens at the address of this machine from which it reaches the hub, with a key and a certificate of its own.
    pub(crate) async fn open(
        client: &HubClient,
        (id, secret): (DeliveryId, &DeliverySecret),
        serving: Serving,
    ) -> Result<Self, DirectError> {
        let own = client.own_address().await.map_err(DirectError::Listen)?;
        let own = own.ok_or(DirectError::Proxied)?;
        if !client.hub_info().await.map_err(DirectError::Hub)?.direct {
            return Err(DirectError::RelayOnly);
        }
        Self::at(SocketAddr::new(own, 0), (id, secret), serving).await.map_err(DirectError::Listen)
    }

    pub(super) async fn at(
        address: SocketAddr,
        (id, secret): (DeliveryId, &DeliverySecret),
        serving: Serving,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let (acceptor, fingerprint) = identity()?;
        let path = DirectPath { addresses: vec![listener.local_addr()?], fingerprint };
        let state = State {
            serving,
            streams: AtomicU64::new(0),
            open: AtomicU64::new(0),
            segments: AtomicU64::new(0),
        };
        let state = Arc::new(state);
        let accepting = tokio::spawn(accept(listener, acceptor, Arc::clone(&state)));
        Ok(Self { path: path.seal(id, secret), state, accepting })
    }

    /// What the recipient is to be told.
    pub(crate) fn path(&self) -> &[u8] {
        &self.path
    }

    /// Whether the recipient takes segments here.
    pub(crate) fn is_open(&self) -> bool {
        self.state.open.load(Relaxed) > 0
    }

    /// How many segments went out here that had not been sent before.
    pub(crate) fn segments(&self) -> u64 {
        self.state.segments.load(Relaxed)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// A key that lives as long as the listener, and by what its certificate is known.
pub(super) fn identity() -> io::Result<(TlsAcceptor, [u8; 32])> {
    let made = rcgen::generate_simple_self_signed(["sender.consign".to_owned()])
        .map_err(io::Error::other)?;
    let key =
        PrivateKeyDer::try_from(made.signing_key.serialize_der()).map_err(io::Error::other)?;
    let certificate = made.cert.der().clone();
    let fingerprint = certificate_fingerprint(&certificate);
    let mut config = ServerConfig::builder_with_provider(crypto::ring::default_provider().into())
        .with_protocol_versions(&[&version::TLS13])
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .map_err(io::Error::other)?;
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    Ok((TlsAcceptor::from(Arc::new(config)), fingerprint))
}

/// Connections end with this.
async fn accept(listener: TcpListener, acceptor: TlsAcceptor, state: Arc<State>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if connections.len() < CONNECTIONS_MAX => {
                    let (acceptor, state) = (acceptor.clone(), Arc::clone(&state));
                    connections.spawn(async move {
                        if let Err(error) = serve(stream, acceptor, &state).await {
                            tracing::debug!(%error, "a direct connection ended");
                        }
                    });
                }
                Ok(_) => tracing::debug!("a direct connection more than there may be"),
                Err(error) => {
                    tracing::debug!(%error, "cannot accept a direct connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Counts a stream that is open.
struct Open<'s>(&'s AtomicU64);

impl<'s> Open<'s> {
    fn count(open: &'s AtomicU64) -> Self {
        open.fetch_add(1, Relaxed);
        Self(open)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

async fn serve(stream: TcpStream, acceptor: TlsAcceptor, state: &Arc<State>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let asked = async {
        let mut stream = acceptor.accept(stream).await?;
        let mut request = [0; REQUEST_BYTES];
        stream.read_exact(&mut request).await?;
        io::Result::Ok((stream, request))
    };
    let (mut stream, request) = timeout(REQUEST_PATIENCE, asked).await??;
    let (token, from) = request.split_at(32);
    // Hashes take the same time to compare wherever they differ.
    if blake3::hash(token) != blake3::hash(&state.serving.token) {
        return Err(io::Error::other("somebody else than the recipient"));
    }
    let from = u64::from_le_bytes(from.try_into().expect("the rest of the request"));
    let newest = state.streams.fetch_add(1, Relaxed) + 1;
    let _open = Open::count(&state.open);
    send(&mut stream, state, from, newest).await?;
    timeout(STALL_PATIENCE, stream.shutdown()).await?
}

/// Writes the segments from `from` on, until a newer stream has them.
async fn send(
    stream: &mut TlsStream<TcpStream>,
    state: &Arc<State>,
    from: u64,
    newest: u64,
) -> io::Result<()> {
    let segments = state.serving.source.layout().segments();
    let sealing = futures_util::stream::iter(from..segments).map(|number| {
        let state = Arc::clone(state);
        tokio::task::spawn_blocking(move || state.serving.seal(number, &state.segments))
    });
    let mut sealing = std::pin::pin!(sealing.buffered(SEGMENTS_AHEAD));
    let mut number = from;
    while let Some(sealed) = sealing.next().await {
        let sealed = sealed.expect("sealing does not panic")?;
        if state.streams.load(Relaxed) != newest {
            return Err(io::Error::other("a newer stream has the segments"));
        }
        let write = async {
            stream.write_all(&encode_segment_head(number, sealed.len())).await?;
            stream.write_all(&sealed).await?;
            stream.flush().await
        };
        timeout(STALL_PATIENCE, write).await??;
        number += 1;
    }
    Ok(())
}

impl Serving {
    fn seal(&self, number: u64, sent: &AtomicU64) -> io::Result<Vec<u8>> {
        // What cannot be read the hub's stream finds, too, and the sender says so.
        let plain = self.source.segment(number).map_err(io::Error::other)?;
        let (tag, sealed) = self.vault.seal(number, plain);
        let mut tags = self.tags.lock().unwrap_or_else(PoisonError::into_inner);
        if tags[number as usize].replace(tag).is_none() {
            sent.fetch_add(1, Relaxed);
        }
        Ok(sealed)
    }
}
