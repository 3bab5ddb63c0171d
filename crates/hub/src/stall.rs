//! Ends connections whose other side stops taking bytes, or never sends any.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// Bytes that tell HTTP/1 from HTTP/2. Until they are there no other timer runs.
const OPENING_BYTES: usize = 24;

/// A stream whose writes fail when nothing was taken for `patience`, or when not all was taken
/// in `drain_time`, and whose reads fail when its first bytes do not come in `opening_time`.
///
/// The drain time runs from when a write first had to wait until the stream was flushed, which is
/// done when all that was at hand is written. So a client that takes a byte now and then does not
/// hold an answer for ever, and one that takes a long stream is only asked to go on.
///
/// Later reads are left alone: a client may be silent while it waits for events; the silence within
/// a request is bounded where its head and body are read.
#[derive(Debug)]
pub(crate) struct StallGuard<S> {
    inner: S,
    patience: Duration,
    drain_time: Duration,
    /// By when all that is at hand must be taken; `None` while nothing waits.
    drained_by: Option<Instant>,
    stalled: Pin<Box<Sleep>>,
    waiting: bool,
    opening: Pin<Box<Sleep>>,
    opening_left: usize,
}

impl<S> StallGuard<S> {
    pub(crate) fn new(
        inner: S,
        patience: Duration,
        drain_time: Duration,
        opening_time: Duration,
    ) -> Self {
        let stalled = Box::pin(tokio::time::sleep(patience));
        let opening = Box::pin(tokio::time::sleep(opening_time));
        let opening_left = OPENING_BYTES;
        Self {
            inner,
            patience,
            drain_time,
            drained_by: None,
            stalled,
            waiting: false,
            opening,
            opening_left,
        }
    }

    fn watch<T>(
        &mut self,
        context: &mut Context<'_>,
        result: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.waiting = false;
            return result;
        }
        if !self.waiting {
            self.waiting = true;
            let now = Instant::now();
            let drained_by = *self.drained_by.get_or_insert_with(|| now + self.drain_time);
            self.stalled.as_mut().reset(drained_by.min(now + self.patience));
        }
        self.stalled.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for StallGuard<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.inner).poll_read(context, buffer);
        let came = buffer.filled().len() - before;
        self.opening_left = self.opening_left.saturating_sub(came);
        if result.is_pending() && self.opening_left > 0 {
            let late = self.opening.as_mut().poll(context);
            return late.map(|()| Err(io::ErrorKind::TimedOut.into()));
        }
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for StallGuard<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.watch(context, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write_vectored(context, slices);
        self.watch(context, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.inner).poll_flush(context);
        if result.is_ready() {
            self.drained_by = None;
        }
        self.watch(context, result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.inner).poll_shutdown(context);
        self.watch(context, result)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const LONG: Duration = Duration::from_hours(1);

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_given_up_that_is_taken_byte_by_byte() {
        let (near, mut far) = tokio::io::duplex(16);
        let (patience, drain_time) = (Duration::from_secs(30), Duration::from_secs(300));
        let mut guard = StallGuard::new(near, patience, drain_time, LONG);
        let writing = tokio::spawn(async move {
            // Flushed each time: a stream that goes on for longer than one answer may.
            for _ in 0..20 {
                guard.write_all(&[7; 32]).await?;
                guard.flush().await?;
            }
            guard.write_all(&[7; 1024]).await
        });
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_secs(25)).await;
            far.read_exact(&mut [0; 32]).await.expect("reads");
        }
        let began = Instant::now();
        while !writing.is_finished() && began.elapsed() < LONG {
            tokio::time::sleep(Duration::from_secs(20)).await;
            let _ = far.read(&mut [0; 1]).await;
        }
        let error = writing.await.expect("no panic").expect_err("it was not taken in time");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(began.elapsed() < Duration::from_secs(340), "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn a_reader_that_stops_is_given_up_and_a_slow_one_is_not() {
        let (near, mut far) = tokio::io::duplex(16);
        let mut guard = StallGuard::new(near, Duration::from_millis(200), LONG, LONG);
        let writing = tokio::spawn(async move { guard.write_all(&[7; 64]).await });
        for _ in 0..4 {
            tokio::time::sleep(Duration::from_millis(80)).await;
            far.read_exact(&mut [0; 16]).await.expect("reads");
        }
        writing.await.expect("no panic").expect("slow is not stalled");

        let (near, _far) = tokio::io::duplex(16);
        let mut guard = StallGuard::new(near, Duration::from_millis(50), LONG, LONG);
        let error = guard.write_all(&[7; 64]).await.expect_err("nobody reads");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
