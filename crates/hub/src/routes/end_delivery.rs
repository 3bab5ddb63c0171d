//! `DELETE /v1/deliveries/{delivery}`: ends a delivery.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use hub_api::limits::DELIVERY_REASON_CHARS_MAX;
use hub_api::{DeliveryEnding, Hex};

use crate::app::App;
use crate::body::Json;
use crate::caller::Segments;
use crate::deliveries::Participant;
use crate::refusal::Refusal;

/// By either side. The first end stands, and repeating it changes nothing.
pub(crate) async fn end_delivery(
    State(app): State<Arc<App>>,
    Participant(asker): Participant,
    segments: Segments,
    Json(DeliveryEnding { reason }): Json<DeliveryEnding>,
) -> Result<StatusCode, Refusal> {
    let id = segments.parse::<Hex<16>>("delivery")?.0;
    let is_long = reason.chars().count() > DELIVERY_REASON_CHARS_MAX;
    if is_long || reason.chars().any(char::is_control) {
        let most =
            format!("a reason has {DELIVERY_REASON_CHARS_MAX} characters at most, on a line");
        return Err(Refusal::malformed(most));
    }
    app.deliveries.open(id, asker).ok_or_else(Refusal::not_found)?.end(reason);
    Ok(StatusCode::NO_CONTENT)
}
