//! What the hub keeps of a locker beside its segments, and the rules that follow from it.
//!
//! Pure: the time is an argument. Invariants: of a locker that [is over](Facts::is_over) no segment is kept; everything
//! is handed out to no more downloads than its sender allows.

use hub_api::{Base64Bytes, DeliveryEnd, DeliveryParty, Hex, LockerRequest};
use hub_db::AccountKey;
use serde::{Deserialize, Serialize};

/// Plain bytes of every segment but the last, see `docs/format.md`.
const SEGMENT_BYTES: u64 = 1 << 20;
/// What sealing adds to a segment at most.
const SEALING_BYTES: u64 = 64;
/// What a segment is charged beside its plain bytes: sealing, its head, and the rest of its last block.
const CHARGED_BYTES: u64 = 4096;
/// The version of `facts.json`.
pub(super) const VERSION: u32 = 1;

/// Why a locker is over for whom nothing is left.
pub(super) const USED_UP: &str = "it was downloaded as often as its sender allowed";
/// Why it is when its time is.
pub(super) const EXPIRED: &str = "its time in the hub's locker is over";
/// Why it is when its sender did not go on.
pub(super) const UNFED: &str = "its sender did not go on filling the hub's locker";
/// Why it is when the disk is at fault.
pub(super) const DAMAGED: &str = "the hub's disk damaged it; send it anew";

/// `facts.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Facts {
    pub(super) version: u32,
    /// The account that opened it.
    pub(super) sender: Hex<32>,
    /// BLAKE3 of the recipient's token.
    pub(super) recipient: Hex<32>,
    pub(super) segments: u64,
    pub(super) bytes: u64,
    /// Whether it goes to a person, whose devices are one download.
    pub(super) is_addressed: bool,
    pub(super) until: u64,
    pub(super) downloads_max: Option<u32>,
    /// Downloads to which everything was handed out.
    pub(super) downloads: Vec<Download>,
    /// What the last recipient signed.
    pub(super) receipt: Option<Base64Bytes>,
    pub(super) ended: Option<DeliveryEnd>,
    /// Since when nothing of its segments is kept.
    pub(super) over: Option<u64>,
}

/// A download to which everything was handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Download {
    pub(super) id: Hex<16>,
    /// Whether its receipt came.
    pub(super) is_received: bool,
}

/// How many segments a stream of so many bytes has.
fn segment_count(bytes: u64) -> u64 {
    bytes.div_ceil(SEGMENT_BYTES)
}

impl Facts {
    /// Those of a new locker; `None` when it has not as many segments as its bytes make.
    pub(super) fn new(
        sender: AccountKey,
        request: &LockerRequest,
        is_addressed: bool,
        now: u64,
    ) -> Option<Self> {
        let LockerRequest { segments, bytes, recipient, seconds, downloads } = *request;
        (segments > 0 && segments == segment_count(bytes)).then(|| Self {
            version: VERSION,
            sender: Hex(sender.0),
            recipient,
            segments,
            bytes,
            is_addressed,
            until: now.saturating_add(seconds),
            downloads_max: downloads,
            downloads: Vec::new(),
            receipt: None,
            ended: None,
            over: None,
        })
    }

    /// Whether these are of the same request, whenever that came.
    pub(super) fn is_of(&self, other: &Self) -> bool {
        let of = |it: &Self| (it.sender, it.recipient, it.segments, it.bytes, it.downloads_max);
        of(self) == of(other)
    }

    /// Whether nothing of its segments is kept any more.
    pub(super) fn is_over(&self) -> bool {
        self.over.is_some()
    }

    /// What it takes of the quotas.
    pub(super) fn charge(&self) -> u64 {
        let whole = self.segments.saturating_mul(CHARGED_BYTES).saturating_add(self.bytes);
        if self.is_over() { 0 } else { whole }
    }

    /// The longest that segment `number` may be, sealed.
    pub(super) fn sealed_bytes_max(&self, number: u64) -> u64 {
        let before = number.saturating_mul(SEGMENT_BYTES);
        self.bytes.saturating_sub(before).min(SEGMENT_BYTES) + SEALING_BYTES
    }

    /// Everything was handed out to this download, or will be.
    pub(super) fn handle_handed_out(&mut self, download: Hex<16>) {
        if !self.downloads.iter().any(|known| known.id == download) {
            self.downloads.push(Download { id: download, is_received: false });
        }
    }

    /// A receipt came. The first one stands where one ends it, else the last.
    pub(super) fn handle_receipt(&mut self, download: Hex<16>, receipt: Vec<u8>, now: u64) {
        if self.is_over() {
            return;
        }
        // Counted at the latest here: whoever resumes with all segments on its own disk asks for none.
        self.handle_handed_out(download);
        if let Some(known) = self.downloads.iter_mut().find(|known| known.id == download) {
            known.is_received = true;
        }
        self.receipt = Some(Base64Bytes(receipt));
        let received = self.downloads.iter().filter(|known| known.is_received).count();
        if self.downloads_max.is_none_or(|most| received >= most as usize) {
            self.over = Some(now);
        }
    }

    /// Somebody ends it. What is over stays as it is.
    pub(super) fn handle_end(&mut self, by: DeliveryParty, reason: &str, now: u64) {
        if !self.is_over() {
            self.over = Some(now);
            // What somebody downloaded was delivered; others learn that its sender wanted no more of it.
            if self.receipt.is_none() || by == DeliveryParty::Sender {
                self.ended = Some(DeliveryEnd { by, reason: reason.to_owned() });
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::lockers) fn request(segments: u64, downloads: Option<u32>) -> LockerRequest {
        let bytes = segments * SEGMENT_BYTES - 5;
        LockerRequest { segments, bytes, recipient: Hex([7; 32]), seconds: 100, downloads }
    }

    pub(in crate::lockers) fn facts(segments: u64, downloads: Option<u32>) -> Facts {
        let sender = AccountKey([1; 32]);
        Facts::new(sender, &request(segments, downloads), false, 1000).expect("fits")
    }

    #[test]
    fn a_claim_of_other_segments_than_its_bytes_make_is_none() {
        let sender = AccountKey([1; 32]);
        for (segments, bytes) in [(0, 0), (1, 0), (2, 1), (1, SEGMENT_BYTES + 1), (0, 5)] {
            let wrong = LockerRequest { segments, bytes, ..request(1, None) };
            assert_eq!(Facts::new(sender, &wrong, false, 0), None, "{segments} of {bytes}");
        }
        let huge = LockerRequest { segments: 1 << 44, bytes: u64::MAX, ..request(1, None) };
        let huge = Facts::new(sender, &huge, false, u64::MAX).expect("fits");
        assert_eq!((huge.charge(), huge.until), (u64::MAX, u64::MAX));
    }

    #[test]
    fn no_segment_is_longer_than_its_plain_bytes_and_what_sealing_adds() {
        let facts = facts(2, None);
        assert_eq!(facts.sealed_bytes_max(0), SEGMENT_BYTES + 64);
        assert_eq!(facts.sealed_bytes_max(1), SEGMENT_BYTES - 5 + 64);
        assert_eq!(facts.sealed_bytes_max(u64::MAX), 64);
    }

    #[test]
    fn the_first_receipt_ends_it_unless_more_downloads_are_allowed() {
        let mut one = facts(1, None);
        one.handle_receipt(Hex([0; 16]), vec![1], 50);
        assert_eq!((one.over, one.charge()), (Some(50), 0));
        one.handle_receipt(Hex([0; 16]), vec![2], 60);
        assert_eq!(one.receipt, Some(Base64Bytes(vec![1])), "the first stands");

        let mut two = facts(1, Some(2));
        two.handle_handed_out(Hex([1; 16]));
        two.handle_handed_out(Hex([1; 16]));
        two.handle_receipt(Hex([1; 16]), vec![1], 50);
        two.handle_receipt(Hex([1; 16]), vec![1], 51);
        assert!(!two.is_over(), "one download is one, however often it says so");
        two.handle_receipt(Hex([2; 16]), vec![2], 52);
        assert_eq!((two.over, two.downloads.len()), (Some(52), 2));
    }

    #[test]
    fn the_first_end_stands_and_none_takes_a_receipt_back() {
        let mut facts = facts(1, Some(2));
        facts.handle_receipt(Hex([1; 16]), vec![1], 50);
        facts.handle_end(DeliveryParty::Hub, EXPIRED, 60);
        assert_eq!((facts.over, &facts.ended), (Some(60), &None), "somebody has it");
        facts.handle_receipt(Hex([2; 16]), vec![2], 70);
        assert_eq!(facts.receipt, Some(Base64Bytes(vec![1])));
        let mut other = self::facts(1, None);
        other.handle_end(DeliveryParty::Recipient, "no", 60);
        other.handle_end(DeliveryParty::Sender, "late", 61);
        assert_eq!(other.ended.map(|end| end.reason), Some("no".to_owned()));
    }
}
