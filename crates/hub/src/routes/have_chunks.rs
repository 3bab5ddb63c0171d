//! `POST /v1/chunks/have`: which chunks are here, for this caller.

use std::collections::HashSet;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use content::ChunkId;
use hub_api::MEDIA_BYTES;
use hub_api::limits::HAVE_IDS_MAX;
use store::{ChunkStore, StoreError};
use wire::{HaveBitmap, IdList};

use crate::app::App;
use crate::body::{self, BoundedBody};
use crate::caller::Visitor;
use crate::refusal::Refusal;

/// A chunk the caller may not read is not here.
pub(crate) async fn have_chunks(
    State(app): State<Arc<App>>,
    Visitor(caller): Visitor,
    request: Request,
) -> Result<Response, Refusal> {
    let ids = read_ids(&app, request, HAVE_IDS_MAX).await?;
    let readable = app.access.readable(&caller, &ids).await?;
    let bitmap = HaveBitmap(here_for(&*app.store, &ids, &readable).await?).encode();
    Ok(([(header::CONTENT_TYPE, MEDIA_BYTES)], body::bytes(bitmap)).into_response())
}

/// Which of `ids` are stored and among the `readable`. The store is not asked about others: it
/// remembers what it is asked during a collection, and keeps it.
pub(super) async fn here_for(
    store: &dyn ChunkStore,
    ids: &[ChunkId],
    readable: &HashSet<ChunkId>,
) -> Result<Vec<bool>, StoreError> {
    let asked: Vec<ChunkId> = ids.iter().copied().filter(|id| readable.contains(id)).collect();
    let stored = if asked.is_empty() { Vec::new() } else { store.has(&asked).await? };
    let mut stored = stored.into_iter();
    let here = |id| readable.contains(id) && stored.next().unwrap_or(false);
    Ok(ids.iter().map(here).collect())
}

/// Reads a body that lists at most `ids_max` ids.
pub(super) async fn read_ids(
    app: &App,
    request: Request,
    ids_max: usize,
) -> Result<Vec<ChunkId>, Refusal> {
    let body = BoundedBody::new(request, ids_max * 32, app.limits.idle_time)?;
    let body = body.whole().await?;
    let list = IdList::decode(&body, ids_max);
    list.map(|list| list.0).map_err(|error| Refusal::malformed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use store::{Faulty, MemoryStore, Operation};

    use super::*;

    #[tokio::test]
    async fn the_store_is_not_asked_about_what_nobody_may_be_told() {
        let store = Faulty::new(MemoryStore::new());
        let ids = [ChunkId::of(b"a stranger's"), ChunkId::of(b"own")];
        store.plan(Operation::Has, 0, 1);
        let nothing = HashSet::new();
        let here = here_for(&store, &ids, &nothing).await.expect("the store is not asked");
        assert_eq!(here, [false, false]);
        let readable = HashSet::from([ids[1]]);
        assert!(here_for(&store, &ids, &readable).await.is_err(), "now it was");
        assert_eq!(here_for(&store, &ids, &readable).await.expect("answers"), [false, false]);
    }

    #[tokio::test]
    async fn answers_are_in_the_order_asked() {
        let bytes = bytes::Bytes::from_static(b"here");
        let here = ChunkId::of(&bytes);
        let mut builder = content::frame::FrameBuilder::default();
        builder.push(here, &bytes);
        let (entries, plain) = builder.take().expect("not empty");
        let mut codec = content::frame::FrameCodec::default();
        let frame = codec.encode(entries, plain, content::frame::Codec::None);
        let store = MemoryStore::new();
        store.append(vec![frame]).await.expect("takes it");
        let [other, secret] = [&b"not here"[..], b"secret"].map(ChunkId::of);
        let ids = [secret, here, other, here, secret];
        let readable = HashSet::from([here, other]);
        let found = here_for(&store, &ids, &readable).await.expect("answers");
        assert_eq!(found, [false, true, false, true, false]);
    }
}
