//! Golden files: the bytes of each released format. Nothing in them is drawn at random.

use delivery::{DeliveryId, DeliverySecret, Digest, Receipt, Tag, Tally};
use documents::{DocumentHash, ExchangeKey, MessageSeed, NodeKey};
use proptest::prelude::*;

use crate::{
    Book, Comparison, Contact, Device, DeviceRequest, Devices, Handle, Known, Letter, ReceiptFile,
    SignedRequest,
};

fn golden(name: &str, bytes: &[u8]) {
    golden::compare(env!("CARGO_MANIFEST_DIR"), name, bytes);
}

fn anna() -> Handle {
    "anna".parse().expect("a handle")
}

#[test]
fn every_released_format_has_its_golden_file() {
    let (one, two) = (NodeKey::from_secret_bytes([1; 32]), NodeKey::from_secret_bytes([2; 32]));
    let exchange = ExchangeKey::derive(&one);
    let device = |key: &NodeKey, name: &str| {
        let exchange = ExchangeKey::derive(key).public();
        (key.public(), Device { exchange, name: name.into(), since: 1_795_000_000 })
    };
    let signer = one.public();
    let first = Devices {
        handle: anna(),
        number: 1,
        previous: None,
        issued: 1_795_000_000,
        devices: [device(&one, "desk")].into(),
        signer,
    };
    let first = first.sign(&one);
    golden("devices-1", &first);
    let known = Known::first(&anna(), &first).expect("a first list");
    let both = [device(&one, "desk"), device(&two, "laptop")].into();
    let second = known.successor(both, signer, 1_795_000_001).sign(&one);
    golden("devices-2", &second);
    let known = known.next(&second).expect("follows");
    let request = DeviceRequest {
        handle: anna(),
        key: two.public(),
        exchange: ExchangeKey::derive(&two).public(),
        name: "laptop".into(),
    };
    golden("device-request-1", request.sign(&two).to_string().as_bytes());
    let letter = Letter {
        delivery: DeliveryId::from_bytes([3; 16]),
        sender: known.identity,
        recipient: DocumentHash::from_bytes([4; 32]),
    };
    let (secret, seed) = (DeliverySecret::from_bytes([5; 32]), MessageSeed::from_random([6; 32]));
    let device = ExchangeKey::derive(&two).public();
    golden("letter-1", &letter.seal(&exchange, &device, &secret, seed).expect("seals"));
    let words = Comparison::of(known.identity, DocumentHash::from_bytes([4; 32])).to_string();
    golden("comparison-1", words.as_bytes());
    let ben = Contact {
        first_name: "Ben".into(),
        notes: "plays the oboe".into(),
        identity: Some(DocumentHash::from_bytes([4; 32])),
        ..Contact::default()
    };
    let contacts = [("ben".parse().expect("a handle"), ben)].into();
    let book = Book { contacts, signature: "Anna".into() };
    let seed = || MessageSeed::from_random([7; 32]);
    let sealed = book.seal(&known, 1, (&signer, &exchange), &[8; 32], seed).expect("seals");
    golden("book-1", &sealed);
    let receipt = Receipt {
        id: DeliveryId::from_bytes([3; 16]),
        digest: Digest::of([Tag::from_bytes([9; 32])]),
        tally: Tally { items: 3, stream_bytes: 1_500_000 },
        received: 1_795_000_002,
        recipient: two.public(),
    };
    let file = ReceiptFile { receipt: receipt.sign(&two), lists: vec![first, second] };
    file.prove().expect("proves");
    golden("receipt-file-1", &file.encode());
}

proptest! {
    #[test]
    fn decoders_of_anything_do_not_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
    ) {
        prop_assert!(Known::first(&anna(), &bytes).is_err());
        let text = String::from_utf8_lossy(&bytes);
        if let Ok(request) = text.parse::<SignedRequest>() {
            prop_assert_eq!(request.to_string(), text);
        }
    }
}
