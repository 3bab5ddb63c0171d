//! One open directory.

use std::fs::File;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use content::{Mtime, Name, Owner};
use rustix::fs::{
    AtFlags, CWD, Gid, Mode, OFlags, RawDir, RenameFlags, StatxFlags, Timespec, Timestamps, Uid,
    chmodat, chownat, linkat, mkdirat, openat, readlinkat, renameat, renameat_with, statx,
    symlinkat, unlinkat, utimensat,
};
use rustix::io::Errno;

use crate::root::descriptor_path;
use crate::xattr::{self, XattrScope, Xattrs};
use crate::{AccessError, FileFacts, FileKind};

/// An open directory; operations take the name of something directly in it.
#[derive(Debug)]
pub struct Dir {
    fd: OwnedFd,
}

/// One name in a directory, as the directory itself lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The raw bytes of the name.
    pub name: Box<[u8]>,
    /// What it is, [`FileKind::Unknown`] where the file system does not list that.
    pub kind: FileKind,
}

impl Dir {
    pub(crate) fn from_fd(fd: OwnedFd) -> Self {
        Self { fd }
    }

    /// Everything in the directory but `.` and `..`, sorted by raw bytes.
    ///
    /// # Errors
    /// When the directory was opened for operations alone, or cannot be read.
    pub fn list(&self) -> Result<Vec<Listed>, AccessError> {
        // 32 KiB a call, as the C library does; 200,000 entries take 200 calls.
        let mut buffer = vec![MaybeUninit::uninit(); 32 * 1024];
        // Its own descriptor, so that listing twice begins at the start twice.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let failed = |errno| AccessError::system("list", b".", errno);
        let own = openat(&self.fd, c".", flags, Mode::empty()).map_err(failed)?;
        let mut raw = RawDir::new(own, &mut buffer);
        let mut listed = Vec::new();
        while let Some(entry) = raw.next() {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                listed.push(Listed { name: name.into(), kind: entry.file_type().into() });
            }
        }
        listed.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(listed)
    }

    /// What the system knows of the directory itself.
    ///
    /// # Errors
    /// When the file system fails.
    pub fn facts(&self) -> Result<FileFacts, AccessError> {
        facts_of(&self.fd).map_err(|errno| AccessError::system("look at", b".", errno))
    }

    /// What the system knows of `name` itself.
    ///
    /// # Errors
    /// When it does not exist or may not be seen.
    pub fn stat(&self, name: &[u8]) -> Result<FileFacts, AccessError> {
        check(name)?;
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
        statx(&self.fd, name, flags, StatxFlags::BASIC_STATS)
            .map(|found| FileFacts::from(&found))
            .map_err(|errno| AccessError::system("look at", name, errno))
    }

    /// Opens a directory in this one for reading.
    ///
    /// # Errors
    /// When it does not exist, is no directory or may not be read.
    pub fn open_dir(&self, name: &[u8]) -> Result<Self, AccessError> {
        self.open(name, OFlags::RDONLY | OFlags::DIRECTORY).map(Self::from_fd)
    }

    /// Opens a regular file for reading; never waits and never opens anything else.
    ///
    /// # Errors
    /// When it does not exist, may not be read, or is no regular file.
    pub fn open_file(&self, name: &[u8]) -> Result<File, AccessError> {
        self.open_regular(name, OFlags::RDONLY)
    }

    /// Opens a regular file for reading and writing in place.
    ///
    /// # Errors
    /// As [`open_file`](Self::open_file).
    pub fn open_file_writable(&self, name: &[u8]) -> Result<File, AccessError> {
        self.open_regular(name, OFlags::RDWR)
    }

    /// Opens a regular file and says what is known of it in the same moment.
    ///
    /// # Errors
    /// As [`open_file`](Self::open_file).
    pub fn open_file_with_facts(&self, name: &[u8]) -> Result<(File, FileFacts), AccessError> {
        self.open_checked(name, OFlags::RDONLY)
    }

    fn open_regular(&self, name: &[u8], access: OFlags) -> Result<File, AccessError> {
        self.open_checked(name, access).map(|(file, _)| file)
    }

    fn open_checked(&self, name: &[u8], access: OFlags) -> Result<(File, FileFacts), AccessError> {
        // Without NONBLOCK a FIFO put there meanwhile would hold us until somebody writes.
        let fd = self.open(name, access | OFlags::NONBLOCK | OFlags::NOCTTY)?;
        let facts = facts_of(&fd).map_err(|errno| AccessError::system("look at", name, errno))?;
        if facts.kind == FileKind::File {
            Ok((fd.into(), facts))
        } else {
            Err(AccessError::system("read as a regular file", name, Errno::INVAL))
        }
    }

    fn open(&self, name: &[u8], flags: OFlags) -> Result<OwnedFd, AccessError> {
        check(name)?;
        openat(&self.fd, name, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
            .map_err(|errno| AccessError::system("open", name, errno))
    }

    /// Makes a file that must not exist, mode 0600.
    ///
    /// # Errors
    /// When it exists, or the system refuses.
    pub fn create_file(&self, name: &[u8]) -> Result<File, AccessError> {
        check(name)?;
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat(&self.fd, name, flags, Mode::RUSR | Mode::WUSR)
            .map(File::from)
            .map_err(|errno| AccessError::system("create", name, errno))
    }

    /// Makes a directory with mode 0700.
    ///
    /// # Errors
    /// When something is there already, or the system refuses.
    pub fn mkdir(&self, name: &[u8]) -> Result<(), AccessError> {
        check(name)?;
        mkdirat(&self.fd, name, Mode::RWXU)
            .map_err(|errno| AccessError::system("make the directory", name, errno))
    }

    /// Removes a name that is no directory.
    ///
    /// # Errors
    /// When it does not exist or is a directory.
    pub fn unlink(&self, name: &[u8]) -> Result<(), AccessError> {
        self.remove(name, AtFlags::empty())
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// When it is not empty, or no directory.
    pub fn rmdir(&self, name: &[u8]) -> Result<(), AccessError> {
        self.remove(name, AtFlags::REMOVEDIR)
    }

    fn remove(&self, name: &[u8], flags: AtFlags) -> Result<(), AccessError> {
        check(name)?;
        unlinkat(&self.fd, name, flags).map_err(|errno| AccessError::system("remove", name, errno))
    }

    /// Makes a symbolic link that says `target`.
    ///
    /// # Errors
    /// When something is there already, or the system refuses.
    pub fn symlink(&self, target: &[u8], name: &[u8]) -> Result<(), AccessError> {
        check(name)?;
        symlinkat(target, &self.fd, name)
            .map_err(|errno| AccessError::system("make the symbolic link", name, errno))
    }

    /// Makes a second name, in `to`, of a file here.
    ///
    /// # Errors
    /// When the name is taken, or on another file system.
    pub fn link(&self, name: &[u8], to: &Self, to_name: &[u8]) -> Result<(), AccessError> {
        check(name)?;
        check(to_name)?;
        linkat(&self.fd, name, &to.fd, to_name, AtFlags::empty())
            .map_err(|errno| AccessError::system("link to", name, errno))
    }

    /// Moves something to a name in `to`, replacing what is there in one step.
    ///
    /// # Errors
    /// As `rename(2)`.
    pub fn rename(&self, name: &[u8], to: &Self, to_name: &[u8]) -> Result<(), AccessError> {
        check(name)?;
        check(to_name)?;
        renameat(&self.fd, name, &to.fd, to_name)
            .map_err(|errno| AccessError::system("move into place", to_name, errno))
    }

    /// Lets two names, here and in `to`, change places in one step.
    ///
    /// # Errors
    /// When one of them does not exist, they are on different file systems, or theirs cannot.
    pub fn exchange(&self, name: &[u8], to: &Self, to_name: &[u8]) -> Result<(), AccessError> {
        self.rename_with(name, to, to_name, RenameFlags::EXCHANGE)
    }

    /// Moves something to a name in `to` that must be free.
    ///
    /// # Errors
    /// When it is taken, or on another file system.
    pub fn rename_new(&self, name: &[u8], to: &Self, to_name: &[u8]) -> Result<(), AccessError> {
        self.rename_with(name, to, to_name, RenameFlags::NOREPLACE)
    }

    fn rename_with(
        &self,
        name: &[u8],
        to: &Self,
        to_name: &[u8],
        flags: RenameFlags,
    ) -> Result<(), AccessError> {
        check(name)?;
        check(to_name)?;
        renameat_with(&self.fd, name, &to.fd, to_name, flags)
            .map_err(|errno| AccessError::system("move into place", to_name, errno))
    }

    /// What a symbolic link here says.
    ///
    /// # Errors
    /// When it is no symbolic link.
    pub fn read_link(&self, name: &[u8]) -> Result<Vec<u8>, AccessError> {
        check(name)?;
        readlinkat(&self.fd, name, Vec::new())
            .map(std::ffi::CString::into_bytes)
            .map_err(|errno| AccessError::system("read the link", name, errno))
    }

    /// Sets the lower 12 bits of the mode of a file or directory.
    ///
    /// # Errors
    /// When it does not exist, is a symbolic link, or is not ours.
    pub fn set_mode(&self, name: &[u8], mode: u32) -> Result<(), AccessError> {
        let pinned = self.pinned(name)?;
        let path = descriptor_path(pinned.as_fd());
        chmodat(CWD, path, Mode::from_raw_mode(mode & 0o7777), AtFlags::empty())
            .map_err(|errno| AccessError::system("set the mode of", name, errno))
    }

    /// Sets the time of last modification; of the link itself if it is one.
    ///
    /// # Errors
    /// When it does not exist or is not ours.
    pub fn set_mtime(&self, name: &[u8], mtime: Mtime) -> Result<(), AccessError> {
        check(name)?;
        utimensat(&self.fd, name, &times(mtime), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|errno| AccessError::system("set the time of", name, errno))
    }

    /// Sets user and group; of the link itself if it is one.
    ///
    /// # Errors
    /// When it does not exist, or we are not root.
    pub fn set_owner(&self, name: &[u8], owner: Owner) -> Result<(), AccessError> {
        check(name)?;
        let (user, group) = (Uid::from_raw(owner.user), Gid::from_raw(owner.group));
        chownat(&self.fd, name, Some(user), Some(group), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|errno| AccessError::system("set the owner of", name, errno))
    }

    /// Extended attributes of a file or directory here, whether or not it may be read.
    ///
    /// # Errors
    /// When it does not exist or is a symbolic link.
    pub fn xattrs(&self, name: &[u8], scope: XattrScope) -> Result<Xattrs, AccessError> {
        let pinned = self.pinned(name)?;
        let path = descriptor_path(pinned.as_fd());
        xattr::read_path(&path, scope)
            .map_err(|errno| AccessError::system("read the attributes of", name, errno))
    }

    /// Gives a file or directory here exactly these extended attributes of `scope`.
    ///
    /// # Errors
    /// When the file system keeps none, or refuses one.
    pub fn set_xattrs(
        &self,
        name: &[u8],
        xattrs: &Xattrs,
        scope: XattrScope,
    ) -> Result<(), AccessError> {
        let pinned = self.pinned(name)?;
        let path = descriptor_path(pinned.as_fd());
        xattr::write_path(&path, xattrs, scope)
            .map_err(|errno| AccessError::system("set the attributes of", name, errno))
    }

    /// Holds on to `name`, which must be no symbolic link, without opening it.
    fn pinned(&self, name: &[u8]) -> Result<OwnedFd, AccessError> {
        let fd = self.open(name, OFlags::PATH)?;
        let facts = facts_of(&fd).map_err(|errno| AccessError::system("look at", name, errno))?;
        if facts.kind == FileKind::Symlink {
            return Err(AccessError::system("open", name, Errno::LOOP));
        }
        Ok(fd)
    }

    /// Writes the directory's own entries to the disk.
    ///
    /// # Errors
    /// When it was opened for operations alone, or the disk failed.
    pub fn sync(&self) -> Result<(), AccessError> {
        rustix::fs::fsync(&self.fd).map_err(|errno| AccessError::system("sync", b".", errno))
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A single name, or it might lead elsewhere.
fn check(name: &[u8]) -> Result<(), AccessError> {
    Name::new(name).map(drop).ok_or_else(|| AccessError::outside(name))
}

/// What the system knows of an open file.
pub(crate) fn facts_of(fd: impl AsFd) -> Result<FileFacts, Errno> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::SYMLINK_NOFOLLOW;
    Ok(FileFacts::from(&statx(fd, c"", flags, StatxFlags::BASIC_STATS)?))
}

pub(crate) fn times(mtime: Mtime) -> Timestamps {
    let omit = Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT };
    let last_modification = Timespec { tv_sec: mtime.seconds, tv_nsec: mtime.nanos.into() };
    Timestamps { last_access: omit, last_modification }
}
