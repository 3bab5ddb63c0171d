//! Other users of the machine, and what they may do with files.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// User and group of nobody.
pub(crate) const NOBODY: u32 = 65_534;

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set");
}

/// A copy of the program that every user may run, in a directory that every user may enter now.
pub(crate) fn program_for_everybody(directory: &Path) -> PathBuf {
    let program = directory.join("consign");
    fs::copy(env!("CARGO_BIN_EXE_consign"), &program).expect("copied");
    for path in [directory, &program] {
        set_mode(path, 0o755);
    }
    program
}
