//! What browsers load besides pages: see [`pages::assets`].

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use pages::assets::{Assets, FOREVER};

/// Where they are served.
pub(super) const ROUTE: &str = "/console/assets/{file}";
const FOLDER: &str = "/console/assets/";

static ASSETS: LazyLock<Assets> = LazyLock::new(|| {
    let files: [(&str, &[u8]); 3] = [
        ("console.js", include_bytes!("../../assets/console.js")),
        ("htmx.js", include_bytes!("../../assets/vendor/htmx.min.js")),
        ("sse.js", include_bytes!("../../assets/vendor/sse.min.js")),
    ];
    Assets::new(FOLDER, &files, "")
});

/// The path of an asset, for templates.
///
/// # Panics
/// If there is none of that name; every template is rendered by a test.
pub(crate) fn path(name: &str) -> &'static str {
    ASSETS.path(name)
}

/// `GET /console/assets/{file}`, for anybody: the page to sign in needs them too.
pub(super) async fn serve(Path(file): Path<String>) -> Response {
    let Some(asset) = ASSETS.find(&file) else { return StatusCode::NOT_FOUND.into_response() };
    let headers = [(header::CONTENT_TYPE, asset.media), (header::CACHE_CONTROL, FOREVER)];
    (headers, Bytes::from_static(&asset.bytes)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_names_with_the_right_hash_are_served() {
        let served = serve(Path(path("htmx.js")[FOLDER.len()..].to_owned())).await;
        assert_eq!(served.status(), StatusCode::OK);
        assert_eq!(served.headers()[header::CACHE_CONTROL], FOREVER);
        for wrong in ["htmx.js", "htmx.0000000000000000.js", "../console.css", ""] {
            let status = serve(Path(wrong.to_owned())).await.status();
            assert_eq!(status, StatusCode::NOT_FOUND, "{wrong}");
        }
    }
}
