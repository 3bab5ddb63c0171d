//! What is remembered of a file set until its package is over.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use directory::{Dir, FileFacts, Root};
use package::receipt::Placed;
use serde::{Deserialize, Serialize};

use crate::{durable, reach};

/// Number of a file on the file system of its base. That of the file system itself says nothing: it
/// may be another one after the machine was started anew.
pub(super) type Inode = u64;

/// How far a set is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Progress {
    /// The stage is being made; nothing is in place.
    Preparing,
    /// Items are being exchanged.
    Ready,
    /// All of them are exchanged.
    Placed,
}

/// The directory that the stage and all items are beneath, opened.
pub(super) struct Base {
    pub(super) root: Root,
    device: u64,
}

impl Base {
    /// Takes a directory as it was found.
    pub(super) fn of(root: Root) -> Result<Self, String> {
        let device = FileFacts::of(&root).map_err(|error| error.to_string())?.device;
        Ok(Self { root, device })
    }

    /// What a name stands for, if for anything: it has to be on the file system of the base, because
    /// nothing is exchanged across two.
    pub(super) fn at(&self, directory: &Dir, name: &[u8]) -> Result<Option<Inode>, String> {
        match directory.stat(name) {
            Ok(facts) if facts.device == self.device => Ok(Some(facts.inode)),
            Ok(_) => Err(format!("{} is on another file system", String::from_utf8_lossy(name))),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(super::told(error)),
        }
    }
}

/// The note of one set.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Notes {
    pub(super) progress: Progress,
    /// The directory that the stage and all items are beneath.
    base: PathBuf,
    base_inode: Inode,
    /// Name of the stage.
    pub(super) stage: String,
    pub(super) items: Vec<Item>,
    added: u64,
    changed: u64,
    kept: u64,
    removed: u64,
    bytes: u64,
}

/// A name, what it is to stand for, and what it stood for. Its slot in the stage is its place
/// among the items.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Item {
    /// Beneath the base.
    pub(super) path: Vec<u8>,
    pub(super) new: Inode,
    pub(super) old: Option<Inode>,
}

pub(super) fn slot_name(slot: usize) -> Vec<u8> {
    slot.to_string().into_bytes()
}

impl Notes {
    pub(super) fn new(path: PathBuf, base: &Root, counts: Placed) -> Result<Self, String> {
        let unique = fs::read_to_string("/proc/sys/kernel/random/uuid");
        let unique = unique.map_err(|error| format!("cannot make a name: {error}"))?;
        let facts = FileFacts::of(base).map_err(|error| error.to_string())?;
        let Placed { added, changed, kept, removed, bytes } = counts;
        Ok(Self {
            progress: Progress::Preparing,
            base: path,
            base_inode: facts.inode,
            stage: format!(".consign-{}", unique.trim()),
            items: Vec::new(),
            added,
            changed,
            kept,
            removed,
            bytes,
        })
    }

    pub(super) fn counts(&self) -> Placed {
        let Self { added, changed, kept, removed, bytes, .. } = *self;
        Placed { added, changed, kept, removed, bytes }
    }

    /// Opens the directory, which must be the one it was.
    pub(super) fn open_base(&self) -> Result<Base, String> {
        let gone = || format!("{} is gone", self.base.display());
        self.find_base()?.ok_or_else(gone)
    }

    /// Opens the directory, which must be the one it was; none when it is not there.
    pub(super) fn find_base(&self) -> Result<Option<Base>, String> {
        let base = match reach::open(&self.base) {
            Ok(base) => base,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        let facts = FileFacts::of(&base).map_err(|error| error.to_string())?;
        if facts.inode != self.base_inode {
            return Err(format!("{} is another directory than before", self.base.display()));
        }
        Ok(Some(Base { device: facts.device, root: base.into() }))
    }

    pub(super) fn load(state: &Path, number: usize) -> Result<Option<Self>, String> {
        let path = path(state, number);
        let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| failed(&error)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(&error)),
        }
    }

    pub(super) fn save(&self, state: &Path, number: usize) -> Result<(), String> {
        super::step()?;
        let bytes = serde_json::to_vec(self).map_err(|error| error.to_string())?;
        let path = path(state, number);
        durable::write(&path, &bytes)
            .map_err(|error| format!("cannot write {}: {error}", path.display()))
    }

    /// Gives the note a name under which it is of no set any more.
    pub(super) fn leave(state: &Path, number: usize) -> io::Result<()> {
        let unique = fs::read_to_string("/proc/sys/kernel/random/uuid")?;
        match fs::rename(path(state, number), state.join(format!("left-{}", unique.trim()))) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other.and_then(|()| durable::sync_parent(&path(state, number))),
        }
    }

    pub(super) fn remove(state: &Path, number: usize) -> Result<(), String> {
        super::step()?;
        let path = path(state, number);
        durable::remove(&path).map_err(|error| format!("cannot remove {}: {error}", path.display()))
    }
}

fn path(state: &Path, number: usize) -> PathBuf {
    state.join(format!("set-{number}"))
}
