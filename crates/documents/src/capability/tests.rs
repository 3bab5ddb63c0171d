use content::closure::ClosureEntry;
use content::{ConvergenceSecret, Sealer};

use super::*;
use crate::NodeKey;

fn name(text: &str) -> ReleaseName {
    text.parse().expect("a name")
}

fn sealed_manifest(capability: &Capability, tree: &TreeRef) -> Manifest {
    let name = name("team/tools");
    Manifest {
        publisher: NodeKey::from_secret_bytes([1; 32]).public(),
        sequence: 3,
        previous: None,
        issued: 0,
        expires: 1,
        tree: ClosureEntry::from(&tree.0),
        closure: ClosureEntry::from(&tree.0),
        totals: None,
        parameters: 1,
        sealed_root: Some(capability.seal_root(tree, &name, 3, [4; 12])),
        name,
    }
}

fn tree() -> TreeRef {
    TreeRef(Sealer::new(ConvergenceSecret::from_bytes([5; 32])).seal(b"a tree root").0)
}

#[test]
fn the_root_comes_back_under_its_capability_alone() {
    let capability = Capability::derive(&[6; 32], &name("team/tools"));
    let mut manifest = sealed_manifest(&capability, &tree());
    assert_eq!(capability.open_root(&manifest), Ok(tree()));
    assert_eq!(manifest.sealed_root.as_ref().map(Vec::len), Some(64));
    for other in [
        Capability::derive(&[6; 32], &name("team/other")),
        Capability::derive(&[7; 32], &name("team/tools")),
    ] {
        assert_eq!(other.open_root(&manifest), Err(OpenRootError::WrongCapability));
    }
    manifest.sealed_root = None;
    assert_eq!(capability.open_root(&manifest), Err(OpenRootError::NotSealed));
}

#[test]
fn a_plain_root_can_be_sealed_too() {
    let capability = Capability::derive(&[6; 32], &name("team/tools"));
    let plain = TreeRef(ChunkRef::plain(ChunkId::of(b"root"), 400));
    let manifest = sealed_manifest(&capability, &plain);
    assert_eq!(capability.open_root(&manifest), Ok(plain));
}

#[test]
fn a_sealed_root_fits_only_its_place() {
    let capability = Capability::derive(&[6; 32], &name("team/tools"));
    let good = sealed_manifest(&capability, &tree());
    let moved = [
        Manifest { sequence: 4, ..good.clone() },
        Manifest { name: name("team/other"), ..good.clone() },
        Manifest {
            tree: ClosureEntry { id: ChunkId::of(b"other"), stored_length: 1 },
            ..good.clone()
        },
    ];
    for manifest in moved {
        assert_eq!(capability.open_root(&manifest), Err(OpenRootError::WrongCapability));
    }
}

#[test]
fn a_damaged_sealed_root_is_refused() {
    let capability = Capability::derive(&[6; 32], &name("team/tools"));
    let good = sealed_manifest(&capability, &tree());
    let sealed = good.sealed_root.clone().expect("sealed");
    let open = |bytes: &[u8]| {
        capability.open_root(&Manifest { sealed_root: Some(bytes.to_vec()), ..good.clone() })
    };
    for length in 0..sealed.len() {
        open(&sealed[..length]).expect_err("cut short");
    }
    for bit in 0..sealed.len() * 8 {
        let mut altered = sealed.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(open(&altered), Err(OpenRootError::WrongCapability));
    }
    assert_eq!(open(&sealed[..11]), Err(OpenRootError::Malformed));
}

#[test]
fn a_root_of_impossible_length_is_malformed() {
    let capability = Capability::derive(&[6; 32], &name("team/tools"));
    for length in [0, CHUNK_BYTES_MAX as u32 + 1] {
        let tree = TreeRef(ChunkRef { length, ..tree().0 });
        let manifest = sealed_manifest(&capability, &tree);
        assert_eq!(capability.open_root(&manifest), Err(OpenRootError::Malformed));
    }
}

#[test]
fn a_capability_prints_and_parses_and_debug_says_nothing() {
    let capability = Capability::derive(&[6; 32], &name("team/tools"));
    let text = capability.to_string();
    assert_eq!(text.parse(), Ok(capability.clone()));
    for length in 0..text.len() {
        assert_eq!(text[..length].parse::<Capability>(), Err(ParseCapabilityError));
    }
    for other in [
        format!("{text}A"),
        text.replace("cap-1", "cap-2"),
        // The last character carries two spare bits, which must be zero.
        format!("{PREFIX}{}B", "A".repeat(42)),
        format!("{PREFIX}{}", "é".repeat(22)),
    ] {
        assert_eq!(other.parse::<Capability>(), Err(ParseCapabilityError), "{other}");
    }
    assert_eq!(format!("{capability:?}"), "Capability(..)");
}
