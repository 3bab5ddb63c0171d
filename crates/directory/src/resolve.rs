//! Opens by relative path without leaving a directory.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use content::Name;
use rustix::fs::{Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;

use crate::AccessError;

/// Set once the kernel (before 5.6) or a filter said that it does not know `openat2`.
static WITHOUT_OPENAT2: AtomicBool = AtomicBool::new(false);

/// Whether `path` is relative and made of plain names.
pub(crate) fn check_path(path: &[u8]) -> Result<(), AccessError> {
    if path.split(|byte| *byte == b'/').all(|name| Name::new(name).is_some()) {
        Ok(())
    } else {
        Err(AccessError::outside(path))
    }
}

/// Splits a checked path into its parent, if any, and its last name.
pub(crate) fn split(path: &[u8]) -> Result<(Option<&[u8]>, &[u8]), AccessError> {
    check_path(path)?;
    Ok(match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (Some(&path[..slash]), &path[slash + 1..]),
        None => (None, path),
    })
}

/// Opens `path` beneath `root`; symbolic links are an error wherever they stand.
pub(crate) fn open(
    root: BorrowedFd<'_>,
    path: &[u8],
    flags: OFlags,
) -> Result<OwnedFd, AccessError> {
    check_path(path)?;
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    if !WITHOUT_OPENAT2.load(Relaxed) {
        let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        match openat2(root, path, flags, Mode::empty(), beneath) {
            Err(Errno::NOSYS) => WITHOUT_OPENAT2.store(true, Relaxed),
            // A rename went on elsewhere, or the path is longer than one call takes.
            Err(Errno::AGAIN | Errno::NAMETOOLONG) => {}
            other => return other.map_err(|errno| AccessError::system("open", path, errno)),
        }
    }
    walk(root, path, flags)
}

/// The same one component at a time, each opened without following.
pub(crate) fn walk(
    root: BorrowedFd<'_>,
    path: &[u8],
    flags: OFlags,
) -> Result<OwnedFd, AccessError> {
    let failed = |errno| AccessError::system("open", path, errno);
    let between = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut names = path.split(|byte| *byte == b'/').peekable();
    let mut current: Option<OwnedFd> = None;
    loop {
        let name = names.next().expect("a checked path has a last name");
        let from = current.as_ref().map_or(root, AsFd::as_fd);
        let last = names.peek().is_none();
        let flags = if last { flags } else { between };
        let opened = openat(from, name, flags, Mode::empty()).map_err(failed)?;
        if last {
            return Ok(opened);
        }
        current = Some(opened);
    }
}
