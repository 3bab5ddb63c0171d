//! `PUT /v1/deliveries/{delivery}/segments/{number}`: hands a segment over.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use hub_api::limits::SEGMENT_BYTES_MAX;
use hub_api::{Hex, SegmentTaken};

use crate::app::App;
use crate::body::BoundedBody;
use crate::caller::{Segments, Sender};
use crate::deliveries::{Asker, Waiting};
use crate::lockers::{Download, Locker, shown_digest};
use crate::places::Sharer;
use crate::refusal::Refusal;

/// By the sender. The body is read into the hub's memory when there is room for it, which lasts until
/// the recipient's connection has taken the segment; before, the sender is held back by not reading.
pub(crate) async fn put_segment(
    State(app): State<Arc<App>>,
    sender: Result<Sender, Refusal>,
    segments: Segments,
    download: Download,
    request: Request,
) -> Result<Response, Refusal> {
    // A refusal before the body is read leaves a connection that cannot be used again.
    let sender = sender.map_err(Refusal::closing)?;
    let not_found = || Refusal::not_found().closing();
    let id = segments.parse::<Hex<16>>("delivery").map_err(Refusal::closing)?.0;
    let number: u64 = segments.parse("number").map_err(Refusal::closing)?;
    let asker = Asker::Sender(sender.key);
    if let Some(locker) = app.lockers.find(id, asker, download) {
        return keep(&app, locker, number, sender.sharer(), request).await;
    }
    let mut delivery = app.deliveries.open(id, asker).ok_or_else(not_found)?;
    if number >= delivery.segments().map_err(Refusal::closing)? {
        return Err(Refusal::malformed("the delivery has fewer segments").closing());
    }
    let body = BoundedBody::new(request, SEGMENT_BYTES_MAX, app.limits.idle_time)?;
    if let (Some(guests), Some(network)) = (&app.guests, sender.guest) {
        let bytes = body.bytes_expected() as u64;
        match guests.count(network, bytes) {
            Ok(()) => drop(app.metrics.guest_bytes.inc_by(bytes)),
            Err(end) => delivery.end_as(end),
        }
    }
    let waiting = Waiting::new(&app, app.limits.turn_time);
    let taken = delivery.take(number, body, waiting).await.map_err(Refusal::closing)?;
    Ok(answer(delivery.segment_taken(taken)?))
}

/// Into a locker: durable before it is answered.
async fn keep(
    app: &Arc<App>,
    mut locker: Locker,
    number: u64,
    sharer: Sharer,
    request: Request,
) -> Result<Response, Refusal> {
    let digest = shown_digest(request.headers()).map_err(Refusal::closing)?;
    let body = BoundedBody::new(request, SEGMENT_BYTES_MAX, app.limits.idle_time)?;
    let waiting = Waiting::new(app, app.limits.turn_time);
    if !locker.comes_its_turn(number, waiting).await.map_err(Refusal::closing)? {
        return Ok(answer(locker.segment_taken(false)?));
    }
    let _place = app.locker_turn(sharer).await.map_err(Refusal::closing)?;
    let taken = locker.keep(number, digest, body).await.map_err(Refusal::closing)?;
    Ok(answer(locker.segment_taken(taken)?))
}

fn answer(taken: SegmentTaken) -> Response {
    let mut answer = axum::Json(taken).into_response();
    if !taken.taken {
        answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    answer
}
