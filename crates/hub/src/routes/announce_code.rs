//! `PUT /v1/codes/{number}`: makes the number of a code known.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;

use crate::app::App;
use crate::caller::{Segments, Sender};
use crate::refusal::Refusal;

/// By any account, and by guests, with a number of its choice. Repeating it changes nothing.
pub(crate) async fn announce_code(
    State(app): State<Arc<App>>,
    sender: Sender,
    segments: Segments,
) -> Result<StatusCode, Refusal> {
    let number = segments.parse("number")?;
    let is_new = app.codes.announce(number, &sender)?;
    Ok(if is_new { StatusCode::CREATED } else { StatusCode::OK })
}
