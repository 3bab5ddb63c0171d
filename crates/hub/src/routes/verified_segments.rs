//! `POST /v1/deliveries/{delivery}/verified`: how far the recipient is.

use std::sync::Arc;

use axum::extract::State;
use hub_api::limits::DELIVERY_RECEIPT_BYTES_MAX;
use hub_api::{DeliveryStatus, DeliveryVerified, Hex};
use hub_db::{Actor, AuditEntry, DbError, DeliveryNote, DeliveryState};
use serde_json::json;

use crate::app::App;
use crate::audit::linking;
use crate::body::Json;
use crate::caller::Segments;
use crate::deliveries::Recipient;
use crate::files::unix_now;
use crate::people::tell_sides;
use crate::refusal::{Chain, Refusal};

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
    let receipt = receipt.map(|receipt| receipt.0);
    let digest = receipt.as_ref().map(|receipt| Hex(*blake3::hash(receipt).as_bytes()));
    let is_through = digest.is_some();
    delivery.verified(verified, receipt)?;
    if is_through && delivery.is_addressed() {
        // At once, so that nobody can end what is through.
        let note = DeliveryNote { state: DeliveryState::Received, verified };
        if let Some(sides) = app.db.note_delivery(&id, note, unix_now()).await? {
            // The first time alone: what is noted as through is noted no more.
            note_in_the_log(&app, id, digest).await;
            tell_sides(&app, &sides);
        }
    }
    delivery.status().map(axum::Json)
}

/// Who sent how much to whom, and what the recipient signed; nothing of what is in it. The delivery is through
/// whether that can be noted or not.
async fn note_in_the_log(app: &App, id: [u8; 16], receipt: Option<Hex<32>>) {
    let noted = async {
        let Some(delivery) = app.db.addressed(&id).await? else { return Ok(()) };
        let entry = AuditEntry {
            time: unix_now(),
            actor: Actor::Account(delivery.account),
            action: "delivered".to_owned(),
            subject: Hex(id).to_string(),
            detail: json!({
                "number": delivery.number, "from": delivery.from, "to": delivery.to,
                "files": delivery.files, "bytes": delivery.bytes, "segments": delivery.segments,
                "sent": delivery.created, "receipt": receipt,
            })
            .to_string(),
        };
        let entry = app.db.record(&entry).await?;
        app.db.chain(entry, linking).await
    };
    let noted: Result<(), DbError> = noted.await;
    if let Err(error) = noted {
        let delivery = Hex(id);
        tracing::error!(%delivery, error = %Chain(&error), "a delivery is not in the audit log");
    }
}
