//! What is kept on this machine of the last releases: what opens them, and what gives them to a hub again.

use std::path::{Path, PathBuf};

use content::TreeRef;
use documents::{DocumentHash, Manifest, envelope};
use hub_api::{Base64Bytes, Hex};
use ledger::{NewPackage, PackageRecord};
use serde::{Deserialize, Serialize};

use super::{Release, SendError};
use crate::communities::Place;
use crate::communities::rollout::{root_secret, tree_of};
use crate::state::{io, read_json, write_json};

/// Of how many releases it is kept. Beyond that a package is sent from its sources.
pub(super) const KEPT_MAX: u64 = 100;

/// The version that has what gives a release to a hub again.
const VERSION: u32 = 2;

/// A release as it is kept beside the node's own secrets, of which it is one: the first version had
/// `manifest` and `root` alone.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    #[serde(default = "first")]
    version: u32,
    /// Hash of the signed manifest.
    manifest: Hex<32>,
    /// Key and lengths of the root of its tree.
    root: Base64Bytes,
    /// The signed manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signed: Option<Base64Bytes>,
    /// Where the package was put together from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sources: Option<String>,
}

fn first() -> u32 {
    1
}

/// A release as it is kept.
pub(super) struct Kept {
    pub(super) tree: TreeRef,
    /// The manifest with its signature; none of a release that an earlier version sent.
    pub(super) signed: Option<(Manifest, Vec<u8>)>,
    pub(super) sources: Option<PathBuf>,
}

impl Place {
    fn kept_path(&self, sequence: u64) -> PathBuf {
        self.directory().join("sent").join(format!("{sequence}.json"))
    }

    /// Keeps a release before the hub is told of it, and forgets what is too old.
    pub(super) fn keep_release(
        &self,
        release: &Release<'_>,
        new: &NewPackage,
        sources: Option<&Path>,
    ) -> Result<(), SendError> {
        let stored = Stored {
            version: VERSION,
            manifest: Hex(*new.manifest.as_bytes()),
            root: root_secret(release.tree).into(),
            signed: Some(release.manifest.sign(self.node().key()).into()),
            // One that is no text is not found again: then the release is not put together again.
            sources: sources.and_then(|path| path.to_str().map(str::to_owned)),
        };
        write_json(&self.kept_path(new.sequence), &stored)?;
        let Some(old) = new.sequence.checked_sub(KEPT_MAX) else { return Ok(()) };
        let path = self.kept_path(old);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(io("remove", &path)(error).into())
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// What is kept of a release, if it is the one that the ledger has.
    pub(super) fn kept(&self, package: &PackageRecord) -> Result<Option<Kept>, SendError> {
        let stored: Option<Stored> = read_json(&self.kept_path(package.sequence))?;
        let stored = stored.filter(|stored| stored.manifest.0 == *package.manifest.as_bytes());
        let Some(stored) = stored else { return Ok(None) };
        let Some(tree) = tree_of(package.tree, &stored.root.0) else { return Ok(None) };
        let own = self.node().key().public();
        let signed = stored.signed.and_then(|signed| {
            let manifest = envelope::open::<Manifest>(&signed.0, &own).ok()?;
            let is_it = DocumentHash::of(&signed.0) == package.manifest;
            is_it.then_some((manifest, signed.0))
        });
        let sources = stored.sources.map(PathBuf::from);
        Ok(Some(Kept { tree, signed, sources }))
    }

    pub(super) fn kept_tree(&self, package: &PackageRecord) -> Result<Option<TreeRef>, SendError> {
        Ok(self.kept(package)?.map(|kept| kept.tree))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use community::CommunityId;
    use content::closure::ClosureEntry;
    use content::{ChunkId, ChunkRef, Sealing};
    use ledger::{Counts, PackageId};

    use super::*;
    use crate::Node;

    fn tree() -> TreeRef {
        let sealing = Some(Sealing { key: [5; 32], stored_length: 116 });
        TreeRef(ChunkRef { id: ChunkId::of(b"root"), length: 100, sealing })
    }

    fn manifest(place: &Place, sequence: u64) -> Manifest {
        Manifest {
            publisher: place.node().key().public(),
            name: place.feed(),
            sequence,
            previous: (sequence > 1).then(|| DocumentHash::from_bytes([1; 32])),
            issued: 1,
            expires: 100,
            tree: ClosureEntry::from(&tree().0),
            closure: ClosureEntry { id: ChunkId::of(b"closure"), stored_length: 50 },
            totals: None,
            parameters: content::cut::PARAMETERS,
            sealed_root: Some(Vec::new()),
        }
    }

    fn record(place: &Place, sequence: u64, manifest: DocumentHash) -> PackageRecord {
        PackageRecord {
            id: PackageId::from_number(1),
            community: place.id(),
            feed: place.feed(),
            sequence,
            manifest,
            name: "hello".into(),
            version: "1".into(),
            description: String::new(),
            tree: tree().id(),
            bytes: 1,
            selector: "all".into(),
            built: 1,
            expires: 100,
            sent: Some(2),
            counts: Counts::default(),
        }
    }

    fn keep(place: &Place, sequence: u64) -> PackageRecord {
        let (feed, tree) = (place.feed(), tree());
        let release = Release {
            feed: &feed,
            tree: &tree,
            bytes: 1,
            name: "hello",
            version: "1",
            description: "",
            selector: "all".into(),
            manifest: manifest(place, sequence),
        };
        let signed = release.manifest.sign(place.node().key());
        let package = record(place, sequence, DocumentHash::of(&signed));
        let new = NewPackage {
            community: package.community,
            feed: package.feed.clone(),
            sequence,
            manifest: package.manifest,
            name: package.name.clone(),
            version: package.version.clone(),
            description: String::new(),
            tree: package.tree,
            bytes: 1,
            selector: package.selector.clone(),
            built: 1,
            expires: 100,
            resume: Vec::new(),
        };
        place.keep_release(&release, &new, Some(Path::new("/src/hello"))).expect("keeps");
        package
    }

    #[test]
    fn a_release_is_kept_as_it_was_signed_for_its_owner_alone_until_it_is_too_old() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let node = Node::open(directory.path()).expect("opens");
        let place = node.place(CommunityId::from_bytes([7; 16]));
        let package = keep(&place, 1);
        let kept = place.kept(&package).expect("reads").expect("is there");
        assert_eq!((kept.tree, kept.sources), (tree(), Some(PathBuf::from("/src/hello"))));
        let (manifest, signed) = kept.signed.expect("as it was signed");
        assert_eq!((manifest.sequence, DocumentHash::of(&signed)), (1, package.manifest));
        let mode = place.kept_path(1).metadata().expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        // Another release of its number is not it.
        let other =
            PackageRecord { manifest: DocumentHash::from_bytes([9; 32]), ..package.clone() };
        assert!(place.kept(&other).expect("reads").is_none());
        keep(&place, 1 + KEPT_MAX);
        assert!(place.kept(&package).expect("reads").is_none(), "it is too old");
    }

    #[test]
    fn what_an_earlier_version_kept_opens_a_release_and_no_more() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let node = Node::open(directory.path()).expect("opens");
        let place = node.place(CommunityId::from_bytes([7; 16]));
        let package = record(&place, 3, DocumentHash::from_bytes([8; 32]));
        let stored = serde_json::json!({
            "manifest": Hex([8; 32]), "root": Base64Bytes(root_secret(&tree())),
        });
        write_json(&place.kept_path(3), &stored).expect("written");
        let kept = place.kept(&package).expect("reads").expect("is there");
        assert_eq!(kept.tree, tree());
        assert!(kept.signed.is_none() && kept.sources.is_none());
    }
}
