//! Publishing: a directory becomes a numbered, signed release at a hub.
//!
//! The directory's own files are the only copy on this machine: chunks go from the reader
//! straight to the hub, and only those the hub lacks. The index of what was read is kept when
//! the release is accepted, so the next release reads only what changed.

mod history;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use content::Sealer;
use documents::{AcceptError, Capability, Manifest, ReleaseName, Seen};
use hub_api::ProblemCode;
use hub_client::ClientError;
use snapshot::{Skipped, SnapshotError, SnapshotOptions, SnapshotProgress};

use self::history::History;
use crate::delegate::DelegateError;
use crate::drafting::Drafting;
use crate::hubs::HubLink;
use crate::state::{Node, StateError, path_bytes, random, replace};
use crate::trust::Trust;
use crate::unfinished::{Unfinished, UnfinishedKind};
use crate::upload::{UploadProgress, UploadSink, upload};
use crate::waits::Waits;

/// What to publish and how.
#[derive(Debug, Clone)]
pub struct PublishRequest {
    /// File or directory.
    pub path: PathBuf,
    /// Name to publish under.
    pub name: ReleaseName,
    /// Readable by everybody who reaches the hub; `None` leaves a known name as it is.
    pub public: bool,
    /// Encrypt names and contents so that the hub sees sizes only.
    pub sealed: bool,
    /// Opens the sealed releases of a name that belongs to somebody else.
    pub capability: Option<Capability>,
    /// Read every file, changed or not.
    pub reread: bool,
    /// Record numeric owners.
    pub owners: bool,
    /// How long the release counts as current.
    pub valid_for: Duration,
}

/// What progress can be shown of.
#[derive(Debug, Default)]
pub struct PublishProgress {
    /// The reading end.
    pub snapshot: Arc<SnapshotProgress>,
    /// The sending end.
    pub upload: Arc<UploadProgress>,
    /// What is waited for before anything is read.
    pub waits: Waits,
}

/// A release the hub has accepted.
#[derive(Debug)]
pub struct Published {
    /// Its signed statement.
    pub manifest: Manifest,
    /// False when nothing had changed since the newest release, which was left as it is.
    pub new: bool,
    /// What hangs under it.
    pub totals: content::Totals,
    /// What could not be read and was left out.
    pub skipped: Vec<Skipped>,
    /// Files opened.
    pub files_read: u64,
    /// Bytes on the wire to the hub.
    pub bytes_sent: u64,
    /// Bytes of the tree that did not have to be sent.
    pub bytes_reused: u64,
    /// Opens the release when it is sealed.
    pub capability: Option<Capability>,
    /// From the first read to the hub's answer.
    pub elapsed: Duration,
}

/// Why a release was not published. The hub shows the previous one unchanged.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The directory could not be read at all.
    #[error("cannot read {}", path.display())]
    Snapshot {
        /// What was to be published.
        path: PathBuf,
        /// Why not.
        #[source]
        source: SnapshotError,
    },
    /// The hub could not be reached or refused. What was sent so far is kept there for a day, so
    /// running the command again goes on from here.
    #[error("cannot publish {name} at {url}")]
    Hub {
        /// The name.
        name: ReleaseName,
        /// The hub.
        url: String,
        /// What it said.
        #[source]
        source: ClientError,
    },
    /// The newest release at the hub is of nobody who may publish, or not what it was. The hub was
    /// restored from an old backup, or lies; compare with `consign log`.
    #[error("the hub's newest release of {name} does not continue the history this node knows")]
    History {
        /// The name.
        name: ReleaseName,
        /// What does not fit.
        #[source]
        source: AcceptError,
    },
    /// Readers would not believe a release by this node: its owner has not put it on the list of
    /// publishers, took it off, or the list has expired. Ask the owner for
    /// `consign grant NAME KEY --publisher`.
    #[error("this node is no publisher of {name}")]
    NoPublisher {
        /// The name.
        name: ReleaseName,
        /// Why not.
        #[source]
        source: AcceptError,
    },
    /// A sealed release that the readers' capability does not open. Give the owner's.
    #[error("{name} belongs to somebody else, whose capability its sealed releases need")]
    NeedsCapability {
        /// The name.
        name: ReleaseName,
    },
    /// The owner's list of publishers could not be renewed.
    #[error("cannot renew the list of publishers of {0}")]
    Renewal(ReleaseName, #[source] Box<DelegateError>),
    /// The hub shows a release as the newest that is not: of another name, or another one under the
    /// number of one this node knows. It mixed things up, or lies; compare with `consign log`.
    #[error("the hub's newest release of {name} is not the one this node knows")]
    OtherHistory {
        /// The name.
        name: ReleaseName,
    },
    /// The hub has an older release than this node published or has seen.
    #[error("the hub shows release {offered} of {name}, this node knows of {seen}")]
    RolledBack {
        /// The name.
        name: ReleaseName,
        /// Newest at the hub.
        offered: u64,
        /// Newest known here.
        seen: u64,
    },
    /// The hub lost chunks faster than they could be sent again.
    #[error("the hub still lacks {missing} chunks of {name} after they were sent again")]
    StillMissing {
        /// The name.
        name: ReleaseName,
        /// How many.
        missing: usize,
    },
    /// This node's state failed.
    #[error("cannot use this node's state")]
    State(#[from] StateError),
}

/// Times the whole tree is gone through when the hub says that chunks are missing.
const ATTEMPTS: usize = 3;

impl Node {
    /// Publishes a directory or a file.
    ///
    /// # Errors
    /// See [`PublishError`]; the previous release stays current.
    pub async fn publish(
        &self,
        hub: &HubLink,
        request: &PublishRequest,
        progress: &PublishProgress,
    ) -> Result<Published, PublishError> {
        let started = Instant::now();
        let fail =
            |source| PublishError::Hub { name: request.name.clone(), url: hub.url.clone(), source };
        let before = hub.client.bytes_on_wire();
        let known = hub.client.name_info(&request.name).await;
        let exists = match known {
            Ok(info) => Some(info.public),
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(fail(error)),
        };
        if exists.is_none() || request.public && exists == Some(false) {
            hub.client.put_name(&request.name, request.public).await.map_err(fail)?;
        }
        let memory = self.publish_memory(hub, request)?;
        let drafting =
            Drafting::begin(&memory, "another `publish` of the same path", &progress.waits).await?;
        let History { owner, list, newest, counts } = self.history(hub, &request.name).await?;
        let asked = Unfinished {
            kind: UnfinishedKind::Publish,
            what: request.name.to_string(),
            path: Self::subject_of(&request.path)?,
            hub: Some(hub.url.clone()),
            more: request.sealed || request.owners,
            began: unix_now(),
        };
        let noted = asked.note(&memory)?;
        let (index, draft) = (memory.join("index"), memory.join("index.new"));
        let accepted = memory.join("accepted");
        let mut assumed = if newest.is_some() { read_ids(&accepted) } else { HashSet::new() };
        let capability = match (request.sealed, &request.capability) {
            (false, _) => None,
            (true, Some(given)) => Some(given.clone()),
            (true, None) if owner == self.key().public() => {
                Some(Capability::derive(&self.convergence_secret()?, &request.name))
            }
            (true, None) => {
                return Err(PublishError::NeedsCapability { name: request.name.clone() });
            }
        };

        let mut resend = HashSet::new();
        let mut reread = request.reread;
        for attempt in 1..=ATTEMPTS {
            let (shot, metadata) = self
                .send(hub, request, &index, &draft, &drafting, resend, reread, assumed, progress)
                .await?;
            let unchanged = newest.as_ref().filter(|(manifest, _)| {
                counts
                    && manifest.tree.id == shot.tree.id()
                    && manifest.sealed_root.is_some() == request.sealed
            });
            let report = |manifest: Manifest, new| {
                let after = hub.client.bytes_on_wire();
                Published {
                    manifest,
                    new,
                    totals: shot.totals,
                    skipped: shot.skipped.clone(),
                    files_read: shot.files_read,
                    bytes_sent: after.sent - before.sent,
                    bytes_reused: shot.totals.bytes.saturating_sub(
                        progress.upload.sent_bytes.load(std::sync::atomic::Ordering::Relaxed),
                    ),
                    capability: capability.clone(),
                    elapsed: started.elapsed(),
                }
            };
            if let Some((manifest, _)) = unchanged
                && !near_expiry(manifest, request.valid_for)
            {
                keep_index(&draft, &index)?;
                noted.done();
                return Ok(report(manifest.clone(), false));
            }
            let manifest =
                self.manifest_of(request, &shot, newest.as_ref(), capability.as_ref())?;
            let signed = manifest.sign(self.key());
            let hash = documents::DocumentHash::of(&signed);
            let head = manifest.head(hash).sign(self.key());
            match hub.client.post_release(&request.name, &signed, &head).await {
                Ok(_) => {
                    let seen = Some(Seen { sequence: manifest.sequence, manifest: hash });
                    let trust = Trust { owner, seen, list };
                    self.remember_trust(&hub.identity, &request.name, &trust)?;
                    replace(&accepted, metadata.as_flattened())?;
                    keep_index(&draft, &index)?;
                    noted.done();
                    return Ok(report(manifest, true));
                }
                Err(ClientError::Problem { code: ProblemCode::ChunksMissing, missing, .. }) => {
                    tracing::info!(missing = missing.len(), attempt, "the hub lacks chunks");
                    // More than one answer can name: everything is offered again.
                    reread |= missing.len() >= hub_api::limits::MISSING_IDS_MAX
                        || attempt + 1 == ATTEMPTS;
                    resend = missing.into_iter().collect();
                    assumed = HashSet::new();
                    if attempt == ATTEMPTS {
                        let missing = resend.len();
                        return Err(PublishError::StillMissing {
                            name: request.name.clone(),
                            missing,
                        });
                    }
                }
                Err(error) => return Err(fail(error)),
            }
        }
        unreachable!("the last attempt returns")
    }

    /// Reads the tree and sends what the hub lacks.
    #[expect(clippy::too_many_arguments, reason = "one step of publishing, cut out to be shared")]
    pub(crate) async fn send(
        &self,
        hub: &HubLink,
        request: &PublishRequest,
        index: &Path,
        draft: &Path,
        drafting: &Drafting,
        resend: HashSet<content::ChunkId>,
        reread: bool,
        assumed: HashSet<content::ChunkId>,
        progress: &PublishProgress,
    ) -> Result<(snapshot::Snapshot, Vec<[u8; 32]>), PublishError> {
        let sealer = if request.sealed { Some(Sealer::new(self.convergence()?)) } else { None };
        let options = SnapshotOptions {
            sealer,
            reread,
            owners: request.owners,
            threads: std::thread::available_parallelism().map_or(2, usize::from),
            resend,
        };
        let (sink, batches) =
            UploadSink::new(request.sealed, assumed, Arc::clone(&progress.upload));
        let codec = sink.codec();
        let reading = {
            let (path, index, draft) = (request.path.clone(), index.to_owned(), draft.to_owned());
            let progress = Arc::clone(&progress.snapshot);
            let drafting = drafting.clone();
            tokio::task::spawn_blocking(move || {
                let _drafting = drafting;
                let shot =
                    snapshot::snapshot(&path, &options, Some(&index), &draft, &sink, &progress)?;
                let metadata = sink.finish().map_err(SnapshotError::from)?;
                Ok((shot, metadata.iter().map(|id| *id.as_bytes()).collect()))
            })
        };
        let sending =
            upload(Arc::clone(&hub.client), batches, codec, Arc::clone(&progress.upload)).await;
        let read = reading.await.expect("reading does not panic");
        // When sending fails the reader ends with "nobody takes chunks any more": say the cause.
        sending.map_err(|source| PublishError::Hub {
            name: request.name.clone(),
            url: hub.url.clone(),
            source,
        })?;
        read.map_err(|source| PublishError::Snapshot { path: request.path.clone(), source })
    }

    pub(crate) fn publish_memory(
        &self,
        hub: &HubLink,
        request: &PublishRequest,
    ) -> Result<PathBuf, StateError> {
        let subject = Self::subject_of(&request.path)?;
        let way: &[u8] = if request.sealed { b"sealed" } else { b"plain" };
        self.memory_of("publish", &[path_bytes(&subject), way, hub.identity.as_bytes()])
    }

    fn manifest_of(
        &self,
        request: &PublishRequest,
        shot: &snapshot::Snapshot,
        newest: Option<&(Manifest, documents::DocumentHash)>,
        capability: Option<&Capability>,
    ) -> Result<Manifest, StateError> {
        let sequence = newest.map_or(1, |(manifest, _)| manifest.sequence + 1);
        let issued = unix_now();
        let sealed_root = match capability {
            None => None,
            Some(capability) => {
                Some(capability.seal_root(&shot.tree, &request.name, sequence, random::<12>()?))
            }
        };
        Ok(Manifest {
            publisher: self.key().public(),
            name: request.name.clone(),
            sequence,
            previous: newest.map(|(_, hash)| *hash),
            issued,
            expires: issued.saturating_add(request.valid_for.as_secs()),
            tree: content::closure::ClosureEntry::from(&shot.tree.0),
            closure: shot.closure,
            totals: (!request.sealed).then_some(shot.totals),
            parameters: content::cut::PARAMETERS,
            sealed_root,
        })
    }
}

/// An unchanged tree is released again when more than half of the validity has passed.
fn near_expiry(manifest: &Manifest, valid_for: Duration) -> bool {
    manifest.expires.saturating_sub(unix_now()) < valid_for.as_secs() / 2
}

/// Ids written by an earlier run; what cannot be read is not known.
fn read_ids(path: &Path) -> HashSet<content::ChunkId> {
    let bytes = std::fs::read(path).unwrap_or_default();
    let (ids, _rest) = bytes.as_chunks::<32>();
    ids.iter().map(|id| content::ChunkId::from_bytes(*id)).collect()
}

pub(crate) fn keep_index(draft: &Path, index: &Path) -> Result<(), StateError> {
    std::fs::rename(draft, index).map_err(crate::state::io("replace", index))
}

/// Seconds since 1970; a clock before that reads as 0.
#[must_use]
pub fn unix_now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
