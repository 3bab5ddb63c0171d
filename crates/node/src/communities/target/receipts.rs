//! What this machine answered, and the receipts that are on their way.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use documents::{PublicKey, ReleaseName};
use hub_api::QueueEntryInfo;

use super::{StoredRelease, TargetError, Which};
use crate::communities::Place;
use crate::communities::manager::fail;
use crate::hubs::HubLink;
use crate::state::{StateError, io, read_json};

/// Receipts of a publisher that are kept after they were handed in.
const KEPT_RECEIPTS: u64 = 64;

impl Place {
    pub(super) fn answered(&self) -> Result<BTreeMap<String, StoredRelease>, StateError> {
        Ok(read_json(&self.target_directory().join("answered.json"))?.unwrap_or_default())
    }

    pub(super) fn is_answered(&self, which: &Which) -> Result<bool, StateError> {
        let answered = self.answered()?;
        let last = answered.get(&which.publisher.to_string());
        Ok(last.is_some_and(|last| last.sequence >= which.sequence))
    }

    /// Marks a kept receipt as not handed in yet.
    pub(super) fn offer_again(&self, entry: &QueueEntryInfo) -> Result<(), StateError> {
        let Ok(publisher) = documents::Manifest::peek_publisher(&entry.manifest.0) else {
            return Ok(());
        };
        let target = self.target_directory();
        let path = receipt_path(&target, &publisher.to_string(), entry.sequence);
        let sent = path.with_extension("sent");
        match fs::rename(&sent, &path) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(io("rename", &sent)(error)),
        }
    }

    /// Hands in every receipt that the hub does not have yet.
    pub(super) async fn hand_in_receipts(&self, hub: &HubLink) -> Result<(), TargetError> {
        for (publisher, sequence, path) in self.receipts_to_hand_in()? {
            let feed: ReleaseName = self.id().feed(&publisher);
            let signed = fs::read(&path).map_err(io("read", &path))?;
            let own = self.node().key().public();
            match hub.client.put_receipt(&feed, sequence, &own, signed).await {
                // Nobody waits for it any more: the publisher was revoked, or its release deleted.
                Err(error) if error.is_not_found() => {}
                Err(source) => return Err(fail(hub, "hand in a receipt", source).into()),
                Ok(()) => {}
            }
            let sent = path.with_extension("sent");
            fs::rename(&path, &sent).map_err(io("rename", &path))?;
            if let Some(old) = sequence.checked_sub(KEPT_RECEIPTS) {
                let old = receipt_path(&self.target_directory(), &publisher.to_string(), old);
                // One that is not there was removed before.
                let _ = fs::remove_file(old.with_extension("sent"));
            }
        }
        Ok(())
    }

    fn receipts_to_hand_in(&self) -> Result<Vec<(PublicKey, u64, PathBuf)>, StateError> {
        let receipts = self.target_directory().join("receipts");
        let mut found = Vec::new();
        for publisher in list(&receipts)? {
            let Some(key) = publisher.file_name().and_then(|it| it.to_str()?.parse().ok()) else {
                continue;
            };
            for path in list(&publisher)? {
                let number = path.file_name().and_then(|it| it.to_str()?.parse::<u64>().ok());
                found.extend(number.map(|number| (key, number, path)));
            }
        }
        found.sort_by_key(|(_, sequence, _)| *sequence);
        Ok(found)
    }
}

pub(super) fn receipt_path(target: &Path, publisher: &str, sequence: u64) -> PathBuf {
    target.join("receipts").join(publisher).join(sequence.to_string())
}

fn list(directory: &Path) -> Result<Vec<PathBuf>, StateError> {
    match fs::read_dir(directory) {
        Ok(entries) => Ok(entries.flatten().map(|entry| entry.path()).collect()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(io("list", directory)(error)),
    }
}
