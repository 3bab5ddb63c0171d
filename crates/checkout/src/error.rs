//! Why a checkout ended before the directory was as the tree says.

use std::io;
use std::path::PathBuf;

use content::DecodeError;
use content::bounds::TreeBoundsError;
use content::seal::OpenError;
use directory::AccessError;
use fetch::FetchError;
use store::StoreError;

/// Why a checkout failed. What it had placed before stays and is not fetched again.
#[derive(Debug, thiserror::Error)]
pub enum CheckoutError {
    /// The future was dropped or another part failed; the next run goes on from there.
    #[error("the checkout was stopped")]
    Stopped,
    /// The destination cannot be opened or made. Check the path and its rights.
    #[error("cannot open the destination {}", path.display())]
    Destination {
        /// The destination.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A directory stands where the tree has something else, or the reverse, and it was not put
    /// there by a checkout. Move it away.
    #[error("{path:?} is in the way: a directory where the tree has none, or the reverse")]
    InTheWay {
        /// Where.
        path: String,
    },
    /// The destination's file system takes two names of the tree for one. Check out into
    /// another file system, or leave one of them out.
    #[error("{first:?} and {second:?} are one name on the destination's file system")]
    NamesMerge {
        /// One entry.
        first: String,
        /// The other.
        second: String,
    },
    /// The tree has an entry of the name checkouts use for their own files. Leave it out.
    #[error("{path:?} is a name reserved for unfinished files")]
    Reserved {
        /// The entry.
        path: String,
    },
    /// An operation in the destination failed: full disk, missing rights, somebody meddling.
    #[error("cannot write the tree")]
    Access(#[from] AccessError),
    /// Contents in the destination could not be read or written. Check disk and rights.
    #[error("cannot {action} {path:?}")]
    Contents {
        /// What was tried, an infinitive.
        action: &'static str,
        /// Which file.
        path: String,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The files a checkout keeps for itself failed. Check disk and rights of the state
    /// directory; its files may be removed, then everything in the destination is read again.
    #[error("cannot keep the state of the checkout")]
    State(#[source] io::Error),
    /// The store for metadata failed.
    #[error("cannot keep the metadata of the tree")]
    Metadata(#[from] StoreError),
    /// Chunks could not be fetched. The reasons are in the source; run again when they are gone.
    #[error("cannot fetch")]
    Fetch(#[from] FetchError),
    /// A chunk does not open with the key of its reference: a wrong capability or a broken tree.
    #[error("cannot open a sealed chunk")]
    Sealed(#[from] OpenError),
    /// The tree is malformed although its bytes are those its publisher signed. Ask the
    /// publisher for another release.
    #[error("the tree is malformed at {path:?}")]
    Malformed {
        /// Where.
        path: String,
        /// What was wrong.
        #[source]
        source: DecodeError,
    },
    /// The tree contradicts itself although its bytes are those its publisher signed. Ask the
    /// publisher for another release.
    #[error("the tree contradicts itself at {path:?}: {reason}")]
    Contradiction {
        /// Where.
        path: String,
        /// How.
        reason: &'static str,
    },
    /// The tree is larger than stated, or than any may be. Nothing was written. Ask the publisher
    /// for another release.
    #[error(transparent)]
    Bounds(#[from] TreeBoundsError),
}

impl CheckoutError {
    pub(crate) fn in_the_way(path: &[u8]) -> Self {
        Self::InTheWay { path: crate::order::shown(path) }
    }

    pub(crate) fn contents(action: &'static str, path: &[u8], source: io::Error) -> Self {
        Self::Contents { action, path: crate::order::shown(path), source }
    }
}
