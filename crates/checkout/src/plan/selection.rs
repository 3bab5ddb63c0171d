//! Which paths were asked for.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use globset::GlobSet;

/// A path is selected when a pattern matches it or a directory it is in.
pub(crate) struct Selection(pub(crate) GlobSet);

impl Selection {
    pub(crate) fn selects(&self, path: &[u8]) -> bool {
        let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        ends.chain([path.len()])
            .any(|end| self.0.is_match(Path::new(OsStr::from_bytes(&path[..end]))))
    }
}
