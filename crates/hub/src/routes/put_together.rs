//! `PUT /v1/deliveries/{delivery}/together/{number}?also=`: hands a segment over for several deliveries.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use hub_api::limits::{DELIVERY_SHARED_MAX, SEGMENT_BYTES_MAX, SEGMENT_HEAD_BYTES};
use hub_api::{Hex, SegmentTaken, SegmentsTaken, SharedTaken};
use serde::Deserialize;

use crate::app::App;
use crate::body::BoundedBody;
use crate::caller::{Member, Segments};
use crate::deliveries::{Asker, Waiting, take_together};
use crate::refusal::Refusal;

#[derive(Deserialize)]
pub(crate) struct Also {
    also: String,
}

/// By the sender of all of them: another account's are not found, and left out as those are that are not here.
pub(crate) async fn put_together(
    State(app): State<Arc<App>>,
    account: Result<Member, Refusal>,
    segments: Segments,
    also: Result<Query<Also>, QueryRejection>,
    request: Request,
) -> Result<Response, Refusal> {
    // A refusal before the body is read leaves a connection that cannot be used again.
    let Member(account) = account.map_err(Refusal::closing)?;
    let id = segments.parse::<Hex<16>>("delivery").map_err(Refusal::closing)?;
    let number: u64 = segments.parse("number").map_err(Refusal::closing)?;
    let Query(Also { also }) = also.map_err(|error| Refusal::from(error).closing())?;
    let ids = ids(id, &also).map_err(Refusal::closing)?;
    let asker = Asker::Sender(account.key);
    let opened =
        ids.iter().enumerate().filter_map(|(at, id)| Some((at, app.deliveries.open(id.0, asker)?)));
    let mut deliveries: Vec<_> = opened.collect();
    if deliveries.first().is_none_or(|(at, _)| *at != 0) {
        return Err(Refusal::not_found().closing());
    }
    for (_, delivery) in &deliveries {
        if number >= delivery.segments().map_err(Refusal::closing)? {
            return Err(Refusal::malformed("one of the deliveries has fewer segments").closing());
        }
    }
    let most = (ids.len() - 1) * SEGMENT_HEAD_BYTES + SEGMENT_BYTES_MAX;
    let body = BoundedBody::new(request, most, app.limits.idle_time)?;
    let waiting = Waiting::new(&app, app.limits.turn_time);
    let outcomes = take_together(&mut deliveries, number, ids.len(), body, waiting).await;
    let outcomes = outcomes.map_err(Refusal::closing)?;
    let mut answer = SegmentsTaken { deliveries: Vec::with_capacity(deliveries.len()) };
    for ((at, delivery), outcome) in deliveries.iter().zip(&outcomes) {
        // One that was forgotten meanwhile is left out, as if it had not been here.
        let Ok(taken) = delivery.segment_taken(outcome.taken) else { continue };
        let SegmentTaken { taken, next, verified } = taken;
        let waited_ms = outcome.waited.as_millis() as u64;
        answer.deliveries.push(SharedTaken {
            delivery: ids[*at],
            taken,
            next,
            verified,
            waited_ms,
        });
    }
    let is_read = outcomes.iter().any(|outcome| outcome.taken);
    let mut answer = axum::Json(answer).into_response();
    if !is_read {
        answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(answer)
}

/// The deliveries in the order of their heads.
fn ids(first: Hex<16>, others: &str) -> Result<Vec<Hex<16>>, Refusal> {
    let malformed = || {
        let most = DELIVERY_SHARED_MAX - 1;
        Refusal::malformed(format!(
            "`also` names up to {most} other deliveries, none of them twice"
        ))
    };
    let mut ids = vec![first];
    for other in others.split(',') {
        let other = other.parse::<Hex<16>>().map_err(|_| malformed())?;
        if ids.len() == DELIVERY_SHARED_MAX || ids.contains(&other) {
            return Err(malformed());
        }
        ids.push(other);
    }
    Ok(ids)
}
