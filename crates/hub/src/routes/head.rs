//! `GET /v1/names/{team}/{name}/head`: the newest release and the statement that it is.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use hub_api::{Base64Bytes, HeadDocuments};

use super::one_chunk::names_etag;
use crate::app::App;
use crate::caller::{Segments, Visitor};
use crate::refusal::Refusal;

pub(crate) async fn head(
    State(app): State<Arc<App>>,
    Visitor(caller): Visitor,
    segments: Segments,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let name = segments.visible(&app, &caller).await?;
    let release = app.db.latest_release(name.id).await?.ok_or_else(Refusal::not_found)?;
    // Of the head, not the manifest: a renewed head is a new answer.
    let etag = format!("\"{}\"", blake3::hash(&release.head).to_hex());
    let known = names_etag(&headers, &etag);
    let etag = HeaderValue::from_str(&etag).expect("hexadecimal digits in quotes");
    // Revalidated each time, by the one caller it was for.
    let cache = HeaderValue::from_static("private, no-cache");
    let headers = [(header::ETAG, etag), (header::CACHE_CONTROL, cache)];
    if known {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    let documents =
        HeadDocuments { manifest: Base64Bytes(release.manifest), head: Base64Bytes(release.head) };
    Ok((headers, Json(documents)).into_response())
}
