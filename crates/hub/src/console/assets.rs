//! Style sheet, scripts, fonts and icons, embedded and served under names that carry their hash.
//!
//! A name never gets other bytes, so browsers may keep them for good; a new version of the hub
//! names new files.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;

/// Where they are served.
pub(super) const ROUTE: &str = "/console/assets/{file}";
const FOLDER: &str = "/console/assets/";
const FOREVER: &str = "public, max-age=31536000, immutable";

struct Asset {
    name: &'static str,
    /// Path with the hash in it.
    path: String,
    media: &'static str,
    bytes: Bytes,
}

impl Asset {
    fn new(name: &'static str, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let (stem, extension) = name.split_once('.').expect("the names below have one dot");
        let media = match extension {
            "css" => "text/css; charset=utf-8",
            "js" => "text/javascript; charset=utf-8",
            "svg" => "image/svg+xml",
            _ => "font/woff2",
        };
        let hash = blake3::hash(&bytes).to_hex();
        let path = format!("{FOLDER}{stem}.{}.{extension}", &hash[..16]);
        Self { name, path, media, bytes }
    }
}

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    let mut assets = vec![
        asset("console.js", include_bytes!("../../assets/console.js")),
        asset("htmx.js", include_bytes!("../../assets/vendor/htmx.min.js")),
        asset("sse.js", include_bytes!("../../assets/vendor/sse.min.js")),
        asset("mark.svg", include_bytes!("../../assets/mark.svg")),
        asset("icons.svg", include_bytes!("../../assets/icons.svg")),
        asset("plex-sans-latin.woff2", include_bytes!("../../assets/fonts/plex-sans-latin.woff2")),
        asset(
            "plex-sans-latin-ext.woff2",
            include_bytes!("../../assets/fonts/plex-sans-latin-ext.woff2"),
        ),
        asset("plex-mono-latin.woff2", include_bytes!("../../assets/fonts/plex-mono-latin.woff2")),
        asset(
            "plex-mono-latin-ext.woff2",
            include_bytes!("../../assets/fonts/plex-mono-latin-ext.woff2"),
        ),
    ];
    // The style sheet names the fonts, so its bytes depend on theirs.
    let mut style = include_str!("../../assets/console.css").to_owned();
    for asset in &assets {
        style = style.replace(&format!("asset:{}", asset.name), &asset.path);
    }
    assets.push(Asset::new("console.css", style));
    assets
});

fn asset(name: &'static str, bytes: &'static [u8]) -> Asset {
    Asset::new(name, Bytes::from_static(bytes))
}

/// The path of an asset, for templates.
///
/// # Panics
/// If there is none of that name; every template is rendered by a test.
pub(crate) fn path(name: &str) -> &'static str {
    let asset = ASSETS.iter().find(|asset| asset.name == name);
    &asset.expect("templates name assets that exist").path
}

/// `GET /console/assets/{file}`, for anybody: the page to sign in needs them too.
pub(super) async fn serve(Path(file): Path<String>) -> Response {
    let asset = ASSETS.iter().find(|asset| asset.path.strip_prefix(FOLDER) == Some(&file));
    let Some(asset) = asset else { return StatusCode::NOT_FOUND.into_response() };
    let headers = [(header::CONTENT_TYPE, asset.media), (header::CACHE_CONTROL, FOREVER)];
    (headers, asset.bytes.clone()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_style_sheet_names_fonts_that_are_served() {
        let style = ASSETS.iter().find(|asset| asset.name == "console.css").expect("there");
        let style = std::str::from_utf8(&style.bytes).expect("UTF-8");
        assert!(!style.contains("asset:"), "every placeholder was filled in");
        let fonts: Vec<&Asset> =
            ASSETS.iter().filter(|asset| asset.name.ends_with("woff2")).collect();
        assert!(fonts.iter().all(|font| style.contains(&font.path)));
    }

    #[tokio::test]
    async fn only_names_with_the_right_hash_are_found() {
        let served = serve(Path(path("htmx.js")[FOLDER.len()..].to_owned())).await;
        assert_eq!(served.status(), StatusCode::OK);
        assert_eq!(served.headers()[header::CACHE_CONTROL], FOREVER);
        for wrong in ["htmx.js", "htmx.0000000000000000.js", "../console.css", ""] {
            let status = serve(Path(wrong.to_owned())).await.status();
            assert_eq!(status, StatusCode::NOT_FOUND, "{wrong}");
        }
    }
}
