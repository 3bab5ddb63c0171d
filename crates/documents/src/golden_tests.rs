//! Golden files: the bytes of each released version of each document.
//!
//! Ed25519 signatures are deterministic, so whole signed documents are fixed.

use content::closure::ClosureEntry;
use content::{ChunkId, ConvergenceSecret, Sealer, Totals, TreeRef};
use golden::is_whole_or_nothing;
use proptest::prelude::*;

use crate::audit::{AuditHead, AuditRecord};
use crate::envelope::{Attributed, peek, sign};
use crate::{
    Capability, Context, Delegation, DocumentHash, Head, Invitation, Manifest, NodeKey,
    Registration, ReleaseName, SessionProof, SessionToken, Tenure,
};

fn golden(name: &str, bytes: &[u8]) {
    golden::compare(env!("CARGO_MANIFEST_DIR"), name, bytes);
}

fn key() -> NodeKey {
    NodeKey::from_secret_bytes([1; 32])
}

fn name() -> ReleaseName {
    "team/tools".parse().expect("a name")
}

fn plain() -> Manifest {
    Manifest {
        publisher: key().public(),
        name: name(),
        sequence: 1,
        previous: None,
        issued: 1_700_000_000,
        expires: 1_800_000_000,
        tree: ClosureEntry { id: ChunkId::of(b"tree"), stored_length: 150 },
        closure: ClosureEntry { id: ChunkId::of(b"closure"), stored_length: 90 },
        totals: Some(Totals { files: 3, directories: 1, symlinks: 0, bytes: 12_345 }),
        parameters: 1,
        sealed_root: None,
    }
}

fn capability() -> Capability {
    Capability::derive(&[6; 32], &name())
}

fn sealed() -> Manifest {
    let tree = Sealer::new(ConvergenceSecret::from_bytes([5; 32])).seal(b"a tree root").0;
    Manifest {
        sequence: 2,
        previous: Some(DocumentHash::of(&plain().sign(&key()))),
        tree: ClosureEntry::from(&tree),
        totals: None,
        sealed_root: Some(capability().seal_root(&TreeRef(tree), &name(), 2, [8; 12])),
        ..plain()
    }
}

fn head() -> Head {
    Head {
        publisher: key().public(),
        name: name(),
        sequence: 2,
        manifest: DocumentHash::of(&sealed().sign(&key())),
        issued: 1_700_000_000,
        expires: 1_700_086_400,
    }
}

fn delegation() -> Delegation {
    let publisher = |secret| NodeKey::from_secret_bytes([secret; 32]).public();
    Delegation {
        owner: key().public(),
        name: name(),
        number: 3,
        issued: 1_700_000_000,
        expires: 1_731_536_000,
        publishers: [(publisher(2), Tenure::Current), (publisher(3), Tenure::Until(4))].into(),
    }
}

/// An entry of an audit log, and the head that names it.
fn audit() -> (AuditRecord, AuditHead) {
    let record = AuditRecord {
        number: 7,
        time: 1_700_000_000,
        actor: "local".into(),
        action: "invite".into(),
        subject: "reader".into(),
        detail: r#"{"names":["team/tools"]}"#.into(),
    };
    let (number, link) = (record.number, record.link(&[9; 32]));
    (record, AuditHead { key: key().public(), number, link, issued: 1_700_000_060 })
}

fn proof() -> SessionProof {
    SessionProof { hub: [2; 32], challenge: [3; 32], key: key().public() }
}

fn registration() -> Registration {
    Registration { hub: [2; 32], secret: [4; 16], key: key().public() }
}

fn token() -> SessionToken {
    let subject = NodeKey::from_secret_bytes([9; 32]).public();
    SessionToken { issuer: key().public(), subject, issued: 1_700_000_000, expires: 1_700_003_600 }
}

#[test]
fn every_released_document_has_its_golden_file() {
    golden("manifest-plain-1", &plain().sign(&key()));
    golden("manifest-sealed-1", &sealed().sign(&key()));
    golden("head-1", &head().sign(&key()));
    golden("delegation-1", &delegation().sign(&key()));
    let (record, head) = audit();
    golden("audit-entry-1", &record.link(&[9; 32]));
    golden("audit-head-1", &head.sign(&key()));
    golden("session-proof-1", &proof().sign(&key()));
    golden("registration-1", &registration().sign(&key()));
    golden("session-token-1", &token().issue(&key()));
    golden("capability-1", capability().to_string().as_bytes());
    let invitation = Invitation {
        url: "https://hub.example:7333".into(),
        fingerprint: [2; 32],
        secret: [4; 16],
    };
    golden("invitation-1", invitation.to_string().as_bytes());
}

#[test]
fn golden_releases_open() {
    assert_eq!(Manifest::open(&plain().sign(&key()), &key().public()).map(|it| it.0), Ok(plain()));
    let (manifest, _) = Manifest::open(&sealed().sign(&key()), &key().public()).expect("valid");
    assert_eq!(capability().open_root(&manifest).map(|tree| tree.id()), Ok(sealed().tree.id));
    let signed = delegation().sign(&key());
    assert_eq!(Delegation::open(&signed, &key().public()).map(|it| it.0), Ok(delegation()));
    assert_eq!(Head::open(&head().sign(&key()), &key().public()).map(|it| it.0), Ok(head()));
}

/// Each decoder, inside and outside the envelope, on every truncation and every single-bit
/// flip: an error or the same bytes again.
#[test]
fn decoders_survive_damage() {
    fn both<P: Attributed>(document: &P) {
        is_whole_or_nothing(&document.encode(), |bytes| {
            P::decode(bytes).ok().map(|one| one.encode())
        });
        let signed = sign(document, &key());
        // The signature is not looked at here, so only the rest can come back altered.
        is_whole_or_nothing(&signed, |bytes| {
            let opened: P = peek(bytes).ok()?;
            let start = bytes.len() - 64;
            Some([&sign(&opened, &key())[..start], &bytes[start..]].concat())
        });
    }
    both(&plain());
    both(&sealed());
    both(&head());
    both(&delegation());
    both(&audit().1);
    both(&proof());
    both(&registration());
    both(&token());
}

#[test]
fn each_kind_of_document_has_its_own_context() {
    let contexts = Context::ALL;
    for (index, context) in contexts.into_iter().enumerate() {
        assert!(contexts[..index].iter().all(|other| other.as_str() != context.as_str()));
    }
}

proptest! {
    /// Every field comes back, whatever is in it and whatever is left out.
    #[test]
    fn every_manifest_comes_back(
        name in "[a-z0-9][a-z0-9._-]{0,63}/[a-z0-9][a-z0-9._-]{0,63}",
        sequence in 1..=u64::MAX,
        times: (u64, u64),
        previous: Option<[u8; 32]>,
        lengths in (1..=2_097_216u32, 1..=2_097_216u32),
        totals: Option<[u64; 4]>,
        parameters: u64,
        sealed_root in prop::option::of(prop::collection::vec(any::<u8>(), 0..=128)),
    ) {
        let manifest = Manifest {
            name: name.parse().expect("a name"),
            sequence,
            previous: previous.map(DocumentHash::from_bytes),
            issued: times.0,
            expires: times.1,
            tree: ClosureEntry { stored_length: lengths.0, ..plain().tree },
            closure: ClosureEntry { stored_length: lengths.1, ..plain().closure },
            totals: totals.map(|[files, directories, symlinks, bytes]| {
                Totals { files, directories, symlinks, bytes }
            }),
            parameters,
            sealed_root,
            ..plain()
        };
        let signed = manifest.sign(&key());
        let hash = DocumentHash::of(&signed);
        prop_assert_eq!(Manifest::open(&signed, &key().public()), Ok((manifest, hash)));
    }
}
