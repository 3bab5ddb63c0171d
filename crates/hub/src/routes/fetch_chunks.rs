//! `POST /v1/chunks/fetch`: many chunks in one answer, as frames.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use content::frame::{Codec, FrameBuilder, FrameCodec, FrameError};
use content::{ChunkId, Frame};
use hub_api::MEDIA_BYTES;
use hub_api::limits::FETCH_IDS_MAX;
use hub_db::Caller;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::SendError;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;

use super::have_chunks::read_ids;
use crate::app::App;
use crate::caller::{Visitor, is_in_force};
use crate::peer::Peer;
use crate::places::Place;
use crate::refusal::{Chain, Refusal};
use crate::transfers::{Direction, Moving};

type Piece = Result<Bytes, io::Error>;

/// Chunks the caller may not read are listed as missing, like those that are not here.
pub(crate) async fn fetch_chunks(
    State(app): State<Arc<App>>,
    Visitor(caller): Visitor,
    peer: Peer,
    request: Request,
) -> Result<Response, Refusal> {
    let sharer = app.sharer(&caller, peer, request.headers());
    let asked = read_ids(&app, request, FETCH_IDS_MAX).await?;
    let readable = app.access.readable(&caller, &asked).await?;
    // Only now: whoever drips a request must not hold a place.
    let turn = app.fetch_turn(sharer).await?;
    let mut seen = HashSet::with_capacity(asked.len());
    let (rest, missing): (Vec<_>, Vec<_>) =
        asked.into_iter().filter(|id| seen.insert(*id)).partition(|id| readable.contains(id));
    let (sender, pieces) = mpsc::channel(1);
    let moving = app.transfers.begin((&caller).into(), Direction::Fetch, Instant::now());
    // A reader that takes a byte now and then must not hold its place for ever.
    let time = app.limits.transfer_time;
    let fetch = Fetch { app, caller, rest, missing };
    tokio::spawn(timeout(time, fetch.send(sender, turn, moving)));
    let headers = [(header::CONTENT_TYPE, MEDIA_BYTES), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, Body::from_stream(ReceiverStream::new(pieces))).into_response())
}

/// What is still to be answered.
struct Fetch {
    app: Arc<App>,
    caller: Caller,
    rest: Vec<ChunkId>,
    missing: Vec<ChunkId>,
}

impl Fetch {
    /// Sends batch after batch; ends when the client has gone. A failure after the first byte
    /// can only be told by breaking off: the end marker is then missing. So it is when the time
    /// for the whole answer is over.
    ///
    /// The place is held until the connection has taken the last piece: what waits for a slow
    /// client is memory, and memory is what the places are counted for.
    async fn send(mut self, sender: mpsc::Sender<Piece>, turn: Place, moving: Moving) {
        let mut batch = Vec::new();
        loop {
            // The next batch is read while one is sent.
            let sending = send_all(&sender, batch, &moving);
            let (sent, next) = tokio::join!(sending, self.next_batch());
            if sent.is_err() {
                return;
            }
            match next {
                Ok(Some(next)) => batch = next,
                Ok(None) => break,
                Err(Unreadable) => {
                    let error = io::Error::other("the hub could not read on");
                    let _ = sender.send(Err(error)).await;
                    return;
                }
            }
        }
        let end = wire::encode_end(&self.missing);
        if send_all(&sender, vec![end], &moving).await.is_ok() {
            // There is room again when the end has been taken.
            let _ = sender.reserve().await;
        }
        drop(turn);
    }

    /// As many frames of what is wanted as the store gives at once; `None` when nothing is left.
    async fn next_batch(&mut self) -> Result<Option<Vec<Bytes>>, Unreadable> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        // A fetch that runs for minutes must not outlive the account or token it runs for, nor
        // a grant.
        if !matches!(is_in_force(&self.app, &self.caller).await, Ok(true)) {
            return Err(Unreadable);
        }
        let readable = self.app.access.readable(&self.caller, &self.rest).await;
        let readable = readable.map_err(|error| {
            tracing::warn!(error = %Chain(&error), "a fetch was broken off");
            Unreadable
        })?;
        self.missing.extend(self.rest.extract_if(.., |id| !readable.contains(id)));
        if self.rest.is_empty() {
            return Ok(None);
        }
        let read = readable_frames(&self.app, &self.caller, &self.rest).await;
        let (frames, lacking) = read.map_err(|_| Unreadable)?;
        let frames = of_use(frames, &self.rest);
        let entries = frames.iter().flat_map(|frame| frame.entries());
        // The store stops when enough is in memory; what is neither here nor missing comes next.
        let answered: HashSet<ChunkId> =
            entries.map(|entry| entry.id).chain(lacking.iter().copied()).collect();
        let before = self.rest.len();
        self.rest.retain(|id| !answered.contains(id));
        if self.rest.len() == before {
            tracing::error!("the store answers nothing it was asked for");
            return Err(Unreadable);
        }
        self.missing.extend(lacking);
        Ok(Some(frames.iter().flat_map(wire::encode_frame).collect()))
    }
}

/// The rest cannot be read; why was logged.
struct Unreadable;

async fn send_all(
    sender: &mpsc::Sender<Piece>,
    pieces: Vec<Bytes>,
    moving: &Moving,
) -> Result<(), SendError<()>> {
    for piece in pieces {
        let bytes = piece.len();
        sender.send(Ok(piece)).await.map_err(|_| SendError(()))?;
        moving.add(bytes);
    }
    Ok(())
}

/// The frames of `wanted`, without any chunk the caller may not read: the store hands out whole
/// frames when most of one is wanted, and what shares a frame need not share a name.
async fn readable_frames(
    app: &App,
    caller: &Caller,
    wanted: &[ChunkId],
) -> Result<(Vec<Frame>, Vec<ChunkId>), Refusal> {
    let (frames, lacking) = app.store.frames(wanted).await?;
    let wanted: HashSet<ChunkId> = wanted.iter().copied().collect();
    let entries = frames.iter().flat_map(|frame| frame.entries());
    let beside: Vec<ChunkId> =
        entries.map(|entry| entry.id).filter(|id| !wanted.contains(id)).collect();
    if beside.is_empty() {
        return Ok((frames, lacking));
    }
    let readable = app.access.readable(caller, &beside).await?;
    if beside.iter().all(|id| readable.contains(id)) {
        return Ok((frames, lacking));
    }
    let reduce = move || {
        let mut codec = FrameCodec::default();
        let allowed = |id: &ChunkId| wanted.contains(id) || readable.contains(id);
        frames.into_iter().map(|frame| reduced(&mut codec, frame, allowed)).collect()
    };
    let frames: Result<Vec<Frame>, FrameError> =
        tokio::task::spawn_blocking(reduce).await.map_err(|error| Refusal::internal(&error))?;
    match frames {
        Ok(frames) => Ok((frames, lacking)),
        Err(error) => {
            tracing::error!(error = %Chain(&error), "the store gave a bad frame");
            Err(Refusal::internal(&error))
        }
    }
}

/// The frames out of which something is still wanted when those before them have come. A chunk
/// that was sent twice lies in two frames, and one of them may come along for the sake of others;
/// clients take a frame of no use for an answer that goes on for ever.
fn of_use(mut frames: Vec<Frame>, wanted: &[ChunkId]) -> Vec<Frame> {
    let mut awaited: HashSet<ChunkId> = wanted.iter().copied().collect();
    frames.retain(|frame| {
        let before = awaited.len();
        for entry in frame.entries() {
            awaited.remove(&entry.id);
        }
        awaited.len() < before
    });
    frames
}

/// The frame, or one of its allowed chunks alone.
fn reduced(
    codec: &mut FrameCodec,
    frame: Frame,
    allowed: impl Fn(&ChunkId) -> bool,
) -> Result<Frame, FrameError> {
    if frame.entries().iter().all(|entry| allowed(&entry.id)) {
        return Ok(frame);
    }
    let mut builder = FrameBuilder::default();
    codec.open(&frame, &allowed, |id, bytes| builder.push(id, &bytes))?;
    let (entries, plain) = builder.take().expect("a frame holds a wanted chunk");
    Ok(codec.encode(entries, plain, Codec::Zstd))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_whose_chunks_came_in_another_one_is_not_sent() {
        let chunks = [&b"one"[..], b"two", b"three"];
        let [one, two, three] = chunks.map(ChunkId::of);
        let frame = |chunks: &[&[u8]]| {
            let mut builder = FrameBuilder::default();
            chunks.iter().for_each(|chunk| builder.push(ChunkId::of(chunk), chunk));
            let (entries, plain) = builder.take().expect("not empty");
            FrameCodec::default().encode(entries, plain, Codec::None)
        };
        let (whole, part, other) = (frame(&chunks[..2]), frame(&chunks[..1]), frame(&chunks[2..]));
        let frames = vec![whole.clone(), part.clone(), other.clone()];
        assert_eq!(of_use(frames, &[two, one, three]), [whole.clone(), other.clone()]);
        // The other way round each brings something.
        let frames = vec![part.clone(), whole.clone(), other.clone()];
        assert_eq!(of_use(frames, &[one, two, three]), [part, whole, other]);
    }

    #[test]
    fn a_reduced_frame_holds_what_is_allowed_and_no_more() {
        let chunks = [&b"one"[..], b"two", b"three"];
        let mut builder = FrameBuilder::default();
        chunks.iter().for_each(|chunk| builder.push(ChunkId::of(chunk), chunk));
        let (entries, plain) = builder.take().expect("not empty");
        let mut codec = FrameCodec::default();
        let frame = codec.encode(entries, plain, Codec::None);

        let whole = reduced(&mut codec, frame.clone(), |_| true).expect("opens");
        assert_eq!(whole, frame);
        let part = reduced(&mut codec, frame, |id| *id != ChunkId::of(b"two")).expect("opens");
        let ids: Vec<_> = part.entries().iter().map(|entry| entry.id).collect();
        assert_eq!(ids, [ChunkId::of(b"one"), ChunkId::of(b"three")]);
        assert!(!part.payload().windows(3).any(|window| window == b"two"));
    }
}
