//! Looks at a state directory without changing anything in it: for `doctor` and `status`.
//!
//! Unlike [`Node::open`](crate::Node::open) nothing is made when it is missing, and damage in one
//! file does not hide the others.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use documents::{NodeKey, PublicKey};

use crate::hubs::KnownHub;
use crate::state::{StateError, read_json};
use crate::trust;
use crate::unfinished::Unfinished;

/// A state directory that may be missing or broken.
#[derive(Debug, Clone)]
pub struct StateDir(PathBuf);

/// A job found in the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundJob {
    /// What it was asked.
    pub asked: Unfinished,
    /// The process that works on it now; `None` when it was interrupted.
    pub process: Option<u32>,
}

impl StateDir {
    /// The directory at `path`.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Where the node's secret key is.
    #[must_use]
    pub fn key_path(&self) -> PathBuf {
        self.0.join("node.key")
    }

    /// Where the registered hubs are listed.
    #[must_use]
    pub fn hubs_path(&self) -> PathBuf {
        self.0.join("hubs.json")
    }

    /// Where the chunks are.
    #[must_use]
    pub fn store_path(&self) -> PathBuf {
        self.0.join("store")
    }

    /// The files that hold secrets and exist.
    #[must_use]
    pub fn secret_paths(&self) -> Vec<PathBuf> {
        let all = [self.key_path(), self.0.join("convergence.key")];
        all.into_iter().filter(|path| path.exists()).collect()
    }

    /// The node's public key; `None` when there is no key yet.
    ///
    /// # Errors
    /// When it cannot be read or is damaged.
    pub fn key(&self) -> Result<Option<PublicKey>, StateError> {
        let path = self.key_path();
        match fs::read(&path) {
            Ok(bytes) => match <[u8; 32]>::try_from(bytes) {
                Ok(secret) => Ok(Some(NodeKey::from_secret_bytes(secret).public())),
                Err(bytes) => Err(StateError::Damaged {
                    path,
                    reason: format!("{} bytes where a secret of 32 belongs", bytes.len()),
                }),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(crate::state::io("read", &path)(error)),
        }
    }

    /// The hubs this node is registered with.
    ///
    /// # Errors
    /// When the list cannot be read or is damaged.
    pub fn hubs(&self) -> Result<Vec<KnownHub>, StateError> {
        Ok(read_json(&self.hubs_path())?.unwrap_or_default())
    }

    /// Files about trusted publishers that cannot be used, each with its reason.
    #[must_use]
    pub fn damaged_trust(&self) -> Vec<StateError> {
        let mut damaged = Vec::new();
        let mut rest = vec![self.0.join("trust")];
        while let Some(directory) = rest.pop() {
            for path in children(&directory) {
                if path.is_dir() {
                    rest.push(path);
                } else if path.extension().is_some_and(|extension| extension == "json")
                    && let Err(error) = trust::read(&path)
                {
                    damaged.push(error);
                }
            }
        }
        damaged
    }

    /// Jobs that run or were interrupted, oldest first.
    #[must_use]
    pub fn jobs(&self) -> Vec<FoundJob> {
        let mut jobs = Vec::new();
        for kind in ["checkout", "publish"] {
            for memory in children(&self.0.join(kind)) {
                if let Ok(Some(asked)) = Unfinished::read(&memory) {
                    let process = lock_holder(&crate::unfinished::running(&memory));
                    jobs.push(FoundJob { asked, process });
                }
            }
        }
        jobs.sort_by_key(|job| job.asked.began);
        jobs
    }

    /// The process that has the store open, if any.
    #[must_use]
    pub fn store_user(&self) -> Option<u32> {
        lock_holder(&self.store_path().join("lock"))
    }
}

fn children(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// The process that holds a `flock` on a file, by the kernel's list of locks; `None` also when
/// the list cannot be read.
#[must_use]
pub fn lock_holder(path: &Path) -> Option<u32> {
    let facts = fs::metadata(path).ok()?;
    let locks = fs::read_to_string("/proc/locks").ok()?;
    let device = facts.dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let place = format!("{major:02x}:{minor:02x}:{}", facts.ino());
    locks.lines().find_map(|line| {
        // "1: FLOCK  ADVISORY  WRITE 1234 fe:00:5678 0 EOF"
        let mut words = line.split_whitespace().skip(1);
        let (kind, process, at) = (words.next()?, words.nth(2)?, words.next()?);
        (kind == "FLOCK" && at == place).then(|| process.parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Node;

    #[test]
    fn looking_makes_nothing_and_finds_what_is_there() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let missing = StateDir::new(directory.path().join("none"));
        assert_eq!(missing.key().expect("no key is no error"), None);
        assert!(missing.jobs().is_empty() && missing.damaged_trust().is_empty());
        assert!(!missing.path().exists(), "looking made nothing");

        let node = Node::open(directory.path()).expect("opens");
        let there = StateDir::new(directory.path());
        assert_eq!(there.key().expect("readable"), Some(node.key().public()));
        fs::create_dir_all(directory.path().join("trust/aa/team")).expect("made");
        fs::write(directory.path().join("trust/aa/team/x.json"), "{").expect("written");
        assert_eq!(there.damaged_trust().len(), 1);
    }

    #[test]
    fn the_holder_of_a_lock_is_told() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let node = Node::open(directory.path()).expect("opens");
        let there = StateDir::new(directory.path());
        assert_eq!(there.store_user(), None);
        let store = node.store().expect("opens");
        assert_eq!(there.store_user(), Some(std::process::id()));
        drop(store);
        assert_eq!(there.store_user(), None);
    }

    #[test]
    fn an_interrupted_job_is_found() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let node = Node::open(directory.path()).expect("opens");
        let memory = node.memory_of("checkout", &[b"/somewhere"]).expect("made");
        let asked = Unfinished {
            kind: crate::unfinished::UnfinishedKind::Get,
            what: "team/site".into(),
            path: "/somewhere".into(),
            hub: None,
            more: false,
            began: 7,
        };
        let there = StateDir::new(directory.path());
        let noted = asked.note(&memory).expect("written");
        let process = Some(std::process::id());
        assert_eq!(there.jobs(), [FoundJob { asked: asked.clone(), process }]);
        drop(noted);
        assert_eq!(there.jobs(), [FoundJob { asked: asked.clone(), process: None }]);
        asked.note(&memory).expect("written").done();
        assert!(there.jobs().is_empty());
    }
}
