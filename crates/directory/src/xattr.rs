//! Extended attributes.

use std::os::fd::BorrowedFd;

use rustix::fs::{
    XattrFlags, fgetxattr, flistxattr, fremovexattr, fsetxattr, getxattr, listxattr, removexattr,
    setxattr,
};
use rustix::io::Errno;

/// Names and values, sorted by name.
pub type Xattrs = Vec<(Vec<u8>, Vec<u8>)>;

/// Which extended attributes count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum XattrScope {
    /// Those in `user.`, which anybody may set.
    User,
    /// Also capabilities, access lists and `trusted.`, which take root to restore. Labels of
    /// security modules belong to the machine and are left out.
    Owned,
}

impl XattrScope {
    fn holds(self, name: &[u8]) -> bool {
        name.starts_with(b"user.")
            || self == Self::Owned
                && (name.starts_with(b"trusted.")
                    || name == b"security.capability"
                    || name.starts_with(b"system.posix_acl_"))
    }
}

/// Most bytes the kernel gives in one list or value.
const KERNEL_BYTES_MAX: usize = 64 * 1024;

/// The extended attributes of an open file; none where the file system keeps none.
///
/// # Errors
/// When the file system fails.
pub fn read(fd: BorrowedFd<'_>, scope: XattrScope) -> std::io::Result<Xattrs> {
    let list = |buffer: &mut [u8]| flistxattr(fd, buffer);
    let value = |name: &[u8], buffer: &mut [u8]| fgetxattr(fd, name, buffer);
    Ok(read_by(list, value, scope)?)
}

pub(crate) fn read_path(path: &str, scope: XattrScope) -> Result<Xattrs, Errno> {
    let list = |buffer: &mut [u8]| listxattr(path, buffer);
    let value = |name: &[u8], buffer: &mut [u8]| getxattr(path, name, buffer);
    read_by(list, value, scope)
}

/// Tries a small buffer first: most files have no attributes, or one or two.
fn sized(mut call: impl FnMut(&mut [u8]) -> Result<usize, Errno>) -> Result<Vec<u8>, Errno> {
    let mut small = [0; 256];
    match call(&mut small) {
        Ok(length) => Ok(small[..length].to_vec()),
        Err(Errno::RANGE) => {
            let mut large = vec![0; KERNEL_BYTES_MAX];
            let length = call(&mut large)?;
            large.truncate(length);
            Ok(large)
        }
        Err(errno) => Err(errno),
    }
}

fn read_by(
    list: impl FnMut(&mut [u8]) -> Result<usize, Errno>,
    value: impl Fn(&[u8], &mut [u8]) -> Result<usize, Errno>,
    scope: XattrScope,
) -> Result<Xattrs, Errno> {
    let names = match sized(list) {
        Ok(names) if names.is_empty() => return Ok(Xattrs::new()),
        Ok(names) => names,
        Err(Errno::OPNOTSUPP) => return Ok(Xattrs::new()),
        Err(errno) => return Err(errno),
    };
    let mut xattrs = Xattrs::new();
    for name in names.split(|byte| *byte == 0).filter(|name| scope.holds(name)) {
        match sized(|buffer| value(name, buffer)) {
            Ok(value) => xattrs.push((name.to_vec(), value)),
            // Removed between the two calls.
            Err(Errno::NODATA) => {}
            Err(errno) => return Err(errno),
        }
    }
    xattrs.sort_unstable();
    Ok(xattrs)
}

pub(crate) fn write(fd: BorrowedFd<'_>, wanted: &Xattrs, scope: XattrScope) -> Result<(), Errno> {
    let present = read(fd, scope).map_err(|error| errno_of(&error))?;
    for (name, value) in changed(&present, wanted) {
        fsetxattr(fd, name.as_slice(), value, XattrFlags::empty())?;
    }
    for name in superfluous(&present, wanted) {
        fremovexattr(fd, name)?;
    }
    Ok(())
}

pub(crate) fn write_path(path: &str, wanted: &Xattrs, scope: XattrScope) -> Result<(), Errno> {
    let present = read_path(path, scope)?;
    for (name, value) in changed(&present, wanted) {
        setxattr(path, name.as_slice(), value, XattrFlags::empty())?;
    }
    for name in superfluous(&present, wanted) {
        removexattr(path, name)?;
    }
    Ok(())
}

fn changed<'a>(
    present: &'a Xattrs,
    wanted: &'a Xattrs,
) -> impl Iterator<Item = &'a (Vec<u8>, Vec<u8>)> {
    wanted.iter().filter(|xattr| !present.contains(xattr))
}

fn superfluous<'a>(present: &'a Xattrs, wanted: &'a Xattrs) -> impl Iterator<Item = &'a [u8]> {
    let is_wanted = |name: &[u8]| wanted.iter().any(|(other, _)| other == name);
    present.iter().map(|(name, _)| name.as_slice()).filter(move |name| !is_wanted(name))
}

fn errno_of(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}
