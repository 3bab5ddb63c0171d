//! A person's page, on which a browser is one of their devices: `/me`.
//!
//! Static: it is the same for everybody, and knows nothing but what the hub is recognised by in proofs. Its
//! scripts make keys that stay in the browser, and speak to the routes under `/v1` as the command line does, with
//! the token of a session that such a key opened. The page has no cookie, so a request that another site makes a
//! browser send is nobody's. What the modules are and how they divide their work is in `assets/README.md`.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::http::StatusCode;
use axum::middleware;
use axum::response::{Html, IntoResponse as _, Response};
use axum::routing::get;
use hub_api::Hex;

use crate::app::App;
use crate::cluster::locker_time_max;
use crate::console;
use crate::delivery_page::folder;

#[derive(Template)]
#[template(path = "person.html")]
struct Page<'a> {
    host: &'a str,
    url: &'a str,
    /// What proofs name the hub by.
    identity: Hex<32>,
    /// What links name it by, for those who pin it.
    fingerprint: Hex<32>,
    /// The longest that this hub keeps a delivery; `None` where it keeps none.
    locker_seconds: Option<u64>,
    /// Whether one can send without an account.
    has_guests: bool,
    /// Folder of the modules.
    folder: String,
}

/// The page.
pub(crate) fn router() -> Router<Arc<App>> {
    Router::new().route("/me", get(page)).layer(middleware::from_fn(console::secure))
}

/// `GET /me`, for anybody.
async fn page(app: console::State) -> Response {
    let page = Page {
        host: app.console.host(),
        url: &app.url,
        identity: Hex(app.identity),
        fingerprint: Hex(app.fingerprint),
        locker_seconds: locker_time_max(&app).await.map(|most| most.as_secs()),
        has_guests: app.guests.is_some(),
        folder: folder(),
    };
    match page.render() {
        Ok(text) => Html(text).into_response(),
        Err(error) => {
            tracing::error!(%error, "a person's page cannot be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
