//! Packages are sent to the targets of a community, and what they answer is kept.
//!
//! A release is written into the ledger before the hub is told of it, with all that is needed to finish
//! it: its signed manifest and every envelope. So whatever stops this machine, the next `send`, or the
//! node, gives the hub the rest of the same release and not a second one.

mod begun;
mod forgotten;
mod kept;
mod receipts;
mod rollback;
mod sources;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use community::{Address, Envelope, Membership, MessageSeed, PeerName, Role};
use content::TreeRef;
use documents::{DocumentHash, Manifest, PublicKey, ReleaseName, Seen};
use hub_api::{Base64Bytes, Hex, ProblemCode};
use hub_client::ClientError;
use ledger::{
    Addressee, Confirmed, Draft, DraftError, Ledger, LedgerError, NewPackage, PackageFilter,
};
use package::Package;
use package::label::Expression;
use serde::{Deserialize, Serialize};

pub use self::forgotten::Forgotten;
pub use self::receipts::Collected;
pub(super) use self::receipts::{AT_ONCE, read_receipts};
pub use self::rollback::{RollBackError, RollBackRequest, RolledBack};
pub use self::sources::{Sources, StageError, Staged};
use super::manager::fail;
use super::rollout::{RolloutStatus, Staging};
use super::{CommunityError, Place};
use crate::drafting::Drafting;
use crate::hubs::HubLink;
use crate::publish::{PublishError, PublishProgress, PublishRequest, unix_now};
use crate::state::{StateError, random};
use crate::trust::Trust;

/// Times the whole tree is gone through when the hub says that chunks are missing.
const ATTEMPTS: usize = 3;

/// To which targets a package goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// To all of them.
    All,
    /// To these.
    Peers(Vec<PeerName>),
    /// To those whose labels fit.
    Labels(Expression),
}

impl std::fmt::Display for Selection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Peers(peers) => {
                let peers: Vec<_> = peers.iter().map(PeerName::as_str).collect();
                f.write_str(&peers.join(", "))
            }
            Self::Labels(expression) => write!(f, "labels {expression}"),
        }
    }
}

/// A package that was put together.
#[derive(Debug, Clone)]
pub struct SendRequest {
    /// The directory with its tree, which does not change meanwhile.
    pub tree: PathBuf,
    /// Its instructions.
    pub package: Package,
    /// Where it can be put together from again, as [`Sources`] understands it.
    pub sources: Option<PathBuf>,
    /// For whom it is.
    pub to: Selection,
    /// How long targets take it.
    pub valid_for: Duration,
    /// How it reaches them wave after wave; none for all of them at once.
    pub staging: Option<Staging>,
    /// Nothing is sent when the newest release of this package was the same, and for the same.
    pub unless_sent: bool,
}

/// What came of sending a package.
#[derive(Debug, Clone)]
pub enum SendOutcome {
    /// It was sent.
    Sent(Box<Sent>),
    /// It was not, because nothing has changed since this release.
    Unchanged(u64),
}

/// A package that is in the queues of its targets, or of those of its first waves.
#[derive(Debug, Clone)]
pub struct Sent {
    /// Its number.
    pub sequence: u64,
    /// Hash of its signed manifest.
    pub manifest: DocumentHash,
    /// Its targets, by name; also those whose wave has not come.
    pub targets: Vec<PeerName>,
    /// How its roll-out stands; none when it went to all of them at once.
    pub rollout: Option<RolloutStatus>,
    /// Bytes on the wire to the hub.
    pub bytes_sent: u64,
    /// Bytes of its files.
    pub bytes: u64,
    /// What the hub had forgotten of earlier ones.
    pub forgotten: Vec<Forgotten>,
}

/// Why a package was not sent, or receipts were not collected. What was begun is finished by the next.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The community or its hub.
    #[error(transparent)]
    Community(#[from] CommunityError),
    /// The managers have not made this node a publisher, or took that back.
    #[error("this node is no publisher of {0}")]
    NoPublisher(String),
    /// Nobody would get it. `consign community list` shows the targets with their labels.
    #[error("no target of the community fits {0}")]
    NoTarget(String),
    /// One of the peers that were named is not a target, or has not joined.
    #[error("{0} is no target of the community")]
    NotATarget(PeerName),
    /// The tree could not be read or given to the hub.
    #[error("cannot send the package's tree")]
    Publish(#[from] PublishError),
    /// The hub's newest release of this feed was not sent from here: the ledger was restored from a backup,
    /// or this node's key sends from two places.
    #[error("the hub's newest release of this publisher is {hub}, and {own} was sent from here")]
    OtherHistory {
        /// Number of the newest one at the hub.
        hub: u64,
        /// Number of the last one that was sent from here.
        own: u64,
    },
    /// The hub forgot releases while this was under way, which have to be given back first: do it again.
    #[error("the hub forgot the releases after {hub}, and release {own} comes after those")]
    Forgot {
        /// Number of the newest one at the hub.
        hub: u64,
        /// Number of the one that was to be sent.
        own: u64,
    },
    /// A release that the hub forgot cannot be put together again now. It is tried again.
    #[error("cannot put release {sequence} together again, which the hub forgot")]
    Stage {
        /// Its number.
        sequence: u64,
        /// Why not.
        #[source]
        source: StageError,
    },
    /// Nothing can be sealed for a target's key, which no manager's program lets join.
    #[error("nothing can be sealed for {0}")]
    WeakKey(PeerName),
    /// The ledger could not be written.
    #[error(transparent)]
    Draft(#[from] DraftError),
    /// The ledger could not be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Nobody fits that is to get it first.
    #[error("none of the targets fits the labels {0} of the first wave")]
    NoCanary(String),
    /// What is kept of a roll-out cannot be read. Nobody more is addressed.
    #[error("the roll-out of release {0} in the ledger is damaged")]
    DamagedRollout(u64),
    /// What an earlier run left in the ledger cannot be read; nothing was sent.
    #[error("the draft of release {0} in the ledger is damaged")]
    DamagedDraft(u64),
    /// The state directory failed.
    #[error("cannot use this node's state")]
    State(#[from] StateError),
}

/// What finishes a release after a crash.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Resume {
    /// Empty when the hub has the release already.
    pub(super) manifest: Base64Bytes,
    pub(super) head: Base64Bytes,
    pub(super) envelopes: Vec<(Hex<32>, Base64Bytes)>,
}

impl Place {
    pub(super) fn feed(&self) -> ReleaseName {
        self.id().feed(&self.node().key().public())
    }

    /// The targets of the community that a selection means, by name.
    ///
    /// # Errors
    /// There are none, or this node is no publisher.
    pub async fn select(&self, to: &Selection) -> Result<Vec<Membership>, SendError> {
        let (standing, members) = self.members().await?;
        let own = self.node().key().public();
        if !standing.roster().publishers.contains_key(&own) {
            return Err(SendError::NoPublisher(standing.charter.name));
        }
        let mut targets: Vec<Membership> =
            members.into_iter().filter(|it| it.roles.contains(&Role::Target)).collect();
        match to {
            Selection::All => {}
            Selection::Peers(peers) => {
                let there = |peer: &PeerName| targets.iter().any(|target| target.peer == *peer);
                if let Some(other) = peers.iter().find(|peer| !there(peer)) {
                    return Err(SendError::NotATarget(other.clone()));
                }
                targets.retain(|target| peers.contains(&target.peer));
            }
            Selection::Labels(expression) => {
                targets.retain(|target| expression.fits(&target.labels));
            }
        }
        if targets.is_empty() {
            return Err(SendError::NoTarget(to.to_string()));
        }
        Ok(targets)
    }

    /// Sends a package: when it is sent, it is in the queue of every target it is for.
    ///
    /// # Errors
    /// See [`SendError`].
    pub async fn send(
        &self,
        request: &SendRequest,
        ledger: &dyn Ledger,
        progress: &PublishProgress,
    ) -> Result<SendOutcome, SendError> {
        let hub = self.hub()?;
        let before = hub.client.bytes_on_wire();
        let forgotten = self.give_back(ledger).await?;
        self.finish_drafts(ledger).await?;
        let targets = self.select(&request.to).await?;
        let feed = self.feed();
        let fail = |source| fail(&hub, "send a package", source);
        match hub.client.name_info(&feed).await {
            Ok(_) => {}
            Err(error) if error.is_not_found() => {
                hub.client.put_name(&feed, false).await.map_err(fail)?;
            }
            Err(error) => return Err(fail(error).into()),
        }
        let published = self.published(request.tree.clone(), request.valid_for);
        let node = self.node();
        let last = self.last_release(&hub, ledger).await?;
        let memory = node.publish_memory(&hub, &published)?;
        let drafting = Drafting::begin(&memory, "another `package send`", &progress.waits).await?;
        let (index, draft) = (memory.join("index"), memory.join("index.new"));
        let mut resend = std::collections::HashSet::new();
        let mut reread = false;
        let mut drafted = None;
        for attempt in 1..=ATTEMPTS {
            let known = std::collections::HashSet::new();
            let (shot, _) = node
                .send(&hub, &published, &index, &draft, &drafting, resend, reread, known, progress)
                .await?;
            let release = Release::new(self, request, &feed, last, &shot);
            if request.unless_sent
                && drafted.is_none()
                && let Some(sequence) = self.sent_last(&release, ledger).await?
            {
                return Ok(SendOutcome::Unchanged(sequence));
            }
            let id = match drafted {
                Some(id) => id,
                None => {
                    let id = match &request.staging {
                        None => {
                            let (new, to) = self.seal(&release, &targets, ledger).await?;
                            self.keep_release(&release, &new, request.sources.as_deref())?;
                            ledger.draft(&new, &to).await?
                        }
                        Some(staging) => {
                            // Signed and sealed for nobody yet: the waves are addressed one by one.
                            let (new, _) = self.seal(&release, &[], ledger).await?;
                            self.keep_release(&release, &new, request.sources.as_deref())?;
                            let rollout = staging.plan(new.manifest, release.tree, &targets)?;
                            ledger.draft_rollout(&new, &rollout).await?
                        }
                    };
                    drafted = Some(id);
                    id
                }
            };
            let drafts = ledger.drafts().await?;
            let Some(written) = drafts.into_iter().find(|draft| draft.package.id == id) else {
                return Err(SendError::DamagedDraft(release.manifest.sequence));
            };
            match self.hand_in(&hub, &written, ledger).await {
                Ok(()) => {
                    crate::publish::keep_index(&draft, &index)?;
                    let rollout = match &request.staging {
                        None => None,
                        Some(_) => {
                            self.advance_rollouts(ledger).await?;
                            super::rollout::status(ledger, id, unix_now()).await?
                        }
                    };
                    return Ok(SendOutcome::Sent(Box::new(Sent {
                        rollout,
                        sequence: written.package.sequence,
                        manifest: written.package.manifest,
                        targets: targets.into_iter().map(|target| target.peer).collect(),
                        bytes_sent: hub.client.bytes_on_wire().sent - before.sent,
                        bytes: shot.totals.bytes,
                        forgotten,
                    })));
                }
                Err(HandInError::Missing(missing)) if attempt < ATTEMPTS => {
                    reread |= missing.len() >= hub_api::limits::MISSING_IDS_MAX
                        || attempt + 1 == ATTEMPTS;
                    resend = missing.into_iter().collect();
                }
                Err(HandInError::Missing(missing)) => {
                    ledger.discard(id).await?;
                    let missing = missing.len();
                    return Err(PublishError::StillMissing { name: feed, missing }.into());
                }
                Err(HandInError::Send(error)) => return Err(error),
            }
        }
        unreachable!("the last attempt returns")
    }

    /// Number of the newest release of this package, if it has this tree and was for the same.
    async fn sent_last(
        &self,
        release: &Release<'_>,
        ledger: &dyn Ledger,
    ) -> Result<Option<u64>, SendError> {
        let (community, name) = (Some(self.id()), Some(release.name.to_owned()));
        let filter = PackageFilter { community, name, sequence: None };
        let mut before = None;
        // Other publishers may keep theirs in the same ledger.
        loop {
            let found = ledger.packages(&filter, before, 1).await?;
            let Some(newest) = found.into_iter().next() else { return Ok(None) };
            if newest.feed == *release.feed {
                let is_same = newest.sent.is_some()
                    && newest.tree == release.tree.id()
                    && newest.selector == release.selector;
                return Ok(is_same.then_some(newest.sequence));
            }
            before = Some(newest.id);
        }
    }

    /// How the tree of a package is given to the hub.
    fn published(&self, tree: PathBuf, valid_for: Duration) -> PublishRequest {
        PublishRequest {
            path: tree,
            name: self.feed(),
            public: false,
            sealed: true,
            capability: None,
            reread: false,
            owners: false,
            valid_for,
        }
    }

    /// Seals the release for its targets, and all that finishes it.
    async fn seal(
        &self,
        release: &Release<'_>,
        targets: &[Membership],
        ledger: &dyn Ledger,
    ) -> Result<(NewPackage, Vec<Addressee>), SendError> {
        let node = self.node();
        let signed = release.manifest.sign(node.key());
        let manifest = DocumentHash::of(&signed);
        let head = release.manifest.head(manifest).sign(node.key());
        let keys: Vec<PublicKey> = targets.iter().map(|target| target.key).collect();
        let last = ledger.last_sent(release.feed, &keys, u64::MAX).await?;
        let mut envelopes = Vec::with_capacity(targets.len());
        for target in targets {
            let previous = last.get(&target.key).copied().unwrap_or(0);
            let envelope = self.envelope(release.tree, manifest, target, previous)?;
            envelopes.push((Hex(*target.key.as_bytes()), envelope.into()));
        }
        let resume = Resume { manifest: signed.into(), head: head.into(), envelopes };
        let new = NewPackage {
            community: self.id(),
            feed: release.feed.clone(),
            sequence: release.manifest.sequence,
            manifest,
            name: release.name.to_owned(),
            version: release.version.to_owned(),
            description: release.description.to_owned(),
            tree: release.tree.id(),
            bytes: release.bytes,
            selector: release.selector.clone(),
            built: release.manifest.issued,
            expires: release.manifest.expires,
            resume: serde_json::to_vec(&resume).expect("text keys and no failing map"),
        };
        Ok((new, targets.iter().map(addressee).collect()))
    }

    /// The envelope of a release for a target, whose release before is `previous`.
    pub(super) fn envelope(
        &self,
        tree: &TreeRef,
        manifest: DocumentHash,
        target: &Membership,
        previous: u64,
    ) -> Result<Vec<u8>, SendError> {
        let (community, publisher) = (self.id(), self.node().key().public());
        let address = Address { community, manifest, publisher, target: target.key };
        let random = MessageSeed::from_random(random()?);
        let exchange = self.node().exchange();
        let sealed = Envelope::seal(tree, previous, &address, &exchange, &target.exchange, random);
        let envelope = sealed.map_err(|_| SendError::WeakKey(target.peer.clone()))?;
        Ok(envelope.as_bytes().to_vec())
    }

    /// Gives the hub what it may not have of every release that was begun.
    ///
    /// # Errors
    /// See [`SendError`].
    pub async fn finish_drafts(&self, ledger: &dyn Ledger) -> Result<(), SendError> {
        let feed = self.feed();
        let hub = self.hub()?;
        for draft in ledger.drafts().await? {
            if draft.package.feed != feed {
                continue;
            }
            match self.hand_in(&hub, &draft, ledger).await {
                Ok(()) => {}
                // It had it, and forgot: targets may have it, so that its number is taken.
                Err(HandInError::Missing(_)) if self.was_taken(&hub, &draft.package)? => {
                    ledger.confirm(draft.package.id, unix_now()).await?;
                    self.give_back(ledger).await?;
                }
                // The hub never had it, and does not have its chunks any more: it is sent anew.
                Err(HandInError::Missing(_)) => {
                    ledger.discard(draft.package.id).await?;
                }
                Err(HandInError::Send(error)) => return Err(error),
            }
        }
        Ok(())
    }

    async fn hand_in(
        &self,
        hub: &HubLink,
        draft: &Draft,
        ledger: &dyn Ledger,
    ) -> Result<(), HandInError> {
        let sequence = draft.package.sequence;
        let resume: Resume =
            serde_json::from_slice(&draft.resume).map_err(|_| SendError::DamagedDraft(sequence))?;
        let feed = &draft.package.feed;
        let sealed = resume.envelopes.len();
        if sealed < draft.targets.len() {
            // Somebody would be taken for addressed who is not.
            return Err(SendError::DamagedDraft(sequence).into());
        }
        let fail = |source| SendError::from(fail(hub, "send a package", source));
        if draft.package.sent.is_none() && !self.hub_has(hub, draft).await? {
            let after = self.left_out_before(hub, sequence, ledger).await?;
            let (manifest, head) = (&resume.manifest.0, &resume.head.0);
            let posted = hub.client.post_release_after(feed, manifest, head, after).await;
            match posted {
                Ok(_) => {}
                Err(ClientError::Problem { code: ProblemCode::ChunksMissing, missing, .. }) => {
                    return Err(HandInError::Missing(missing));
                }
                Err(error) => {
                    // A running node finishes what a command has begun: one of the two is faster.
                    let is_late = error.code() == Some(ProblemCode::ReleaseConflict);
                    if !is_late || !self.hub_has(hub, draft).await? {
                        return Err(fail(error).into());
                    }
                }
            }
        }
        let own = self.node().key().public();
        let seen = Some(Seen { sequence, manifest: draft.package.manifest });
        let trust = Trust { owner: own, seen, list: None };
        self.node().remember_trust(&hub.identity, feed, &trust).map_err(SendError::from)?;
        let envelopes: Vec<(PublicKey, Vec<u8>)> = resume
            .envelopes
            .into_iter()
            .map(|(key, envelope)| (PublicKey::from_bytes(key.0), envelope.0))
            .collect();
        if !envelopes.is_empty() {
            hub.client.address_release(feed, sequence, &envelopes).await.map_err(fail)?;
        }
        match ledger.confirm(draft.package.id, unix_now()).await.map_err(SendError::from)? {
            Confirmed::Now | Confirmed::Before => Ok(()),
            Confirmed::Unknown => Err(SendError::DamagedDraft(sequence).into()),
        }
    }

    /// Whether the hub took the release of a draft before this machine knew.
    async fn hub_has(&self, hub: &HubLink, draft: &Draft) -> Result<bool, SendError> {
        match hub.client.release(&draft.package.feed, draft.package.sequence).await {
            Ok(signed) => Ok(DocumentHash::of(&signed) == draft.package.manifest),
            Err(error) if error.is_not_found() => Ok(false),
            Err(source) => Err(fail(hub, "send a package", source).into()),
        }
    }
}

/// A target as the ledger keeps it.
pub(super) fn addressee(target: &Membership) -> Addressee {
    Addressee { key: target.key, peer: target.peer.clone(), labels: target.labels.clone() }
}

/// Why the hub did not take a release.
enum HandInError {
    /// It lacks these chunks.
    Missing(Vec<content::ChunkId>),
    Send(SendError),
}

impl From<SendError> for HandInError {
    fn from(error: SendError) -> Self {
        Self::Send(error)
    }
}

/// A release that is being made.
struct Release<'a> {
    feed: &'a ReleaseName,
    tree: &'a TreeRef,
    bytes: u64,
    name: &'a str,
    version: &'a str,
    description: &'a str,
    selector: String,
    manifest: Manifest,
}

impl<'a> Release<'a> {
    fn new(
        place: &Place,
        request: &'a SendRequest,
        feed: &'a ReleaseName,
        last: Option<(u64, DocumentHash)>,
        shot: &'a snapshot::Snapshot,
    ) -> Self {
        let issued = unix_now();
        let manifest = Manifest {
            publisher: place.node().key().public(),
            name: feed.clone(),
            sequence: last.map_or(1, |(sequence, _)| sequence + 1),
            previous: last.map(|(_, hash)| hash),
            issued,
            expires: issued.saturating_add(request.valid_for.as_secs()),
            tree: content::closure::ClosureEntry::from(&shot.tree.0),
            closure: shot.closure,
            // Nobody but its targets learns what is in it.
            totals: None,
            parameters: content::cut::PARAMETERS,
            sealed_root: Some(Vec::new()),
        };
        let Package { name, version, description, .. } = &request.package;
        let (selector, bytes) = (request.to.to_string(), shot.totals.bytes);
        Self { feed, tree: &shot.tree, bytes, name, version, description, selector, manifest }
    }
}

/// Where the ledger is when nothing else is said.
#[must_use]
pub fn default_ledger(node: &crate::Node) -> ledger::DatabaseUrl {
    ledger::DatabaseUrl::Sqlite(node.directory().join("ledger.sqlite"))
}

/// The ledger, shared by all communities of a node; opened when it is first needed.
pub struct SharedLedger {
    url: ledger::DatabaseUrl,
    open: tokio::sync::Mutex<Option<Arc<dyn Ledger>>>,
}

impl SharedLedger {
    /// The ledger at an address.
    #[must_use]
    pub fn new(url: ledger::DatabaseUrl) -> Self {
        Self { url, open: tokio::sync::Mutex::new(None) }
    }

    /// Opens it, or returns it as it is open.
    ///
    /// # Errors
    /// See [`ledger::open`].
    pub async fn get(&self) -> Result<Arc<dyn Ledger>, LedgerError> {
        let mut open = self.open.lock().await;
        if let Some(ledger) = &*open {
            return Ok(Arc::clone(ledger));
        }
        let ledger = ledger::open(&self.url).await?;
        *open = Some(Arc::clone(&ledger));
        Ok(ledger)
    }
}
