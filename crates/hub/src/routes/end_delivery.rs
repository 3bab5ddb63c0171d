//! `DELETE /v1/deliveries/{delivery}`: ends a delivery.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use hub_api::limits::DELIVERY_REASON_CHARS_MAX;
use hub_api::{DeliveryEnd, DeliveryEnding, DeliveryParty, Hex};
use hub_db::{AddressedRecord, DeliveryNote, DeliveryState, EndedBy};

use crate::app::App;
use crate::body::Json;
use crate::caller::Segments;
use crate::cluster::Wake;
use crate::deliveries::{Asker, Participant};
use crate::files::unix_now;
use crate::lockers::Download;
use crate::people::tell_sides;
use crate::refusal::Refusal;

/// By either side; one that is addressed to a person by any device of both, whether it runs or not. The first
/// end stands, and repeating it changes nothing.
pub(crate) async fn end_delivery(
    State(app): State<Arc<App>>,
    Participant(asker): Participant,
    segments: Segments,
    download: Download,
    Json(DeliveryEnding { reason }): Json<DeliveryEnding>,
) -> Result<StatusCode, Refusal> {
    let id = segments.parse::<Hex<16>>("delivery")?.0;
    let is_long = reason.chars().count() > DELIVERY_REASON_CHARS_MAX;
    if is_long || reason.chars().any(char::is_control) {
        let most =
            format!("a reason has {DELIVERY_REASON_CHARS_MAX} characters at most, on a line");
        return Err(Refusal::malformed(most));
    }
    let Some(addressed) = app.db.addressed(&id).await? else {
        if let Some(locker) = app.lockers.find(id, asker, download) {
            locker.end(reason).await?;
            return Ok(StatusCode::NO_CONTENT);
        }
        app.deliveries.open(id, asker).ok_or_else(Refusal::not_found)?.end(reason);
        return Ok(StatusCode::NO_CONTENT);
    };
    let by = party(&app, &addressed, asker).await?.ok_or_else(Refusal::not_found)?;
    let (noted, shown) = match by {
        Side::Sender => (EndedBy::Sender, DeliveryParty::Sender),
        Side::Recipient => (EndedBy::Recipient, DeliveryParty::Recipient),
    };
    if app.lockers.has_receipt(&id) {
        // A hub that was killed before it noted so notes it now.
        let note = DeliveryNote { state: DeliveryState::Received, verified: addressed.segments };
        if let Some(sides) = app.db.note_delivery(&id, note, unix_now()).await? {
            tell_sides(&app, &sides);
        }
    }
    if let Some(sides) = app.db.end_addressed(&id, noted, &reason, unix_now()).await? {
        tell_sides(&app, &sides);
    }
    app.cluster.post().tell(Wake::Ended { delivery: Hex(id) });
    // Also what was over before: its place is free then.
    let end = DeliveryEnd { by: shown, reason };
    app.lockers.end(id, &end).await?;
    app.deliveries.end(&id, addressed.account, end);
    Ok(StatusCode::NO_CONTENT)
}

/// As whom somebody takes part in an addressed delivery.
enum Side {
    Sender,
    Recipient,
}

/// Beside the sending device and whoever has the token, the devices on the lists of both people.
async fn party(
    app: &App,
    addressed: &AddressedRecord,
    asker: Asker,
) -> Result<Option<Side>, Refusal> {
    let key = match asker {
        // In constant time, as hashes are compared.
        Asker::Recipient(hash) => return Ok((hash == addressed.token).then_some(Side::Recipient)),
        Asker::Sender(key) if key == addressed.account => return Ok(Some(Side::Sender)),
        Asker::Sender(key) => key,
    };
    let Some(account) = app.db.account(&key).await? else { return Ok(None) };
    let belonging = app.db.belonging(account.id).await?;
    Ok(belonging.filter(|belonging| belonging.is_listed).and_then(|belonging| {
        if belonging.person == addressed.sender {
            Some(Side::Sender)
        } else {
            (belonging.person == addressed.recipient).then_some(Side::Recipient)
        }
    }))
}
