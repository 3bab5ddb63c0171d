//! `POST /v1/deliveries/{delivery}/verified`: how far the recipient is.

use std::sync::Arc;

use axum::extract::State;
use hub_api::limits::DELIVERY_RECEIPT_BYTES_MAX;
use hub_api::{DeliveryStatus, DeliveryVerified, Hex};
use hub_db::{DeliveryNote, DeliveryState};

use crate::app::App;
use crate::body::Json;
use crate::caller::Segments;
use crate::deliveries::Recipient;
use crate::files::unix_now;
use crate::people::tell_sides;
use crate::refusal::Refusal;

/// By the recipient. The first receipt stands.
pub(crate) async fn verified_segments(
    State(app): State<Arc<App>>,
    Recipient(asker): Recipient,
    segments: Segments,
    Json(DeliveryVerified { segments: verified, receipt }): Json<DeliveryVerified>,
) -> Result<axum::Json<DeliveryStatus>, Refusal> {
    let id = segments.parse::<Hex<16>>("delivery")?.0;
    if receipt.as_ref().is_some_and(|receipt| receipt.0.len() > DELIVERY_RECEIPT_BYTES_MAX) {
        return Err(Refusal::malformed("the receipt is too long"));
    }
    let delivery = app.deliveries.open(id, asker).ok_or_else(Refusal::not_found)?;
    let is_through = receipt.is_some();
    delivery.verified(verified, receipt.map(|receipt| receipt.0))?;
    if is_through && delivery.is_addressed() {
        // At once, so that nobody can end what is through.
        let note = DeliveryNote { state: DeliveryState::Received, verified };
        if let Some(sides) = app.db.note_delivery(&id, note, unix_now()).await? {
            tell_sides(&app, &sides);
        }
    }
    delivery.status().map(axum::Json)
}
