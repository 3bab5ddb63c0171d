//! `POST /v1/deliveries/{delivery}/verified`: how far the recipient is.

use std::sync::Arc;

use axum::extract::State;
use hub_api::limits::DELIVERY_RECEIPT_BYTES_MAX;
use hub_api::{DeliveryStatus, DeliveryVerified, Hex};
use hub_db::DeliveryState;

use crate::app::App;
use crate::body::Json;
use crate::caller::Segments;
use crate::deliveries::{Asker, Recipient};
use crate::lockers::Download;
use crate::people::{keep_receipt, status_of_received};
use crate::refusal::Refusal;

/// By the recipient. The first receipt stands. That of a delivery which is addressed to a person is in the
/// database before this answers.
pub(crate) async fn verified_segments(
    State(app): State<Arc<App>>,
    Recipient(asker): Recipient,
    segments: Segments,
    download: Download,
    Json(DeliveryVerified { segments: verified, receipt }): Json<DeliveryVerified>,
) -> Result<axum::Json<DeliveryStatus>, Refusal> {
    let id = segments.parse::<Hex<16>>("delivery")?.0;
    if receipt.as_ref().is_some_and(|receipt| receipt.0.len() > DELIVERY_RECEIPT_BYTES_MAX) {
        return Err(Refusal::malformed("the receipt is too long"));
    }
    let receipt = receipt.map(|receipt| receipt.0);
    if let Some(locker) = app.lockers.find(id, asker, download) {
        let is_kept = locker.verified(verified, receipt.clone()).await?;
        if let Some(receipt) = &receipt
            && is_kept
            && locker.is_addressed()
        {
            keep_receipt(&app, id, receipt).await?;
        }
        return locker.status().map(axum::Json);
    }
    let Some(delivery) = app.deliveries.open(id, asker) else {
        return handed_in_late(&app, id, asker, verified, receipt).await.map(axum::Json);
    };
    if let Some(receipt) = &receipt
        && delivery.is_addressed()
    {
        delivery.check_verified(verified, true)?;
        keep_receipt(&app, id, receipt).await?;
    }
    delivery.verified(verified, receipt)?;
    delivery.status().map(axum::Json)
}

/// A receipt for a delivery that is in nobody's memory: the hub was started again, and the sender is away.
async fn handed_in_late(
    app: &App,
    id: [u8; 16],
    asker: Asker,
    verified: u64,
    receipt: Option<Vec<u8>>,
) -> Result<DeliveryStatus, Refusal> {
    let receipt = receipt.ok_or_else(Refusal::not_found)?;
    let Asker::Recipient(hash) = asker else { return Err(Refusal::not_found()) };
    // In constant time, as hashes are compared.
    let record = app.db.addressed(&id).await?.filter(|record| hash == record.token);
    let record = record.ok_or_else(Refusal::not_found)?;
    if verified != record.segments {
        return Err(Refusal::malformed("a receipt before the end"));
    }
    keep_receipt(app, id, &receipt).await?;
    let record = app.db.addressed(&id).await?.ok_or_else(Refusal::not_found)?;
    match app.db.delivery_receipt(&id).await? {
        Some(kept) if record.state == DeliveryState::Received => {
            Ok(status_of_received(&record, kept))
        }
        _ => Err(Refusal::not_found()),
    }
}
