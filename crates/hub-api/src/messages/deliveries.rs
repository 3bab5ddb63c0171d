//! Live deliveries: a stream of sealed segments from an account of the hub to one recipient.

use serde::{Deserialize, Serialize};

use crate::text::{Base64Bytes, Hex};

/// Begins a delivery. Repeating it with the same values changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DeliveryAnnouncement {
    /// How many segments it has, from 1; they are numbered from 0.
    pub segments: u64,
    /// Bytes of the plain stream, by the sender's word alone.
    pub bytes: u64,
    /// BLAKE3 of the token that the recipient shows.
    pub recipient: Hex<32>,
    /// Until when a recipient may begin, in seconds since 1970; whoever has begun may finish.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
    /// Where the recipient reaches the sender itself, sealed for the recipient: at most
    /// [`DELIVERY_DIRECT_BYTES_MAX`](crate::limits::DELIVERY_DIRECT_BYTES_MAX) bytes. For a hub that says that it hands
    /// it on; the last one counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direct: Option<Base64Bytes>,
}

/// How a delivery stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeliveryStatus {
    /// How many segments it has.
    pub segments: u64,
    /// Bytes of the plain stream, by the sender's word alone.
    pub bytes: u64,
    /// The segment the hub takes next, `segments` when it has had all; absent while no recipient
    /// is connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
    /// Segments the recipient has verified and kept, all from the first on.
    pub verified: u64,
    /// The sender.
    pub sender: DeliverySide,
    /// The recipient.
    pub recipient: DeliverySide,
    /// What the recipient handed in with the last segment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Base64Bytes>,
    /// Who ended it and why; absent while it may go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<DeliveryEnd>,
    /// Grows with every change; send it as `after` to wait for the next.
    pub change: u64,
    /// What of it lies in a locker; absent of a delivery that is passed on from memory alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locker: Option<LockerStatus>,
    /// Where the recipient reaches the sender itself, sealed for the recipient; absent when the sender wants no
    /// direct path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direct: Option<Base64Bytes>,
}

/// Asks for a locker: the hub keeps the sealed segments of a delivery until they are collected. Repeating it with
/// the same values changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct LockerRequest {
    /// How many segments it has, from 1; they are numbered from 0.
    pub segments: u64,
    /// Bytes of the plain stream, which is cut every MiB: what is charged before anything is taken.
    pub bytes: u64,
    /// BLAKE3 of the token that the recipient shows.
    pub recipient: Hex<32>,
    /// For how long the hub keeps it, in seconds.
    pub seconds: u64,
    /// How often it may be downloaded, from 1; without it the first receipt ends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub downloads: Option<u32>,
}

/// What of a delivery lies in a locker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LockerStatus {
    /// Segments that the hub keeps, all from the first on.
    pub kept: u64,
    /// Until when, in seconds since 1970.
    pub until: u64,
    /// To how many downloads everything was handed out.
    pub downloads: u32,
    /// How many there may be; absent where the first receipt ends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub downloads_max: Option<u32>,
}

/// Whether one side of a delivery is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeliverySide {
    /// Whether it is.
    pub here: bool,
    /// Since when, by the hub's clock.
    pub since: u64,
}

/// How a delivery ended before it was through, or was taken away after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeliveryEnd {
    /// By whom.
    pub by: DeliveryParty,
    /// For people: at most [`DELIVERY_REASON_CHARS_MAX`](crate::limits::DELIVERY_REASON_CHARS_MAX)
    /// characters, none of them a control character.
    pub reason: String,
}

/// Who takes part in a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum DeliveryParty {
    /// The account, or the guest, that announced it.
    Sender,
    /// Whoever has the token.
    Recipient,
    /// The hub itself.
    Hub,
}

/// Ends a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DeliveryEnding {
    /// For the people on the other side: at most
    /// [`DELIVERY_REASON_CHARS_MAX`](crate::limits::DELIVERY_REASON_CHARS_MAX) characters, none of
    /// them a control character.
    pub reason: String,
}

/// What became of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SegmentTaken {
    /// Whether the hub has all of it, in memory or durably in the delivery's locker; else it was not read.
    pub taken: bool,
    /// The segment the hub takes next; absent while no recipient is connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
    /// Segments the recipient has verified and kept.
    pub verified: u64,
}

/// What became of a segment that is for several deliveries. One that this hub does not have in its memory, or not
/// at this front-end, is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SegmentsTaken {
    /// One for each, in no order.
    pub deliveries: Vec<SharedTaken>,
}

/// What became of a segment for one of several deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SharedTaken {
    /// Which delivery.
    pub delivery: Hex<16>,
    /// Whether the hub has all of it for this one, in memory.
    pub taken: bool,
    /// The segment the hub takes next; absent while no recipient is connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
    /// Segments the recipient has verified and kept.
    pub verified: u64,
    /// Milliseconds for which the others waited until there was a place for this one, or until they went on
    /// without it.
    pub waited_ms: u64,
}

/// How far the recipient is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DeliveryVerified {
    /// Segments it has verified and kept, all from the first on.
    pub segments: u64,
    /// With the last: what the sender keeps as proof, at most
    /// [`DELIVERY_RECEIPT_BYTES_MAX`](crate::limits::DELIVERY_RECEIPT_BYTES_MAX) bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Base64Bytes>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_looks_as_documented() {
        let status = DeliveryStatus {
            segments: 5,
            bytes: 5_000_000,
            next: Some(3),
            verified: 1,
            sender: DeliverySide { here: true, since: 7 },
            recipient: DeliverySide { here: false, since: 0 },
            receipt: Some(Base64Bytes(vec![0xff])),
            ended: Some(DeliveryEnd { by: DeliveryParty::Hub, reason: "idle".to_owned() }),
            change: 9,
            locker: Some(LockerStatus { kept: 3, until: 70, downloads: 1, downloads_max: Some(2) }),
            direct: Some(Base64Bytes(vec![0xfe])),
        };
        let json = serde_json::to_value(&status).expect("json");
        let expected = serde_json::json!({
            "segments": 5, "bytes": 5_000_000, "next": 3, "verified": 1,
            "sender": { "here": true, "since": 7 },
            "recipient": { "here": false, "since": 0 },
            "receipt": "_w",
            "ended": { "by": "hub", "reason": "idle" },
            "change": 9,
            "locker": { "kept": 3, "until": 70, "downloads": 1, "downloads_max": 2 },
            "direct": "_g",
        });
        assert_eq!(json, expected);
        assert_eq!(serde_json::from_value::<DeliveryStatus>(json).expect("json"), status);
    }
}
