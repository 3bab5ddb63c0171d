//! Ends connections so that the other side can read the last answer.

use std::future::Future as _;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// Read at once only to be thrown away.
const DISCARD_BYTES: usize = 8 * 1024;

/// A stream that, once shut down, takes and forgets what still comes: until the other side has
/// ended too, or `time` is over.
///
/// A request may be refused before its body is read. A system that closes a connection with
/// bytes unread resets it, and a reset may overtake the answer that says why.
#[derive(Debug)]
pub(crate) struct Lingering<S> {
    inner: S,
    time: Duration,
    /// From when this side has ended.
    until: Option<Pin<Box<Sleep>>>,
}

impl<S> Lingering<S> {
    pub(crate) fn new(inner: S, time: Duration) -> Self {
        Self { inner, time, until: None }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lingering<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Lingering<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.until.is_none() {
            ready!(Pin::new(&mut this.inner).poll_shutdown(context))?;
        }
        let time = this.time;
        let until = this.until.get_or_insert_with(|| Box::pin(tokio::time::sleep(time)));
        // First, for whoever sends without a pause leaves no other time to look at the clock.
        if until.as_mut().poll(context).is_ready() {
            return Poll::Ready(Ok(()));
        }
        loop {
            let mut space = [MaybeUninit::uninit(); DISCARD_BYTES];
            let mut discarded = ReadBuf::uninit(&mut space);
            let read = ready!(Pin::new(&mut this.inner).poll_read(context, &mut discarded));
            if read.is_err() || discarded.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_still_comes_is_taken_until_the_other_side_ends() {
        let (near, mut far) = tokio::io::duplex(16);
        let mut lingering = Lingering::new(near, Duration::from_secs(5));
        let ending = tokio::spawn(async move { lingering.shutdown().await });
        far.write_all(&[7; 1000]).await.expect("is taken");
        assert_eq!(far.read(&mut [0; 1]).await.expect("ended"), 0);
        assert!(!ending.is_finished(), "more may come");
        drop(far);
        ending.await.expect("no panic").expect("ends");
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_lingered_for_without_end() {
        for silent in [true, false] {
            let (near, mut far) = tokio::io::duplex(1 << 20);
            let mut lingering = Lingering::new(near, Duration::from_secs(5));
            let sending = tokio::spawn(async move {
                while !silent && far.write_all(&[7; 100]).await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                tokio::time::sleep(Duration::from_mins(1)).await;
            });
            let started = tokio::time::Instant::now();
            lingering.shutdown().await.expect("ends");
            assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
            sending.abort();
        }
    }
}
