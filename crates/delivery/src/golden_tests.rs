//! Golden files: the bytes of each released format. Nothing in them is drawn at random.

use documents::NodeKey;
use proptest::prelude::*;

use crate::header::tests::{directory, file, header, link};
use crate::{
    Answer, Claim, Code, DeliveryId, DeliverySecret, Digest, DirectPath, Header, Link, LockedLink,
    Receipt, SharedVault, Tally, Ticket, Vault, refusal,
};

fn golden(name: &str, bytes: &[u8]) {
    golden::compare(env!("CARGO_MANIFEST_DIR"), name, bytes);
}

const ID: DeliveryId = DeliveryId::from_bytes([1; 16]);
const SECRET: DeliverySecret = DeliverySecret::from_bytes([2; 32]);

#[test]
fn every_released_format_has_its_golden_file() {
    let (url, fingerprint) = ("https://hub.example:7333".into(), [3; 32]);
    let ticket = Ticket { url, fingerprint, id: ID, secret: SECRET };
    golden("ticket-1", ticket.to_string().as_bytes());
    golden("link-1", Link(ticket.clone()).to_string().as_bytes());
    let locked = LockedLink::lock(&ticket, "correct horse – Größe");
    golden("locked-link-1", locked.to_string().as_bytes());
    golden("recipient-token-1", &SECRET.recipient_token());
    golden("direct-token-1", &SECRET.direct_token());
    let addresses = ["192.0.2.7:40001", "[2001:db8::7]:40001"];
    let addresses = addresses.iter().map(|text| text.parse().expect("an address")).collect();
    golden("direct-path-1", &DirectPath { addresses, fingerprint: [3; 32] }.seal(ID, &SECRET));
    let items = vec![directory("a"), file("a/b", 3), link("a/c", "b"), file("empty", 0)];
    golden("header-1", &header(items).encode());
    let segments = Vault::of_segments(ID, &SECRET);
    let (first, raw) = segments.seal(7, b"a short segment"[..].into());
    golden("segment-raw-1", &raw);
    let shared = SharedVault::new([7; 32]).seal(7, b"a short segment");
    let (tag, head) = segments.head_of(7, b"a short segment", &shared);
    assert_eq!(tag, first);
    golden("segment-shared-1", &[&head[..], &shared.into_sealed()].concat());
    // Another release of zstd may pack it in other bytes; what is released stays readable.
    let words = b"words and words ".repeat(1024);
    let packed = hex::decode(include_str!("../golden/segment-zstd-1.hex").trim()).expect("hex");
    let (second, plain) = segments.open(8, words.len(), packed).expect("opens");
    assert_eq!(*plain, words);
    let key = NodeKey::from_secret_bytes([4; 32]);
    let receipt = Receipt {
        id: ID,
        digest: Digest::of([first, second]),
        tally: Tally { items: 4, stream_bytes: 1_048_577 },
        received: 1_795_000_000,
        recipient: key.public(),
    };
    let signed = receipt.sign(&key);
    golden("receipt-1", &signed);
    golden("sealed-receipt-1", &Vault::of_receipt(ID, &SECRET).seal(0, signed[..].into()).1);
}

#[test]
fn the_messages_of_a_handover_have_their_golden_files() {
    let code: Code = "4821-acid-lemon-orbit".parse().expect("a code");
    let (url, fingerprint) = ("https://hub.example:7333".into(), [3; 32]);
    let ticket = Ticket { url, fingerprint, id: ID, secret: SECRET };
    let claim = Claim::new(&code, [5; 32]);
    golden("code-claim-1", claim.message());
    let answer = Answer::new(&code, [6; 32], claim.message()).expect("a claim");
    golden("code-answer-1", answer.message());
    let proven = claim.prove(answer.message()).expect("an answer");
    golden("code-proof-1", &proven.message());
    let handed = answer.hand_over(&proven.message(), &ticket).expect("the same code");
    golden("code-handover-1", &handed);
    golden("code-refusal-1", &refusal());
    assert_eq!(proven.open(&handed), Ok(ticket));
}

proptest! {
    #[test]
    fn decoders_of_anything_neither_panic_nor_take_two_encodings(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
    ) {
        if let Ok(header) = Header::decode(&bytes) {
            prop_assert_eq!(header.encode(), bytes.clone());
        }
        let vault = Vault::of_segments(ID, &SECRET);
        // In both forms of what is not compressed, too.
        for length in [100, bytes.len().saturating_sub(49), bytes.len().saturating_sub(81)] {
            prop_assert!(vault.open(0, length, bytes.clone()).is_err());
        }
        let text = String::from_utf8_lossy(&bytes);
        if let Ok(ticket) = text.parse::<Ticket>() {
            prop_assert_eq!(ticket.to_string(), text);
        } else if let Ok(link) = text.parse::<Link>() {
            prop_assert_eq!(link.to_string(), text);
        } else if let Ok(link) = text.parse::<LockedLink>() {
            prop_assert_eq!(link.to_string(), text);
        }
    }
}
