//! `POST /v1/chunks/have`: which chunks are here, for this caller.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use content::ChunkId;
use hub_api::MEDIA_BYTES;
use hub_api::limits::HAVE_IDS_MAX;
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
    let stored = app.store.has(&ids).await?;
    let have = ids.iter().zip(stored).map(|(id, stored)| stored && readable.contains(id));
    let bitmap = HaveBitmap(have.collect()).encode();
    Ok(([(header::CONTENT_TYPE, MEDIA_BYTES)], body::bytes(bitmap)).into_response())
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
