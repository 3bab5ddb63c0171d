//! `PUT /v1/codes/{number}/messages/{index}`: passes a message of a handover on.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use hub_api::limits::CODE_MESSAGE_BYTES_MAX;

use crate::addresses::counted_as;
use crate::app::App;
use crate::body::BoundedBody;
use crate::caller::Segments;
use crate::codes::Participant;
use crate::peer::Peer;
use crate::refusal::Refusal;

/// By the sender or the recipient, each its own; the first message claims the ticket.
pub(crate) async fn put_code_message(
    State(app): State<Arc<App>>,
    participant: Result<Participant, Refusal>,
    peer: Peer,
    segments: Segments,
    request: Request,
) -> Result<StatusCode, Refusal> {
    // A refusal before the body is read leaves a connection that cannot be used again.
    let participant = participant.map_err(Refusal::closing)?;
    let number = segments.parse("number").map_err(Refusal::closing)?;
    let index = segments.parse("index").map_err(Refusal::closing)?;
    let address = counted_as(peer.client(request.headers(), &app.trusted_proxies));
    let body = BoundedBody::new(request, CODE_MESSAGE_BYTES_MAX, app.limits.idle_time)?;
    let message = body.whole().await?;
    if message.is_empty() {
        return Err(Refusal::malformed("a message has at least one byte"));
    }
    app.codes.put(number, index, message.into(), (&participant, address))?;
    Ok(StatusCode::NO_CONTENT)
}
