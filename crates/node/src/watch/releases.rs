//! The directory of a watch: what is current, what is kept, and the switch between them.
//!
//! With a link, `current` says which release is current, and a rename replaces it. With
//! `--exchange` nothing on disk says so, therefore a switch is written down before it is made:
//! from which release to which, and the inode of the new one. After a crash the inode under
//! `current` tells whether the exchange had happened, and what is left of it is completed:
//! `switching`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use documents::{Manifest, PublicKey, ReleaseName};

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::{Switch, WatchSpec};
use crate::state::{Node, StateError, path_bytes, read_json, write_json};

mod switching;

const CURRENT: &str = "current";
const RELEASES: &str = "releases";
/// The link that is about to be `current`.
const NEXT: &str = ".current.next";
/// What is about to be removed.
const GOING: &str = "going-";

/// Why the directory of a watch cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ReleasesError {
    /// Something that no watch made has the name `current`. Move it away, or watch into another
    /// directory.
    #[error("{} is in the way", path.display())]
    InTheWay {
        /// What is in the way.
        path: PathBuf,
    },
    /// The file system cannot exchange two directories. Watch without `--exchange`.
    #[error("the file system of {} cannot exchange directories", path.display())]
    NoExchange {
        /// The directory.
        path: PathBuf,
    },
    /// Another process watches into this directory. Stop it first.
    #[error("another process watches into {}", path.display())]
    Busy {
        /// The directory.
        path: PathBuf,
    },
    /// What is kept in the directory are releases of another name, or of another publisher of
    /// this one. Remove them, or watch into another directory.
    #[error(
        "{} holds releases of another history: remove releases/ and current there, or watch into another directory",
        path.display()
    )]
    OtherHistory {
        /// The directory.
        path: PathBuf,
    },
    /// The release is not on disk.
    #[error("release {sequence} is not kept in {}", path.display())]
    NotKept {
        /// The directory.
        path: PathBuf,
        /// The release.
        sequence: u64,
    },
    /// A file or directory could not be read or written. Check its permissions.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The state directory failed.
    #[error("cannot use this node's state")]
    State(#[from] StateError),
}

fn failed<'a>(
    action: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> ReleasesError + 'a {
    move |source| ReleasesError::Io { action, path: path.to_owned(), source }
}

/// What is remembered of a watch's directory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Memory {
    /// With `--exchange`: which release `current` is.
    current: Option<u64>,
    /// Releases that were fetched and checked to their end.
    complete: Vec<u64>,
    /// The release to stay at.
    hold: Option<u64>,
    /// A release whose hook failed and that was rolled back: not made current again.
    refused: Option<u64>,
    /// The release whose hook has not run yet.
    hook_due: Option<HookDue>,
    /// An exchange under way.
    exchange: Option<Exchange>,
    /// Whose releases these are; none in what a version before this field wrote.
    #[serde(default)]
    name: Option<String>,
    /// What each complete release is: a number alone is another release under another publisher.
    #[serde(default)]
    origins: BTreeMap<u64, Origin>,
}

/// What a release is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// Its tree id.
    pub tree: String,
    /// The owner of the name, who stands for whoever published it.
    #[serde(rename = "publisher")]
    pub owner: String,
}

impl Origin {
    /// What a checked manifest of `owner`'s name describes.
    #[must_use]
    pub fn of(manifest: &Manifest, owner: &PublicKey) -> Self {
        Self { tree: manifest.tree.id.to_string(), owner: owner.to_string() }
    }
}

/// A hook that is to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HookDue {
    /// The release that became current.
    pub release: u64,
    /// The one before it.
    pub previous: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exchange {
    from: Option<u64>,
    to: u64,
    /// Device and inode of the new release.
    inode: (u64, u64),
}

/// The directory of one watch, for one process at a time.
#[derive(Debug)]
pub struct Releases {
    to: PathBuf,
    memory: PathBuf,
    switch: Switch,
    known: Memory,
    _lock: fs::File,
}

/// Where a switch can be cut off, for tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// A release is refused, and the way back from it not begun.
    Refused,
    /// The link that will be `current` is made, or the exchange is written down.
    Prepared,
    /// `current` is the new release.
    Switched,
    /// The old release has its own name again (`--exchange` only).
    Named,
}

impl Releases {
    /// Opens the directory of a watch, making it if need be, and completes what a crash left.
    ///
    /// # Errors
    /// See [`ReleasesError`].
    pub fn open(node: &Node, spec: &WatchSpec) -> Result<Self, ReleasesError> {
        fs::create_dir_all(&spec.to).map_err(failed("create", &spec.to))?;
        let to = spec.to.canonicalize().map_err(failed("open", &spec.to))?;
        let memory = node.memory_of("watch", &[path_bytes(&to)])?;
        Self::open_at(to, memory, spec.switch, &spec.name)
    }

    fn open_at(
        to: PathBuf,
        memory: PathBuf,
        switch: Switch,
        name: &ReleaseName,
    ) -> Result<Self, ReleasesError> {
        let path = memory.join("lock");
        let lock = fs::File::create(&path).map_err(failed("create", &path))?;
        match rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(ReleasesError::Busy { path: to }),
            Err(errno) => return Err(failed("lock", &path)(errno.into())),
        }
        let known = read_json(&memory.join("state.json"))?.unwrap_or_default();
        let mut releases = Self { to, memory, switch, known, _lock: lock };
        let below = releases.to.join(RELEASES);
        fs::create_dir_all(&below).map_err(failed("create", &below))?;
        releases.belong_to(name)?;
        releases.recover()?;
        Ok(releases)
    }

    /// Refuses the releases of another name; what is remembered of them goes when they do.
    fn belong_to(&mut self, name: &ReleaseName) -> Result<(), ReleasesError> {
        let name = name.to_string();
        if self.known.name.as_ref() == Some(&name) {
            return Ok(());
        }
        if self.known.name.is_some() {
            let is_current = fs::symlink_metadata(self.current_path()).is_ok();
            if is_current || !self.kept().is_empty() {
                return Err(ReleasesError::OtherHistory { path: self.to.clone() });
            }
            self.known = Memory::default();
        }
        self.known.name = Some(name);
        self.save()
    }

    /// The release that is current.
    ///
    /// # Errors
    /// When `current` cannot be read.
    pub fn current(&self) -> Result<Option<u64>, ReleasesError> {
        match self.switch {
            Switch::Exchange => Ok(self.known.current),
            Switch::Link => self.linked(),
        }
    }

    /// Where a release is, or is to be fetched to.
    #[must_use]
    pub fn path_of(&self, sequence: u64) -> PathBuf {
        if self.switch == Switch::Exchange && self.known.current == Some(sequence) {
            return self.current_path();
        }
        self.to.join(RELEASES).join(sequence.to_string())
    }

    /// Where programs find the current release.
    #[must_use]
    pub fn current_path(&self) -> PathBuf {
        self.to.join(CURRENT)
    }

    /// The watched directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.to
    }

    /// The directory for the checkout of a release.
    #[must_use]
    pub fn memory_of(&self, sequence: u64) -> PathBuf {
        self.memory.join(sequence.to_string())
    }

    /// The file for what the last hook said.
    #[must_use]
    pub fn hook_log(&self) -> PathBuf {
        self.memory.join("hook.log")
    }

    /// Releases on disk that are complete, in ascending order.
    #[must_use]
    pub fn kept(&self) -> Vec<u64> {
        let mut kept = self.known.complete.clone();
        kept.retain(|sequence| self.path_of(*sequence).is_dir());
        kept.sort_unstable();
        kept.dedup();
        kept
    }

    /// The release to stay at.
    #[must_use]
    pub fn hold(&self) -> Option<u64> {
        self.known.hold
    }

    /// Remembers to stay at a release.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub fn set_hold(&mut self, hold: Option<u64>) -> Result<(), ReleasesError> {
        if self.known.hold != hold {
            self.known.hold = hold;
            // Whoever asks for a release by number wants it, whatever its hook did before.
            self.known.refused = self.known.refused.filter(|refused| Some(*refused) != hold);
            self.save()?;
        }
        Ok(())
    }

    /// The release that was rolled back.
    #[must_use]
    pub fn refused(&self) -> Option<u64> {
        self.known.refused
    }

    /// The hook that is to run for the last switch.
    #[must_use]
    pub fn hook_due(&self) -> Option<HookDue> {
        self.known.hook_due
    }

    /// The hook has run, well or not.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub fn hook_done(&mut self) -> Result<(), ReleasesError> {
        self.known.hook_due = None;
        self.save()
    }

    /// A release was fetched and checked to its end.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub fn completed(&mut self, sequence: u64, origin: Origin) -> Result<(), ReleasesError> {
        if !self.known.complete.contains(&sequence) {
            self.known.complete.push(sequence);
        }
        self.known.origins.insert(sequence, origin);
        self.save()
    }

    /// Whether a release is kept that is known, without asking anybody, to be of `owner`'s name.
    #[must_use]
    pub fn keeps(&self, sequence: u64, owner: Option<&PublicKey>) -> bool {
        let origin = self.known.origins.get(&sequence);
        let is_theirs = match (origin, owner) {
            (Some(origin), Some(owner)) => origin.owner == owner.to_string(),
            (None, _) | (_, None) => true,
        };
        is_theirs && self.kept().contains(&sequence)
    }

    /// Checks that what is kept under a number is the release that has this number.
    ///
    /// # Errors
    /// [`ReleasesError::OtherHistory`] when it is another one.
    pub fn check_origin(&self, sequence: u64, origin: &Origin) -> Result<(), ReleasesError> {
        match self.known.origins.get(&sequence) {
            Some(known) if known.tree != origin.tree => {
                Err(ReleasesError::OtherHistory { path: self.to.clone() })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Forgets releases whose directories somebody removed: they are fetched again.
    fn forget_missing(&mut self) -> Result<(), ReleasesError> {
        let kept = self.kept();
        let missing: Vec<u64> =
            self.known.complete.iter().copied().filter(|it| !kept.contains(it)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        self.known.complete.retain(|sequence| kept.contains(sequence));
        self.known.origins.retain(|sequence, _| kept.contains(sequence));
        self.save()
    }

    /// The release that the link `current` leads to.
    fn linked(&self) -> Result<Option<u64>, ReleasesError> {
        let path = self.current_path();
        let in_the_way = || ReleasesError::InTheWay { path: path.clone() };
        match fs::read_link(&path) {
            Ok(target) => {
                let sequence = target.strip_prefix(RELEASES).ok().and_then(Path::to_str);
                let sequence = sequence.and_then(|text| text.parse().ok());
                sequence.map(Some).ok_or_else(in_the_way)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            // Not a link.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Err(in_the_way()),
            Err(error) => Err(failed("read", &path)(error)),
        }
    }

    /// Removes releases beyond the newest `keep`, except the current one, the held one and
    /// `wanted`, which may be half fetched.
    ///
    /// # Errors
    /// When something cannot be removed; the next call tries again.
    pub fn prune(&mut self, keep: u32, wanted: Option<u64>) -> Result<Vec<u64>, ReleasesError> {
        let current = self.current()?;
        let spared = |sequence: u64| [current, self.known.hold, wanted].contains(&Some(sequence));
        let mut kept = self.kept();
        let mut surplus = kept.len().saturating_sub(keep.max(1) as usize);
        kept.retain(|sequence| {
            let goes = surplus > 0 && !spared(*sequence);
            surplus -= usize::from(goes);
            !goes
        });
        let below = self.to.join(RELEASES);
        let mut gone = Vec::new();
        for entry in fs::read_dir(&below).map_err(failed("list", &below))? {
            let entry = entry.map_err(failed("list", &below))?;
            let name = entry.file_name();
            // What has no number is not ours.
            let Some(sequence) = name.to_str().and_then(|name| name.parse::<u64>().ok()) else {
                continue;
            };
            if !kept.contains(&sequence) && !spared(sequence) {
                gone.push(sequence);
            }
        }
        if gone.is_empty() {
            return Ok(gone);
        }
        self.known.complete.retain(|sequence| !gone.contains(sequence));
        self.known.origins.retain(|sequence, _| !gone.contains(sequence));
        self.save()?;
        for sequence in &gone {
            let path = below.join(sequence.to_string());
            let going = below.join(format!("{GOING}{sequence}"));
            fs::rename(&path, &going).map_err(failed("rename", &path))?;
            let memory = self.memory_of(*sequence);
            if let Err(error) = fs::remove_dir_all(&memory)
                && error.kind() != io::ErrorKind::NotFound
            {
                return Err(failed("remove", &memory)(error));
            }
        }
        self.sweep()?;
        gone.sort_unstable();
        Ok(gone)
    }

    fn sweep(&self) -> Result<(), ReleasesError> {
        let below = self.to.join(RELEASES);
        for entry in fs::read_dir(&below).map_err(failed("list", &below))?.flatten() {
            let going = entry.file_name();
            let number = going.to_str().and_then(|name| name.strip_prefix(GOING));
            if number.is_some_and(|number| number.parse::<u64>().is_ok()) {
                let path = entry.path();
                remove_tree(&path).map_err(failed("remove", &path))?;
            }
        }
        Ok(())
    }

    fn save(&self) -> Result<(), ReleasesError> {
        Ok(write_json(&self.memory.join("state.json"), &self.known)?)
    }
}

fn remove_file(path: &Path) -> Result<(), ReleasesError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Removes a directory whose own directories may not be writable.
fn remove_tree(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
        other => return other,
    }
    let mut open = vec![path.to_owned()];
    while let Some(directory) = open.pop() {
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o700))?;
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            // A link to a directory is no directory here.
            if entry.file_type()?.is_dir() {
                open.push(entry.path());
            }
        }
    }
    fs::remove_dir_all(path)
}

fn sync(directory: &Path) -> Result<(), ReleasesError> {
    let synced = fs::File::open(directory).and_then(|directory| directory.sync_all());
    synced.map_err(failed("sync", directory))
}

#[cfg(test)]
mod tests;
