//! The private directory of one script.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, chown,
};
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
        let parent = std::env::temp_dir();
        must_be_safe(&parent)?;
        let path = parent.join(format!("{PREFIX}{}", unique.trim()));
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

    /// What nothing else on this machine is called.
    pub(crate) fn name(&self) -> &str {
        self.path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
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

/// Refuses a directory in which somebody else could put another thing in the place of ours.
fn must_be_safe(parent: &Path) -> io::Result<()> {
    let facts = fs::metadata(parent)?;
    let is_ours = [0, rustix::process::geteuid().as_raw()].contains(&facts.uid());
    let is_kept = facts.mode() & 0o022 == 0 || facts.mode() & 0o1000 != 0;
    if is_ours && is_kept {
        return Ok(());
    }
    let reason = format!("others may change what is in {}; set TMPDIR", parent.display());
    Err(io::Error::new(io::ErrorKind::PermissionDenied, reason))
}

/// Whether a path ends in a name that [`Scratch::create`] made.
pub(crate) fn is_name_of_ours(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.len() == PREFIX.len() + 36 && name.starts_with(PREFIX))
}

/// Removes what a process that was killed left behind.
pub(crate) fn sweep(note: &Path) {
    use std::os::unix::ffi::OsStringExt as _;
    let Ok(bytes) = fs::read(note) else { return };
    let path = PathBuf::from(std::ffi::OsString::from_vec(bytes));
    // A note that was torn by a power cut names nothing of ours, or nothing at all.
    if is_name_of_ours(&path) {
        drop(fs::remove_dir_all(&path));
    }
    drop(fs::remove_file(note));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_others_may_change_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let set = |mode| {
            let mode = fs::Permissions::from_mode(mode);
            fs::set_permissions(directory.path(), mode).expect("set");
        };
        for (mode, is_safe) in [(0o700, true), (0o755, true), (0o1777, true), (0o777, false)] {
            set(mode);
            assert_eq!(must_be_safe(directory.path()).is_ok(), is_safe, "{mode:o}");
        }
    }
}
