//! `DELETE /v1/deliveries/{delivery}`: ends a delivery.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use hub_api::limits::DELIVERY_REASON_CHARS_MAX;
use hub_api::{DeliveryEnd, DeliveryEnding, Hex};
use hub_db::{Account, AddressedRecord, DeliveryNote, DeliveryState, EndedBy, Role};
use serde_json::json;

use crate::acts::{Act, Outcome};
use crate::app::App;
use crate::body::Json;
use crate::caller::Segments;
use crate::cluster::Wake;
use crate::deliveries::{Asker, Participant};
use crate::files::unix_now;
use crate::lockers::Download;
use crate::people::{shown_party, tell_sides};
use crate::refusal::Refusal;

/// By either side; one that is addressed to a person by any device of both, and by administrators, whether it
/// runs or not. The first end stands, and repeating it changes nothing.
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
    match party(&app, &addressed, asker).await?.ok_or_else(Refusal::not_found)? {
        Side::Sender => end(&app, &addressed, EndedBy::Sender, reason).await?,
        Side::Recipient => end(&app, &addressed, EndedBy::Recipient, reason).await?,
        Side::Administrator(account) => {
            let act = Act::new(&app, &account, "end-delivery", Hex(id));
            let act = act.with(json!({"from": addressed.from, "to": addressed.to}));
            let done = async move {
                if addressed.ended.is_some() || addressed.finished.is_some() {
                    return Ok(Outcome::Unchanged(()));
                }
                end(&app, &addressed, EndedBy::Hub, reason).await?;
                Ok(Outcome::Changed(()))
            };
            act.run(done).await?;
        }
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Ends one that is addressed to a person, in the database first.
async fn end(
    app: &App,
    addressed: &AddressedRecord,
    by: EndedBy,
    reason: String,
) -> Result<(), Refusal> {
    let id = addressed.delivery;
    if app.lockers.has_receipt(&id) {
        // A hub that was killed before it noted so notes it now.
        let note = DeliveryNote { state: DeliveryState::Received, verified: addressed.segments };
        if let Some(sides) = app.db.note_delivery(&id, note, unix_now()).await? {
            tell_sides(app, &sides);
        }
    }
    if let Some(sides) = app.db.end_addressed(&id, by, &reason, unix_now()).await? {
        tell_sides(app, &sides);
    }
    app.cluster.post().tell(Wake::Ended { delivery: Hex(id) });
    // Also what was over before: its place is free then.
    let end = DeliveryEnd { by: shown_party(by), reason };
    app.lockers.end(id, &end).await?;
    app.deliveries.end(&id, addressed.account, end);
    Ok(())
}

/// As whom somebody takes part in an addressed delivery.
enum Side {
    Sender,
    Recipient,
    /// Neither: whoever looks after the hub.
    Administrator(Box<Account>),
}

/// Beside the sending device and whoever has the token, the devices on the lists of both people, and administrators.
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
    let side = belonging.filter(|belonging| belonging.is_listed).and_then(|belonging| {
        if belonging.person == addressed.sender {
            Some(Side::Sender)
        } else {
            (belonging.person == addressed.recipient).then_some(Side::Recipient)
        }
    });
    let is_administrator = account.role == Role::Administrator;
    Ok(side.or_else(|| is_administrator.then(|| Side::Administrator(Box::new(account)))))
}
