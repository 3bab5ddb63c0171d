//! Chunks to and from the hub: asked about, fetched and uploaded in batches.

use std::collections::HashSet;
use std::io;
use std::time::Duration;

use content::{ChunkId, Frame};
use hub_api::{UploadResponse, limits, routes};
use hyper::Method;
use tokio::sync::mpsc;
use tokio::time::timeout;
use wire::{FrameStreamDecoder, HaveBitmap, IdList, StreamError, encode_end, encode_frame};

use crate::client::HubClient;
use crate::error::ClientError;
use crate::exchange::Call;
use crate::incoming::Incoming;
use crate::session::Need;

/// How long the last bytes of HTTP may take behind the end of the frames. They come with it as a
/// rule; past that giving up the connection is cheaper than waiting.
const EPILOGUE_PATIENCE: Duration = Duration::from_secs(1);

/// Bytes of one upload that are not frames: the end marker.
const END_BYTES: usize = 8;

impl HubClient {
    /// Which of `ids` the hub has and this node may use, in the order of `ids`.
    ///
    /// Long lists are asked about in several requests.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn have(&self, ids: &[ChunkId]) -> Result<Vec<bool>, ClientError> {
        let mut known = Vec::with_capacity(ids.len());
        for ids in ids.chunks(limits::HAVE_IDS_MAX) {
            let call = Call::new(Method::POST, routes::CHUNKS_HAVE, "ask which chunks are known")
                .octets([IdList::encode_ids(ids)]);
            let body = self.body_of(&call, Need::Wanted, limits::HAVE_IDS_MAX / 8).await?;
            let bitmap = HaveBitmap::decode(&body, ids.len())
                .map_err(|error| self.exchange.protocol(&call, error.to_string()))?;
            known.extend(bitmap.0);
        }
        Ok(known)
    }

    /// Fetches the chunks `ids` into `frames` as they arrive; returns those the hub did not send.
    ///
    /// Frames are not verified, and hold chunks beside the wanted ones where the hub keeps them
    /// together. Waits while `frames` is full. Long lists are fetched in several requests, one
    /// after the other. Dropping the future ends the request.
    ///
    /// # Errors
    /// See [`ClientError`]; frames that were handed over before it count. A frame in which
    /// nothing is wanted any more is an error, so that no answer goes on for ever.
    pub async fn fetch_frames(
        &self,
        ids: &[ChunkId],
        frames: mpsc::Sender<Frame>,
    ) -> Result<Vec<ChunkId>, ClientError> {
        let mut lacking = Vec::new();
        for ids in ids.chunks(limits::FETCH_IDS_MAX) {
            let call = Call::new(Method::POST, routes::CHUNKS_FETCH, "fetch chunks")
                .octets([IdList::encode_ids(ids)]);
            let response = self.sessions.call(&self.exchange, &call, Need::Wanted).await?;
            let mut body = response.into_body().with_pace();
            let mut awaited: HashSet<ChunkId> = ids.iter().copied().collect();
            let decoder = FrameStreamDecoder::new(self.buffers.clone());
            let received = receive(decoder, &mut body, &mut awaited, &frames).await;
            received.map_err(|error| match error {
                Receive::Client(error) => error,
                Receive::Stream(StreamError::CutShort { .. }) => {
                    let (url, doing) = (self.exchange.url(&call), call.doing);
                    let text = "the stream of frames was cut short";
                    let source = io::Error::new(io::ErrorKind::UnexpectedEof, text);
                    ClientError::Interrupted { url, doing, source }
                }
                Receive::Stream(error) => body.protocol(error.to_string()),
            })?;
            lacking.extend(ids.iter().filter(|id| awaited.contains(*id)));
        }
        Ok(lacking)
    }

    /// Uploads frames; they are durable at the hub when this returns.
    ///
    /// More than one request's worth is sent in several. Sending a chunk again is harmless.
    ///
    /// # Errors
    /// See [`ClientError`]. Of several requests, some may have been taken.
    pub async fn upload(&self, frames: Vec<Frame>) -> Result<UploadResponse, ClientError> {
        let mut sum = UploadResponse::default();
        let mut frames = frames.as_slice();
        while !frames.is_empty() {
            let (now, later) = frames.split_at(one_upload(frames));
            frames = later;
            let parts = now.iter().flat_map(encode_frame).chain([encode_end(&[])]);
            let call = Call::new(Method::POST, routes::CHUNKS, "upload chunks").octets(parts);
            let answer: UploadResponse = self.json(&call, Need::Required).await?;
            sum.stored = sum.stored.saturating_add(answer.stored);
            sum.known = sum.known.saturating_add(answer.known);
        }
        Ok(sum)
    }
}

/// How many of the first `frames` go into one upload; at least one.
fn one_upload(frames: &[Frame]) -> usize {
    let (mut bytes, mut chunks) = (END_BYTES, 0);
    let fits = frames.iter().take_while(|frame| {
        bytes += frame.encoded_length();
        chunks += frame.entries().len();
        bytes <= limits::UPLOAD_BYTES_MAX && chunks <= limits::UPLOAD_CHUNKS_MAX
    });
    fits.count().max(1)
}

enum Receive {
    Client(ClientError),
    Stream(StreamError),
}

impl From<ClientError> for Receive {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}

impl From<StreamError> for Receive {
    fn from(error: StreamError) -> Self {
        Self::Stream(error)
    }
}

/// Hands frames over until the end of the stream; takes what comes out of `awaited`.
async fn receive(
    mut decoder: FrameStreamDecoder,
    body: &mut Incoming,
    awaited: &mut HashSet<ChunkId>,
    frames: &mpsc::Sender<Frame>,
) -> Result<(), Receive> {
    while !decoder.is_ended() {
        let Some(bytes) = body.next().await? else { break };
        decoder.push(bytes);
        while let Some(frame) = decoder.next_frame()? {
            let before = awaited.len();
            for entry in frame.entries() {
                awaited.remove(&entry.id);
            }
            if awaited.len() == before {
                return Err(body.protocol("a frame in which nothing is wanted").into());
            }
            frames.send(frame).await.map_err(|_| body.abandoned())?;
        }
    }
    if decoder.is_ended()
        && let Ok(Ok(Some(_))) = timeout(EPILOGUE_PATIENCE, body.next()).await
    {
        return Err(StreamError::Trailing.into());
    }
    decoder.finish()?;
    Ok(())
}
