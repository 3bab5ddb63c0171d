//! Files with several names: the first is read, the others repeat it.

use std::sync::Arc;

use content::{Entry, Kind, Mtime, Name};
use directory::{IndexEntry, Xattrs};

use super::{Assembler, Slot};
use crate::levels::LevelId;
use crate::walk::{LinkKey, LinkRole};
use crate::{SkipReason, Skipped, SnapshotError};

/// A name of a file that had one before.
pub(super) struct Follower {
    slot: Slot,
    name: Name,
    path: Vec<u8>,
    first: Arc<[u8]>,
}

/// The first name of a file with several.
pub(super) struct Link {
    pub(super) state: LinkState,
    /// No further names will come.
    pub(super) over: bool,
}

pub(super) enum LinkState {
    Waiting(Vec<Follower>),
    Done(Box<(Entry, IndexEntry)>),
    Skipped(SkipReason),
}

impl Assembler<'_> {
    pub(super) fn take_again(
        &mut self,
        level: LevelId,
        name: Name,
        path: Vec<u8>,
        role: LinkRole,
        first: Arc<[u8]>,
        last: bool,
    ) -> Result<(), SnapshotError> {
        let LinkRole::Again(key) = role else { unreachable!("the walk says so of other names") };
        let Some(link) = self.links.get_mut(&key) else {
            self.skipped.push(Skipped { path, reason: SkipReason::Changing });
            return Ok(());
        };
        link.over |= last;
        match &mut link.state {
            LinkState::Skipped(reason) => {
                let reason = reason.clone();
                self.skipped.push(Skipped { path, reason });
            }
            LinkState::Done(done) => {
                let (entry, record) = again(done, name, path, &first);
                if let Kind::File { size, .. } = entry.kind {
                    self.count(size);
                }
                self.levels.add(level, entry);
                let record = self.records.open(Some(record));
                self.records.settle(record)?;
            }
            LinkState::Waiting(followers) => {
                let entry = Entry {
                    name: name.clone(),
                    mode: 0,
                    mtime: Mtime { seconds: 0, nanos: 0 },
                    owner: None,
                    xattrs: Xattrs::new(),
                    kind: Kind::Symlink { target: Vec::new() },
                };
                let place = self.levels.add_waiting(level, entry);
                let record = self.records.open(None);
                let slot = Slot { level, place, record, link: LinkRole::Single };
                followers.push(Follower { slot, name, path, first });
                return Ok(());
            }
        }
        if last {
            self.links.remove(&key);
        }
        Ok(())
    }

    pub(super) fn resolve_link(
        &mut self,
        key: LinkKey,
        done: (Entry, IndexEntry),
    ) -> Result<(), SnapshotError> {
        let Some(link) = self.links.get_mut(&key) else { return Ok(()) };
        let over = link.over;
        let done = Box::new(done);
        let state = std::mem::replace(&mut link.state, LinkState::Done(done.clone()));
        if over {
            self.links.remove(&key);
        }
        let LinkState::Waiting(followers) = state else { return Ok(()) };
        for Follower { slot, name, path, first } in followers {
            let (entry, record) = again(&done, name, path, &first);
            if let Kind::File { size, .. } = entry.kind {
                self.count(size);
            }
            *self.levels.entry(slot.level, slot.place) = Some(entry);
            *self.records.entry(slot.record) = Some(record);
            self.records.settle(slot.record)?;
            self.levels.settle(slot.level, &mut self.listing)?;
        }
        Ok(())
    }

    /// The file turned out unreadable: so are its other names.
    pub(super) fn skip_link(
        &mut self,
        key: LinkKey,
        reason: &SkipReason,
    ) -> Result<(), SnapshotError> {
        let skipped = Link { state: LinkState::Skipped(reason.clone()), over: false };
        if let Some(Link { state: LinkState::Waiting(followers), .. }) =
            self.links.insert(key, skipped)
        {
            for Follower { slot, path, .. } in followers {
                self.skipped.push(Skipped { path, reason: reason.clone() });
                self.leave_out(slot)?;
            }
        }
        Ok(())
    }
}

/// Repeats a file under another name.
fn again(
    done: &(Entry, IndexEntry),
    name: Name,
    path: Vec<u8>,
    first: &[u8],
) -> (Entry, IndexEntry) {
    let (mut entry, mut record) = done.clone();
    entry.name = name;
    record.path = path;
    if let Kind::File { link, .. } = &mut entry.kind {
        *link = Some(first.to_vec());
    }
    (entry, record)
}
