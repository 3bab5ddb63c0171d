//! `PUT /v1/deliveries/{delivery}`: begins a delivery.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use hub_api::limits::DELIVERY_DIRECT_BYTES_MAX;
use hub_api::{DeliveryAnnouncement, DeliveryStatus, Hex, ProblemCode};
use hub_db::{AccountKey, AddressedRecord, DeliveryState};

use crate::app::App;
use crate::body::Json;
use crate::caller::{Segments, Sender};
use crate::deliveries::{Asker, NotAnnounced};
use crate::people::status_of_received;
use crate::refusal::Refusal;

/// By any account, and by guests, with an id of its choice. Repeating it changes nothing. One that is addressed to somebody
/// is announced as it was addressed, once they let its sender in.
pub(crate) async fn announce_delivery(
    State(app): State<Arc<App>>,
    sender: Sender,
    segments: Segments,
    Json(mut announcement): Json<DeliveryAnnouncement>,
) -> Result<(StatusCode, axum::Json<DeliveryStatus>), Refusal> {
    let id = segments.parse::<Hex<16>>("delivery")?.0;
    if announcement.segments == 0 {
        return Err(Refusal::malformed("a delivery has at least one segment"));
    }
    let direct_bytes = announcement.direct.as_ref().map_or(0, |direct| direct.0.len());
    if direct_bytes > DELIVERY_DIRECT_BYTES_MAX {
        let most = format!("a direct path has at most {DELIVERY_DIRECT_BYTES_MAX} bytes");
        return Err(Refusal::malformed(most));
    }
    if app.is_relay_only {
        announcement.direct = None;
    }
    if app.lockers.has(&id) {
        return Err(Refusal::new(ProblemCode::DeliveryConflict, "it has a locker"));
    }
    let addressed = app.db.addressed(&id).await?;
    if let Some(addressed) = &addressed {
        check_same(addressed, sender.key, &announcement)?;
        // Its sender was away when the receipt came, and the hub may have been started again since.
        if addressed.state == DeliveryState::Received
            && !app.deliveries.has(&id)
            && let Some(receipt) = app.db.delivery_receipt(&id).await?
        {
            return Ok((StatusCode::OK, axum::Json(status_of_received(addressed, receipt))));
        }
        check_waits(addressed)?;
    }
    // Before it is in memory here: who lost its home to another front-end is passed on to that one.
    if !app.cluster.is_home(&*app.db, &id).await? {
        return Err(Refusal::busy("the delivery was just begun at another front-end"));
    }
    if let (Some(guests), Some(network)) = (&app.guests, sender.guest)
        && !app.deliveries.has(&id)
    {
        guests.check_room(network, announcement.bytes)?;
    }
    let by = (sender.key, sender.sharer());
    let announced = app.deliveries.announce(id, by, &announcement, addressed.is_some());
    let is_new = announced.map_err(|error| match error {
        NotAnnounced::Conflict => Refusal::new(ProblemCode::DeliveryConflict, ""),
        NotAnnounced::TooManyOfAccount => {
            Refusal::too_many("the account's other deliveries first: let some end, or end them")
        }
        NotAnnounced::TooManyOfGuests => {
            Refusal::busy("too many deliveries at once of those without an account")
        }
        NotAnnounced::TooMany => Refusal::busy("too many deliveries at once"),
    })?;
    let delivery = app.deliveries.open(id, Asker::Sender(sender.key));
    let status = delivery.ok_or_else(Refusal::not_found)?.status()?;
    Ok((if is_new { StatusCode::CREATED } else { StatusCode::OK }, axum::Json(status)))
}

/// Refuses what is not announced as it was addressed.
pub(super) fn check_same(
    addressed: &AddressedRecord,
    account: AccountKey,
    announcement: &DeliveryAnnouncement,
) -> Result<(), Refusal> {
    let DeliveryAnnouncement { segments, bytes, recipient, .. } = *announcement;
    let is_same = addressed.account == account && addressed.token == recipient.0;
    if !is_same || (addressed.segments, addressed.bytes) != (segments, bytes) {
        return Err(Refusal::new(ProblemCode::DeliveryConflict, ""));
    }
    Ok(())
}

/// Refuses what does not begin, or is over.
pub(super) fn check_waits(addressed: &AddressedRecord) -> Result<(), Refusal> {
    let conflict = |why: &str| Err(Refusal::new(ProblemCode::DeliveryConflict, why));
    match addressed.state {
        DeliveryState::Waiting | DeliveryState::Running => Ok(()),
        DeliveryState::PendingApproval => conflict("its recipient has not let the sender in yet"),
        DeliveryState::Received => conflict("it is over: the recipient has everything"),
        DeliveryState::Terminated => conflict("it is over: somebody ended it"),
        DeliveryState::Removed => conflict("it is over: nothing happened to it for too long"),
    }
}
