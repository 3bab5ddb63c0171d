//! The console: pages for whoever runs the hub, rendered here, on the same port under `/console`.
//!
//! A person signs in with a one-time link from the terminal ([`crate::console_link`]); its secret
//! stands in the fragment and is posted, so no log and no proxy sees it. Then a cookie opens
//! everything: whoever may write such a link holds the data directory anyway. Every page but the
//! one to sign in takes an [`session::Operator`], so none shows anything without a session; every
//! form is a [`write::Write`], so none does anything for another site, and leaves an entry in the
//! audit log.
//!
//! Pages work without a script. With one, transfers are live (htmx and its extension for
//! server-sent events), names are filtered while typing, and the sign-in link needs no pasting.
//!
//! What a browser has not taken yet counts to its session, as answers of the API count to their
//! callers ([`crate::places`]): pages among the long answers, downloads among the fetches.
//!
//! One file per page; `page` is the frame around all of them; how numbers and names are
//! written and what they look like is in the `pages` crate.

mod accounts;
pub(crate) mod assets;
mod audit;
mod changes;
mod file;
pub(crate) mod invitations;
mod link;
mod live;
mod name;
mod name_settings;
mod names;
mod origin;
mod overview;
mod page;
mod people;
mod session;
mod sign_in;
mod switch;
mod tokens;
pub(crate) mod tree;
pub(crate) mod write;

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::middleware;
use axum::routing::{get, post};
use tokio::sync::Semaphore;

pub use self::link::{ConsoleLinkError, console_link};
pub(crate) use self::page::{State, secure};
use crate::app::App;

/// Open pages that watch transfers; each takes a connection and a timer.
const WATCHERS_MAX: usize = 32;

/// What the console keeps beside [`App`].
#[derive(Debug)]
pub(crate) struct Console {
    /// The URL clients use.
    url: String,
    /// The file system whose free space matters.
    data: PathBuf,
    watchers: Arc<Semaphore>,
}

impl Console {
    pub(crate) fn new(url: &str, data: PathBuf) -> Self {
        let watchers = Arc::new(Semaphore::new(WATCHERS_MAX));
        Self { url: url.to_owned(), data, watchers }
    }

    /// Whether browsers reach the hub by TLS, so that cookies may insist on it.
    fn is_secure(&self) -> bool {
        self.url.starts_with("https://")
    }

    /// The hub as people call it.
    pub(crate) fn host(&self) -> &str {
        self.url.split_once("://").map_or(&self.url, |(_, host)| host)
    }
}

/// Everything under `/console`.
pub(crate) fn router(app: &Arc<App>) -> Router<Arc<App>> {
    Router::new()
        .route(assets::ROUTE, get(assets::serve))
        .route("/console/sign-in", get(sign_in::form).post(sign_in::sign_in))
        .route("/console/sign-out", post(sign_in::sign_out))
        .route("/console", get(overview::overview))
        .route("/console/", get(overview::overview))
        .route("/console/transfers", get(live::live))
        .route("/console/names", get(names::names))
        .route("/console/names/{team}/{name}", get(name::name))
        .route("/console/names/{team}/{name}/visibility", post(name_settings::set_visibility))
        .route("/console/names/{team}/{name}/retention", post(name_settings::set_retention))
        .route("/console/names/{team}/{name}/pin", post(name_settings::set_pin))
        .route("/console/names/{team}/{name}/grants", post(name_settings::add_grant))
        .route("/console/names/{team}/{name}/grants/remove", post(name_settings::remove_grant))
        .route("/console/names/{team}/{name}/changes", get(changes::changes))
        .route("/console/names/{team}/{name}/{sequence}/tree", get(tree::tree))
        .route("/console/names/{team}/{name}/{sequence}/file", get(file::file))
        .route("/console/invitations", get(invitations::list).post(invitations::invite))
        .route("/console/invitations/revoke", post(invitations::revoke))
        .route("/console/accounts", get(accounts::list))
        .route("/console/accounts/revoke", post(accounts::revoke))
        .route("/console/people", get(people::list))
        .route("/console/down", post(switch::down))
        .route("/console/up", post(switch::up))
        .route("/console/tokens", get(tokens::list))
        .route("/console/tokens/revoke", post(tokens::revoke))
        .route("/console/audit", get(audit::audit))
        .route("/console/{*rest}", get(page::not_found))
        .layer(middleware::from_fn_with_state(Arc::clone(app), page::placed))
        .layer(middleware::from_fn(secure))
}
