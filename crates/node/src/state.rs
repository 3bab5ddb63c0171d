//! The state directory and the node's secrets.

use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, Weak};

use content::ConvergenceSecret;
use documents::NodeKey;
use hub_client::{Activity, Proxies, ToldVersions};
use node_api::status::NewerVersion;
use store::DiskStore;

use crate::cache::Cache;
use crate::communities::publisher::Sources;

/// Why the state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// A file or directory of the state could not be read or written. Check its permissions, or
    /// name another directory with `--state`.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// A file of the state is not what this program writes. Restore it from a backup, or remove
    /// it if what it holds may be lost.
    #[error("{} is damaged: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// No randomness could be had from the operating system.
    #[error("the operating system gave no random bytes")]
    Random,
}

/// A machine's identity and memory. Clones share the store and stand for the same node.
#[derive(Clone)]
pub struct Node {
    directory: PathBuf,
    key: NodeKey,
    activity: Arc<Activity>,
    /// Through which proxies hubs are reached.
    pub(crate) proxies: Proxies,
    /// What hubs want this program to be.
    pub(crate) versions: Arc<ToldVersions>,
    /// The store while anybody in this process has it open.
    pub(crate) store: Arc<Mutex<Weak<DiskStore>>>,
    /// This process is the node of the machine.
    pub(crate) serves: Arc<AtomicBool>,
    /// The bound of the store, and what went for it.
    pub(crate) cache: Arc<Cache>,
    /// Puts packages together again that were sent from this machine.
    pub(crate) sources: Option<Arc<dyn Sources>>,
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").field("directory", &self.directory).finish_non_exhaustive()
    }
}

impl Node {
    /// Opens the state in `directory`, making it and a new key on first use.
    ///
    /// # Errors
    /// [`StateError`] when the directory cannot be used or its key is damaged.
    pub fn open(directory: &Path) -> Result<Self, StateError> {
        create_private_directory(directory)?;
        let directory = directory.canonicalize().map_err(io("open", directory))?;
        let key = NodeKey::from_secret_bytes(secret(&directory.join("node.key"))?);
        Ok(Self {
            directory,
            key,
            activity: Arc::default(),
            proxies: Proxies::default(),
            versions: Arc::default(),
            store: Arc::default(),
            serves: Arc::default(),
            cache: Arc::default(),
            sources: None,
        })
    }

    /// The node's key pair.
    #[must_use]
    pub fn key(&self) -> &NodeKey {
        &self.key
    }

    /// The same node, entering its calls to hubs into a list shared with others.
    #[must_use]
    pub fn with_activity(self, activity: Arc<Activity>) -> Self {
        Self { activity, ..self }
    }

    /// The same node, which reaches hubs through these proxies.
    #[must_use]
    pub fn with_proxies(self, proxies: Proxies) -> Self {
        Self { proxies, ..self }
    }

    /// The same node, whose store is to stay below `bytes` while it runs as a service.
    #[must_use]
    pub fn with_cache(self, bytes: u64) -> Self {
        Self { cache: Arc::new(Cache::of(bytes)), ..self }
    }

    /// The same node, which can put packages together again that it sent.
    #[must_use]
    pub fn with_sources(self, sources: Arc<dyn Sources>) -> Self {
        Self { sources: Some(sources), ..self }
    }

    /// Versions of the program newer than this one, of which hubs told.
    #[must_use]
    pub fn newer_versions(&self) -> Vec<NewerVersion> {
        let newer = self.versions.newer().into_iter();
        let newer = newer.map(|(hub, version, told)| NewerVersion {
            hub,
            version: version.to_string(),
            place: told.place.map(|place| place.to_string()),
        });
        newer.collect()
    }

    /// What this node's calls to hubs wait for.
    #[must_use]
    pub fn activity(&self) -> Arc<Activity> {
        Arc::clone(&self.activity)
    }

    /// The state directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The secret sealed chunks converge under, made on first use.
    pub(crate) fn convergence_secret(&self) -> Result<[u8; 32], StateError> {
        secret(&self.directory.join("convergence.key"))
    }

    /// The secret as the sealer wants it.
    pub(crate) fn convergence(&self) -> Result<ConvergenceSecret, StateError> {
        Ok(ConvergenceSecret::from_bytes(self.convergence_secret()?))
    }

    /// A directory for what is remembered about `subject`, for example a path on this machine.
    pub(crate) fn memory_of(&self, kind: &str, subject: &[&[u8]]) -> Result<PathBuf, StateError> {
        let mut hasher = blake3::Hasher::new();
        for part in subject {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
        }
        let name = hex::encode(&hasher.finalize().as_bytes()[..16]);
        let path = self.directory.join(kind).join(name);
        create_private_directory(&path)?;
        Ok(path)
    }

    /// The subject for a path on this machine: absolute, links resolved where it exists.
    pub(crate) fn subject_of(path: &Path) -> Result<PathBuf, StateError> {
        if let Ok(resolved) = path.canonicalize() {
            return Ok(resolved);
        }
        std::path::absolute(path).map_err(io("find", path))
    }
}

/// The bytes of a path.
pub(crate) fn path_bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

pub(crate) fn io<'a>(
    action: &'static str,
    path: &'a Path,
) -> impl FnOnce(std::io::Error) -> StateError + 'a {
    move |source| StateError::Io { action, path: path.to_owned(), source }
}

/// Creates a directory for its owner alone, with those above it, if it does not exist; their names
/// last.
pub(crate) fn create_private_directory(path: &Path) -> Result<(), StateError> {
    let new: Vec<&Path> = path
        .ancestors()
        .take_while(|path| !path.as_os_str().is_empty() && !path.exists())
        .collect();
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io("create", path))?;
    new.into_iter().try_for_each(sync_parent)
}

/// Reads a 32-byte secret, or makes one; two processes that race end up with the same one.
fn secret(path: &Path) -> Result<[u8; 32], StateError> {
    match fs::read(path) {
        Ok(bytes) => bytes.try_into().map_err(|bytes: Vec<u8>| StateError::Damaged {
            path: path.to_owned(),
            reason: format!("{} bytes where a secret of 32 belongs", bytes.len()),
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let fresh: [u8; 32] = random()?;
            let draft = draft_of(path);
            write_durably(&draft, &fresh)?;
            // A link, not a rename: whoever comes first wins and nobody overwrites a key.
            let linked = fs::hard_link(&draft, path);
            let _ = fs::remove_file(&draft);
            match linked {
                Ok(()) => sync_parent(path).map(|()| fresh),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => secret(path),
                Err(error) => Err(io("create", path)(error)),
            }
        }
        Err(error) => Err(io("read", path)(error)),
    }
}

/// Random bytes from the operating system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], StateError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| StateError::Random)?;
    Ok(bytes)
}

fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), StateError> {
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .map_err(io("create", path))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(io("write", path))
}

fn sync_parent(path: &Path) -> Result<(), StateError> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    fs::File::open(parent).and_then(|parent| parent.sync_all()).map_err(io("write", parent))
}

/// Replaces a small file so that a crash leaves the old one or the new one.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), StateError> {
    if let Some(parent) = path.parent() {
        create_private_directory(parent)?;
    }
    let draft = draft_of(path);
    let replaced = write_durably(&draft, bytes)
        .and_then(|()| fs::rename(&draft, path).map_err(io("replace", path)));
    if replaced.is_err() {
        let _ = fs::remove_file(&draft);
    }
    replaced?;
    sync_parent(path)
}

/// A name beside `path` that no other writer uses, in this process or another.
fn draft_of(path: &Path) -> PathBuf {
    static DRAFTS: AtomicU64 = AtomicU64::new(0);
    let count = DRAFTS.fetch_add(1, Relaxed);
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}-{count}.new", std::process::id()));
    path.with_file_name(name)
}

/// Keeps other tasks and processes from changing `path` between reading and replacing it, until
/// the returned file is dropped.
pub(crate) fn lock_for_change(path: &Path) -> Result<fs::File, StateError> {
    if let Some(parent) = path.parent() {
        create_private_directory(parent)?;
    }
    // The file itself is replaced, so its lock would be one of a file that is gone.
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".lock");
    let lock = path.with_file_name(name);
    let file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&lock)
        .map_err(io("create", &lock))?;
    loop {
        match rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(io("lock", &lock)(errno.into())),
        }
    }
}

/// Reads a small JSON file; `None` when it does not exist.
pub(crate) fn read_json<T: serde::de::DeserializeOwned>(
    path: &Path,
) -> Result<Option<T>, StateError> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            StateError::Damaged { path: path.to_owned(), reason: error.to_string() }
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io("read", path)(error)),
    }
}

/// Writes a small JSON file atomically.
pub(crate) fn write_json(path: &Path, value: &impl serde::Serialize) -> Result<(), StateError> {
    let bytes = serde_json::to_vec_pretty(value).map_err(|error| StateError::Damaged {
        path: path.to_owned(),
        reason: error.to_string(),
    })?;
    replace(path, &bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn the_key_is_made_once_and_readable_by_its_owner_alone() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let first = Node::open(directory.path()).expect("opens");
        let again = Node::open(directory.path()).expect("opens again");
        assert_eq!(first.key().public(), again.key().public());
        let mode = |name| {
            fs::metadata(directory.path().join(name)).expect("exists").permissions().mode() & 0o777
        };
        assert_eq!(mode("node.key"), 0o600);
    }

    #[test]
    fn tasks_of_one_process_do_not_tear_each_others_files() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("file.json");
        std::thread::scope(|scope| {
            for byte in b'a'..b'i' {
                let path = &path;
                scope.spawn(move || {
                    for _ in 0..25 {
                        replace(path, &vec![byte; 5000]).expect("replaced");
                        let read = fs::read(path).expect("there");
                        assert!(read.len() == 5000 && read.iter().all(|it| *it == read[0]));
                    }
                });
            }
        });
        assert_eq!(fs::read_dir(directory.path()).expect("listed").count(), 1, "no drafts stay");
    }

    #[test]
    fn tasks_that_make_a_secret_at_once_have_the_same_one() {
        let directory = tempfile::tempdir().expect("temporary directory");
        for round in 0..50 {
            let path = directory.path().join(format!("{round}.key"));
            let made: Vec<[u8; 32]> = std::thread::scope(|scope| {
                let makers: Vec<_> =
                    (0..4).map(|_| scope.spawn(|| secret(&path).expect("made"))).collect();
                makers.into_iter().map(|maker| maker.join().expect("no panic")).collect()
            });
            assert!(made.iter().all(|one| *one == made[0]));
        }
    }

    #[test]
    fn a_damaged_key_is_named_and_not_replaced() {
        let directory = tempfile::tempdir().expect("temporary directory");
        fs::write(directory.path().join("node.key"), b"short").expect("written");
        let error = Node::open(directory.path()).expect_err("refused");
        assert!(matches!(error, StateError::Damaged { .. }), "{error}");
        assert_eq!(fs::read(directory.path().join("node.key")).expect("still there"), b"short");
    }
}
