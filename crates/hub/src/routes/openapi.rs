//! `GET /v1/openapi.json`: this interface, for machines.

use std::sync::LazyLock;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use hub_api::MEDIA_JSON;

use crate::conditional::{etag, names_etag};

static DOCUMENT: LazyLock<(String, HeaderValue)> = LazyLock::new(|| {
    let document = hub_api::openapi::document(env!("CARGO_PKG_VERSION")).to_string();
    let tag = etag(&blake3::hash(document.as_bytes()).to_hex()[..32]);
    (document, tag)
});

pub(crate) async fn openapi(headers: HeaderMap) -> Response {
    let (document, tag) = &*DOCUMENT;
    let common = [
        (header::CACHE_CONTROL, HeaderValue::from_static("public, no-cache")),
        (header::ETAG, tag.clone()),
    ];
    if names_etag(&headers, tag) {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    let media = [(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_JSON))];
    (common, media, document.as_str()).into_response()
}
