//! Segments of a stream, read ahead: while one is opened and written, the next one comes.

use bytes::Bytes;
use hub_client::{ClientError, DeliverySegments};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::direct::{DirectError, DirectSegments};

/// Segments that lie between the connection and the disk, beside the one on either side of them.
const SEGMENTS_AHEAD: usize = 1;

/// Where segments come from.
#[derive(Debug)]
pub(crate) enum Segments {
    Hub(Box<DeliverySegments>),
    Sender(Box<DirectSegments>),
}

/// How a stream of segments breaks.
#[derive(Debug)]
pub(crate) enum Broken {
    Hub(ClientError),
    Sender(DirectError),
}

type Next = Result<Option<(u64, Bytes)>, Broken>;

impl Segments {
    async fn next(&mut self) -> Next {
        match self {
            Self::Hub(stream) => stream.next().await.map_err(Broken::Hub),
            Self::Sender(stream) => stream.next().await.map_err(Broken::Sender),
        }
    }
}

/// A stream that is read by a task of its own, until it is dropped.
#[derive(Debug)]
pub(crate) struct Ahead {
    segments: mpsc::Receiver<Next>,
    reading: JoinHandle<()>,
    is_direct: bool,
}

impl Ahead {
    pub(crate) fn of(mut stream: Segments) -> Self {
        let is_direct = matches!(stream, Segments::Sender(_));
        let (read, segments) = mpsc::channel(SEGMENTS_AHEAD);
        let reading = tokio::spawn(async move {
            loop {
                let next = stream.next().await;
                let is_last = !matches!(next, Ok(Some(_)));
                if read.send(next).await.is_err() || is_last {
                    return;
                }
            }
        });
        Self { segments, reading, is_direct }
    }

    /// Whether they come from the sender itself.
    pub(crate) fn is_direct(&self) -> bool {
        self.is_direct
    }

    /// The next segment with its number; `None` at the end of the stream. May be dropped while it waits.
    pub(crate) async fn next(&mut self) -> Next {
        self.segments.recv().await.unwrap_or(Ok(None))
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.reading.abort();
    }
}
