//! The destination: open directories, temporary files, and what a file carries beside bytes.

use std::fs::File;
use std::io;
use std::rc::Rc;

use content::{Entry, Mtime, Owner};
use directory::{AccessError, Dir, FileFacts, FileKind, Root, XattrScope, Xattrs};
use rustix::fs::{Gid, Mode, Timespec, Timestamps, UTIME_OMIT, Uid, fchmod, fchown, futimens};

use crate::CheckoutError;
use crate::data::WRITE_BACK_BYTES;
use crate::journal::TempName;
use crate::order::split;

/// The destination, shared by all threads of a checkout.
pub(crate) struct Place {
    pub(crate) root: Root,
    /// `.consign.tmp` of the root.
    pub(crate) temp: Dir,
    /// Set owners as the tree says.
    pub(crate) owners: bool,
    /// Make data durable before it gets its final name.
    pub(crate) durable: bool,
    /// Held as long as any thread works here.
    pub(crate) _lock: File,
}

/// Mode, times, owner and attributes that an entry should have.
#[derive(Debug, Clone)]
pub(crate) struct Dress {
    pub(crate) mode: u32,
    pub(crate) mtime: Mtime,
    pub(crate) owner: Option<Owner>,
    pub(crate) xattrs: Xattrs,
}

impl Dress {
    pub(crate) fn of(entry: &Entry) -> Self {
        let (mode, mtime, owner) = (entry.mode, entry.mtime, entry.owner);
        Self { mode, mtime, owner, xattrs: entry.xattrs.clone() }
    }
}

impl Place {
    pub(crate) fn scope(&self) -> XattrScope {
        if self.owners { XattrScope::Owned } else { XattrScope::User }
    }

    /// The owner to set, when owners are to be set at all.
    pub(crate) fn owner(&self, stated: Option<Owner>) -> Option<Owner> {
        stated.filter(|_| self.owners)
    }

    /// Whether mode, time and owner are as they should be.
    pub(crate) fn is_dressed(&self, facts: &FileFacts, entry: &Entry) -> bool {
        facts.mode == entry.mode
            && facts.mtime == entry.mtime
            && self.owner(entry.owner).is_none_or(|owner| owner == facts.owner)
    }

    /// Dresses a temporary file that is complete.
    pub(crate) fn dress(&self, file: &File, temp: TempName, dress: &Dress) -> io::Result<()> {
        if let Some(owner) = self.owner(dress.owner) {
            fchown(file, Some(Uid::from_raw(owner.user)), Some(Gid::from_raw(owner.group)))?;
        }
        if !dress.xattrs.is_empty() {
            self.temp
                .set_xattrs(temp.file_name().as_bytes(), &dress.xattrs, self.scope())
                .map_err(io::Error::other)?;
        }
        fchmod(file, Mode::from_raw_mode(dress.mode & 0o7777))?;
        let omit = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
        let seconds = dress.mtime.seconds;
        let mtime = Timespec { tv_sec: seconds, tv_nsec: dress.mtime.nanos.into() };
        futimens(file, &Timestamps { last_access: omit, last_modification: mtime })?;
        Ok(())
    }

    /// Gives a temporary file exactly the attributes of `entry`; it has to be dressed after this.
    pub(crate) fn reset_xattrs(
        &self,
        file: &File,
        temp: TempName,
        entry: &Entry,
    ) -> io::Result<()> {
        // Of a file that even its owner may not write, attributes cannot be changed.
        fchmod(file, Mode::RUSR | Mode::WUSR)?;
        self.temp
            .set_xattrs(temp.file_name().as_bytes(), &entry.xattrs, self.scope())
            .map_err(io::Error::other)
    }

    /// Makes a temporary file anew.
    ///
    /// What has the name may be a second name of a file in use, so it is never truncated.
    pub(crate) fn create_temp(&self, temp: TempName) -> Result<File, AccessError> {
        let name = temp.file_name();
        match self.temp.create_file(name.as_bytes()) {
            Err(error) if error.is_already_there() => {
                self.temp.unlink(name.as_bytes())?;
                self.temp.create_file(name.as_bytes())
            }
            other => other,
        }
    }

    /// Opens a temporary file an earlier run left; `None` when there is none, or when it is a
    /// second name of another file, which must not be written to.
    pub(crate) fn reopen_temp(&self, temp: TempName) -> Option<File> {
        let file = self.temp.open_file_writable(temp.file_name().as_bytes()).ok()?;
        FileFacts::of(&file).is_ok_and(|facts| facts.links == 1).then_some(file)
    }

    /// Moves a complete temporary file to its final name.
    pub(crate) fn settle(
        &self,
        dirs: &mut Dirs<'_>,
        temp: TempName,
        path: &[u8],
    ) -> Result<(), CheckoutError> {
        let (parent, name) = split(path);
        let parent = dirs.at(parent)?;
        self.temp.rename(temp.file_name().as_bytes(), &parent, name).map_err(|error| {
            match error.kind() {
                Some(io::ErrorKind::IsADirectory | io::ErrorKind::DirectoryNotEmpty) => {
                    CheckoutError::in_the_way(path)
                }
                _ => error.into(),
            }
        })
    }

    /// What is at `path`; `None` when nothing is.
    pub(crate) fn look(
        &self,
        dirs: &mut Dirs<'_>,
        path: &[u8],
    ) -> Result<Option<FileFacts>, AccessError> {
        let (parent, name) = split(path);
        match dirs.at(parent).and_then(|parent| parent.stat(name)) {
            Ok(facts) => Ok(Some(facts)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(AccessError::Blocked { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Lets the system begin to write a stretch to the disk, so that less is left to wait for at
    /// the end. Chunks come nearly in order, so the stretch is where the last ones went.
    pub(crate) fn write_back(&self, file: &File, offset: u64) {
        if self.durable {
            // Dirty pages are not dropped, only sent on: that is what this advice does on Linux.
            let length = std::num::NonZeroU64::new(WRITE_BACK_BYTES);
            let _ = rustix::fs::fadvise(file, offset, length, rustix::fs::Advice::DontNeed);
        }
    }

    /// Writes everything to the disk, if that is wanted.
    pub(crate) fn sync(&self) -> Result<(), AccessError> {
        if self.durable { self.root.sync_file_system() } else { Ok(()) }
    }
}

/// Few open directories, the last used first: work comes in walk order.
pub(crate) struct Dirs<'a> {
    root: &'a Root,
    recent: Vec<(Vec<u8>, Rc<Dir>)>,
}

const DIRS_OPEN_MAX: usize = 16;

impl<'a> Dirs<'a> {
    pub(crate) fn new(root: &'a Root) -> Self {
        Self { root, recent: Vec::new() }
    }

    /// The directory at `path`, the root for the empty path.
    pub(crate) fn at(&mut self, path: &[u8]) -> Result<Rc<Dir>, AccessError> {
        if let Some(at) = self.recent.iter().rposition(|(known, _)| known == path) {
            if at + 1 < self.recent.len() {
                let found = self.recent.remove(at);
                self.recent.push(found);
            }
            let (_, dir) = self.recent.last().expect("just found");
            return Ok(Rc::clone(dir));
        }
        let dir = if path.is_empty() { self.root.top()? } else { self.root.open_dir(path)? };
        let dir = Rc::new(dir);
        if self.recent.len() == DIRS_OPEN_MAX {
            self.recent.remove(0);
        }
        self.recent.push((path.to_vec(), Rc::clone(&dir)));
        Ok(dir)
    }

    /// Forgets open directories, after some were removed.
    pub(crate) fn forget(&mut self) {
        self.recent.clear();
    }
}

/// Hashes a file and says whether nothing changed it meanwhile.
pub(crate) fn hash_unchanged(
    dir: &Dir,
    name: &[u8],
) -> Result<Option<(content::BlobId, FileFacts)>, AccessError> {
    let (file, before) = dir.open_file_with_facts(name)?;
    let mut hasher = blake3::Hasher::new();
    let read = hasher.update_reader(&file).map(drop);
    let after = read.and_then(|()| FileFacts::of(&file)).map_err(|source| AccessError::System {
        action: "read",
        path: crate::order::shown(name),
        source,
    })?;
    let blob = content::BlobId::from_bytes(*hasher.finalize().as_bytes());
    Ok((before.kind == FileKind::File && before.unchanged(&after)).then_some((blob, after)))
}

/// Blocks of zeros this long are left out of files that have holes.
const BLOCK_BYTES: usize = 4096;

/// Writes bytes at an offset; in a file with holes, blocks of zeros stay unwritten.
///
/// The file was empty or had nothing but zeros there before.
pub(crate) fn write_sparse(file: &File, offset: u64, bytes: &[u8], holes: bool) -> io::Result<()> {
    use std::os::unix::fs::FileExt as _;
    if !holes {
        return file.write_all_at(bytes, offset);
    }
    // The first step ends where the file's blocks begin.
    let lead = usize::try_from(offset.next_multiple_of(BLOCK_BYTES as u64) - offset)
        .unwrap_or(0)
        .min(bytes.len());
    let (first, rest) = bytes.split_at(lead);
    let (mut at, mut start) = (lead, lead);
    if !first.is_empty() {
        file.write_all_at(first, offset)?;
    }
    for block in rest.chunks(BLOCK_BYTES) {
        if block.len() == BLOCK_BYTES && block.iter().all(|byte| *byte == 0) {
            if start < at {
                file.write_all_at(&bytes[start..at], offset + start as u64)?;
            }
            start = at + block.len();
        }
        at += block.len();
    }
    if start < at {
        file.write_all_at(&bytes[start..at], offset + start as u64)?;
    }
    Ok(())
}
