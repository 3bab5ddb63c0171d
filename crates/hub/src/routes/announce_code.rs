//! `PUT /v1/codes/{number}`: makes the number of a code known.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;

use crate::app::App;
use crate::caller::{Member, Segments};
use crate::refusal::Refusal;

/// By any account, with a number of its choice. Repeating it changes nothing.
pub(crate) async fn announce_code(
    State(app): State<Arc<App>>,
    Member(account): Member,
    segments: Segments,
) -> Result<StatusCode, Refusal> {
    let number = segments.parse("number")?;
    let is_new = app.codes.announce(number, account.key)?;
    Ok(if is_new { StatusCode::CREATED } else { StatusCode::OK })
}
