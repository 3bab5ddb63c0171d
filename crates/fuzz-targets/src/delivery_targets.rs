//! Targets for the decoders of the `delivery` crate.

use delivery::{
    Answer, Claim, Code, DeliveryId, DeliverySecret, DirectPath, Header, Layout, Link, LockedLink,
    Receipt, SEGMENT_BYTES, Tag, Ticket, Vault, header_length,
};
use documents::envelope::{self, Payload as _};

use crate::{Verdict, same};

/// That of the golden files.
const ID: DeliveryId = DeliveryId::from_bytes([1; 16]);
const SECRET: DeliverySecret = DeliverySecret::from_bytes([2; 32]);

/// A ticket as text.
#[must_use]
pub fn ticket_text(bytes: &[u8]) -> Verdict {
    let text = std::str::from_utf8(bytes).ok();
    let ticket = text.and_then(|text| text.parse::<Ticket>().ok());
    same(ticket.map(|ticket| ticket.to_string().into_bytes()), bytes)
}

/// A code as it is typed; one that is taken reads the same as it is written.
#[must_use]
pub fn code_text(bytes: &[u8]) -> Verdict {
    let code = std::str::from_utf8(bytes).ok().and_then(|text| text.parse::<Code>().ok());
    let Some(code) = code else { return Verdict::Refused };
    assert_eq!(code.to_string().parse(), Ok(code));
    Verdict::Accepted
}

/// That of the golden files.
const CODE: &str = "4821-acid-lemon-orbit";

/// A message of a handover, taken by each end in each place of the golden files' run. Whoever does not know
/// the code gets nothing but an answer.
#[must_use]
pub fn code_message(bytes: &[u8]) -> Verdict {
    let code: Code = CODE.parse().expect("a code");
    let claim = Claim::new(&code, [5; 32]);
    let answer = || Answer::new(&code, [6; 32], claim.message()).expect("a claim");
    let ticket = Ticket {
        url: "https://hub.example:7333".into(),
        fingerprint: [3; 32],
        id: ID,
        secret: SECRET,
    };
    let is_claim = Answer::new(&code, [6; 32], bytes).is_ok();
    let proven = Claim::new(&code, [5; 32]).prove(answer().message()).expect("an answer");
    let is_proof = answer().hand_over(bytes, &ticket).is_ok();
    assert!(!is_proof || bytes == proven.message(), "another proof is taken");
    let opened = proven.open(bytes);
    assert!(opened.is_err() || opened == Ok(ticket), "another ticket is opened");
    let is_answer = claim.prove(bytes).is_ok();
    if is_claim || is_answer || is_proof || opened.is_ok() || delivery::is_message(bytes) {
        Verdict::Accepted
    } else {
        Verdict::Refused
    }
}

/// The link of a delivery as text, open or locked.
#[must_use]
pub fn link_text(bytes: &[u8]) -> Verdict {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    let open = text.parse::<Link>().ok().map(|link| link.to_string());
    let locked = || text.parse::<LockedLink>().ok().map(|link| link.to_string());
    same(open.or_else(locked).map(String::into_bytes), bytes)
}

/// Where a sender is reached without a hub, behind its seal.
#[must_use]
pub fn direct_path(bytes: &[u8]) -> Verdict {
    same(DirectPath::decode(bytes).ok().map(|path| path.encode()), bytes)
}

/// That of the golden files, as a seed.
pub(crate) fn golden_direct_path(sealed: &[u8]) -> Vec<u8> {
    DirectPath::open(sealed, ID, &SECRET).expect("the golden one opens").encode()
}

/// The header of a delivery; of one that is taken every segment has its parts, without gaps.
#[must_use]
pub fn delivery_header(bytes: &[u8]) -> Verdict {
    let header = Header::decode(bytes).ok();
    if let Some(layout) = header.as_ref().and_then(|it| Layout::new(it, bytes.len()).ok()) {
        for number in [0, 1, layout.segments().saturating_sub(1), layout.segments(), u64::MAX] {
            let parts = layout.parts(number);
            let length: usize = parts.iter().map(|part| part.bytes.len()).sum();
            assert_eq!(length, layout.segment_length(number), "segment {number}");
        }
    }
    same(header.map(|header| header.encode()), bytes)
}

/// The first bytes of a stream.
#[must_use]
pub fn delivery_prefix(bytes: &[u8]) -> Verdict {
    match header_length(bytes) {
        Ok(Some(length)) => {
            assert!(length <= delivery::HEADER_BYTES_MAX);
            Verdict::Accepted
        }
        Ok(None) | Err(_) => Verdict::Refused,
    }
}

/// A sealed segment, of the golden files' delivery. What opens was sealed by whoever knows the secret, so a
/// fuzzer finds the golden ones alone; sealing what opened gives the same tag.
#[must_use]
pub fn delivery_segment(bytes: &[u8]) -> Verdict {
    let vault = Vault::of_segments(ID, &SECRET);
    match vault.open_any(7, bytes) {
        Ok(plain) => {
            assert!(plain.len() <= SEGMENT_BYTES);
            assert_eq!(&bytes[..Tag::BYTES], vault.tag(7, &plain).as_bytes());
            let (_, whole) = vault.open(7, plain.len(), bytes.to_vec()).expect("of this length");
            assert_eq!(*whole, plain);
            Verdict::Accepted
        }
        Err(_) => {
            // Nor is it in place, in either form of what is not compressed.
            for longer in [49, 81] {
                let length = bytes.len().saturating_sub(longer);
                vault.open(7, length, bytes.to_vec()).expect_err("opens nowhere");
            }
            Verdict::Refused
        }
    }
}

/// The receipt of a delivery, behind its signature.
#[must_use]
pub fn delivery_receipt_payload(bytes: &[u8]) -> Verdict {
    same(Receipt::decode(bytes).ok().map(|receipt| receipt.encode()), bytes)
}

/// The receipt of a delivery as it was signed.
#[must_use]
pub fn delivery_receipt(bytes: &[u8]) -> Verdict {
    let claimed = envelope::peek::<Receipt>(bytes);
    match claimed.and_then(|claimed| envelope::open::<Receipt>(bytes, &claimed.recipient)) {
        Ok(_) => Verdict::Accepted,
        Err(_) => Verdict::Refused,
    }
}
