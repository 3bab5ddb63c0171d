//! `PUT /v1/deliveries/{delivery}/locker`: opens a locker for a delivery.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use hub_api::limits::LOCKER_DOWNLOADS_MAX;
use hub_api::{DeliveryAnnouncement, DeliveryStatus, Hex, LockerRequest, PersonNews};

use super::announce_delivery::{check_same, check_waits};
use crate::app::App;
use crate::body::Json;
use crate::caller::{Member, Segments};
use crate::deliveries::Asker;
use crate::lockers::Download;
use crate::refusal::Refusal;

/// By any account, where the operator allows it. Nobody who does not let the sender in is kept anything for: the
/// policy was asked when the delivery was addressed, and is asked before a byte is taken.
pub(crate) async fn open_locker(
    State(app): State<Arc<App>>,
    Member(account): Member,
    segments: Segments,
    download: Download,
    Json(request): Json<LockerRequest>,
) -> Result<(StatusCode, axum::Json<DeliveryStatus>), Refusal> {
    let id = segments.parse::<Hex<16>>("delivery")?.0;
    if request.downloads.is_some_and(|most| !(1..=LOCKER_DOWNLOADS_MAX).contains(&most)) {
        let most = format!("a locker has 1 to {LOCKER_DOWNLOADS_MAX} downloads");
        return Err(Refusal::malformed(most));
    }
    let addressed = app.db.addressed(&id).await?;
    // Of one that is there its sender learns how it stands, also when it is over.
    if let Some(addressed) = addressed.as_ref().filter(|_| !app.lockers.has(&id)) {
        let LockerRequest { segments, bytes, recipient, .. } = request;
        let announcement =
            DeliveryAnnouncement { segments, bytes, recipient, until: None, direct: None };
        check_same(addressed, account.key, &announcement)?;
        check_waits(addressed)?;
    }
    // So that the other front-ends pass on to this one what is about it.
    if !app.cluster.is_home(&*app.db, &id).await? {
        return Err(Refusal::busy("the delivery was just begun at another front-end"));
    }
    let is_new = app.lockers.create(id, account.key, &request, addressed.is_some()).await?;
    if let Some(addressed) = addressed.filter(|_| is_new) {
        app.people.presence.tell(addressed.recipient, PersonNews::Inbox);
        app.people.presence.tell(addressed.sender, PersonNews::Outbox);
    }
    let locker = app.lockers.find(id, Asker::Sender(account.key), download);
    let status = locker.ok_or_else(Refusal::not_found)?.status()?;
    Ok((if is_new { StatusCode::CREATED } else { StatusCode::OK }, axum::Json(status)))
}
