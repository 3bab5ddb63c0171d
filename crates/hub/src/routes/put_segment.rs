//! `PUT /v1/deliveries/{delivery}/segments/{number}`: hands a segment over.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use hub_api::Hex;
use hub_api::limits::SEGMENT_BYTES_MAX;

use crate::app::App;
use crate::body::BoundedBody;
use crate::caller::{Member, Segments};
use crate::deliveries::{Asker, Waiting};
use crate::refusal::Refusal;

/// By the sender. The body is read into the hub's memory when there is room for it, which lasts until
/// the recipient's connection has taken the segment; before, the sender is held back by not reading.
pub(crate) async fn put_segment(
    State(app): State<Arc<App>>,
    account: Result<Member, Refusal>,
    segments: Segments,
    request: Request,
) -> Result<Response, Refusal> {
    // A refusal before the body is read leaves a connection that cannot be used again.
    let Member(account) = account.map_err(Refusal::closing)?;
    let not_found = || Refusal::not_found().closing();
    let id = segments.parse::<Hex<16>>("delivery").map_err(Refusal::closing)?.0;
    let number: u64 = segments.parse("number").map_err(Refusal::closing)?;
    let asker = Asker::Sender(account.key);
    let mut delivery = app.deliveries.open(id, asker).ok_or_else(not_found)?;
    if number >= delivery.segments().map_err(Refusal::closing)? {
        return Err(Refusal::malformed("the delivery has fewer segments").closing());
    }
    let body = BoundedBody::new(request, SEGMENT_BYTES_MAX, app.limits.idle_time)?;
    let waiting = Waiting::new(&app, app.limits.turn_time);
    let taken = delivery.take(number, body, waiting).await.map_err(Refusal::closing)?;
    let mut answer = axum::Json(delivery.segment_taken(taken)?).into_response();
    if !taken {
        answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(answer)
}
