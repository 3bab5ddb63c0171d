//! `PUT /v1/deliveries/{delivery}`: begins a delivery.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use hub_api::{DeliveryAnnouncement, DeliveryStatus, Hex, ProblemCode};

use crate::app::App;
use crate::body::Json;
use crate::caller::{Member, Segments};
use crate::deliveries::{Asker, NotAnnounced};
use crate::refusal::Refusal;

/// By any account, with an id of its choice. Repeating it changes nothing.
pub(crate) async fn announce_delivery(
    State(app): State<Arc<App>>,
    Member(account): Member,
    segments: Segments,
    Json(announcement): Json<DeliveryAnnouncement>,
) -> Result<(StatusCode, axum::Json<DeliveryStatus>), Refusal> {
    let id = segments.parse::<Hex<16>>("delivery")?.0;
    if announcement.segments == 0 {
        return Err(Refusal::malformed("a delivery has at least one segment"));
    }
    let announced = app.deliveries.announce(id, account.key, &announcement);
    let is_new = announced.map_err(|error| match error {
        NotAnnounced::Conflict => Refusal::new(ProblemCode::DeliveryConflict, ""),
        NotAnnounced::TooManyOfAccount => {
            Refusal::too_many("the account's other deliveries first: let some end, or end them")
        }
        NotAnnounced::TooMany => Refusal::busy("too many deliveries at once"),
    })?;
    let delivery = app.deliveries.open(id, Asker::Sender(account.key));
    let status = delivery.ok_or_else(Refusal::not_found)?.status()?;
    Ok((if is_new { StatusCode::CREATED } else { StatusCode::OK }, axum::Json(status)))
}
