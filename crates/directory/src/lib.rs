//! Directories on disk: safe access beneath a root, and what is remembered about its files.
//!
//! * [`root`]: a [`Root`] and the operations beneath it by relative byte path.
//! * [`dir`]: one open directory ([`Dir`]) and the same operations by single name.
//! * [`temp`]: files that become visible only when they are whole ([`Temp`]).
//! * [`facts`]: what `statx` says about a file, and when that may be trusted ([`FileFacts`]).
//! * [`xattr`]: extended attributes of open files.
//! * [`index`]: the file that remembers facts and contents between two runs.
//! * [`merging`]: which different names a file system takes for one.
//!
//! It does not read, cut or hash contents (`snapshot` does) and does not decide what belongs
//! into a directory (`checkout` does).
//!
//! Invariant: nothing beneath a root is reached by a path from outside it. Every operation goes
//! through a descriptor of the root or of a directory below it, no symbolic link is followed
//! on the way or at the end, and a path that could lead out (`..`, absolute, empty components)
//! is refused before the kernel sees it. A symbolic link someone puts there between two calls
//! makes a call fail; it never makes it act elsewhere.
//!
//! Start reading at [`root`].

pub mod dir;
pub mod facts;
pub mod index;
pub mod merging;
pub mod root;
pub mod temp;
pub mod xattr;

mod resolve;

pub use dir::{Dir, Listed};
pub use facts::{FileFacts, FileKind};
pub use index::{IndexContext, IndexEntry, IndexError, IndexKind, IndexReader, IndexWriter};
pub use merging::NameMerging;
pub use root::Root;
pub use temp::Temp;
pub use xattr::{XattrScope, Xattrs};

use std::io;

/// The directory at the top of a root for what is not whole yet.
pub const TEMP_DIRECTORY: &[u8] = b".consign.tmp";

/// Why an operation beneath a root failed.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The path is not a relative path of plain names. It came from outside: refuse its source.
    #[error("{path:?} does not stay beneath the directory")]
    Outside {
        /// The path.
        path: String,
    },
    /// A symbolic link, or something that is no directory, stands on the way or at the end.
    /// Somebody changed the directory: remove what is in the way, or look again.
    #[error("{path:?} leads over a symbolic link or something that is no directory")]
    Blocked {
        /// The path.
        path: String,
    },
    /// The system refused. The source says why; missing rights and full disks come here.
    #[error("cannot {action} {path:?}")]
    System {
        /// What was tried, an infinitive.
        action: &'static str,
        /// The path.
        path: String,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
}

impl AccessError {
    /// Whether the thing does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.kind() == Some(io::ErrorKind::NotFound)
    }

    /// Whether something of that name exists already.
    #[must_use]
    pub fn is_already_there(&self) -> bool {
        self.kind() == Some(io::ErrorKind::AlreadyExists)
    }

    /// What the system said, when it was the system.
    #[must_use]
    pub fn kind(&self) -> Option<io::ErrorKind> {
        match self {
            Self::System { source, .. } => Some(source.kind()),
            Self::Outside { .. } | Self::Blocked { .. } => None,
        }
    }

    pub(crate) fn system(action: &'static str, path: &[u8], errno: rustix::io::Errno) -> Self {
        let path = text(path);
        match errno {
            rustix::io::Errno::LOOP | rustix::io::Errno::NOTDIR | rustix::io::Errno::XDEV
                if action == "open" =>
            {
                Self::Blocked { path }
            }
            errno => Self::System { action, path, source: errno.into() },
        }
    }

    pub(crate) fn outside(path: &[u8]) -> Self {
        Self::Outside { path: text(path) }
    }
}

pub(crate) fn text(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

/// The kernel's id of this boot, when it says one: process ids and inode numbers of memory file
/// systems mean something else after the next.
#[must_use]
pub fn boot_id() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim().to_owned()).filter(|id| !id.is_empty())
}

#[cfg(test)]
mod tests;
