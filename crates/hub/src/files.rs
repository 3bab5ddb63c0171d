//! The small files in a hub's data directory.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use hub_api::Hex;
use serde::{Deserialize, Serialize};

use crate::database::AnnouncedDatabase;

/// Where things are in a data directory.
#[derive(Debug, Clone)]
pub(crate) struct DataDir(PathBuf);

/// `hub.json`: what another process needs to invite people to this hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Announcement {
    /// The URL clients use.
    pub(crate) url: String,
    /// SHA-256 of the certificate, zeros without TLS.
    pub(crate) fingerprint: Hex<32>,
    /// Where its database is.
    #[serde(default)]
    pub(crate) database: AnnouncedDatabase,
}

impl DataDir {
    pub(crate) fn open(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Creates the directory for its owner alone; an existing one keeps its mode.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        if !path.is_dir() {
            let names = new_names(path);
            fs::create_dir_all(path)?;
            fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
            // All that is ever acknowledged lies beneath this name.
            names.iter().try_for_each(|directory| fs::File::open(directory)?.sync_all())?;
        }
        Ok(Self(path.to_owned()))
    }

    /// There from the first file that `consign hub restore` writes to the last.
    pub(crate) fn restoring(&self) -> PathBuf {
        self.0.join("restoring")
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn acme(&self) -> PathBuf {
        self.0.join("acme")
    }

    /// Locked while chunks are removed, or copied.
    pub(crate) fn removing_lock(&self) -> PathBuf {
        self.0.join("removing.lock")
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.0.join("hub.sqlite")
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.0.join("store")
    }

    pub(crate) fn lockers(&self) -> PathBuf {
        self.0.join("lockers")
    }

    pub(crate) fn tls(&self) -> PathBuf {
        self.0.join("tls")
    }

    /// The hub's own key, made at its first start.
    pub(crate) fn key(&self) -> io::Result<[u8; 32]> {
        self.secret("hub.key")
    }

    /// The secret in this file, made when there is none.
    pub(crate) fn secret(&self, name: &str) -> io::Result<[u8; 32]> {
        let path = self.0.join(name);
        match fs::read(&path) {
            Ok(bytes) => bytes.try_into().map_err(|_| {
                io::Error::new(io::ErrorKind::InvalidData, format!("{name} does not hold 32 bytes"))
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut secret = [0; 32];
                getrandom::fill(&mut secret).map_err(io::Error::other)?;
                write_private(&path, &secret)?;
                Ok(secret)
            }
            Err(error) => Err(error),
        }
    }

    pub(crate) fn announce(&self, announcement: &Announcement) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(announcement)?;
        write_private(&self.announcement_file(), &text)
    }

    pub(crate) fn announcement_file(&self) -> PathBuf {
        self.0.join("hub.json")
    }

    /// What the hub says of itself. The error is of the kind `NotFound` only when there is no
    /// `hub.json`: what cannot be read is not an absence.
    pub(crate) fn announcement(&self) -> io::Result<Announcement> {
        Ok(serde_json::from_slice(&fs::read(self.announcement_file())?)?)
    }
}

/// The directories in which a name is new once `path` is created, the lowest first.
pub(crate) fn new_names(path: &Path) -> Vec<PathBuf> {
    let parent = |path: &Path| match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => PathBuf::from("."),
        Some(parent) => parent.to_owned(),
        None => path.to_owned(),
    };
    path.ancestors()
        .filter(|path| !path.as_os_str().is_empty())
        .take_while(|path| !path.exists())
        .map(parent)
        .collect()
}

/// Writes a file of mode 0600 so that it is there whole or not at all.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let parent = path.parent().unwrap_or(Path::new("."));
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    fs::File::open(parent)?.sync_all()
}

/// Seconds since 1970.
pub(crate) fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
