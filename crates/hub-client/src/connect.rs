//! Opens connections: TCP, through a proxy where one is on the way, counted, then TLS to the pinned
//! certificate where the URL says so.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::counting::{Counting, WireCounters};
use crate::pin::{WrongFingerprint, wrong_fingerprint_in};
use crate::proxy::{Proxies, Proxy, ProxyError};
use crate::tunnel;

/// Why no connection came about. Becomes a [`ClientError`](crate::ClientError) with the URL.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("no connection")]
    Network(#[source] io::Error),
    #[error("no TLS session")]
    Tls(#[source] io::Error),
    #[error(transparent)]
    WrongFingerprint(#[from] WrongFingerprint),
    #[error("no connection in time")]
    TimedOut,
    #[error("no way through the proxy {proxy}")]
    Proxy {
        proxy: String,
        #[source]
        source: ProxyError,
    },
}

/// Makes connections for hyper's pool.
#[derive(Clone)]
pub(crate) struct Connector {
    pub(crate) tls: Option<Arc<ClientConfig>>,
    pub(crate) counters: Arc<WireCounters>,
    pub(crate) timeout: Duration,
    pub(crate) proxies: Proxies,
}

impl Connector {
    async fn connect(self, uri: Uri) -> Result<TokioIo<WireStream>, ConnectError> {
        let deadline = Instant::now() + self.timeout;
        let host = uri.host().unwrap_or_default();
        // A URL writes an IPv6 address in brackets, the resolver wants it without.
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = uri.port_u16().unwrap_or(if self.tls.is_some() { 443 } else { 80 });
        let stream = match self.proxies.to(&uri) {
            Ok(None) => timeout_at(deadline, open_tcp(host, port, self.timeout))
                .await
                .map_err(|_| ConnectError::TimedOut)?
                .map_err(ConnectError::Network)?,
            Ok(Some(proxy)) => timeout_at(deadline, through(proxy, host, port, self.timeout))
                .await
                .unwrap_or(Err(ProxyError::TimedOut { after: self.timeout }))
                .map_err(|source| ConnectError::Proxy { proxy: proxy.to_string(), source })?,
            Err(source) => {
                let proxy = "that is set".to_owned();
                return Err(ConnectError::Proxy { proxy, source });
            }
        };
        let opened = timeout_at(deadline, self.secure(host, stream)).await;
        opened.unwrap_or(Err(ConnectError::TimedOut)).map(TokioIo::new)
    }

    /// The address of this machine from which it reaches the server of `uri`; `None` through a proxy. Nothing is
    /// sent to find it.
    pub(crate) async fn own_address(&self, uri: &Uri) -> io::Result<Option<IpAddr>> {
        if !matches!(self.proxies.to(uri), Ok(None)) {
            return Ok(None);
        }
        let host = uri.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = uri.port_u16().unwrap_or(if self.tls.is_some() { 443 } else { 80 });
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
        for address in lookup(host, port).await? {
            let any: IpAddr = match address {
                SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
                SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
            };
            // Connecting a socket for datagrams looks the way up, and does no more.
            let looked_up = async {
                let socket = UdpSocket::bind((any, 0)).await?;
                socket.connect(address).await?;
                socket.local_addr()
            };
            match looked_up.await {
                Ok(own) => return Ok(Some(own.ip())),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn secure(&self, host: &str, stream: TcpStream) -> Result<WireStream, ConnectError> {
        let stream = Counting::new(stream, Arc::clone(&self.counters));
        let Some(tls) = &self.tls else { return Ok(WireStream::Plain(stream)) };
        let name = ServerName::try_from(host.to_owned())
            .map_err(|error| ConnectError::Tls(io::Error::other(error)))?;
        match TlsConnector::from(Arc::clone(tls)).connect(name, stream).await {
            Ok(stream) => Ok(WireStream::Tls(Box::new(stream))),
            Err(error) => Err(wrong_fingerprint_in(&error)
                .map_or_else(|| ConnectError::Tls(error), ConnectError::WrongFingerprint)),
        }
    }
}

/// A connection to a hub that a proxy passes on.
async fn through(
    proxy: &Proxy,
    host: &str,
    port: u16,
    patience: Duration,
) -> Result<TcpStream, ProxyError> {
    let unreachable = |error| ProxyError::Unreachable(Arc::new(error));
    let stream = open_tcp(&proxy.host, proxy.port, patience).await.map_err(unreachable)?;
    tunnel::open(stream, proxy, host, port).await
}

async fn lookup(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    Ok(match host.parse() {
        Ok(address) => vec![SocketAddr::new(address, port)],
        Err(_) => tokio::net::lookup_host((host, port)).await?.collect(),
    })
}

/// Tries every address in turn; each but the last has its share of the time, so that one
/// that swallows packets does not use it up.
async fn open_tcp(host: &str, port: u16, patience: Duration) -> io::Result<TcpStream> {
    let addresses = lookup(host, port).await?;
    let share = patience / u32::try_from(addresses.len().max(1)).unwrap_or(u32::MAX);
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in addresses {
        let opened = timeout(share, TcpStream::connect(address)).await;
        match opened.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(stream) => {
                // Requests are written whole; waiting to fill a segment only adds delay.
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

impl tower::Service<Uri> for Connector {
    type Response = TokioIo<WireStream>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}

/// A connection to a hub.
pub(crate) enum WireStream {
    Plain(Counting<TcpStream>),
    Tls(Box<TlsStream<Counting<TcpStream>>>),
}

impl Connection for WireStream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

macro_rules! delegate {
    ($self:ident, $method:ident $(, $argument:expr)*) => {
        match &mut *$self {
            Self::Plain(stream) => Pin::new(stream).$method($($argument),*),
            Self::Tls(stream) => Pin::new(stream.as_mut()).$method($($argument),*),
        }
    };
}

impl AsyncRead for WireStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        delegate!(self, poll_read, cx, buffer)
    }
}

impl AsyncWrite for WireStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        delegate!(self, poll_write, cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        delegate!(self, poll_write_vectored, cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self, poll_flush, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self, poll_shutdown, cx)
    }
}
