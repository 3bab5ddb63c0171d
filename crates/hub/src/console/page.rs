//! The frame around every page: navigation, notices, headers, and pages for what failed.

use std::sync::Arc;

use askama::Template;
use axum::body::{Body, HttpBody as _, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};
use bytes::Bytes;
use hub_db::DbError;
use store::StoreError;

use super::session::{Operator, sharer};
use crate::app::App;
use crate::browse::BrowseError;
use crate::places::SMALL_BYTES_MAX;
use crate::refusal::{Chain, RETRY_AFTER_S, Refusal};

/// What axum says a page is.
const HTML: &str = "text/html; charset=utf-8";

/// Headers of every answer under `/console` and `/d`. What says itself how long it may be kept is left
/// alone; everything else is not kept at all.
pub(crate) async fn secure(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in pages::policy::HEADERS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// A page keeps a place for as long as it is in memory, as long answers of the API do; one that has
/// none is thrown away, and a short page says so. It is not waited for: what waited would be the page.
pub(super) async fn placed(
    axum::extract::State(app): State,
    request: Request,
    next: Next,
) -> Response {
    let sharer = sharer(request.headers(), &app.console);
    let response = next.run(request).await;
    let length =
        response.body().size_hint().exact().and_then(|length| usize::try_from(length).ok());
    let is_page = response.headers().get(header::CONTENT_TYPE).is_some_and(|media| media == HTML);
    // Only who is signed in is shown a long page.
    let (Some(length), Some(sharer), true) = (length, sharer, is_page) else { return response };
    if length <= SMALL_BYTES_MAX {
        return response;
    }
    let Some(place) = app.try_room(length, sharer) else {
        return Failure::busy("Too many pages are open that a browser has not taken yet.")
            .into_response();
    };
    let (head, body) = response.into_parts();
    match to_bytes(body, usize::MAX).await {
        Ok(bytes) => Response::from_parts(head, Body::from(place.hold(bytes))),
        Err(error) => Failure::internal(&error).into_response(),
    }
}

/// Which entry of the navigation a page belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    Overview,
    Names,
    Invitations,
    Accounts,
    People,
    Tokens,
    Audit,
}

/// One entry of the navigation.
pub(super) struct Entry {
    pub(super) path: &'static str,
    pub(super) icon: &'static str,
    pub(super) label: &'static str,
    pub(super) is_here: bool,
}

/// What every page of a signed-in person has.
pub(super) struct Layout {
    pub(super) title: String,
    pub(super) host: String,
    pub(super) form_token: String,
    pub(super) navigation: [Entry; 7],
    /// What the form before this page did.
    pub(super) notice: Option<&'static str>,
}

impl Layout {
    pub(super) fn new(
        app: &App,
        operator: &Operator,
        section: Section,
        title: impl Into<String>,
    ) -> Self {
        let entry = |path, icon, label, of| Entry { path, icon, label, is_here: of == section };
        Self {
            title: title.into(),
            host: app.console.host().to_owned(),
            form_token: operator.form_token.clone(),
            navigation: [
                entry("/console", "overview", "Overview", Section::Overview),
                entry("/console/names", "names", "Names", Section::Names),
                entry("/console/invitations", "invitations", "Invitations", Section::Invitations),
                entry("/console/accounts", "accounts", "Accounts", Section::Accounts),
                entry("/console/people", "people", "People", Section::People),
                entry("/console/tokens", "tokens", "Tokens", Section::Tokens),
                entry("/console/audit", "audit", "Audit log", Section::Audit),
            ],
            notice: None,
        }
    }

    /// Shows the notice of that name; a name that is none shows nothing, so that a link cannot
    /// put words on a page.
    pub(super) fn noticing(mut self, done: Option<&str>) -> Self {
        self.notice = done.and_then(|done| {
            Some(match done {
                "public" => "Anybody who reaches the hub can read this name now.",
                "private" => "Only the owner and those with a grant can read this name now.",
                "retention" => {
                    "The retention rules are saved. They are applied with the next collection."
                }
                "pinned" => "The release is pinned: no rule removes it.",
                "unpinned" => "The release is no longer pinned.",
                "granted" => "The grant is in force.",
                "ungranted" => "The grant was taken back.",
                "invitation-revoked" => {
                    "The invitation was revoked. Nobody can register with it any more."
                }
                "account-revoked" => "The account was revoked, and its transfers were ended.",
                "token-revoked" => "The token was revoked.",
                "down" => "The hub goes down for everyone but administrators, within seconds.",
                "up" => "The hub comes up again, within seconds.",
                "gone" => "That was gone already; nothing was changed.",
                _ => return None,
            })
        });
        self
    }
}

/// A template as a page.
pub(super) struct Page<T>(pub(super) T);

impl<T: Template> IntoResponse for Page<T> {
    fn into_response(self) -> Response {
        match self.0.render() {
            // What was set aside while it grew is not kept while it is sent.
            Ok(text) => Html(Bytes::from(text.into_bytes().into_boxed_slice())).into_response(),
            Err(error) => Failure::internal(&error).into_response(),
        }
    }
}

/// A page that is not what was asked for.
#[derive(Debug, Template)]
#[template(path = "failure.html")]
pub(crate) struct Failure {
    #[template(skip)]
    status: StatusCode,
    title: &'static str,
    text: String,
    back: &'static str,
    back_label: &'static str,
    #[template(skip)]
    retry_after_s: Option<u32>,
}

impl Failure {
    fn new(status: StatusCode, title: &'static str, text: impl Into<String>) -> Self {
        let (back, back_label) = ("/console", "To the overview");
        Self { status, title, text: text.into(), back, back_label, retry_after_s: None }
    }

    /// Nothing is at this address.
    pub(super) fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "Not here", what)
    }

    /// What was asked for makes no sense; the text says why.
    pub(super) fn refused(why: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "That did not work", why)
    }

    /// A form that none of our pages made, or one from before signing in anew.
    pub(super) fn forged() -> Self {
        let text = "The form did not come from a page of this session. Nothing was changed. \
                    Go back, reload the page and try again.";
        Self::new(StatusCode::FORBIDDEN, "Refused", text)
    }

    /// A sign-in link that opens nothing (any more).
    pub(super) fn spent_link() -> Self {
        let text = "The link was used already, is older than ten minutes, or is incomplete. \
                    Make another in the terminal, with: consign console --data DIR";
        Self {
            back: "/console/sign-in",
            back_label: "To the sign-in page",
            ..Self::new(StatusCode::FORBIDDEN, "This link does not sign you in", text)
        }
    }

    /// The hub, or this session, is at its limit.
    pub(super) fn busy(why: &str) -> Self {
        Self::later(StatusCode::SERVICE_UNAVAILABLE, why, RETRY_AFTER_S)
    }

    fn later(status: StatusCode, why: &str, retry_after_s: u32) -> Self {
        let text = format!("{why} Nothing was changed. Try again in {retry_after_s} seconds.");
        Self { retry_after_s: Some(retry_after_s), ..Self::new(status, "Not now", text) }
    }

    /// A failure of the hub: logged with its causes, told without them.
    pub(super) fn internal(error: &dyn std::error::Error) -> Self {
        tracing::error!(error = %Chain(error), "a page of the console failed");
        let text = "The hub failed at this. Its log says why.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "That went wrong", text)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let text = self.render().unwrap_or_else(|_| self.text.clone());
        let mut response = (self.status, Html(text)).into_response();
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

impl From<DbError> for Failure {
    fn from(error: DbError) -> Self {
        Self::internal(&error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::internal(&error)
    }
}

/// What endpoints of the API refuse; the hub's own failures were logged where they came up.
impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let problem = refusal.problem();
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::BAD_REQUEST);
        let text = if problem.detail.is_empty() { &problem.title } else { &problem.detail };
        if let Some(seconds) = refusal.retry_after_s() {
            return Self::later(status, &format!("The hub is busy: {text}."), seconds);
        }
        Self::new(status, "That did not work", text.clone())
    }
}

impl From<getrandom::Error> for Failure {
    fn from(error: getrandom::Error) -> Self {
        Self::internal(&error)
    }
}

impl From<BrowseError> for Failure {
    fn from(error: BrowseError) -> Self {
        match error {
            BrowseError::NoPath => Self::not_found("The release has nothing at this path."),
            BrowseError::Kind { is } => Self::refused(format!("This is {is}.")),
            BrowseError::Sealed => {
                Self::refused("The release is sealed; the hub cannot look inside.")
            }
            BrowseError::TooLarge(_) | BrowseError::Revoked => Self::refused(format!(
                "It cannot be shown here: {error}. Clients can still fetch it with `consign get`."
            )),
            BrowseError::Absent(_)
            | BrowseError::Malformed(_)
            | BrowseError::Contradiction(_)
            | BrowseError::Store(_)
            | BrowseError::Db(_) => Self::internal(&error),
        }
    }
}

/// The rest of `/console`, which looks the same to everybody without a session.
pub(super) async fn not_found(_operator: Operator) -> Failure {
    Failure::not_found("There is no such page in the console.")
}

/// For handlers of pages.
pub(super) type Shown<T> = Result<Page<T>, Failure>;

/// The app, as handlers take it.
pub(crate) type State = axum::extract::State<Arc<App>>;
