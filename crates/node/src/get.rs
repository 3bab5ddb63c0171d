//! Getting: a tree becomes a directory here, whatever was there before.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use checkout::{CheckoutError, CheckoutOptions, CheckoutProgress, CheckoutReport};
use documents::{Capability, Manifest, PublicKey};

use crate::state::{Node, StateError, path_bytes};
use crate::tree::{FoundTree, TreeError, TreeSpec};
use crate::unfinished::{Unfinished, UnfinishedKind};

/// What to get and where to.
#[derive(Debug, Clone)]
pub struct GetRequest {
    /// Which tree.
    pub spec: TreeSpec,
    /// The directory to write into; made if it does not exist.
    pub to: PathBuf,
    /// Only paths that match.
    pub only: Option<globset::GlobSet>,
    /// Opens sealed releases.
    pub capability: Option<Capability>,
    /// Accept releases of this publisher from now on.
    pub publisher: Option<PublicKey>,
    /// Where chunks may come from besides the hub: URLs of hubs, paths of stores and folders.
    pub also: Vec<String>,
    /// Restore numeric owners where they were recorded.
    pub owners: bool,
}

/// A tree that is now complete on this machine.
#[derive(Debug)]
pub struct Got {
    /// The release, when asked for by name.
    pub release: Option<Manifest>,
    /// The tree id.
    pub tree: content::ChunkId,
    /// What was done.
    pub report: CheckoutReport,
    /// Bytes on the wire from the hub.
    pub bytes_received: u64,
    /// From the first request to the last byte on the disk.
    pub elapsed: Duration,
}

/// Why a tree is not, or not completely, in its directory. Running the command again goes on
/// where it stopped.
#[derive(Debug, thiserror::Error)]
pub enum GetError {
    /// The release or tree could not be found or believed.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// Fetching or writing stopped.
    #[error("cannot complete {}", to.display())]
    Checkout {
        /// The directory.
        to: PathBuf,
        /// Why.
        #[source]
        source: CheckoutError,
    },
    /// The state directory failed.
    #[error("cannot use this node's state")]
    State(#[from] StateError),
}

impl Node {
    /// Writes a tree into a directory.
    ///
    /// # Errors
    /// See [`GetError`].
    pub async fn get(
        &self,
        request: &GetRequest,
        hub_url: Option<&str>,
        progress: Arc<CheckoutProgress>,
    ) -> Result<Got, GetError> {
        let started = Instant::now();
        let found = self
            .find_tree(
                &request.spec,
                hub_url,
                request.capability.as_ref(),
                request.publisher.as_ref(),
                &request.also,
            )
            .await?;
        // Made first, so that its name resolves the same way now and when a killed run goes on.
        std::fs::create_dir_all(&request.to).map_err(crate::state::io("create", &request.to))?;
        let subject = Self::subject_of(&request.to)?;
        let memory = self.memory_of("checkout", &[path_bytes(&subject)])?;
        let asked = Unfinished {
            kind: UnfinishedKind::Get,
            what: request.spec.to_string(),
            path: subject,
            hub: hub_url.map(str::to_owned),
            more: request.only.is_some()
                || request.owners
                || request.capability.is_some()
                || !request.also.is_empty(),
            began: crate::publish::unix_now(),
        };
        let noted = asked.note(&memory)?;
        let options = CheckoutOptions {
            only: request.only.clone(),
            owners: request.owners,
            ..CheckoutOptions::default()
        };
        let report = found.check_out(&request.to, &memory, options, &progress).await?;
        noted.done();
        let bytes_received =
            found.hub.as_ref().map_or(0, |hub| hub.client.bytes_on_wire().received);
        Ok(Got {
            tree: found.tree.id(),
            release: found.release,
            report,
            bytes_received,
            elapsed: started.elapsed(),
        })
    }
}

impl FoundTree {
    /// Writes the tree into `to`; `memory` is a directory for this destination alone.
    pub(crate) async fn check_out(
        &self,
        to: &Path,
        memory: &Path,
        options: CheckoutOptions,
        progress: &Arc<CheckoutProgress>,
    ) -> Result<CheckoutReport, GetError> {
        let totals = self.release.as_ref().and_then(|release| release.totals);
        let options = CheckoutOptions { totals, ..options };
        checkout::checkout(
            self.tree,
            &self.fetcher,
            self.store.as_ref(),
            to,
            memory,
            options,
            progress,
        )
        .await
        .map_err(|source| GetError::Checkout { to: to.to_owned(), source })
    }
}
