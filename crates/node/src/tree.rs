//! What users call trees, and finding them: at a hub, in the store, wherever they are said to be.
//!
//! `reading` reads in what was found.

use std::sync::Arc;

use bytes::Bytes;
use content::{ChunkId, ChunkRef, DecodeError, Entry, Kind, TreeRef};
use documents::{
    AcceptError, Capability, Delegation, DocumentError, Manifest, PublicKey, ReleaseName,
    accept_numbered,
};
use fetch::{FetchConfig, FetchError, Fetcher, HubSource, Priority, Source, StoreSource, Want};
use hub_client::{ClientError, SignedHead};
use store::{ChunkStore, DiskOptions, DiskStore, StoreError};

use crate::hubs::{HubChoiceError, HubLink};
use crate::publish::unix_now;
use crate::state::{Node, StateError};
use crate::trust::Trust;

mod reading;

pub use reading::{count, join};

/// What a user calls a tree: a name, a name and a release, or an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TreeSpec {
    /// The newest release of a name, or the one with a number.
    Release {
        /// The name.
        name: ReleaseName,
        /// The release, the newest if none.
        sequence: Option<u64>,
    },
    /// A tree id.
    Id(ChunkId),
}

/// A text that names no tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither NAME, NAME@RELEASE (as in team/tools@3) nor a tree id of 64 digits")]
pub struct ParseTreeSpecError(String);

impl std::str::FromStr for TreeSpec {
    type Err = ParseTreeSpecError;

    fn from_str(text: &str) -> Result<Self, ParseTreeSpecError> {
        let error = || ParseTreeSpecError(text.to_owned());
        if let Ok(id) = text.parse() {
            return Ok(Self::Id(id));
        }
        let (name, sequence) = match text.split_once('@') {
            None => (text, None),
            Some((name, number)) => {
                (name, Some(number.parse().ok().filter(|number| *number > 0).ok_or_else(error)?))
            }
        };
        Ok(Self::Release { name: name.parse().map_err(|_| error())?, sequence })
    }
}

impl std::fmt::Display for TreeSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Release { name, sequence: None } => write!(f, "{name}"),
            Self::Release { name, sequence: Some(number) } => write!(f, "{name}@{number}"),
            Self::Id(id) => write!(f, "{id}"),
        }
    }
}

/// Why a tree could not be found or read.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// The hub could not be reached or refused.
    #[error("cannot ask {url} for {spec}")]
    Hub {
        /// The hub.
        url: String,
        /// What was asked for.
        spec: String,
        /// What it said.
        #[source]
        source: ClientError,
    },
    /// No hub is known to ask.
    #[error(transparent)]
    HubChoice(#[from] HubChoiceError),
    /// The release is not one that may be believed; nothing was changed.
    #[error("release {spec} is refused")]
    Refused {
        /// What was asked for.
        spec: String,
        /// Why.
        #[source]
        source: AcceptError,
    },
    /// The hub sent a document that is no release of this publisher.
    #[error("the release document of {spec} is refused")]
    Document {
        /// What was asked for.
        spec: String,
        /// Why.
        #[source]
        source: DocumentError,
    },
    /// Signed by somebody else than the pinned owner, who has named no publishers, or in another
    /// owner's name. If the name was handed over, accept the new owner with `--publisher`.
    #[error("{name} was published by {offered}, this node trusts {pinned} for it")]
    OtherPublisher {
        /// The name.
        name: ReleaseName,
        /// Who signed what the hub offers, or is said to own it.
        offered: PublicKey,
        /// The pinned owner.
        pinned: PublicKey,
    },
    /// The release is sealed and no capability was given. Pass `--capability FILE`, or type it
    /// when asked.
    #[error("{0} is sealed and needs its capability")]
    NeedsCapability(String),
    /// The capability does not open this release.
    #[error("the capability does not open {0}")]
    WrongCapability(String),
    /// A chunk could not be had from any source.
    #[error("cannot fetch a part of the tree")]
    Fetch(#[from] FetchError),
    /// The local store failed.
    #[error("the local store failed")]
    Store(#[from] StoreError),
    /// The publisher made a tree that breaks the format.
    #[error("the tree is malformed")]
    Decode(#[from] DecodeError),
    /// A folder named as a source could not be read.
    #[error("cannot use {} as a source", path.display())]
    Folder {
        /// The folder.
        path: std::path::PathBuf,
        /// Why not.
        #[source]
        source: snapshot::SnapshotError,
    },
    /// The publisher made a directory that claims bytes it does not have.
    #[error("a directory of the tree has a hole")]
    HoleInDirectory,
    /// What was read could not be passed on.
    #[error("cannot write the output")]
    Sink(#[source] std::io::Error),
    /// A sealed part does not open.
    #[error("a sealed part of the tree does not open")]
    Open(#[from] content::seal::OpenError),
    /// Nothing in the tree has this path.
    #[error("there is no {0} in the tree")]
    NoPath(String),
    /// The path is not what the command needs.
    #[error("{path} is {is}, not {wanted}")]
    Kind {
        /// The path.
        path: String,
        /// What it is.
        is: &'static str,
        /// What was needed.
        wanted: &'static str,
    },
    /// The state directory failed.
    #[error("cannot use this node's state")]
    State(#[from] StateError),
}

/// A tree that was found, and where to read it.
pub struct FoundTree {
    /// The tree.
    pub tree: TreeRef,
    /// The release it is, when asked for by name.
    pub release: Option<Manifest>,
    /// The owner of that name, who may have had somebody else publish.
    pub owner: Option<PublicKey>,
    /// Where chunks come from.
    pub fetcher: Arc<Fetcher>,
    /// Where metadata is kept.
    pub store: Arc<dyn ChunkStore>,
    /// The hub asked, if any.
    pub hub: Option<HubLink>,
}

impl Node {
    /// Finds `spec`, checks its release, and prepares its sources.
    ///
    /// # Errors
    /// See [`TreeError`].
    pub async fn find_tree(
        &self,
        spec: &TreeSpec,
        hub_url: Option<&str>,
        capability: Option<&Capability>,
        publisher: Option<&PublicKey>,
        also: &[String],
    ) -> Result<FoundTree, TreeError> {
        let store = self.metadata_store()?;
        let local: Arc<dyn Source> = Arc::new(StoreSource::new("local store", Arc::clone(&store)));
        match spec {
            TreeSpec::Release { name, sequence } => {
                let hub = self.hub(hub_url)?;
                let (manifest, owner) =
                    self.release(&hub, name, *sequence, spec, publisher).await?;
                let tree = tree_of(&manifest, spec, capability)?;
                let client = Arc::clone(&hub.client);
                let mut sources: Vec<Arc<dyn Source>> =
                    vec![Arc::new(HubSource::new(hub.url.clone(), client).with_promise())];
                sources.extend(self.more_sources(also, &store).await?);
                Ok(FoundTree {
                    tree,
                    release: Some(manifest),
                    owner: Some(owner),
                    fetcher: Arc::new(Fetcher::new(sources, FetchConfig::default())),
                    store,
                    hub: Some(hub),
                })
            }
            TreeSpec::Id(id) => {
                let hub = match self.hub(hub_url) {
                    Ok(hub) => Some(hub),
                    Err(HubChoiceError::NoneKnown) => None,
                    Err(error) => return Err(error.into()),
                };
                let mut sources = vec![local];
                if let Some(hub) = &hub {
                    let client = Arc::clone(&hub.client);
                    sources.push(Arc::new(HubSource::new(hub.url.clone(), client)));
                }
                sources.extend(self.more_sources(also, &store).await?);
                let fetcher = Arc::new(Fetcher::new(sources, FetchConfig::default()));
                // The length of a root is not part of its id, so it is read first.
                let want = Want { id: *id, length: 1024, priority: Priority::Demanded };
                let root = fetcher.fetch_all(vec![want]).await?;
                let length = root.get(id).map_or(0, Bytes::len);
                let tree = TreeRef(ChunkRef::plain(*id, u32::try_from(length).unwrap_or(u32::MAX)));
                Ok(FoundTree { tree, release: None, owner: None, fetcher, store, hub })
            }
        }
    }

    /// Sources named beside the hub: other hubs by URL, stores and folders by path.
    async fn more_sources(
        &self,
        also: &[String],
        metadata: &Arc<dyn ChunkStore>,
    ) -> Result<Vec<Arc<dyn Source>>, TreeError> {
        let mut sources: Vec<Arc<dyn Source>> = Vec::new();
        for one in also {
            if one.starts_with("http://") || one.starts_with("https://") {
                let hub = self.hub(Some(one))?;
                sources.push(Arc::new(HubSource::new(hub.url, hub.client)));
                continue;
            }
            let path = std::path::Path::new(one);
            if path.join("packs").is_dir() {
                let store = DiskStore::open(path, DiskOptions::default())?;
                sources.push(Arc::new(StoreSource::new(one.clone(), Arc::new(store))));
            } else {
                sources.push(Arc::new(self.folder_source(path, metadata).await?));
            }
        }
        Ok(sources)
    }

    /// Gets a release of `name` and checks it against what this node trusts and has seen; with the
    /// owner of the name.
    async fn release(
        &self,
        hub: &HubLink,
        name: &ReleaseName,
        sequence: Option<u64>,
        spec: &TreeSpec,
        publisher: Option<&PublicKey>,
    ) -> Result<(Manifest, PublicKey), TreeError> {
        let ask = |source| TreeError::Hub { url: hub.url.clone(), spec: spec.to_string(), source };
        let document = |source| TreeError::Document { spec: spec.to_string(), source };
        let newest = hub.client.head(name).await.map_err(ask)?;
        let offered = offered_owner(&newest).map_err(document)?;
        let mut trust = match publisher {
            // A new owner begins a new history.
            Some(key) => match self.trust(&hub.identity, name)? {
                Some(trust) if trust.owner == *key => trust,
                _ => Trust::new(*key),
            },
            None => self.trust_or_pin(hub, name, offered)?,
        };
        let now = unix_now();
        let authority = trust.authority(name, newest.delegation.as_deref(), now);
        let refused = |source| {
            if let AcceptError::WrongKey { expected: pinned, found: offered } = source {
                return TreeError::OtherPublisher { name: name.clone(), offered, pinned };
            }
            TreeError::Refused { spec: spec.to_string(), source }
        };
        let (head, seen) = (&newest.head, trust.seen.as_ref());
        let accepted = documents::accept_head(head, &newest.manifest, &authority, name, seen, now)
            .map_err(refused)?;
        trust.seen = Some(accepted.seen);
        trust.list = authority.signed().map(<[u8]>::to_vec);
        self.remember_trust(&hub.identity, name, &trust)?;
        let release = match sequence {
            Some(number) if number != accepted.manifest.sequence => {
                let bytes = hub.client.release(name, number).await.map_err(ask)?;
                accept_numbered(&bytes, &authority, name, number).map_err(refused)?
            }
            _ => accepted.manifest,
        };
        Ok((release, trust.owner))
    }
}

/// Whose name it is by the hub's word: of the list of publishers, else of the release. To be pinned
/// at first use, never proof of anything.
pub(crate) fn offered_owner(newest: &SignedHead) -> Result<PublicKey, DocumentError> {
    let of_list = newest.delegation.as_deref().and_then(|list| Delegation::peek_owner(list).ok());
    of_list.map_or_else(|| Manifest::peek_publisher(&newest.manifest), Ok)
}

fn tree_of(
    manifest: &Manifest,
    spec: &TreeSpec,
    capability: Option<&Capability>,
) -> Result<TreeRef, TreeError> {
    if manifest.sealed_root.is_none() {
        return Ok(TreeRef(ChunkRef::plain(manifest.tree.id, manifest.tree.stored_length)));
    }
    let capability = capability.ok_or_else(|| TreeError::NeedsCapability(spec.to_string()))?;
    capability.open_root(manifest).map_err(|_| TreeError::WrongCapability(spec.to_string()))
}

/// What an entry is, in a word.
#[must_use]
pub fn kind_word(entry: &Entry) -> &'static str {
    match entry.kind {
        Kind::File { .. } => "a file",
        Kind::Directory { .. } => "a directory",
        Kind::Symlink { .. } => "a symbolic link",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees_are_named_by_release_or_by_id() {
        let id = ChunkId::of(b"tree");
        assert_eq!(id.to_string().parse(), Ok(TreeSpec::Id(id)));
        let spec: TreeSpec = "team/tools@3".parse().expect("valid");
        assert_eq!(spec.to_string(), "team/tools@3");
        assert!(matches!(&spec, TreeSpec::Release { sequence: Some(3), .. }));
        for wrong in ["", "tools", "team/tools@", "team/tools@0", "team/tools@x", "../x", "a/b/c"] {
            assert!(wrong.parse::<TreeSpec>().is_err(), "{wrong:?}");
        }
    }
}
