//! The page on which a browser sends without an account, by a link: `/send`.
//!
//! Static like the other two: it knows what the hub is recognised by, and what guests may. Its scripts make a key that
//! stays in the browser, and speak to the routes under `/v1` as `consign send --hub … --link` does, with the token of a
//! guest's session; so everything that holds for guests holds here ([`crate::guests`]). No cookie.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::http::StatusCode;
use axum::middleware;
use axum::response::{Html, IntoResponse as _, Response};
use axum::routing::get;
use hub_api::Hex;
use pages::format::bytes;

use crate::app::App;
use crate::console;
use crate::delivery_page::folder;

#[derive(Template)]
#[template(path = "guest.html")]
struct Page<'a> {
    host: &'a str,
    url: &'a str,
    /// What proofs name the hub by.
    identity: Hex<32>,
    /// What links name it by, for those who pin it.
    fingerprint: Hex<32>,
    /// Most that all guests of a network send in a day; `None` where there are no guests.
    most: Option<String>,
    /// Folder of the modules.
    folder: String,
}

/// The page.
pub(crate) fn router() -> Router<Arc<App>> {
    Router::new().route("/send", get(page)).layer(middleware::from_fn(console::secure))
}

/// `GET /send`, for anybody; where there are no guests it says so.
async fn page(app: console::State) -> Response {
    let page = Page {
        host: app.console.host(),
        url: &app.url,
        identity: Hex(app.identity),
        fingerprint: Hex(app.fingerprint),
        most: app.guests.as_ref().map(|guests| bytes(guests.bytes_max())),
        folder: folder(),
    };
    let status = if page.most.is_some() { StatusCode::OK } else { StatusCode::FORBIDDEN };
    match page.render() {
        Ok(text) => (status, Html(text)).into_response(),
        Err(error) => {
            tracing::error!(%error, "the page of guests cannot be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
