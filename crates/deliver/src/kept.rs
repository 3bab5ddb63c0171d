//! What a recipient has on its disk: the files, and the journal that says which segments are in them.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use delivery::{OpenSegmentError, PlainSegment, Tag, Vault};
use tokio::task::JoinHandle;

use crate::place::{Place, PlaceError};
use crate::progress::DeliveryProgress;
use crate::receive::ReceiveError;
use crate::tags::Tags;

/// So many segments after the last time everything is made durable again, while others come: the disk is
/// not left to the end.
const SYNC_EVERY: u64 = 64;
/// Which boot of the machine wrote.
const BOOT: &str = "boot";

/// What is on the disk.
pub(crate) struct Kept {
    pub(crate) place: Arc<Place>,
    pub(crate) tags: Tags,
    /// The journal's.
    pub(crate) path: PathBuf,
    pub(crate) memory: PathBuf,
    syncing: Option<JoinHandle<Result<(), PlaceError>>>,
}

impl Kept {
    pub(crate) fn new(place: Place, tags: Tags, path: PathBuf, memory: PathBuf) -> Self {
        Self { place: Arc::new(place), tags, path, memory, syncing: None }
    }

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

    /// Opens the next segment and keeps it, if it is what the sender sealed.
    pub(crate) async fn add(
        &mut self,
        open: impl FnOnce() -> Result<(Tag, PlainSegment), OpenSegmentError> + Send + 'static,
    ) -> Result<Result<(), OpenSegmentError>, ReceiveError> {
        let number = self.tags.count();
        let place = Arc::clone(&self.place);
        let kept = tokio::task::spawn_blocking(move || {
            let (tag, plain) = match open() {
                Ok(opened) => opened,
                Err(error) => return Ok(Err(error)),
            };
            place.write(number, &plain).map(|()| Ok(tag))
        });
        let tag = match kept.await.expect("opening and writing do not panic")? {
            Ok(tag) => tag,
            Err(error) => return Ok(Err(error)),
        };
        self.tags.add(tag).map_err(|source| self.failed(source))?;
        if (number + 1).is_multiple_of(SYNC_EVERY) {
            self.sync().await?;
        }
        Ok(Ok(()))
    }

    /// Begins to make durable what was written, unless that still goes on.
    async fn sync(&mut self) -> Result<(), PlaceError> {
        if self.syncing.as_ref().is_none_or(JoinHandle::is_finished) {
            self.synced().await?;
            let place = Arc::clone(&self.place);
            self.syncing = Some(tokio::task::spawn_blocking(move || place.sync()));
        }
        Ok(())
    }

    /// How what was begun last ended.
    async fn synced(&mut self) -> Result<(), PlaceError> {
        match self.syncing.take() {
            Some(syncing) => syncing.await.expect("syncing does not panic"),
            None => Ok(()),
        }
    }

    /// The same when nothing is begun any more.
    pub(crate) async fn settled(mut self) -> Result<Self, PlaceError> {
        self.synced().await?;
        Ok(self)
    }
}
