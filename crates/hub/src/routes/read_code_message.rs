//! `GET /v1/codes/{number}/messages/{index}`: a message of a handover.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use hub_api::MEDIA_BYTES;
use hub_api::limits::CODE_WAIT_MAX;

use crate::app::App;
use crate::caller::Segments;
use crate::codes::Participant;
use crate::deliveries::Waiting;
use crate::refusal::Refusal;

/// For the other side. It waits for the message, if there is a place to wait in.
pub(crate) async fn read_code_message(
    State(app): State<Arc<App>>,
    participant: Participant,
    segments: Segments,
) -> Result<Response, Refusal> {
    let (number, index) = (segments.parse("number")?, segments.parse("index")?);
    let waiting = Waiting::new(&app, CODE_WAIT_MAX);
    let message = app.codes.read(number, index, &participant, waiting).await?;
    let no_store = (header::CACHE_CONTROL, "no-store");
    Ok(match message {
        Some(bytes) => ([no_store, (header::CONTENT_TYPE, MEDIA_BYTES)], bytes).into_response(),
        None => (StatusCode::NO_CONTENT, [no_store]).into_response(),
    })
}
