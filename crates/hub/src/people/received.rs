//! Addressed deliveries that are through: their receipts outlive the hub.

use hub_api::{Base64Bytes, DeliverySide, DeliveryStatus, Hex};
use hub_db::{Actor, AddressedRecord, AuditEntry, DbError};
use serde_json::json;

use super::upkeep::tell_sides;
use crate::app::App;
use crate::audit::linking;
use crate::files::unix_now;
use crate::refusal::Chain;

/// Keeps what the recipient signed, before they are told that the hub has it: it is there for a sender who
/// comes after the hub was started again. The first receipt stands, and nobody ends what is through.
pub(crate) async fn keep_receipt(app: &App, id: [u8; 16], receipt: &[u8]) -> Result<(), DbError> {
    if let Some(sides) = app.db.receive_addressed(&id, receipt, unix_now()).await? {
        // The first time alone: what is noted as through is noted no more.
        note_in_the_log(app, id, Hex(*blake3::hash(receipt).as_bytes())).await;
        tell_sides(app, &sides);
    }
    Ok(())
}

/// How a delivery that is through stands, for a side that asks when it is in nobody's memory any more.
pub(crate) fn status_of_received(record: &AddressedRecord, receipt: Vec<u8>) -> DeliveryStatus {
    let side = DeliverySide { here: false, since: record.finished.unwrap_or(record.since) };
    DeliveryStatus {
        segments: record.segments,
        bytes: record.bytes,
        next: None,
        verified: record.segments,
        sender: side,
        recipient: side,
        receipt: Some(Base64Bytes(receipt)),
        ended: None,
        change: 1,
        locker: None,
        direct: None,
    }
}

/// Who sent how much to whom, and what the recipient signed; nothing of what is in it. The delivery is through
/// whether that can be noted or not.
async fn note_in_the_log(app: &App, id: [u8; 16], receipt: Hex<32>) {
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
