//! The connection of a client, as far as the endpoint of a stream has to do with it.

use std::convert::Infallible;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use rustix::net::sockopt::set_tcp_user_timeout;
use rustix::net::{Shutdown, shutdown};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A connection of which the requests on it have a part too.
#[derive(Debug, Clone)]
pub(crate) struct Line(Arc<TcpStream>);

/// What a request came over; nothing where there is no connection, as in tests of the router alone.
#[derive(Debug, Clone)]
pub(crate) struct LineOf(pub(crate) Option<Line>);

impl Line {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self(Arc::new(stream))
    }

    /// Breaks the connection when the other end acknowledges nothing of what it was sent for so long; `None` leaves it
    /// to the system, which tries for a quarter of an hour.
    ///
    /// A few bytes now and then never fill what the system keeps to be sent, so nothing else would tell that a
    /// machine was switched off.
    pub(crate) fn set_patience(&self, patience: Option<Duration>) {
        let milliseconds = patience.map_or(0, |patience| patience.as_millis());
        let milliseconds = u32::try_from(milliseconds).unwrap_or(u32::MAX);
        if let Err(error) = set_tcp_user_timeout(&*self.0, milliseconds) {
            // Of a connection that is gone already.
            tracing::debug!(%error, "how long a connection may be silent was not set");
        }
    }
}

impl<S: Sync> FromRequestParts<S> for LineOf {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(parts.extensions.get::<Line>().cloned()))
    }
}

impl AsyncRead for Line {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.poll_read_ready(context))?;
            match self.0.try_read(buffer.initialize_unfilled()) {
                Ok(came) => {
                    buffer.advance(came);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl Line {
    fn poll_with(
        &self,
        context: &mut Context<'_>,
        write: impl Fn(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.poll_write_ready(context))?;
            match write(&self.0) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_with(context, |stream| stream.try_write(bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_with(context, |stream| stream.try_write_vectored(slices))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match shutdown(&*self.0, Shutdown::Write) {
            // The other end was first.
            Err(rustix::io::Errno::NOTCONN) => Poll::Ready(Ok(())),
            ended => Poll::Ready(ended.map_err(io::Error::from)),
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::net::sockopt::tcp_user_timeout;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn bytes_go_both_ways_and_the_patience_is_that_of_the_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("listens");
        let address = listener.local_addr().expect("has one");
        let mut far = TcpStream::connect(address).await.expect("connects");
        let (near, _) = listener.accept().await.expect("accepts");
        let mut line = Line::new(near);
        let same = line.clone();

        // More than a connection holds, so that both directions have to wait.
        let sent: Vec<u8> = (0..8 << 20).map(|at: u32| at.to_le_bytes()[1]).collect();
        let echo = tokio::spawn(async move {
            let mut came = Vec::new();
            line.read_to_end(&mut came).await.expect("reads");
            line.write_all(&came).await.expect("writes");
            line.shutdown().await.expect("ends");
            came.len()
        });
        far.write_all(&sent).await.expect("writes");
        far.shutdown().await.expect("ends");
        let mut back = Vec::new();
        far.read_to_end(&mut back).await.expect("reads");
        assert!(back == sent, "the same bytes");
        assert_eq!(echo.await.expect("ends"), sent.len());

        same.set_patience(Some(Duration::from_secs(15)));
        assert_eq!(tcp_user_timeout(&*same.0), Ok(15_000));
        same.set_patience(None);
        assert_eq!(tcp_user_timeout(&*same.0), Ok(0));
    }
}
