//! Forms: read, bounded, and only from the console's own pages.

use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts as _, Request};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use serde::de::DeserializeOwned;

use super::origin;
use super::page::Failure;
use super::session::Operator;
use crate::app::App;
use crate::body::BoundedBody;
use crate::files::unix_now;

/// Longest form: an invitation that grants a few hundred names.
const FORM_BYTES_MAX: usize = 64 << 10;

/// What a signed-in person sent from one of our pages.
pub(super) struct Write<T> {
    pub(super) operator: Operator,
    pub(super) form: T,
}

/// The pairs of a form.
pub(crate) type Pairs = Vec<(String, String)>;

/// Reads the pairs of a form sent from one of our pages, session or not.
pub(super) async fn own_pairs(request: Request, app: &App) -> Result<Pairs, Failure> {
    if !origin::is_own(request.headers(), &app.console.url) {
        return Err(Failure::forged());
    }
    let media = request.headers().get(header::CONTENT_TYPE);
    let media = media.and_then(|media| media.to_str().ok()?.split(';').next());
    if media.map(str::trim) != Some("application/x-www-form-urlencoded") {
        return Err(Failure::refused("This is not a form."));
    }
    let body = BoundedBody::new(request, FORM_BYTES_MAX, app.limits.idle_time);
    let body = match body {
        Ok(body) => body.whole().await,
        Err(refusal) => Err(refusal),
    };
    let body = body.map_err(|_| Failure::refused("The form is too long or was cut short."))?;
    pairs(&body).ok_or_else(|| Failure::refused("The form cannot be read."))
}

/// What a form says.
pub(crate) fn pairs(body: &[u8]) -> Option<Pairs> {
    serde_urlencoded::from_bytes(body).ok()
}

/// The same as what a page expects.
pub(crate) fn form<T: DeserializeOwned>(pairs: &[(String, String)]) -> Option<T> {
    serde_urlencoded::from_str(&serde_urlencoded::to_string(pairs).ok()?).ok()
}

/// The first value of a pair.
pub(super) fn value<'a>(pairs: &'a Pairs, name: &str) -> &'a str {
    pairs.iter().find(|(found, _)| found == name).map_or("", |(_, value)| value)
}

impl<T: DeserializeOwned> FromRequest<Arc<App>> for Write<T> {
    type Rejection = Response;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let operator = Operator::from_request_parts(&mut parts, app).await?;
        let read = async {
            let pairs = own_pairs(Request::from_parts(parts, body), app).await?;
            // Hashes compare in constant time.
            let given = blake3::hash(value(&pairs, "token").as_bytes());
            if given != blake3::hash(operator.form_token.as_bytes()) {
                return Err(Failure::forged());
            }
            // The form may have come long after its head.
            if !app.db.console_session(&operator.session, unix_now()).await? {
                return Err(Failure::forged());
            }
            form(&pairs)
                .ok_or_else(|| Failure::refused("A field is missing or not what it should be."))
        };
        match read.await {
            Ok(form) => Ok(Self { operator, form }),
            Err(failure) => Err(failure.into_response()),
        }
    }
}
