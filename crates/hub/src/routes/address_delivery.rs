//! `PUT /v1/deliveries/{delivery}/address`: addresses a delivery to a person.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use hub_api::limits::{DEVICES_MAX, LETTER_BYTES, PENDING_SENDERS_MAX, WAITING_DELIVERIES_MAX};
use hub_api::{AddressedDelivery, DeliveryInfo, Hex, PersonNews, ProblemCode};
use hub_db::{AccountKey, AddressOutcome, AddressRoom, DeliveryState, NewAddressed};

use crate::app::App;
use crate::body::Json;
use crate::caller::Segments;
use crate::cluster::standings;
use crate::files::unix_now;
use crate::people::{Handle, PersonCaller, delivery_info, online};
use crate::refusal::Refusal;

const ROOM: AddressRoom =
    AddressRoom { waiting: WAITING_DELIVERIES_MAX as u32, senders: PENDING_SENDERS_MAX as u32 };

/// By a device on the sender's list, before it is announced. The recipient's policy decides whether it
/// waits for approval.
pub(crate) async fn address_delivery(
    State(app): State<Arc<App>>,
    caller: PersonCaller,
    segments: Segments,
    Json(message): Json<AddressedDelivery>,
) -> Result<(StatusCode, axum::Json<DeliveryInfo>), Refusal> {
    let delivery = segments.parse::<Hex<16>>("delivery")?.0;
    let to: Handle =
        message.to.parse::<Handle>().map_err(|error| Refusal::malformed(format!("{error}")))?;
    if message.segments == 0 {
        return Err(Refusal::malformed("a delivery has at least one segment"));
    }
    let fits = |letter: &hub_api::DeviceLetter| letter.sealed.0.len() == LETTER_BYTES;
    if message.letters.len() > DEVICES_MAX || !message.letters.iter().all(fits) {
        let bounds =
            format!("a delivery has {DEVICES_MAX} letters at most, {LETTER_BYTES} bytes each");
        return Err(Refusal::malformed(bounds));
    }
    let letters = message.letters.into_iter();
    let now = unix_now();
    let new = NewAddressed {
        delivery,
        sender: caller.person,
        from: caller.handle,
        account: caller.account.key,
        to: to.to_string(),
        list: message.list,
        letters: letters.map(|letter| (AccountKey(letter.key.0), letter.sealed.0)).collect(),
        token: message.recipient.0,
        segments: message.segments,
        bytes: message.bytes,
        files: message.files,
        largest: message.largest,
        now,
    };
    let (record, status) = match app.db.address(&new, ROOM).await? {
        AddressOutcome::Now(record) => (record, StatusCode::CREATED),
        AddressOutcome::Before(record) => (record, StatusCode::OK),
        AddressOutcome::Conflict => return Err(Refusal::new(ProblemCode::DeliveryConflict, "")),
        AddressOutcome::Nobody => {
            app.people.unknown.count(caller.person, 1, now)?;
            return Err(Refusal::not_found());
        }
        // Blocked or not let in: the same words for both.
        AddressOutcome::Refused => return Err(Refusal::new(ProblemCode::RecipientRefuses, "")),
        AddressOutcome::OtherDevices => {
            let other = "the letters are not for the devices on the recipient's newest list";
            return Err(Refusal::new(ProblemCode::PersonConflict, other));
        }
        AddressOutcome::TooMany => {
            return Err(Refusal::too_many("the deliveries that wait for this recipient first"));
        }
    };
    if status == StatusCode::CREATED {
        let is_pending = record.state == DeliveryState::PendingApproval;
        let news = if is_pending { PersonNews::Senders } else { PersonNews::Inbox };
        app.people.presence.tell(record.recipient, news);
        app.people.presence.tell(record.sender, PersonNews::Outbox);
    }
    let is_contact = record.state != DeliveryState::PendingApproval;
    let is_online = is_contact && !online(&app, [record.recipient]).await?.is_empty();
    let locker = standings(&app, [&*record].into_iter()).await.of(&delivery).locker;
    Ok((status, axum::Json(delivery_info(*record, None, is_online, locker))))
}
