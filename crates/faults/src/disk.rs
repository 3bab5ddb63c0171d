//! What a disk may hold after the power failed.
//!
//! Model: what was synced is there. Of everything else any subset is, and nothing follows from
//! one part for another: each sector or page of a write, the size of the file it made longer, its
//! attributes, and each entry of a directory are there or not on their own. A rename is one step.
//! An `fsync` of a file says nothing of the name it has; that takes one of its directory. This is
//! more than any file system does to a program, and what one may rely on everywhere: ALICE
//! (Pillai and others, OSDI 2014) found programs that relied on more, CrashMonkey (Mohan and
//! others, OSDI 2018) file systems that gave less; of the freedom to keep any subset rather than a
//! prefix, see `Commonware`'s storage tests.
//!
//! Files and directories keep their inodes where they are arranged rather than written anew
//! (`disk/arrange.rs`); what was removed and comes back has another one.
//!
//! Not in it: sectors that turn to garbage, extended attributes, owners.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use random::Random;

mod arrange;
mod record;
#[cfg(test)]
mod tests;

pub(crate) use record::Recorder;

/// A file, directory or link, whatever its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Object(usize);

/// One change that a call made; lasting only once it was synced.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    /// Bytes of a file.
    Data { file: Object, offset: u64, bytes: Arc<Vec<u8>> },
    /// A file's length; what lies behind it is gone when it was cut.
    Size { file: Object, bytes: u64, is_cut: bool },
    /// Mode and time of modification.
    Attributes { object: Object, mode: u32, modified: SystemTime },
    /// Names that come, go or change what they mean, all or none.
    Entries(Vec<(Object, PathBuf, Option<Object>)>),
    /// All changes of one object before this last.
    Sync(Object),
    /// All changes before this last.
    SyncAll,
}

/// What was there before, and all that happened to it.
#[derive(Debug, Default)]
pub(crate) struct Log {
    before: Disk,
    /// With the number of the call that made it.
    changes: Vec<(u64, Change)>,
    /// The directory that all roots are in.
    world: Option<Object>,
}

#[derive(Debug, Clone)]
enum Body {
    /// With its length: bytes behind it are on the disk and not to be seen.
    File {
        bytes: Arc<Vec<u8>>,
        length: u64,
    },
    Directory(BTreeMap<PathBuf, Object>),
    Link(PathBuf),
}

#[derive(Debug, Clone)]
struct Stored {
    body: Body,
    mode: u32,
    modified: SystemTime,
}

/// Objects and what they hold.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk(Vec<Stored>);

/// Which of the changes that were not synced survive.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Survivors {
    /// None.
    Nothing,
    /// Names and lengths, but no bytes: files that are long and empty.
    Names,
    /// Bytes and lengths, but no names.
    Bytes,
    /// Each with this chance of a hundred, in units of so many bytes.
    Some { percent: u64, unit_bytes: usize },
}

impl Survivors {
    /// The first three are always the plain ones.
    pub(crate) fn of(sample: u64, random: &mut Random) -> Self {
        match sample {
            0 => Self::Nothing,
            1 => Self::Names,
            2 => Self::Bytes,
            _ => Self::Some {
                percent: [20, 50, 80][random.below(3) as usize],
                unit_bytes: [512, 4096][random.below(2) as usize],
            },
        }
    }

    fn keeps(self, is_data: bool, is_name: bool, random: &mut Random) -> bool {
        match self {
            Self::Nothing => false,
            Self::Names => !is_data,
            Self::Bytes => !is_name,
            Self::Some { percent, .. } => random.below(100) < percent,
        }
    }
}

impl Log {
    /// What may be left when the power fails right before a call.
    pub(crate) fn cut(
        &self,
        before_call: u64,
        survivors: Survivors,
        random: &mut Random,
    ) -> Remains {
        let happened: Vec<&Change> = self
            .changes
            .iter()
            .take_while(|(call, _)| *call < before_call)
            .map(|(_, change)| change)
            .collect();
        let synced = last_syncs(&happened);
        let lasts = |index: usize, object: Object| {
            synced.get(&Some(object)).max(synced.get(&None)).is_some_and(|sync| *sync > index)
        };
        let mut disk = self.before.clone();
        for (index, change) in happened.into_iter().enumerate() {
            match change {
                Change::Data { file, offset, bytes } => {
                    let is_safe = lasts(index, *file);
                    let unit = match survivors {
                        Survivors::Some { unit_bytes, .. } => unit_bytes,
                        Survivors::Nothing | Survivors::Names | Survivors::Bytes => usize::MAX,
                    };
                    let mut at = 0;
                    while at < bytes.len() {
                        // Up to the next border of the file, not of the write.
                        let offset = offset + at as u64;
                        let into = (offset % unit as u64) as usize;
                        let end = bytes.len().min(at + (unit - into));
                        if is_safe || survivors.keeps(true, false, random) {
                            disk.write(*file, offset, &bytes[at..end]);
                        }
                        at = end;
                    }
                }
                Change::Size { file, bytes, is_cut } => {
                    if lasts(index, *file) || survivors.keeps(false, false, random) {
                        disk.resize(*file, *bytes, *is_cut);
                    }
                }
                Change::Attributes { object, mode, modified } => {
                    if lasts(index, *object) || survivors.keeps(false, false, random) {
                        let stored = &mut disk.0[object.0];
                        (stored.mode, stored.modified) = (*mode, *modified);
                    }
                }
                Change::Entries(entries) => {
                    let is_safe = entries.iter().all(|(directory, ..)| lasts(index, *directory));
                    if is_safe || survivors.keeps(false, true, random) {
                        entries.iter().for_each(|entry| disk.enter(entry));
                    }
                }
                Change::Sync(_) | Change::SyncAll => {}
            }
        }
        Remains { disk, world: self.world.expect("a recorder begins with the world") }
    }
}

/// What may be left of all roots, ready to be written.
#[derive(Debug)]
pub(crate) struct Remains {
    disk: Disk,
    world: Object,
}

impl Remains {
    /// Writes the roots that are left into the directory they were in.
    pub(crate) fn write_to(&self, world: &Path) -> anyhow::Result<()> {
        let Body::Directory(roots) = &self.disk.0[self.world.0].body else { return Ok(()) };
        let mut placed = BTreeMap::new();
        for (name, object) in roots {
            let path = world.join(name);
            self.disk.place(*object, &path, &mut placed).with_context(|| format!("{name:?}"))?;
        }
        Ok(())
    }
}

/// For each object, and for all as `None`, where its last sync is.
fn last_syncs(changes: &[&Change]) -> BTreeMap<Option<Object>, usize> {
    let mut syncs = BTreeMap::new();
    for (index, change) in changes.iter().enumerate() {
        match change {
            Change::Sync(object) => syncs.insert(Some(*object), index),
            Change::SyncAll => syncs.insert(None, index),
            Change::Data { .. }
            | Change::Size { .. }
            | Change::Attributes { .. }
            | Change::Entries(_) => None,
        };
    }
    syncs
}

impl Disk {
    fn add(&mut self, body: Body, found: &fs::Metadata) -> Object {
        let (mode, modified) = attributes(found);
        self.0.push(Stored { body, mode, modified });
        Object(self.0.len() - 1)
    }

    fn write(&mut self, file: Object, offset: u64, written: &[u8]) {
        let Body::File { bytes, .. } = &mut self.0[file.0].body else { return };
        let bytes = Arc::make_mut(bytes);
        let (start, end) = (offset as usize, offset as usize + written.len());
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        bytes[start..end].copy_from_slice(written);
    }

    fn resize(&mut self, file: Object, to: u64, is_cut: bool) {
        let Body::File { bytes, length } = &mut self.0[file.0].body else { return };
        *length = to;
        if is_cut && bytes.len() as u64 > to {
            Arc::make_mut(bytes).truncate(to as usize);
        }
    }

    fn enter(&mut self, (directory, name, object): &(Object, PathBuf, Option<Object>)) {
        if let Body::Directory(entries) = &mut self.0[directory.0].body {
            match object {
                Some(object) => entries.insert(name.clone(), *object),
                None => entries.remove(name),
            };
        }
    }

    fn place(
        &self,
        object: Object,
        path: &Path,
        placed: &mut BTreeMap<Object, PathBuf>,
    ) -> anyhow::Result<()> {
        let stored = &self.0[object.0];
        match &stored.body {
            Body::Directory(entries) => {
                fs::create_dir(path)?;
                for (name, entry) in entries {
                    self.place(*entry, &path.join(name), placed)?;
                }
            }
            Body::Link(to) => return Ok(symlink(to, path)?),
            Body::File { .. } if placed.contains_key(&object) => {
                return Ok(fs::hard_link(&placed[&object], path)?);
            }
            Body::File { bytes, length } => {
                let seen = bytes.len().min(*length as usize);
                fs::write(path, &bytes[..seen])?;
                let file = fs::File::options().write(true).open(path)?;
                file.set_len(*length)?;
                file.set_modified(stored.modified)?;
                placed.insert(object, path.to_owned());
            }
        }
        Ok(fs::set_permissions(path, fs::Permissions::from_mode(stored.mode))?)
    }
}

/// Mode and time of modification of what is at a path.
fn attributes(found: &fs::Metadata) -> (u32, SystemTime) {
    let since = Duration::new(found.mtime().max(0) as u64, found.mtime_nsec() as u32);
    (found.mode() & 0o7777, SystemTime::UNIX_EPOCH + since)
}
