//! The recipient's end of a direct path.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use delivery::{DirectPath, Ticket};
use hub_api::DeliveryStatus;
use hub_client::{ClientError, HubClient};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;
use wire::segments::{SegmentRecord, SegmentStreamDecoder};

use super::{CONNECT_PATIENCE, DirectError, PROTOCOL, STALL_PATIENCE, may_try};
use crate::ahead::{Ahead, Segments};

/// Read from the connection at once.
const READ_BYTES: usize = 64 * 1024;

/// The ways to the segments of a delivery: its sender, where that is offered and works, and its hub.
#[derive(Clone)]
pub(crate) struct Reach {
    client: Arc<HubClient>,
    ticket: Ticket,
    known: Arc<Mutex<Known>>,
}

/// What is known of the direct path.
#[derive(Debug)]
enum Known {
    /// The hub was not asked yet.
    Unasked,
    /// None is wanted.
    Never,
    /// What the hub said last, and the way there unless that failed.
    Told(Option<Vec<u8>>, Option<Arc<DirectPath>>),
}

impl Reach {
    pub(crate) fn new(client: Arc<HubClient>, ticket: Ticket) -> Self {
        Self { client, ticket, known: Arc::new(Mutex::new(Known::Unasked)) }
    }

    /// All of it comes from the hub, whatever the sender offers.
    pub(crate) fn refuse_direct_path(&self) {
        *self.lock() = Known::Never;
    }

    /// Remembers what the hub says of the direct path.
    pub(crate) fn hear(&self, status: &DeliveryStatus) {
        let mut known = self.lock();
        let told = status.direct.as_ref().map(|sealed| sealed.0.clone());
        if matches!(&*known, Known::Never)
            || matches!(&*known, Known::Told(last, _) if *last == told)
        {
            return;
        }
        let Ticket { id, secret, .. } = &self.ticket;
        let path = told.as_ref().and_then(|sealed| match DirectPath::open(sealed, *id, secret) {
            Ok(path) => Some(Arc::new(path)),
            Err(error) => {
                tracing::debug!(%error, "the hub told a direct path that is none");
                None
            }
        });
        *known = Known::Told(told, path);
    }

    /// Does without the sender's address until it says another one.
    pub(crate) fn give_up(&self) {
        if let Known::Told(_, path) = &mut *self.lock() {
            *path = None;
        }
    }

    /// Segments from this one on, from the sender if it is reached, else from the hub.
    pub(crate) async fn open(self, from: u64) -> Result<Ahead, ClientError> {
        let (id, token) = (*self.ticket.id.as_bytes(), self.ticket.secret.recipient_token());
        if matches!(&*self.lock(), Known::Unasked)
            // Whatever is wrong here the stream meets, too.
            && let Ok(status) = self.client.delivery_status(id, Some(&token), None).await
        {
            self.hear(&status);
        }
        let path = match &*self.lock() {
            Known::Told(_, path) => path.clone(),
            Known::Unasked | Known::Never => None,
        };
        if let Some(path) = path {
            match self.open_direct(&path, from).await {
                Ok(stream) => return Ok(Ahead::of(Segments::Sender(Box::new(stream)))),
                Err(error) => {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::debug!(%error, cause, "no direct path; the hub passes segments on");
                    self.give_up();
                }
            }
        }
        let stream = self.client.delivery_segments(id, &token, from).await?;
        Ok(Ahead::of(Segments::Hub(Box::new(stream))))
    }

    async fn open_direct(
        &self,
        path: &DirectPath,
        from: u64,
    ) -> Result<DirectSegments, DirectError> {
        let own = self.client.own_address().await.map_err(DirectError::Connect)?;
        let own = own.ok_or(DirectError::Proxied)?;
        DirectSegments::open(path, own, &self.ticket.secret.direct_token(), from).await
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream of segments from the sender itself.
pub(crate) struct DirectSegments {
    stream: TlsStream<TcpStream>,
    decoder: SegmentStreamDecoder,
    buffer: BytesMut,
    /// The number of the segment that comes next.
    next: u64,
}

impl fmt::Debug for DirectSegments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectSegments").field("next", &self.next).finish_non_exhaustive()
    }
}

impl DirectSegments {
    /// Connects to the sender. Only it has the key of the certificate, so nobody else hears the token.
    pub(super) async fn open(
        path: &DirectPath,
        own: IpAddr,
        token: &[u8; 32],
        from: u64,
    ) -> Result<Self, DirectError> {
        let config = hub_client::pin::pinned(path.fingerprint, PROTOCOL);
        let connector = TlsConnector::from(Arc::new(config));
        let mut last = io::Error::other("the sender names no address for this machine");
        for address in path.addresses.iter().filter(|address| may_try(own, address.ip())) {
            let opened = timeout(CONNECT_PATIENCE, connect(*address, &connector, token, from));
            match opened.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
                Ok(stream) => {
                    let (decoder, buffer) = (SegmentStreamDecoder::new(), BytesMut::new());
                    return Ok(Self { stream, decoder, buffer, next: from });
                }
                Err(error) => last = error,
            }
        }
        Err(DirectError::Connect(last))
    }

    /// The next segment with its number; `None` when the sender ended the stream.
    pub(crate) async fn next(&mut self) -> Result<Option<(u64, Bytes)>, DirectError> {
        let protocol = |error: &dyn fmt::Display| DirectError::Protocol(error.to_string());
        loop {
            match self.decoder.next_record().map_err(|error| protocol(&error))? {
                Some(SegmentRecord::Segment { number, bytes }) if number == self.next => {
                    self.next += 1;
                    return Ok(Some((number, bytes)));
                }
                Some(SegmentRecord::Segment { number, .. }) => {
                    return Err(protocol(&format!("segment {number}, not {}", self.next)));
                }
                Some(SegmentRecord::HeartBeat { .. }) => continue,
                None => {}
            }
            self.buffer.reserve(READ_BYTES);
            let reading = self.stream.read_buf(&mut self.buffer);
            let read = timeout(STALL_PATIENCE, reading).await;
            let read = read.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
            match read.map_err(DirectError::Broken)? {
                0 => {
                    let ended = std::mem::take(&mut self.decoder).finish();
                    ended.map_err(|error| protocol(&error))?;
                    return Ok(None);
                }
                _ => self.decoder.push(self.buffer.split().freeze()),
            }
        }
    }
}

async fn connect(
    address: SocketAddr,
    connector: &TlsConnector,
    token: &[u8; 32],
    from: u64,
) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    // Its name is in no directory; the fingerprint decides.
    let name = ServerName::from(address.ip());
    let mut stream = connector.connect(name, stream).await?;
    stream.write_all(token).await?;
    stream.write_all(&from.to_le_bytes()).await?;
    stream.flush().await?;
    Ok(stream)
}
