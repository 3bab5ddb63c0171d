//! Whom this node takes releases of a name from, and how far it has seen them.
//!
//! The owner of a name is pinned at the first use, as SSH pins host keys, or earlier by the user.
//! From then on releases of others are refused, unless the owner's list of publishers names them,
//! until the user accepts another owner; and a hub can bring back neither an older release nor an
//! older list.

use std::path::{Path, PathBuf};

use documents::{Authority, DocumentHash, PublicKey, ReleaseName, Seen};
use serde::{Deserialize, Serialize};

use crate::state::{Node, StateError, lock_for_change, read_json, write_json};

/// What is remembered about one name at one hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    /// The owner of the name: releases are taken from it and from those on its list.
    pub owner: PublicKey,
    /// The newest release seen.
    pub seen: Option<Seen>,
    /// The newest list of publishers seen, as the owner signed it.
    pub list: Option<Vec<u8>>,
}

impl Trust {
    /// In `owner`, of whom nothing was seen yet.
    #[must_use]
    pub const fn new(owner: PublicKey) -> Self {
        Self { owner, seen: None, list: None }
    }

    /// Who may sign releases of `name`, by the list seen last and the one `offered`.
    #[must_use]
    pub fn authority(&self, name: &ReleaseName, offered: Option<&[u8]>, now: u64) -> Authority {
        Authority::new(self.owner, self.list.as_deref().into_iter().chain(offered), name, now)
    }

    /// The same with what another run of the same owner has seen, the newest of each.
    fn or_newer(mut self, name: &ReleaseName, known: &Self) -> Self {
        if known.owner != self.owner {
            return self;
        }
        let sequence = |trust: &Self| trust.seen.as_ref().map(|seen| seen.sequence);
        if sequence(known) > sequence(&self) {
            self.seen = known.seen;
        }
        let newest = self.authority(name, known.list.as_deref(), 0);
        self.list = newest.signed().map(<[u8]>::to_vec);
        self
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    /// The owner.
    publisher: String,
    sequence: Option<u64>,
    manifest: Option<String>,
    /// The signed list in hexadecimal digits; a version before lists wrote none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    list: Option<String>,
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
        let trust = match read(&path)? {
            Some(known) => trust.clone().or_newer(name, &known),
            None => trust.clone(),
        };
        let stored = Stored {
            publisher: trust.owner.to_string(),
            sequence: trust.seen.as_ref().map(|seen| seen.sequence),
            manifest: trust.seen.as_ref().map(|seen| seen.manifest.to_string()),
            list: trust.list.as_ref().map(hex::encode),
        };
        write_json(&path, &stored)
    }
}

/// Reads one file of trust; `None` when it does not exist.
pub(crate) fn read(path: &Path) -> Result<Option<Trust>, StateError> {
    let Some(stored) = read_json::<Stored>(path)? else { return Ok(None) };
    let damaged =
        |reason: &str| StateError::Damaged { path: path.to_owned(), reason: reason.into() };
    let owner = stored.publisher.parse().map_err(|_| damaged("not a public key"))?;
    let list = stored.list.map(hex::decode).transpose();
    let list = list.map_err(|_| damaged("not a list of publishers"))?;
    let seen = match (stored.sequence, stored.manifest) {
        (Some(sequence), Some(manifest)) => {
            let mut hash = [0; 32];
            hex::decode_to_slice(&manifest, &mut hash).map_err(|_| damaged("not a hash"))?;
            Some(Seen { sequence, manifest: DocumentHash::from_bytes(hash) })
        }
        _ => None,
    };
    Ok(Some(Trust { owner, seen, list }))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use documents::Delegation;

    use super::*;

    #[test]
    fn what_was_seen_is_not_taken_back_by_runs_at_the_same_time() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let node = Node::open(directory.path()).expect("opens");
        let name: ReleaseName = "team/site".parse().expect("valid");
        let owner = node.key().public();
        let seen = |sequence| Seen { sequence, manifest: DocumentHash::from_bytes([0; 32]) };
        for round in 0..20u64 {
            std::thread::scope(|scope| {
                for sequence in 1..=8 {
                    let (node, name) = (&node, &name);
                    let seen = Some(seen(round * 8 + sequence));
                    scope.spawn(move || {
                        let trust = Trust { seen, ..Trust::new(owner) };
                        node.remember_trust("hub", name, &trust).expect("remembered");
                    });
                }
            });
            let trust = node.trust("hub", &name).expect("readable").expect("there");
            assert_eq!(trust.seen.expect("seen").sequence, (round + 1) * 8);
        }
    }

    #[test]
    fn the_newest_list_is_kept_and_that_of_another_owner_is_not() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let node = Node::open(directory.path()).expect("opens");
        let name: ReleaseName = "team/site".parse().expect("valid");
        let owner = node.key().public();
        let list = |number| {
            let delegation = Delegation {
                owner,
                name: name.clone(),
                number,
                issued: 1,
                expires: 2,
                publishers: BTreeMap::new(),
            };
            delegation.sign(node.key())
        };
        let known = || node.trust("hub", &name).expect("readable").expect("there").list;
        // Also one that has expired: it says that older ones do not count any more.
        for (offered, kept) in [(Some(2), 2), (Some(1), 2), (None, 2), (Some(3), 3)] {
            let trust = Trust { list: offered.map(list), ..Trust::new(owner) };
            node.remember_trust("hub", &name, &trust).expect("remembered");
            assert_eq!(known(), Some(list(kept)), "{offered:?}");
        }
        let other = documents::NodeKey::from_secret_bytes([9; 32]).public();
        node.remember_trust("hub", &name, &Trust::new(other)).expect("remembered");
        assert_eq!(known(), None);
    }
}
