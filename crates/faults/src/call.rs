//! System calls that change files: which there are, and which paths they mean.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::libc::{self, user_regs_struct};

use crate::tracee::Tracee;

/// Where a call names what it changes. Numbers are those of its arguments.
#[derive(Debug, Clone, Copy)]
enum Names {
    /// An open file.
    Descriptor(usize),
    /// A path.
    Path(usize),
    /// A directory and a path in it; without a path, the directory's descriptor itself.
    At(usize, usize),
    /// Two paths.
    Paths(usize, usize),
    /// Two directories, each with a path in it.
    AtAt([usize; 2], [usize; 2]),
}

use Names::{At, AtAt, Descriptor, Path as AtPath, Paths};

/// Every call with effect on files, with its name.
const CALLS: &[(i64, &str, Names)] = &[
    (libc::SYS_write, "write", Descriptor(0)),
    (libc::SYS_pwrite64, "pwrite64", Descriptor(0)),
    (libc::SYS_writev, "writev", Descriptor(0)),
    (libc::SYS_pwritev, "pwritev", Descriptor(0)),
    (libc::SYS_pwritev2, "pwritev2", Descriptor(0)),
    (libc::SYS_sendfile, "sendfile", Descriptor(0)),
    (libc::SYS_copy_file_range, "copy_file_range", Descriptor(2)),
    (libc::SYS_ioctl, "ioctl", Descriptor(0)),
    (libc::SYS_fallocate, "fallocate", Descriptor(0)),
    (libc::SYS_ftruncate, "ftruncate", Descriptor(0)),
    (libc::SYS_truncate, "truncate", AtPath(0)),
    (libc::SYS_mmap, "mmap", Descriptor(4)),
    (libc::SYS_fsync, "fsync", Descriptor(0)),
    (libc::SYS_fdatasync, "fdatasync", Descriptor(0)),
    (libc::SYS_sync_file_range, "sync_file_range", Descriptor(0)),
    (libc::SYS_syncfs, "syncfs", Descriptor(0)),
    (libc::SYS_open, "open", AtPath(0)),
    (libc::SYS_creat, "creat", AtPath(0)),
    (libc::SYS_openat, "openat", At(0, 1)),
    (libc::SYS_openat2, "openat2", At(0, 1)),
    (libc::SYS_rename, "rename", Paths(0, 1)),
    (libc::SYS_renameat, "renameat", AtAt([0, 1], [2, 3])),
    (libc::SYS_renameat2, "renameat2", AtAt([0, 1], [2, 3])),
    (libc::SYS_link, "link", Paths(0, 1)),
    (libc::SYS_linkat, "linkat", AtAt([0, 1], [2, 3])),
    (libc::SYS_unlink, "unlink", AtPath(0)),
    (libc::SYS_unlinkat, "unlinkat", At(0, 1)),
    (libc::SYS_mkdir, "mkdir", AtPath(0)),
    (libc::SYS_mkdirat, "mkdirat", At(0, 1)),
    (libc::SYS_rmdir, "rmdir", AtPath(0)),
    (libc::SYS_symlink, "symlink", AtPath(1)),
    (libc::SYS_symlinkat, "symlinkat", At(1, 2)),
    (libc::SYS_chmod, "chmod", AtPath(0)),
    (libc::SYS_fchmod, "fchmod", Descriptor(0)),
    (libc::SYS_fchmodat, "fchmodat", At(0, 1)),
    (SYS_FCHMODAT2, "fchmodat2", At(0, 1)),
    (libc::SYS_fchown, "fchown", Descriptor(0)),
    (libc::SYS_fchownat, "fchownat", At(0, 1)),
    (libc::SYS_utimensat, "utimensat", At(0, 1)),
    (libc::SYS_setxattr, "setxattr", AtPath(0)),
    (libc::SYS_lsetxattr, "lsetxattr", AtPath(0)),
    (libc::SYS_fsetxattr, "fsetxattr", Descriptor(0)),
    (libc::SYS_lremovexattr, "lremovexattr", AtPath(0)),
    (libc::SYS_fremovexattr, "fremovexattr", Descriptor(0)),
];

/// Calls that read files; only stopped at when reads are to fail.
const READS: &[(i64, &str, Names)] = &[
    (libc::SYS_read, "read", Descriptor(0)),
    (libc::SYS_pread64, "pread64", Descriptor(0)),
    (libc::SYS_readv, "readv", Descriptor(0)),
    (libc::SYS_preadv, "preadv", Descriptor(0)),
    (libc::SYS_preadv2, "preadv2", Descriptor(0)),
];

/// Linux 6.6; not among libc's names for every target.
const SYS_FCHMODAT2: i64 = 452;
/// `_IOW(0x94, 9, int)` and `_IOW(0x94, 13, struct file_clone_range)` of `linux/fs.h`.
const CLONES: [u64; 2] = [0x4004_9409, 0x4020_940d];

/// The numbers of all of them, with those that read or without.
pub(crate) fn numbers(reads: bool) -> impl Iterator<Item = u32> {
    let reads = if reads { READS } else { &[] };
    CALLS.iter().chain(reads).map(|(number, ..)| *number as u32)
}

/// A call that a thread is about to make.
#[derive(Debug, Clone)]
pub struct Call {
    /// What the manual calls it.
    pub name: &'static str,
    /// What it changes; the old name of a rename.
    pub path: PathBuf,
    /// The new name of a rename or link.
    pub other: Option<PathBuf>,
    pub(crate) tracee: Tracee,
    pub(crate) arguments: [u64; 6],
}

impl Call {
    /// The call in these registers, when it is one with effect on files.
    pub(crate) fn of(tracee: Tracee, registers: &user_regs_struct) -> Option<Self> {
        let arguments = [
            registers.rdi,
            registers.rsi,
            registers.rdx,
            registers.r10,
            registers.r8,
            registers.r9,
        ];
        let number = registers.orig_rax as i64;
        let (_, name, names) = CALLS.iter().chain(READS).find(|(known, ..)| *known == number)?;
        let at = |directory: Option<usize>, text: usize| {
            if arguments[text] == 0 {
                return tracee.file(arguments[directory?]);
            }
            let text = tracee.read_text(arguments[text]).ok()?;
            tracee.path(directory.map(|index| arguments[index]), &text)
        };
        let (path, other) = match *names {
            Descriptor(index) => (tracee.file(arguments[index])?, None),
            AtPath(index) => (at(None, index)?, None),
            At(directory, index) => (at(Some(directory), index)?, None),
            Paths(from, to) => (at(None, from)?, Some(at(None, to)?)),
            AtAt(from, to) => (at(Some(from[0]), from[1])?, Some(at(Some(to[0]), to[1])?)),
        };
        Some(Self { name, path, other, tracee, arguments })
    }

    pub(crate) fn is_beneath(&self, roots: &[PathBuf]) -> bool {
        let beneath = |path: &Path| roots.iter().any(|root| path.starts_with(root));
        // That a root itself has a name is a matter of the directory around it.
        let around = || roots.iter().any(|root| root.parent() == Some(&self.path));
        beneath(&self.path)
            || self.other.as_deref().is_some_and(beneath)
            || self.is_sync() && around()
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self.name, "open" | "openat" | "openat2" | "creat")
    }

    pub(crate) fn is_read(&self) -> bool {
        READS.iter().any(|(_, name, _)| *name == self.name)
    }

    /// Whether anything changes if it succeeds; asked right before it is made.
    pub(crate) fn has_effect(&self) -> bool {
        let arguments = &self.arguments;
        match self.name {
            "open" | "openat" | "openat2" | "creat" => {
                let flags = self.open_flags();
                let found = std::fs::metadata(&self.path);
                let creates = flags & libc::O_CREAT as u64 != 0 && found.is_err();
                let empties = flags & libc::O_TRUNC as u64 != 0
                    && found.is_ok_and(|found| found.is_file() && found.size() > 0);
                creates || empties || flags & libc::O_TMPFILE as u64 == libc::O_TMPFILE as u64
            }
            "ioctl" => CLONES.contains(&(arguments[1] & 0xffff_ffff)),
            "mmap" => {
                arguments[2] & libc::PROT_WRITE as u64 != 0
                    && arguments[3] & 0xf == libc::MAP_SHARED as u64
            }
            "mkdir" | "mkdirat" => !self.path.exists(),
            _ => true,
        }
    }

    pub(crate) fn open_flags(&self) -> u64 {
        match self.name {
            "open" => self.arguments[1],
            "creat" => (libc::O_CREAT | libc::O_TRUNC) as u64,
            "openat" => self.arguments[2],
            // `struct open_how` begins with the flags.
            _ => self.tracee.read_u64(self.arguments[2]).unwrap_or_default(),
        }
    }

    /// Whether the disk can run full in it.
    #[must_use]
    pub fn takes_room(&self) -> bool {
        self.is_open()
            || self.name.contains("write")
            || self.name.starts_with("mkdir")
            || self.name.contains("link") && !self.name.starts_with("unlink")
            || matches!(self.name, "sendfile" | "copy_file_range" | "ioctl" | "fallocate")
            || self.name.starts_with("rename")
    }

    /// Whether it asks that something lasts.
    #[must_use]
    pub fn is_sync(&self) -> bool {
        matches!(self.name, "fsync" | "fdatasync" | "syncfs" | "sync_file_range")
    }
}

impl std::fmt::Display for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.name, self.path.display())?;
        self.other.as_ref().map_or(Ok(()), |other| write!(f, " -> {}", other.display()))
    }
}
