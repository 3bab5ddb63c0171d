//! Whom this node takes releases of a name from, and how far it has seen them.
//!
//! The publisher of a name is pinned at the first use, as SSH pins host keys, or earlier by the
//! user. From then on another publisher is refused until the user accepts it, and a hub cannot
//! bring back an older release.

use std::path::{Path, PathBuf};

use documents::{DocumentHash, PublicKey, ReleaseName, Seen};
use serde::{Deserialize, Serialize};

use crate::state::{Node, StateError, lock_for_change, read_json, write_json};

/// What is remembered about one name at one hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    /// The only publisher releases are taken from.
    pub publisher: PublicKey,
    /// The newest release seen.
    pub seen: Option<Seen>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    publisher: String,
    sequence: Option<u64>,
    manifest: Option<String>,
}

impl Node {
    fn trust_path(&self, hub: &str, name: &ReleaseName) -> PathBuf {
        let hub = blake3::hash(hub.as_bytes());
        self.directory()
            .join("trust")
            .join(hex::encode(&hub.as_bytes()[..8]))
            .join(format!("{name}.json"))
    }

    /// Reads what is remembered about `name` at the hub with identity `hub`.
    ///
    /// # Errors
    /// When the file cannot be read or is damaged.
    pub fn trust(&self, hub: &str, name: &ReleaseName) -> Result<Option<Trust>, StateError> {
        read(&self.trust_path(hub, name))
    }

    /// Remembers `trust` for `name`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn remember_trust(
        &self,
        hub: &str,
        name: &ReleaseName,
        trust: &Trust,
    ) -> Result<(), StateError> {
        let path = self.trust_path(hub, name);
        let _lock = lock_for_change(&path)?;
        // A run that took long must not take back what a later one has seen.
        if let Some(known) = read(&path)?
            && known.publisher == trust.publisher
            && known.seen.as_ref().map(|seen| seen.sequence)
                > trust.seen.as_ref().map(|seen| seen.sequence)
        {
            return Ok(());
        }
        let stored = Stored {
            publisher: trust.publisher.to_string(),
            sequence: trust.seen.as_ref().map(|seen| seen.sequence),
            manifest: trust.seen.as_ref().map(|seen| seen.manifest.to_string()),
        };
        write_json(&path, &stored)
    }
}

/// Reads one file of trust; `None` when it does not exist.
pub(crate) fn read(path: &Path) -> Result<Option<Trust>, StateError> {
    let Some(stored) = read_json::<Stored>(path)? else { return Ok(None) };
    let damaged =
        |reason: &str| StateError::Damaged { path: path.to_owned(), reason: reason.into() };
    let publisher = stored.publisher.parse().map_err(|_| damaged("not a public key"))?;
    let seen = match (stored.sequence, stored.manifest) {
        (Some(sequence), Some(manifest)) => {
            let mut hash = [0; 32];
            hex::decode_to_slice(&manifest, &mut hash).map_err(|_| damaged("not a hash"))?;
            Some(Seen { sequence, manifest: DocumentHash::from_bytes(hash) })
        }
        _ => None,
    };
    Ok(Some(Trust { publisher, seen }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_is_not_taken_back_by_runs_at_the_same_time() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let node = Node::open(directory.path()).expect("opens");
        let name: ReleaseName = "team/site".parse().expect("valid");
        let publisher = node.key().public();
        let seen = |sequence| Seen { sequence, manifest: DocumentHash::from_bytes([0; 32]) };
        for round in 0..20u64 {
            std::thread::scope(|scope| {
                for sequence in 1..=8 {
                    let (node, name) = (&node, &name);
                    let seen = Some(seen(round * 8 + sequence));
                    scope.spawn(move || {
                        let trust = Trust { publisher, seen };
                        node.remember_trust("hub", name, &trust).expect("remembered");
                    });
                }
            });
            let trust = node.trust("hub", &name).expect("readable").expect("there");
            assert_eq!(trust.seen.expect("seen").sequence, (round + 1) * 8);
        }
    }
}
