//! The body of a request: bytes known beforehand, sent without being copied together.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

/// Most bytes handed to the connection at once. hyper queues up to 16 such parts, so on a slow
/// link what was taken is at most 1 MiB ahead of what was sent, and [`Progress`] tells the truth.
const PART_BYTES: usize = 64 * 1024;

/// How much of a body the connection has taken so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Progress(Arc<AtomicU64>);

impl Progress {
    pub(crate) fn taken_bytes(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Bytes to send, in parts. Cloning shares the bytes, so a request can be repeated.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outgoing {
    parts: VecDeque<Bytes>,
    length: u64,
    progress: Progress,
}

impl Outgoing {
    pub(crate) fn new(parts: impl IntoIterator<Item = Bytes>) -> Self {
        let parts: VecDeque<Bytes> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        let length = parts.iter().map(|part| part.len() as u64).sum();
        Self { parts, length, progress: Progress::default() }
    }

    /// The same bytes from the start, with a progress of their own.
    pub(crate) fn again(&self) -> Self {
        Self { progress: Progress::default(), ..self.clone() }
    }

    pub(crate) fn progress(&self) -> Progress {
        self.progress.clone()
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(first) = self.parts.front_mut() else { return Poll::Ready(None) };
        let part = first.split_to(first.len().min(PART_BYTES));
        if first.is_empty() {
            self.parts.pop_front();
        }
        self.length -= part.len() as u64;
        self.progress.0.fetch_add(part.len() as u64, Relaxed);
        Poll::Ready(Some(Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.parts.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length)
    }
}
