//! `POST /v1/chunks/fetch`: many chunks in one answer, as frames.

use std::collections::HashSet;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use content::frame::{Codec, FrameBuilder, FrameCodec, FrameError};
use content::{ChunkId, Frame};
use futures_util::{StreamExt as _, stream};
use hub_api::MEDIA_BYTES;
use hub_api::limits::FETCH_IDS_MAX;
use hub_db::Caller;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_stream::wrappers::ReceiverStream;

use super::have_chunks::read_ids;
use crate::app::{App, turn};
use crate::caller::Visitor;
use crate::refusal::{Chain, Refusal};

type Batch = Result<Vec<Bytes>, std::io::Error>;

/// Chunks the caller may not read are listed as missing, like those that are not here.
pub(crate) async fn fetch_chunks(
    State(app): State<Arc<App>>,
    Visitor(caller): Visitor,
    request: Request,
) -> Result<Response, Refusal> {
    let asked = read_ids(&app, request, FETCH_IDS_MAX).await?;
    let readable = app.access.readable(&caller, &asked).await?;
    // Only now: whoever drips a request must not hold a place.
    let turn = turn(&app.fetches).await?;
    let mut seen = HashSet::with_capacity(asked.len());
    let (wanted, missing): (Vec<_>, Vec<_>) =
        asked.into_iter().filter(|id| seen.insert(*id)).partition(|id| readable.contains(id));
    // One batch waits in the channel while the next is read.
    let (sender, batches) = mpsc::channel(1);
    tokio::spawn(send_batches(app, caller, wanted, missing, sender, turn));
    let body = ReceiverStream::new(batches).flat_map(|batch: Batch| match batch {
        Ok(pieces) => stream::iter(pieces.into_iter().map(Ok).collect::<Vec<_>>()),
        Err(error) => stream::iter(vec![Err(error)]),
    });
    let headers = [(header::CONTENT_TYPE, MEDIA_BYTES), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, Body::from_stream(body)).into_response())
}

/// Reads batch after batch; ends when the client has gone. A failure after the first byte can
/// only be told by breaking off: the end marker is then missing.
async fn send_batches(
    app: Arc<App>,
    caller: Caller,
    wanted: Vec<ChunkId>,
    mut missing: Vec<ChunkId>,
    sender: mpsc::Sender<Batch>,
    _turn: OwnedSemaphorePermit,
) {
    let mut rest = wanted;
    while !rest.is_empty() {
        let Ok((frames, lacking)) = readable_frames(&app, &caller, &rest).await else {
            let error = std::io::Error::other("the hub could not read on");
            let _ = sender.send(Err(error)).await;
            return;
        };
        let entries = frames.iter().flat_map(|frame| frame.entries());
        // The store stops when enough is in memory; what is neither here nor missing comes next.
        let answered: HashSet<ChunkId> =
            entries.map(|entry| entry.id).chain(lacking.iter().copied()).collect();
        let before = rest.len();
        rest.retain(|id| !answered.contains(id));
        if rest.len() == before {
            tracing::error!("the store answers nothing it was asked for");
            return;
        }
        missing.extend(lacking);
        let pieces = frames.iter().flat_map(wire::encode_frame).collect();
        // A reader that takes a byte now and then must not hold its place for ever.
        let sent = tokio::time::timeout(app.limits.transfer_time, sender.send(Ok(pieces))).await;
        if !matches!(sent, Ok(Ok(()))) {
            return;
        }
    }
    let _ = sender.send(Ok(vec![wire::encode_end(&missing)])).await;
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
