//! What browsers load besides pages.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use pages::assets::{Assets, FOREVER};

/// Where they are served.
pub(crate) const ROUTE: &str = "/assets/{file}";

static ASSETS: LazyLock<Assets> = LazyLock::new(|| {
    let files: [(&str, &[u8]); 1] = [("community.js", include_bytes!("../assets/community.js"))];
    Assets::new("/assets/", &files, include_str!("../assets/community.css"))
});

/// The path of an asset, for templates.
pub(crate) fn path(name: &str) -> &'static str {
    ASSETS.path(name)
}

/// `GET /assets/{file}`, for anybody: the page to sign in needs them too.
pub(crate) async fn serve(Path(file): Path<String>) -> Response {
    let Some(asset) = ASSETS.find(&file) else { return StatusCode::NOT_FOUND.into_response() };
    let headers = [(header::CONTENT_TYPE, asset.media), (header::CACHE_CONTROL, FOREVER)];
    (headers, Bytes::from_static(&asset.bytes)).into_response()
}
