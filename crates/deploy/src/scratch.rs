//! The private directory of one script.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

/// How its name begins, and how [`sweep`] knows it.
const PREFIX: &str = "consign-script-";

/// A directory that nobody else may list, with an empty one in it that is the script's own. Both
/// are removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Scratch {
    path: PathBuf,
    note: Option<PathBuf>,
}

impl Scratch {
    /// Makes it; `note` is a file that remembers it should we be killed.
    ///
    /// It is not in the state directory, which other users may not even pass through.
    pub(crate) fn create(owner: (u32, u32), note: Option<&Path>) -> io::Result<Self> {
        let unique = fs::read_to_string("/proc/sys/kernel/random/uuid")?;
        let path = std::env::temp_dir().join(format!("{PREFIX}{}", unique.trim()));
        if let Some(note) = note {
            fs::write(note, path.as_os_str().as_encoded_bytes())?;
        }
        DirBuilder::new().mode(0o711).create(&path)?;
        let scratch = Self { path, note: note.map(Path::to_owned) };
        // Whatever the mask of this process is.
        fs::set_permissions(&scratch.path, fs::Permissions::from_mode(0o711))?;
        DirBuilder::new().mode(0o700).create(scratch.own())?;
        chown(scratch.own(), Some(owner.0), Some(owner.1))?;
        Ok(scratch)
    }

    /// The script's own directory.
    pub(crate) fn own(&self) -> PathBuf {
        self.path.join("tmp")
    }

    /// Copies the file of a script to where its user may read and not change it.
    pub(crate) fn keep(&self, mut from: fs::File) -> io::Result<PathBuf> {
        let path = self.path.join("script");
        let mut to = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        io::copy(&mut from, &mut to)?;
        to.set_permissions(fs::Permissions::from_mode(0o555))?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed lies in a directory for temporary files; nobody waits for it.
        drop(fs::remove_dir_all(&self.path));
        if let Some(note) = &self.note {
            drop(fs::remove_file(note));
        }
    }
}

/// Removes what a process that was killed left behind.
pub(crate) fn sweep(note: &Path) {
    use std::os::unix::ffi::OsStringExt as _;
    let Ok(bytes) = fs::read(note) else { return };
    let path = PathBuf::from(std::ffi::OsString::from_vec(bytes));
    // A note that was torn by a power cut names nothing of ours, or nothing at all.
    let name = path.file_name().and_then(|name| name.to_str());
    if name.is_some_and(|name| name.len() == PREFIX.len() + 36 && name.starts_with(PREFIX)) {
        drop(fs::remove_dir_all(&path));
    }
    drop(fs::remove_file(note));
}
