//! The frame around every page: who may see it, headers, navigation, and pages for what failed.

use std::error::Error;
use std::sync::Arc;

use askama::Template;
use axum::body::to_bytes;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Redirect, Response};
use ledger::LedgerError;
use node::communities::publisher::SendError;
use pages::format::{Moment, shown};

use crate::app::{App, Looked};
use crate::doors::Session;

/// The longest form: a link in it.
const FORM_BYTES_MAX: usize = 1024;

/// Names that are not ours are refused before anything is looked at; every answer has the headers that
/// keep a browser from doing more with it than show it.
pub(crate) async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let is_sign_in = *request.method() == Method::POST && request.uri().path() == "/sign-in";
    let mut response = if !app.doors.is_meant(request.headers()) {
        let text =
            "This console answers under its own address only. Open the link as it was printed.";
        (StatusCode::MISDIRECTED_REQUEST, text).into_response()
    } else if is_read || is_sign_in {
        next.run(request).await
    } else {
        let text = "This console only shows; nothing is changed here.";
        (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD")], text).into_response()
    };
    let headers = response.headers_mut();
    for (name, value) in pages::policy::HEADERS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Somebody who is signed in. Everybody else is sent to sign in, whatever they asked for.
pub(crate) struct Person(pub(crate) Session);

impl FromRequestParts<Arc<App>> for Person {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Response> {
        if let Some(session) = app.doors.session(&parts.headers) {
            return Ok(Self(session));
        }
        // A script would follow a redirection and take the page for what it asked for.
        if parts.uri.path().starts_with("/live/") {
            return Err(StatusCode::UNAUTHORIZED.into_response());
        }
        Err(Redirect::to("/sign-in").into_response())
    }
}

/// `GET /sign-in`: a form; a script fills it in from the fragment.
pub(crate) async fn sign_in(State(app): State<Arc<App>>) -> Page<SignIn> {
    Page(SignIn { host: app.doors.host() })
}

#[derive(Template)]
#[template(path = "sign_in.html")]
pub(crate) struct SignIn {
    host: String,
}

/// `POST /sign-in`: spends a link. Who does not have one gains nothing by sending this.
pub(crate) async fn spend(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, Failure> {
    let body = to_bytes(request.into_body(), FORM_BYTES_MAX).await;
    let body = body.map_err(|_| Failure::spent_link())?;
    let text = std::str::from_utf8(&body).map_err(|_| Failure::spent_link())?;
    let given = text.strip_prefix("secret=").unwrap_or_default();
    // Of what a link has, forms write these characters otherwise.
    let given = given.replace("%3A", ":").replace("%2F", "/").replace("%23", "#");
    let given = given.trim_matches(|it: char| it == '+' || it.is_whitespace());
    let cookie = app.doors.spend(given).map_err(|error| Failure::internal(&error))?;
    let cookie = cookie.ok_or_else(Failure::spent_link)?;
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to("/")).into_response())
}

/// Why something is not known now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// What went wrong, with its causes.
    pub(crate) why: String,
    /// Since when it does.
    pub(crate) since: u64,
}

/// An error and what caused it.
pub(crate) fn causes(error: &(dyn Error + 'static)) -> String {
    let (mut causes, mut next) = (Vec::new(), Some(error));
    while let Some(error) = next {
        causes.push(error.to_string());
        next = error.source();
    }
    shown(causes.join(": ").as_bytes())
}

/// Which entry of the navigation a page belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    Overview,
    Peers,
    Releases,
}

pub(crate) struct Entry {
    pub(crate) path: &'static str,
    pub(crate) icon: &'static str,
    pub(crate) label: &'static str,
    pub(crate) is_here: bool,
}

/// What every page has.
pub(crate) struct Layout {
    pub(crate) title: String,
    pub(crate) community: String,
    pub(crate) host: String,
    pub(crate) navigation: [Entry; 3],
}

impl Layout {
    pub(crate) fn new(app: &App, section: Section, title: impl Into<String>) -> Self {
        let entry = |path, icon, label, of| Entry { path, icon, label, is_here: of == section };
        Self {
            title: title.into(),
            community: shown(app.name.as_bytes()),
            host: app.doors.host(),
            navigation: [
                entry("/", "overview", "Overview", Section::Overview),
                entry("/releases", "names", "Releases", Section::Releases),
                entry("/peers", "accounts", "Peers", Section::Peers),
            ],
        }
    }
}

/// What is wrong with what is shown, if anything is.
pub(crate) struct Notice {
    pub(crate) text: String,
    pub(crate) since: Option<Moment>,
    pub(crate) next: String,
    pub(crate) command: Option<String>,
}

impl Notice {
    /// What keeps the picture from being the newest.
    pub(crate) fn of(looked: &Looked, now: u64) -> Option<Self> {
        if let Some(Trouble { why, since }) = &looked.trouble {
            let next = match &looked.known {
                Some(_) => {
                    "Peers are shown as they were before; it is asked again every few seconds."
                }
                None => {
                    "Peers are shown as the ledger knows them; it is asked again every few seconds."
                }
            };
            return Some(Self {
                text: format!("How the community stands is not known: {why}."),
                since: Some(Moment::new(*since, now)),
                next: next.into(),
                command: Some("consign doctor".into()),
            });
        }
        let known = looked.known.as_ref()?;
        let left = known.until.saturating_sub(now);
        // It is renewed every few hours, for a week.
        (left < 2 * 24 * 3600).then(|| Self {
            text: format!(
                "Nobody renewed the roster lately: it counts for {} more, and then targets take nothing.",
                pages::format::duration(left)
            ),
            since: None,
            next: "A manager's node renews it while it runs.".into(),
            command: Some("consign node".into()),
        })
    }
}

/// A template as a page.
pub(crate) struct Page<T>(pub(crate) T);

impl<T: Template> IntoResponse for Page<T> {
    fn into_response(self) -> Response {
        match self.0.render() {
            Ok(text) => Html(text).into_response(),
            Err(error) => Failure::internal(&error).into_response(),
        }
    }
}

/// For handlers of pages.
pub(crate) type Shown<T> = Result<Page<T>, Failure>;

/// A page that is not what was asked for.
#[derive(Debug, Template)]
#[template(path = "failure.html")]
pub(crate) struct Failure {
    #[template(skip)]
    status: StatusCode,
    title: &'static str,
    text: String,
    command: Option<&'static str>,
    back: &'static str,
    back_label: &'static str,
}

impl Failure {
    fn new(status: StatusCode, title: &'static str, text: impl Into<String>) -> Self {
        let (back, back_label) = ("/", "To the overview");
        Self { status, title, text: text.into(), command: None, back, back_label }
    }

    /// Nothing is at this address.
    pub(crate) fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "Not here", what)
    }

    /// Too many pages are kept up to date.
    pub(crate) fn busy() -> Self {
        let text = "Too many pages are open. Close some of them.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "Not now", text)
    }

    fn spent_link() -> Self {
        let text = "It was used already, or is incomplete. In the terminal, the newest link that the \
                    console printed is good; one that is not running any more has none.";
        Self {
            command: Some("consign community console"),
            back: "/sign-in",
            back_label: "To the sign-in page",
            ..Self::new(StatusCode::FORBIDDEN, "This link does not sign you in", text)
        }
    }

    /// Something here failed. Whoever reads this runs it, so they are told why.
    pub(crate) fn internal(error: &(dyn Error + 'static)) -> Self {
        let why = causes(error);
        tracing::error!(error = %why, "a page of the community's console failed");
        let text = format!("It failed: {why}. Reload the page to try again.");
        Self {
            command: Some("consign doctor"),
            ..Self::new(StatusCode::INTERNAL_SERVER_ERROR, "That went wrong", text)
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let text = self.render().unwrap_or_else(|_| self.text.clone());
        (self.status, Html(text)).into_response()
    }
}

impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Self {
        Self::internal(&error)
    }
}

impl From<SendError> for Failure {
    fn from(error: SendError) -> Self {
        Self::internal(&error)
    }
}

/// The rest, which looks the same to everybody without a session.
pub(crate) async fn not_found(_person: Person) -> Failure {
    Failure::not_found("There is no such page in this console.")
}
