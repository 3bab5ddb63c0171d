//! What a recipient has on its disk: the files, and the journal that says which segments are in them.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use delivery::{Tag, Vault};

use crate::place::Place;
use crate::progress::DeliveryProgress;
use crate::receive::ReceiveError;
use crate::tags::Tags;

/// Segments between two times at which everything is made durable: what a power cut costs at most, in MiB.
const SYNC_EVERY: u64 = 1024;
/// Which boot of the machine wrote.
const BOOT: &str = "boot";

/// What is on the disk.
pub(crate) struct Kept {
    pub(crate) place: Arc<Place>,
    pub(crate) tags: Tags,
    /// The journal's.
    pub(crate) path: PathBuf,
    pub(crate) memory: PathBuf,
}

impl Kept {
    pub(crate) fn failed(&self, source: io::Error) -> ReceiveError {
        ReceiveError::Memory { path: self.path.clone(), source }
    }

    /// Reads what another boot of this machine wrote: a power cut may have taken some of it.
    pub(crate) async fn distrust_another_boot(
        &mut self,
        vault: &Arc<Vault>,
        head: Vec<u8>,
        progress: &DeliveryProgress,
    ) -> Result<(), ReceiveError> {
        let path = self.memory.join(BOOT);
        let boot = directory::boot_id().unwrap_or_default();
        let is_same = std::fs::read_to_string(&path).is_ok_and(|text| text == boot);
        if self.tags.count() > 0 && (!is_same || boot.is_empty()) {
            progress.waits(Some("this machine's disk: it was restarted meanwhile".into()));
            let (place, vault) = (Arc::clone(&self.place), Arc::clone(vault));
            let count = self.tags.count();
            let tags: io::Result<Vec<Tag>> = (0..count).map(|at| self.tags.read(at)).collect();
            let tags = tags.map_err(|source| self.failed(source))?;
            let good = tokio::task::spawn_blocking(move || {
                let is_there = |(number, tag): &(u64, Tag)| {
                    place.read(*number, &head).is_ok_and(|plain| vault.tag(*number, &plain) == *tag)
                };
                (0..).zip(tags).take_while(is_there).count() as u64
            });
            let good = good.await.expect("reading does not panic");
            self.tags.truncate(good).map_err(|source| self.failed(source))?;
            progress.waits(None);
        }
        std::fs::write(&path, boot).map_err(|source| ReceiveError::Memory { path, source })
    }

    /// Keeps the next segment.
    pub(crate) async fn add(&mut self, tag: Tag, plain: Vec<u8>) -> Result<(), ReceiveError> {
        let number = self.tags.count();
        let place = Arc::clone(&self.place);
        let written = tokio::task::spawn_blocking(move || {
            place.write(number, &plain)?;
            if (number + 1).is_multiple_of(SYNC_EVERY) { place.sync() } else { Ok(()) }
        });
        written.await.expect("writing does not panic")?;
        self.tags.add(tag).map_err(|source| self.failed(source))
    }
}
