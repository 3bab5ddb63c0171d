//! Who is signed in.
//!
//! The cookie holds a secret, the database its hash. Tokens for forms are derived from the
//! secret, so they live exactly as long and nothing else is kept.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use hub_db::Actor;

use super::Console;
use super::page::Failure;
use crate::acts::Act;
use crate::app::App;
use crate::files::unix_now;
use crate::places::Sharer;

/// A working day; then the terminal is asked for another link.
pub(super) const SESSION_LIFETIME: Duration = Duration::from_hours(8);

/// Derives the token for forms; never change it to one used elsewhere.
const FORM_TOKEN_CONTEXT: &str = "consign 2026 console form token";

/// With TLS: browsers keep such a cookie only when it is secure and of this very host.
const SECURE_NAME: &str = "__Host-consign-console";
const PLAIN_NAME: &str = "consign-console";

/// The secret of a session.
pub(super) struct SessionSecret([u8; 32]);

impl SessionSecret {
    pub(super) fn new() -> Result<Self, getrandom::Error> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret)?;
        Ok(Self(secret))
    }

    /// What the database knows of it.
    pub(super) fn hash(&self) -> [u8; 32] {
        *blake3::hash(&self.0).as_bytes()
    }

    /// What forms carry to show that they were made for this session.
    pub(super) fn form_token(&self) -> String {
        hex::encode(blake3::derive_key(FORM_TOKEN_CONTEXT, &self.0))
    }

    /// The cookie that carries it.
    pub(super) fn cookie(&self, console: &Console) -> String {
        cookie(console, &hex::encode(self.0), SESSION_LIFETIME.as_secs())
    }

    fn of(headers: &HeaderMap, console: &Console) -> Option<Self> {
        let name = name(console);
        let values = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = values.flat_map(|value| value.split(';')).filter_map(|pair| {
            let (found, value) = pair.trim().split_once('=')?;
            (found == name).then_some(value)
        });
        let mut secret = [0; 32];
        hex::decode_to_slice(pairs.next()?, &mut secret).ok()?;
        Some(Self(secret))
    }
}

fn name(console: &Console) -> &'static str {
    if console.is_secure() { SECURE_NAME } else { PLAIN_NAME }
}

fn cookie(console: &Console, value: &str, seconds: u64) -> String {
    let (name, secure) = (name(console), if console.is_secure() { "; Secure" } else { "" });
    format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}")
}

/// Takes the cookie away.
pub(super) fn no_cookie(console: &Console) -> String {
    cookie(console, "", 0)
}

/// Whose session `headers` name, in force or not: for counting alone.
pub(super) fn sharer(headers: &HeaderMap, console: &Console) -> Option<Sharer> {
    SessionSecret::of(headers, console).map(|secret| Sharer::Session(secret.hash()))
}

/// A signed-in person.
#[derive(Debug, Clone)]
pub(crate) struct Operator {
    /// Hash of the session's secret.
    pub(super) session: [u8; 32],
    /// What every form of this session carries.
    pub(super) form_token: String,
}

impl Operator {
    /// The session that `headers` name, if it is in force.
    pub(super) async fn of(headers: &HeaderMap, app: &App) -> Result<Option<Self>, Failure> {
        let Some(secret) = SessionSecret::of(headers, &app.console) else { return Ok(None) };
        let session = secret.hash();
        let is_open = app.db.console_session(&session, unix_now()).await?;
        Ok(is_open.then(|| Self { session, form_token: secret.form_token() }))
    }

    /// Whose share pages and downloads of this session count to.
    pub(super) fn sharer(&self) -> Sharer {
        Sharer::Session(self.session)
    }

    /// An act of this session. In the audit log a few digits tell sessions apart; they open none.
    pub(super) fn act(&self, app: &Arc<App>, action: &str, subject: impl Display) -> Act {
        let actor = Actor::Console(hex::encode(&self.session[..4]));
        Act::by(app, actor, action, subject)
    }
}

/// Everybody else is sent to sign in, whatever they asked for.
impl FromRequestParts<Arc<App>> for Operator {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Response> {
        match Self::of(&parts.headers, app).await {
            Ok(Some(operator)) => Ok(operator),
            Ok(None) => Err(sign_in_first(&parts.headers)),
            Err(failure) => Err(failure.into_response()),
        }
    }
}

/// A script would follow a redirection and put the wrong page in its place.
fn sign_in_first(headers: &HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    if headers.contains_key("hx-request") || accept.is_some_and(|it| it.contains("event-stream")) {
        return (StatusCode::UNAUTHORIZED, [("hx-redirect", "/console/sign-in")]).into_response();
    }
    Redirect::to("/console/sign-in").into_response()
}
