//! Counts what really crosses the network: head, body, TLS records and handshakes; and keeps
//! what came before a break readable.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes on the wire since the client was made, over all its connections.
///
/// Taken where TCP takes them, so TLS and HTTP count and the headers of IP and TCP do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BytesOnWire {
    /// Bytes given to the network.
    pub sent: u64,
    /// Bytes taken from the network.
    pub received: u64,
}

/// The counters behind [`BytesOnWire`], shared by all connections of a client.
#[derive(Debug, Default)]
pub(crate) struct WireCounters {
    sent: AtomicU64,
    received: AtomicU64,
}

impl WireCounters {
    pub(crate) fn read(&self) -> BytesOnWire {
        BytesOnWire { sent: self.sent.load(Relaxed), received: self.received.load(Relaxed) }
    }
}

/// A stream whose bytes are counted.
///
/// A server may refuse a request whose body is still being sent, and close. Then writing fails
/// while the refusal lies in the system's buffer, and HTTP would see the failure alone. So once
/// the other side takes nothing more, writes are let fall and the failure is told where reading
/// comes to an end.
#[derive(Debug)]
pub(crate) struct Counting<S> {
    stream: S,
    counters: Arc<WireCounters>,
    broken: Option<Broken>,
}

/// How writing failed, to be told once.
#[derive(Debug)]
struct Broken(Option<io::Error>);

impl<S> Counting<S> {
    pub(crate) fn new(stream: S, counters: Arc<WireCounters>) -> Self {
        Self { stream, counters, broken: None }
    }

    /// What to say of an attempt to write `length` bytes.
    fn written(
        &mut self,
        length: usize,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(count)) => {
                self.counters.sent.fetch_add(count as u64, Relaxed);
                Poll::Ready(Ok(count))
            }
            Poll::Ready(Err(error)) if is_break(error.kind()) => {
                self.broken = Some(Broken(Some(error)));
                Poll::Ready(Ok(length))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        }
    }
}

fn is_break(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    [BrokenPipe, ConnectionAborted, ConnectionReset].contains(&kind)
}

impl<S: AsyncRead + Unpin> AsyncRead for Counting<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let count = buffer.filled().len() - before;
        self.counters.received.fetch_add(count as u64, Relaxed);
        let is_end = count == 0 && buffer.remaining() > 0 && matches!(read, Poll::Ready(Ok(())));
        match &mut self.broken {
            Some(Broken(error)) if is_end => Poll::Ready(error.take().map_or(Ok(()), Err)),
            _ => read,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counting<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.broken.is_some() {
            return Poll::Ready(Ok(bytes.len()));
        }
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.written(bytes.len(), written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = parts.iter().map(|part| part.len()).sum();
        if self.broken.is_some() {
            return Poll::Ready(Ok(length));
        }
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.written(length, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
