//! The page on which a browser receives a delivery: `/d/ID#KEY`; and the modules of that page, of a person's and of a guest's.
//!
//! Static: it is the same for every delivery, whether there is one or not, and knows nothing. The key stands
//! in the fragment, which browsers send to nobody; scripts of the page show the recipient's token to the
//! same routes under `/v1` as `consign receive` does. What they are and how they divide their work is in
//! `assets/README.md`.
//!
//! Its modules import each other by relative paths, so they are served under one folder whose name is a
//! hash of them all: it never gets other bytes, and browsers may keep it for good.

use std::sync::{Arc, LazyLock};

use askama::Template;
use axum::Router;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::middleware;
use axum::response::{Html, IntoResponse as _, Response};
use axum::routing::get;
use bytes::Bytes;
use hub_api::Hex;
use pages::assets::FOREVER;

use crate::app::App;
use crate::console;

/// Names below the folder, and contents; the words of codes and comparisons stand where Rust has them.
macro_rules! modules {
    ($($name:literal),+ $(,)?) => {
        [
            ("me/words.txt", include_bytes!("../../delivery/words.txt") as &[u8]),
            $(($name, include_bytes!(concat!("../assets/delivery/", $name)) as &[u8])),+
        ]
    };
}

const MODULES: &[(&str, &[u8])] = &modules![
    "announce.js",
    "browser.js",
    "bytes.js",
    "cbor.js",
    "course.js",
    "delivery.css",
    "drop.js",
    "focus.js",
    "guest/page.js",
    "header.js",
    "hub.js",
    "kept.js",
    "layout.js",
    "link.js",
    "me/account.js",
    "me/addressee.js",
    "me/addressing.js",
    "me/alone.js",
    "me/book.js",
    "me/comparison.js",
    "me/contacts.js",
    "me/courses.js",
    "me/devices.js",
    "me/draft.js",
    "me/drawing.js",
    "me/events.js",
    "me/hpke.js",
    "me/inbox.js",
    "me/keeping.js",
    "me/memory.js",
    "me/news.js",
    "me/outbox.js",
    "me/outbox_rows.js",
    "me/own_devices.js",
    "me/page.js",
    "me/person.js",
    "me/proofs.js",
    "me/send_worker.js",
    "me/signature.js",
    "me/states.js",
    "me/terms.js",
    "names.js",
    "outgoing.js",
    "page.js",
    "plan.js",
    "problem.js",
    "receipt.js",
    "receive_run.js",
    "recipient.js",
    "records.js",
    "saving.js",
    "send_plan.js",
    "sender.js",
    "sent.js",
    "signed.js",
    "survey.js",
    "tags.js",
    "vault.js",
    "vendor/fzstd/index.js",
    "vendor/noble-ed25519/index.js",
    "vendor/noble-hashes/_blake.js",
    "vendor/noble-hashes/_md.js",
    "vendor/noble-hashes/_u64.js",
    "vendor/noble-hashes/blake2.js",
    "vendor/noble-hashes/blake3.js",
    "vendor/noble-hashes/utils.js",
    "view.js",
    "words.js",
    "worker.js",
    "zip.js",
];

static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hasher = blake3::Hasher::new();
    for (name, bytes) in MODULES {
        hasher.update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes());
        hasher.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
    }
    hasher.finalize().to_hex()[..16].to_owned()
});

#[derive(Template)]
#[template(path = "delivery.html")]
struct Page<'a> {
    host: &'a str,
    /// Whether who received something may send from here, too.
    has_guests: bool,
    /// Folder of the modules.
    folder: String,
}

/// The page and what it loads.
pub(crate) fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/d/{delivery}", get(page))
        .route("/d/assets/{version}/{*file}", get(module))
        .layer(middleware::from_fn(console::secure))
}

/// Where the modules are.
pub(crate) fn folder() -> String {
    format!("/d/assets/{}", *VERSION)
}

/// `GET /d/{delivery}`, for anybody. Whether there is such a delivery, only its recipient may learn.
async fn page(app: console::State, Path(delivery): Path<String>) -> Response {
    if delivery.parse::<Hex<16>>().is_err() {
        return StatusCode::NOT_FOUND.into_response();
    }
    match (Page { host: app.console.host(), has_guests: app.guests.is_some(), folder: folder() })
        .render()
    {
        Ok(text) => Html(text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the page of a delivery cannot be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// `GET /d/assets/{version}/{file}`, for anybody.
async fn module(Path((version, file)): Path<(String, String)>) -> Response {
    let found = MODULES.iter().find(|(name, _)| *name == file && version == *VERSION);
    let Some((name, bytes)) = found else { return StatusCode::NOT_FOUND.into_response() };
    let media = match name.rsplit_once('.') {
        Some((_, "css")) => "text/css; charset=utf-8",
        Some((_, "txt")) => "text/plain; charset=utf-8",
        _ => "text/javascript; charset=utf-8",
    };
    let headers = [(header::CONTENT_TYPE, media), (header::CACHE_CONTROL, FOREVER)];
    (headers, Bytes::from_static(bytes)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where a module finds another one that it imports.
    fn resolved(from: &str, import: &str) -> String {
        let mut place: Vec<&str> = from.split('/').collect();
        place.pop();
        for step in import.split('/') {
            match step {
                "." => {}
                ".." => drop(place.pop()),
                name => place.push(name),
            }
        }
        place.join("/")
    }

    #[test]
    fn modules_import_what_is_served_and_nothing_from_elsewhere() {
        let mut imports = 0;
        for (name, bytes) in MODULES.iter().filter(|(name, _)| name.ends_with(".js")) {
            let text = std::str::from_utf8(bytes).expect("UTF-8");
            // Examples in comments name packages in single quotes.
            let lines = text.lines().filter(|line| line.starts_with("import "));
            for line in lines.filter(|line| line.contains(" from \"")) {
                let import = line.split('"').nth(1).expect("a quoted path");
                assert!(import.starts_with("./") || import.starts_with("../"), "{name}: {line}");
                let place = resolved(name, import);
                assert!(MODULES.iter().any(|(name, _)| *name == place), "{name}: {line}");
                imports += 1;
            }
        }
        assert!(imports > 40, "{imports}");
    }

    #[tokio::test]
    async fn modules_are_served_under_their_hash_alone() {
        let ask = |version: &str, file: &str| module(Path((version.to_owned(), file.to_owned())));
        let served = ask(&VERSION, "vendor/noble-hashes/blake3.js").await;
        assert_eq!(served.status(), StatusCode::OK);
        assert_eq!(served.headers()[header::CACHE_CONTROL], FOREVER);
        assert_eq!(served.headers()[header::CONTENT_TYPE], "text/javascript; charset=utf-8");
        for (version, file) in
            [("0000000000000000", "page.js"), (&*VERSION, "../console.js"), (&*VERSION, "")]
        {
            assert_eq!(
                ask(version, file).await.status(),
                StatusCode::NOT_FOUND,
                "{version} {file}"
            );
        }
    }
}
