//! Where a delivery is put.
//!
//! Everything grows in a hidden directory beside where it belongs. When all of it is there, verified and
//! durable, what stands at the top is renamed to its name, one step each; a name that is taken is
//! left alone and the next free one is used.

use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use delivery::{DeliveryId, Header, Item, ItemKind, Layout};
use directory::{AccessError, Root};

/// Permissions that a delivery may bring: nobody sends a program that runs with the recipient's rights
/// for others.
const MODE_BITS: u32 = 0o777;
/// How many names are tried beside one that is taken.
const NAMES_MAX: u32 = 10_000;

/// Why something cannot be written. What was verified before stays.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// The directory cannot be used. Make it, mind its permissions, or name another one.
    #[error("cannot use {}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// There is less room than the delivery needs. Free some, or name a directory elsewhere.
    #[error("{} has room for {free} bytes; the delivery needs {needed}", path.display())]
    NoRoom {
        /// The directory.
        path: PathBuf,
        /// Free bytes.
        free: u64,
        /// Bytes that are still to come.
        needed: u64,
    },
    /// Something beneath it could not be written or read.
    #[error("cannot write into {}", path.display())]
    Access {
        /// The directory.
        path: PathBuf,
        /// What and why.
        #[source]
        source: AccessError,
    },
    /// The contents of a file could not be written or read.
    #[error("cannot write {item:?} in {}", path.display())]
    File {
        /// The directory.
        path: PathBuf,
        /// The file.
        item: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// So many things are called like what came that no name was found for it.
    #[error("{name:?} and all names beside it are taken in {}", path.display())]
    NoName {
        /// The directory.
        path: PathBuf,
        /// The name.
        name: String,
    },
}

/// What stands at the top of a delivery, and what it is called here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Its name in the delivery.
    pub name: Vec<u8>,
    /// Where it is.
    pub path: PathBuf,
}

/// What was there of a delivery that will not be completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leftover {
    /// Nothing.
    None,
    /// A part of it, which is removed.
    Removed,
    /// All of it, which is left to who gives it its names.
    Complete,
}

/// A delivery that is being written.
#[derive(Debug)]
pub struct Place {
    to: PathBuf,
    root: Root,
    stage_name: Vec<u8>,
    /// The directory of that name: it has [`ITEMS`], and [`FINISHING`] in the end.
    whole: Root,
    stage: Root,
    items: Vec<Item>,
    layout: Layout,
    /// The file that was written last.
    open: Mutex<Option<(usize, Arc<File>)>>,
}

impl Place {
    /// Opens the place of a delivery in the directory `to`, making what is missing; `kept` bytes of the
    /// stream are there already.
    ///
    /// # Errors
    /// See [`PlaceError`].
    pub fn open(
        to: &Path,
        id: DeliveryId,
        header: Header,
        layout: Layout,
        kept: u64,
    ) -> Result<Self, PlaceError> {
        let unusable = |source| PlaceError::Directory { path: to.to_owned(), source };
        let root = Root::open(to).map_err(unusable)?;
        let needed = layout.stream_bytes().saturating_sub(kept);
        let space = rustix::fs::statvfs(to).map_err(|errno| unusable(errno.into()))?;
        let free = space.f_bavail.saturating_mul(space.f_frsize);
        if free < needed {
            return Err(PlaceError::NoRoom { path: to.to_owned(), free, needed });
        }
        let stage_name = stage_name(id);
        let failed = |source| PlaceError::Access { path: to.to_owned(), source };
        made(root.mkdir(&stage_name)).map_err(failed)?;
        let path = to.join(std::ffi::OsStr::from_bytes(&stage_name));
        let whole = Root::open(&path).map_err(unusable)?;
        made(whole.mkdir(ITEMS)).map_err(failed)?;
        let stage = path.join(std::ffi::OsStr::from_bytes(ITEMS));
        let stage = Root::open(&stage).map_err(unusable)?;
        let (to, items, open) = (to.to_owned(), header.items, Mutex::default());
        let place = Self { to, root, stage_name, whole, stage, items, layout, open };
        place.make_directories()?;
        Ok(place)
    }

    /// Where everything is in the stream.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// How many items there are.
    #[must_use]
    pub fn items(&self) -> u64 {
        self.items.len() as u64
    }

    fn failed(&self, source: AccessError) -> PlaceError {
        PlaceError::Access { path: self.to.clone(), source }
    }

    fn make_directories(&self) -> Result<(), PlaceError> {
        // What was moved to its name already is not made again.
        if self.is_finishing() {
            return Ok(());
        }
        for item in self.items.iter().filter(|item| item.kind == ItemKind::Directory) {
            made(self.stage.mkdir(&item.path)).map_err(|error| self.failed(error))?;
        }
        Ok(())
    }

    /// Whether everything is complete, and names are being given.
    fn is_finishing(&self) -> bool {
        self.whole.stat(FINISHING).is_ok()
    }

    /// Writes the plain bytes of segment `number` to where they belong.
    ///
    /// # Errors
    /// See [`PlaceError`].
    pub fn write(&self, number: u64, plain: &[u8]) -> Result<(), PlaceError> {
        for part in self.layout.parts(number) {
            let Some(index) = part.item else { continue };
            let file = self.file(index)?;
            let written = file.write_all_at(&plain[part.bytes], part.offset);
            written.map_err(|source| self.file_failed(index, source))?;
        }
        Ok(())
    }

    /// Reads segment `number` back; `head` is the prefix and the header.
    ///
    /// # Errors
    /// See [`PlaceError`].
    pub fn read(&self, number: u64, head: &[u8]) -> Result<Vec<u8>, PlaceError> {
        let mut plain = vec![0; self.layout.segment_length(number)];
        for part in self.layout.parts(number) {
            let bytes = &mut plain[part.bytes];
            match part.item {
                None => {
                    let from = part.offset as usize;
                    bytes.copy_from_slice(&head[from..from + bytes.len()]);
                }
                Some(index) => {
                    let read = self.file(index)?.read_exact_at(bytes, part.offset);
                    read.map_err(|source| self.file_failed(index, source))?;
                }
            }
        }
        Ok(plain)
    }

    fn file_failed(&self, index: usize, source: io::Error) -> PlaceError {
        let item = String::from_utf8_lossy(&self.items[index].path).into_owned();
        PlaceError::File { path: self.to.clone(), item, source }
    }

    fn file(&self, index: usize) -> Result<Arc<File>, PlaceError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, file)) = &*open
            && *at == index
        {
            return Ok(Arc::clone(file));
        }
        let path = &self.items[index].path;
        let opened = match self.stage.open_file_writable(path) {
            Err(error) if error.is_not_found() => {
                let created = self.stage.parent(path).and_then(|(dir, name)| dir.create_file(name));
                created.map_err(|error| self.failed(error))?
            }
            opened => opened.map_err(|error| self.failed(error))?,
        };
        let file = Arc::new(opened);
        *open = Some((index, Arc::clone(&file)));
        Ok(file)
    }

    /// Makes everything that was written durable.
    ///
    /// # Errors
    /// See [`PlaceError`].
    pub fn sync(&self) -> Result<(), PlaceError> {
        self.stage.sync_file_system().map_err(|error| self.failed(error))
    }

    /// Removes from the directory `to` what is there of a delivery that will not be completed: the hidden
    /// directory, with what the delivery put into it and nothing else. Says whether there was one. What is
    /// complete and is getting its names is left alone.
    ///
    /// # Errors
    /// See [`PlaceError`]. Something that the delivery did not bring stays, with the directories around it.
    pub fn discard(to: &Path, id: DeliveryId, header: &Header) -> Result<Leftover, PlaceError> {
        let unusable = |source| PlaceError::Directory { path: to.to_owned(), source };
        let failed = |source| PlaceError::Access { path: to.to_owned(), source };
        let root = match Root::open(to) {
            Ok(root) => root,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Leftover::None),
            Err(error) => return Err(unusable(error)),
        };
        let stage_name = stage_name(id);
        let beneath = |path: &[u8]| [&stage_name[..], b"/", path].concat();
        match root.open_dir(&stage_name) {
            Ok(_) => {}
            Err(error) if error.is_not_found() => return Ok(Leftover::None),
            Err(error) => return Err(failed(error)),
        }
        if root.stat(&beneath(FINISHING)).is_ok() {
            return Ok(Leftover::Complete);
        }
        let items = beneath(ITEMS);
        let at = |item: &Item| [&items[..], b"/", &item.path].concat();
        // Modes are given before names, and one may forbid to remove what is in a directory.
        for item in header.items.iter().filter(|item| item.kind == ItemKind::Directory) {
            gone(root.set_mode(&at(item), 0o700)).map_err(failed)?;
        }
        for item in header.items.iter().rev() {
            let path = at(item);
            let removed = match item.kind {
                ItemKind::Directory => root.rmdir(&path),
                ItemKind::File { .. } | ItemKind::Symlink { .. } => root.unlink(&path),
            };
            gone(removed).map_err(failed)?;
        }
        gone(root.rmdir(&items)).map_err(failed)?;
        root.rmdir(&stage_name).map_err(failed)?;
        Ok(Leftover::Removed)
    }

    /// Gives everything its mode, time and name, durably. May be repeated after any break.
    ///
    /// # Errors
    /// See [`PlaceError`].
    pub fn finish(&self) -> Result<Vec<Placed>, PlaceError> {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = None;
        if !self.is_finishing() {
            self.complete()?;
            self.sync()?;
            // From here on a name that lacks in the stage was moved, and is not made again.
            let marked = self.whole.top().and_then(|top| top.create_file(FINISHING));
            marked.map_err(|error| self.failed(error))?;
            self.sync()?;
        }
        let mut placed = Vec::new();
        for item in self.items.iter().filter(|item| !item.path.contains(&b'/')) {
            if self.stage.stat(&item.path).is_err_and(|error| error.is_not_found()) {
                continue;
            }
            placed.push(self.give_name(item)?);
        }
        let to = self.root.top().map_err(|error| self.failed(error))?;
        to.sync().map_err(|error| self.failed(error))?;
        Ok(placed)
    }

    /// Removes what was only needed on the way, after [`finish`](Self::finish).
    ///
    /// # Errors
    /// See [`PlaceError`].
    pub fn clear(&self) -> Result<(), PlaceError> {
        self.whole.rmdir(ITEMS).map_err(|error| self.failed(error))?;
        self.whole.unlink(FINISHING).map_err(|error| self.failed(error))?;
        self.root.rmdir(&self.stage_name).map_err(|error| self.failed(error))
    }

    /// Empty files, links, and modes and times of all but what stands at the top.
    fn complete(&self) -> Result<(), PlaceError> {
        let failed = |error| self.failed(error);
        for item in &self.items {
            match &item.kind {
                ItemKind::File { size } => {
                    if *size == 0 {
                        let created = self.stage.parent(&item.path);
                        made(created.and_then(|(dir, name)| dir.create_file(name).map(drop)))
                            .map_err(failed)?;
                    }
                    self.describe(item)?;
                }
                ItemKind::Symlink { target } => {
                    let made_link = self.stage.parent(&item.path);
                    made(made_link.and_then(|(dir, name)| dir.symlink(target, name)))
                        .map_err(failed)?;
                    self.stage.set_mtime(&item.path, item.mtime).map_err(failed)?;
                }
                ItemKind::Directory => {}
            }
        }
        // What is in a directory comes behind it, and moves its time.
        for item in self.items.iter().rev() {
            if item.kind == ItemKind::Directory && item.path.contains(&b'/') {
                self.describe(item)?;
            }
        }
        Ok(())
    }

    fn describe(&self, item: &Item) -> Result<(), PlaceError> {
        self.stage.set_mtime(&item.path, item.mtime).map_err(|error| self.failed(error))?;
        self.stage.set_mode(&item.path, item.mode & MODE_BITS).map_err(|error| self.failed(error))
    }

    /// Moves something to its name, or to the first free one beside it.
    fn give_name(&self, item: &Item) -> Result<Placed, PlaceError> {
        let failed = |error| self.failed(error);
        let (stage, to) = (self.stage.top().map_err(failed)?, self.root.top().map_err(failed)?);
        for number in 1..=NAMES_MAX {
            let name = numbered(&item.path, number);
            match stage.rename_new(&item.path, &to, &name) {
                Ok(()) => {
                    // A directory may forbid to be moved, so it gets its mode here.
                    if item.kind == ItemKind::Directory {
                        to.set_mtime(&name, item.mtime).map_err(failed)?;
                        to.set_mode(&name, item.mode & MODE_BITS).map_err(failed)?;
                    }
                    let path = self.to.join(std::ffi::OsStr::from_bytes(&name));
                    return Ok(Placed { name: item.path.clone(), path });
                }
                Err(error) if error.is_already_there() => {}
                Err(error) => return Err(failed(error)),
            }
        }
        let name = String::from_utf8_lossy(&item.path).into_owned();
        Err(PlaceError::NoName { path: self.to.clone(), name })
    }
}

/// Where the items are until they get their names.
const ITEMS: &[u8] = b"items";
/// A mark: what lacks among the items now was moved to its name.
const FINISHING: &[u8] = b"finishing";

/// What the hidden directory of a delivery is called.
fn stage_name(id: DeliveryId) -> Vec<u8> {
    format!(".consign-delivery-{id}").into_bytes()
}

/// It is not there now, or was not before.
fn gone(result: Result<(), AccessError>) -> Result<(), AccessError> {
    match result {
        Err(error) if error.is_not_found() => Ok(()),
        result => result,
    }
}

/// It is there now, or was before.
fn made(result: Result<(), AccessError>) -> Result<(), AccessError> {
    match result {
        Err(error) if error.is_already_there() => Ok(()),
        result => result,
    }
}

/// `name.ext`, then `name (2).ext` and so on, as browsers call what they save.
fn numbered(name: &[u8], number: u32) -> Vec<u8> {
    if number == 1 {
        return name.to_vec();
    }
    let dot = name.iter().rposition(|byte| *byte == b'.').filter(|at| *at > 0);
    let (stem, extension) = name.split_at(dot.unwrap_or(name.len()));
    let suffix = format!(" ({number})").into_bytes();
    // A name that is as long as a name may be is cut.
    let room = 255usize.saturating_sub(suffix.len() + extension.len());
    [&stem[..stem.len().min(room)], &suffix, extension].concat()
}

#[cfg(test)]
mod tests;
