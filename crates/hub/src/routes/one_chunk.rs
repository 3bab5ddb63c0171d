//! `GET /v1/chunks/{id}`: one chunk, immutable, for any proxy or CDN to keep.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use content::ChunkId;
use hub_api::{Hex, MEDIA_BYTES};
use hub_db::Caller;

use crate::app::App;
use crate::body;
use crate::caller::{Segments, Visitor};
use crate::conditional::{content_range, etag, names_etag, range};
use crate::peer::Peer;
use crate::places::{SMALL_BYTES_MAX, Sharer};
use crate::refusal::Refusal;

const PUBLIC: &str = "public, max-age=31536000, immutable";
const PRIVATE: &str = "private, max-age=31536000, immutable";

pub(crate) async fn one_chunk(
    State(app): State<Arc<App>>,
    Visitor(caller): Visitor,
    peer: Peer,
    segments: Segments,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let id: Hex<32> = segments.parse("id")?;
    let tag = etag(id);
    let id = ChunkId::from_bytes(id.0);
    let public = app.access.readable(&Caller::Anonymous, &[id]).await?.contains(&id);
    if !public && !app.access.readable(&caller, &[id]).await?.contains(&id) {
        return Err(Refusal::not_found());
    }
    let common = [
        (header::CACHE_CONTROL, HeaderValue::from_static(if public { PUBLIC } else { PRIVATE })),
        (header::ETAG, tag.clone()),
        (header::VARY, HeaderValue::from_static("authorization")),
    ];
    if names_etag(&headers, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, common).into_response());
    }
    let bytes = placed(&app, id, || app.sharer(&caller, peer, &headers)).await?;
    let common = (
        common,
        [
            (header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_BYTES)),
            (header::ACCEPT_RANGES, HeaderValue::from_static("bytes")),
        ],
    );
    // A range of another version cannot be asked for: an id has one version.
    let length = bytes.len() as u64;
    match range(&headers, length)? {
        None => Ok((common.0, common.1, body::bytes(bytes)).into_response()),
        Some(range) => {
            let place = [(header::CONTENT_RANGE, content_range(&range, length))];
            // No longer than a chunk, so within memory.
            let part = body::bytes(bytes.slice(range.start as usize..range.end as usize));
            Ok((StatusCode::PARTIAL_CONTENT, common.0, common.1, place, part).into_response())
        }
    }
}

/// The bytes of a chunk, with a place for them unless they are few.
async fn placed(app: &App, id: ChunkId, sharer: impl FnOnce() -> Sharer) -> Result<Bytes, Refusal> {
    let bytes = app.store.read(&id).await?.ok_or_else(Refusal::not_found)?;
    if bytes.len() <= SMALL_BYTES_MAX {
        return Ok(bytes);
    }
    let sharer = sharer();
    if let Some(place) = app.try_room(bytes.len(), sharer) {
        return Ok(place.hold(bytes));
    }
    // Whoever waits must not hold what is waited for.
    let length = bytes.len();
    drop(bytes);
    let place = app.room(length, sharer).await?;
    Ok(place.hold(app.store.read(&id).await?.ok_or_else(Refusal::not_found)?))
}
