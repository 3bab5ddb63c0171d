//! Where trees would be written: what the file system there can keep.

use std::ffi::CString;
use std::path::{Path, PathBuf};

use rustix::fs::{XattrFlags, removexattr, setxattr};

use super::environment::tempfile_in;
use super::{Finding, Surroundings};

/// The nearest directory that exists.
fn place(around: &Surroundings) -> Option<PathBuf> {
    let path = std::path::absolute(&around.destination).ok()?;
    path.ancestors().find(|path| path.is_dir()).map(Path::to_path_buf)
}

pub(super) fn unwritable(around: &Surroundings) -> Finding {
    let Some(place) = place(around) else { return Finding::skipped("there is no such place") };
    let shown = around.path(&place);
    match tempfile_in(&place) {
        Ok(()) => Finding::ok(format!("{shown} takes files")),
        Err(error) => Finding::warn(
            format!("cannot make a file in {shown}: {error}"),
            "name another directory with `consign get … --to DIR`",
        ),
    }
}

pub(super) fn no_symlinks(around: &Surroundings) -> Finding {
    let Some(place) = place(around) else { return Finding::skipped("there is no such place") };
    let shown = around.path(&place);
    let link = place.join(format!(".consign-doctor-link-{}", std::process::id()));
    match std::os::unix::fs::symlink("target", &link) {
        Ok(()) => {
            let _ = std::fs::remove_file(&link);
            Finding::ok(format!("{shown} keeps symbolic links"))
        }
        Err(error) if refused(&error) && tempfile_in(&place).is_ok() => Finding::warn(
            format!("the file system of {shown} has no symbolic links: {error}"),
            "write trees that have some to another file system: consign get … --to DIR",
        ),
        Err(error) => Finding::skipped(error.to_string()),
    }
}

pub(super) fn no_xattrs(around: &Surroundings) -> Finding {
    let Some(place) = place(around) else { return Finding::skipped("there is no such place") };
    let shown = around.path(&place);
    let path = place.join(format!(".consign-doctor-xattr-{}", std::process::id()));
    if let Err(error) = std::fs::OpenOptions::new().write(true).create_new(true).open(&path) {
        return Finding::skipped(error.to_string());
    }
    let name = CString::from(c"user.consign-doctor");
    let set = setxattr(&path, &name, b"1", XattrFlags::CREATE);
    if set.is_ok() {
        let _ = removexattr(&path, &name);
    }
    let _ = std::fs::remove_file(&path);
    match set {
        Ok(()) => Finding::ok(format!("{shown} keeps extended attributes")),
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::PERM) => Finding::warn(
            format!("the file system of {shown} has no extended attributes"),
            "write trees that have some to another file system: consign get … --to DIR",
        ),
        Err(error) => Finding::skipped(error.to_string()),
    }
}

fn refused(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::Unsupported)
}
