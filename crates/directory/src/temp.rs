//! Files that become visible only when they are whole.

use std::fs::File;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use content::{Mtime, Owner};
use rustix::fs::{Gid, Mode, Uid, fchmod, fchown, fsync, futimens};
use rustix::io::Errno;

use crate::dir::times;
use crate::xattr::{self, XattrScope, Xattrs};
use crate::{AccessError, Dir, Root};

static COUNTER: AtomicU64 = AtomicU64::new(0);

/// A name no other process or thread of this machine uses now.
fn unique_name() -> Vec<u8> {
    let count = COUNTER.fetch_add(1, Relaxed);
    format!("{:x}-{count:x}", rustix::process::getpid().as_raw_nonzero()).into_bytes()
}

/// A file in the root's temporary directory; removed on drop unless it was put into place.
#[derive(Debug)]
pub struct Temp {
    dir: Dir,
    name: Vec<u8>,
    file: File,
    placed: bool,
}

impl Temp {
    pub(crate) fn create(root: &Root) -> Result<Self, AccessError> {
        Self::create_in(root.temp_dir()?)
    }

    /// Makes a temporary file in `dir`, which is an open temporary directory of a root.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create_in(dir: Dir) -> Result<Self, AccessError> {
        loop {
            let name = unique_name();
            match dir.create_file(&name) {
                // Left by a process of the same number that was killed.
                Err(error) if error.is_already_there() => {}
                file => return file.map(|file| Self { dir, name, file, placed: false }),
            }
        }
    }

    /// Makes, or opens if it is there, the temporary file called `name`, for transfers that are
    /// taken up again; it stays when this is dropped.
    ///
    /// # Errors
    /// When it can be neither made nor opened.
    pub fn resume(root: &Root, name: &[u8]) -> Result<Self, AccessError> {
        let dir = root.temp_dir()?;
        let file = match dir.create_file(name) {
            Err(error) if error.is_already_there() => dir.open_file_writable(name)?,
            other => other?,
        };
        Ok(Self { dir, name: name.to_vec(), file, placed: true })
    }

    /// The open file, for reading and writing.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Its name in the temporary directory.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// Sets the lower 12 bits of the mode.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn set_mode(&self, mode: u32) -> Result<(), AccessError> {
        fchmod(&self.file, Mode::from_raw_mode(mode & 0o7777))
            .map_err(|errno| self.failed("set the mode of", errno))
    }

    /// Sets the time of last modification; call it after the last write.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn set_mtime(&self, mtime: Mtime) -> Result<(), AccessError> {
        futimens(&self.file, &times(mtime)).map_err(|errno| self.failed("set the time of", errno))
    }

    /// Sets user and group. The kernel clears set-id bits: set the mode afterwards.
    ///
    /// # Errors
    /// When we are not root.
    pub fn set_owner(&self, owner: Owner) -> Result<(), AccessError> {
        let (user, group) = (Uid::from_raw(owner.user), Gid::from_raw(owner.group));
        fchown(&self.file, Some(user), Some(group))
            .map_err(|errno| self.failed("set the owner of", errno))
    }

    /// Gives the file exactly these extended attributes of `scope`.
    ///
    /// # Errors
    /// When the file system keeps none, or refuses one.
    pub fn set_xattrs(&self, xattrs: &Xattrs, scope: XattrScope) -> Result<(), AccessError> {
        xattr::write(self.file.as_fd(), xattrs, scope)
            .map_err(|errno| self.failed("set the attributes of", errno))
    }

    /// Writes the contents to the disk.
    ///
    /// # Errors
    /// When the disk failed: what was written may be lost.
    pub fn sync(&self) -> Result<(), AccessError> {
        fsync(&self.file).map_err(|errno| self.failed("sync", errno))
    }

    /// Gives the file its final name in one step, in place of what is there if that is no
    /// directory. It does not sync: the caller syncs many files together.
    ///
    /// # Errors
    /// When the parent is missing, or a directory is at `path`.
    pub fn persist(self, root: &Root, path: &[u8]) -> Result<File, AccessError> {
        let (to, name) = root.parent(path)?;
        self.persist_in(&to, name)
    }

    /// The same by open directory and name.
    ///
    /// # Errors
    /// As [`persist`](Self::persist).
    pub fn persist_in(mut self, to: &Dir, name: &[u8]) -> Result<File, AccessError> {
        self.dir.rename(&self.name, to, name)?;
        self.placed = true;
        self.file.try_clone().map_err(|source| AccessError::System {
            action: "hold",
            path: crate::text(name),
            source,
        })
    }

    fn failed(&self, action: &'static str, errno: Errno) -> AccessError {
        AccessError::system(action, &self.name, errno)
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        if !self.placed {
            // What stays behind is swept with the directory; there is nobody to tell.
            drop(self.dir.unlink(&self.name));
        }
    }
}

/// Makes something under a temporary name and moves it over `name`.
pub(crate) fn replace(
    root: &Root,
    to: &Dir,
    name: &[u8],
    mut make: impl FnMut(&Dir, &[u8]) -> Result<(), AccessError>,
) -> Result<(), AccessError> {
    let temp = root.temp_dir()?;
    let unique = loop {
        let unique = unique_name();
        match make(&temp, &unique) {
            Err(error) if error.is_already_there() => {}
            other => {
                other?;
                break unique;
            }
        }
    };
    let moved = temp.rename(&unique, to, name);
    // Where both names are the same file already, rename does nothing and leaves the first.
    match temp.unlink(&unique) {
        Err(error) if moved.is_ok() && !error.is_not_found() => Err(error),
        Ok(()) | Err(_) => moved,
    }
}
