//! A directory and everything beneath it.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use content::{Mtime, Owner};
use rustix::fs::{Mode, OFlags, open};

use crate::xattr::{XattrScope, Xattrs};
use crate::{AccessError, Dir, FileFacts, TEMP_DIRECTORY, Temp, resolve};

/// A directory that everything happens beneath.
///
/// Paths are relative, raw bytes, names joined by single slashes. Each operation opens the
/// parent beneath the root first; for many operations in one directory take
/// [`open_dir`](Self::open_dir) and use [`Dir`].
#[derive(Debug)]
pub struct Root {
    fd: OwnedFd,
}

impl Root {
    /// Opens an existing directory. `path` is the user's own: links in it are followed.
    ///
    /// # Errors
    /// When it does not exist, is no directory, or may not be searched.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self { fd: open(path, flags, Mode::empty())? })
    }

    /// Opens a directory, making it and its parents when they are missing.
    ///
    /// # Errors
    /// When it cannot be made or opened.
    pub fn create(path: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(path)?;
        Self::open(path)
    }

    /// The root directory itself, readable.
    ///
    /// # Errors
    /// When it may not be read.
    pub fn top(&self) -> Result<Dir, AccessError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, c".", flags, Mode::empty())
            .map_err(|errno| AccessError::system("open", b".", errno))?;
        Ok(Dir::from_fd(fd))
    }

    /// Opens a directory beneath the root for reading.
    ///
    /// # Errors
    /// When it does not exist, is no directory or may not be read.
    pub fn open_dir(&self, path: &[u8]) -> Result<Dir, AccessError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        resolve::open(self.fd.as_fd(), path, flags).map(Dir::from_fd)
    }

    /// Opens the directory `path` is in, for operations alone, and splits off the last name.
    ///
    /// # Errors
    /// When the path leads outside, or its parent does not exist or is no directory.
    pub fn parent<'a>(&self, path: &'a [u8]) -> Result<(Dir, &'a [u8]), AccessError> {
        let (parent, name) = resolve::split(path)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let fd = match parent {
            Some(parent) => resolve::open(self.fd.as_fd(), parent, flags)?,
            None => self.try_clone_fd()?,
        };
        Ok((Dir::from_fd(fd), name))
    }

    fn try_clone_fd(&self) -> Result<OwnedFd, AccessError> {
        self.fd.try_clone().map_err(|source| AccessError::System {
            action: "open",
            path: ".".into(),
            source,
        })
    }

    /// Opens a regular file for reading; never waits and never opens anything else.
    ///
    /// # Errors
    /// When it does not exist, may not be read, or is no regular file.
    pub fn open_file(&self, path: &[u8]) -> Result<File, AccessError> {
        let (dir, name) = self.parent(path)?;
        dir.open_file(name)
    }

    /// Opens a regular file for reading and writing in place.
    ///
    /// # Errors
    /// As [`open_file`](Self::open_file).
    pub fn open_file_writable(&self, path: &[u8]) -> Result<File, AccessError> {
        let (dir, name) = self.parent(path)?;
        dir.open_file_writable(name)
    }

    /// What the system knows of `path` itself.
    ///
    /// # Errors
    /// When it does not exist or may not be seen.
    pub fn stat(&self, path: &[u8]) -> Result<FileFacts, AccessError> {
        let (dir, name) = self.parent(path)?;
        dir.stat(name)
    }

    /// Makes one directory with mode 0700; its parent must exist.
    ///
    /// # Errors
    /// When something is there already, or the system refuses.
    pub fn mkdir(&self, path: &[u8]) -> Result<(), AccessError> {
        let (dir, name) = self.parent(path)?;
        dir.mkdir(name)
    }

    /// Removes a name that is no directory.
    ///
    /// # Errors
    /// When it does not exist or is a directory.
    pub fn unlink(&self, path: &[u8]) -> Result<(), AccessError> {
        let (dir, name) = self.parent(path)?;
        dir.unlink(name)
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// When it is not empty, or no directory.
    pub fn rmdir(&self, path: &[u8]) -> Result<(), AccessError> {
        let (dir, name) = self.parent(path)?;
        dir.rmdir(name)
    }

    /// Puts a symbolic link at `path`, in one step, in place of what is there if that is no
    /// directory.
    ///
    /// # Errors
    /// When a directory is there, or the system refuses.
    pub fn symlink(&self, target: &[u8], path: &[u8]) -> Result<(), AccessError> {
        let (dir, name) = self.parent(path)?;
        crate::temp::replace(self, &dir, name, |temp, unique| temp.symlink(target, unique))
    }

    /// Makes `path` a second name of the file at `existing`, in one step, in place of what is
    /// there if that is no directory.
    ///
    /// # Errors
    /// When `existing` is missing or on another file system, or a directory is at `path`.
    pub fn link(&self, existing: &[u8], path: &[u8]) -> Result<(), AccessError> {
        let (from, from_name) = self.parent(existing)?;
        let (dir, name) = self.parent(path)?;
        crate::temp::replace(self, &dir, name, |temp, unique| from.link(from_name, temp, unique))
    }

    /// Moves `from` to `to`, both beneath the root; what is at `to` is replaced in one step.
    ///
    /// # Errors
    /// As `rename(2)`.
    pub fn rename(&self, from: &[u8], to: &[u8]) -> Result<(), AccessError> {
        let (from_dir, from_name) = self.parent(from)?;
        let (to_dir, to_name) = self.parent(to)?;
        from_dir.rename(from_name, &to_dir, to_name)
    }

    /// What the symbolic link at `path` says.
    ///
    /// # Errors
    /// When it is no symbolic link.
    pub fn read_link(&self, path: &[u8]) -> Result<Vec<u8>, AccessError> {
        let (dir, name) = self.parent(path)?;
        dir.read_link(name)
    }

    /// Sets the lower 12 bits of the mode of a file or directory.
    ///
    /// # Errors
    /// When it does not exist, is a symbolic link, or is not ours.
    pub fn set_mode(&self, path: &[u8], mode: u32) -> Result<(), AccessError> {
        let (dir, name) = self.parent(path)?;
        dir.set_mode(name, mode)
    }

    /// Sets the time of last modification; of the link itself if it is one.
    ///
    /// # Errors
    /// When it does not exist or is not ours.
    pub fn set_mtime(&self, path: &[u8], mtime: Mtime) -> Result<(), AccessError> {
        let (dir, name) = self.parent(path)?;
        dir.set_mtime(name, mtime)
    }

    /// Sets user and group; of the link itself if it is one. The kernel clears set-id bits: set
    /// the mode afterwards.
    ///
    /// # Errors
    /// When it does not exist, or we are not root.
    pub fn set_owner(&self, path: &[u8], owner: Owner) -> Result<(), AccessError> {
        let (dir, name) = self.parent(path)?;
        dir.set_owner(name, owner)
    }

    /// Gives a file or directory exactly these extended attributes of `scope`.
    ///
    /// # Errors
    /// When the file system keeps none, or refuses one.
    pub fn set_xattrs(
        &self,
        path: &[u8],
        xattrs: &Xattrs,
        scope: XattrScope,
    ) -> Result<(), AccessError> {
        let (dir, name) = self.parent(path)?;
        dir.set_xattrs(name, xattrs, scope)
    }

    /// Makes a file under [`TEMP_DIRECTORY`] that no final name shows yet.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn temp(&self) -> Result<Temp, AccessError> {
        Temp::create(self)
    }

    /// The directory for what is not whole yet, made when it is missing.
    ///
    /// # Errors
    /// When it cannot be made, or something else has its name.
    pub fn temp_dir(&self) -> Result<Dir, AccessError> {
        loop {
            match self.open_dir(TEMP_DIRECTORY) {
                Err(error) if error.is_not_found() => match self.mkdir(TEMP_DIRECTORY) {
                    Err(error) if !error.is_already_there() => return Err(error),
                    Ok(()) | Err(_) => {}
                },
                other => return other,
            }
        }
    }

    /// Writes everything beneath the root, and all else on its file system, to the disk.
    ///
    /// # Errors
    /// When the disk failed: what was written may be lost.
    pub fn sync_file_system(&self) -> Result<(), AccessError> {
        let top = self.top()?;
        rustix::fs::syncfs(&top).map_err(|errno| AccessError::system("sync", b".", errno))
    }
}

/// What is beneath a directory that is open already, however it was found.
impl From<OwnedFd> for Root {
    fn from(fd: OwnedFd) -> Self {
        Self { fd }
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The path that names an open descriptor, for calls that take no descriptor of kind `O_PATH`.
///
/// It is a link the kernel itself resolves to the very file that is open, not a path beneath a
/// root that somebody could exchange.
pub(crate) fn descriptor_path(fd: BorrowedFd<'_>) -> String {
    use std::os::fd::AsRawFd as _;
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}
