//! Writes a tree into a directory.
//!
//! * [`checkout()`] does it; [`CheckoutOptions`] say how, [`CheckoutReport`] what came of it.
//! * `metadata`, `plan`: phase A. Reads the nodes of the tree, compares them with the index of
//!   the last checkout and with the disk (of directories that did not change, `plan/ahead` on
//!   threads of its own), and writes the plan file.
//! * `reuse`, `sources`: what an interrupted run placed and what the old version has.
//! * `data`: phase B. Fetches the rest, straight into temporary files.
//! * `finish`: names, links, removals, times, the new index.
//! * `record`, `journal`: the files in the state directory; `abandoned`: those of another tree.
//!
//! It does not decide where chunks come from (`fetch`), nor what a tree is (`content`), and it
//! never opens anything by a path that leads out of the destination (`directory`).
//!
//! Invariant: under a final name there is an old file or a new one, complete and (unless told
//! otherwise) durable, never something in between. What the journal says is placed is not
//! fetched again. Memory grows with the number of changes, not of entries.
//!
//! Start reading at [`checkout()`], then `plan`.

mod abandoned;
mod data;
mod error;
mod facts;
mod finish;
#[doc(hidden)]
pub mod fuzzing;
mod journal;
mod known;
mod metadata;
mod order;
mod place;
mod plan;
mod progress;
mod record;
mod reuse;
mod run;
mod sources;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use content::{Totals, TreeRef};
use fetch::{FetchReport, Fetcher};
use store::ChunkStore;

pub use error::CheckoutError;
pub use progress::CheckoutProgress;

/// How to check out.
#[derive(Debug, Clone)]
pub struct CheckoutOptions {
    /// Only paths that match, and what is in directories that match. Nothing is removed then.
    pub only: Option<globset::GlobSet>,
    /// Set owners, and the attributes only root may set, where the tree has them.
    pub owners: bool,
    /// Make contents durable before they get their names. Without it a power failure may leave
    /// empty files under final names; the next checkout repairs them.
    pub durable: bool,
    /// Another checkout, in the same file system if possible, to take contents from.
    pub base: Option<Base>,
    /// What a signed manifest states of the tree: it has to be what the tree's root states.
    pub totals: Option<Totals>,
    /// Hash what an interrupted run left, whatever its journal says, and also when the machine has not been
    /// started anew since: only what still is what it was is kept.
    pub recheck: bool,
}

/// A finished checkout in another directory, whose files are read and never changed.
///
/// What both have is copied inside the kernel, which shares the blocks where the file system
/// can. It is never hard linked: who writes to a file through one name would change it under the
/// other, and the mode and times of two releases may differ.
#[derive(Debug, Clone)]
pub struct Base {
    /// Its directory.
    pub directory: PathBuf,
    /// The state directory it was made with.
    pub state: PathBuf,
}

impl Default for CheckoutOptions {
    fn default() -> Self {
        Self { only: None, owners: false, durable: true, base: None, totals: None, recheck: false }
    }
}

/// What a checkout did. `bytes_total` is the sum of the other three `bytes_`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckoutReport {
    /// Files selected, hard links counted each.
    pub files: u64,
    /// Their sizes.
    pub bytes_total: u64,
    /// Bytes that were there: kept, moved or copied from old files, placed by an earlier run.
    pub bytes_reused: u64,
    /// Bytes put into files from what was fetched or was in the metadata.
    pub bytes_written: u64,
    /// Bytes in holes of files that were made.
    pub bytes_in_holes: u64,
    /// Entries that an earlier checkout had made as they should be, and somebody had changed.
    pub repaired: u64,
    /// Entries removed.
    pub removed: u64,
    /// Entries found that no checkout made and the tree does not have; they were left alone.
    pub unmanaged: u64,
    /// The first of them.
    pub unmanaged_paths: Vec<Vec<u8>>,
    /// Bytes of metadata that had to be fetched.
    pub metadata_bytes: u64,
    /// How the contents were fetched.
    pub fetch: FetchReport,
}

/// Makes `destination` as `tree` says; `state` is a directory for this destination alone.
///
/// Metadata is read from `metadata`; what that lacks is fetched and appended to it. Dropping
/// the future stops the work within moments; like a kill, that costs only what was under way.
/// It must run inside a tokio runtime.
///
/// # Errors
/// See [`CheckoutError`]; running again goes on where it ended.
pub async fn checkout(
    tree: TreeRef,
    fetcher: &Fetcher,
    metadata: &dyn ChunkStore,
    destination: &Path,
    state: &Path,
    options: CheckoutOptions,
    progress: &Arc<CheckoutProgress>,
) -> Result<CheckoutReport, CheckoutError> {
    let result = run::run(tree, fetcher, metadata, destination, state, options, progress).await;
    progress.enter(None);
    result
}

/// Says to all threads of a checkout that it is over.
#[derive(Debug, Default)]
pub(crate) struct Stop(AtomicBool);

impl Stop {
    pub(crate) fn set(&self) {
        self.0.store(true, Relaxed);
    }

    /// Fails once somebody said that it is over.
    pub(crate) fn check(&self) -> Result<(), CheckoutError> {
        if self.0.load(Relaxed) { Err(CheckoutError::Stopped) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests;
