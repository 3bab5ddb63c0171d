//! What a hub forgot is given back to it.
//!
//! A hub whose database was restored from a backup shows an older release of this publisher's feed as the
//! newest than was sent. Releases that somebody has not answered are handed in again, in their order: the
//! same signed manifest, for the targets that the ledger waits for. Whoever had one meanwhile refuses the
//! second copy by its number, and hands its receipt in again.
//!
//! The restored database does not know who may use which chunks either, so they have to be sent again,
//! from the package's sources. Where those are gone or have changed the release is *lost*: the ledger says
//! so of every target that has not answered, and what was sent to them after it no longer comes after it.
//! A release that all have answered is left out: the hub takes the next one all the same, for only its
//! publisher can say so.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use community::{Membership, PeerName};
use content::{ChunkRef, Sealer};
use documents::{DocumentHash, Manifest, PublicKey};
use hub_api::ProblemCode;
use hub_client::ClientError;
use ledger::{Ledger, PackageFilter, PackageRecord, TargetFilter};
use snapshot::{ChunkKind, ChunkSink, SinkError, SnapshotError, SnapshotOptions};

use super::kept::{KEPT_MAX, Kept};
use super::{SendError, StageError};
use crate::communities::manager::fail;
use crate::communities::{CommunityError, Place};
use crate::drafting::Drafting;
use crate::hubs::HubLink;
use crate::publish::{PublishError, PublishProgress, unix_now};
use crate::state::create_private_directory;
use crate::waits::Waits;

/// Rows of one question to the ledger.
const PAGE: u32 = 500;

/// What became of a release that the hub had forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forgotten {
    /// The hub has it again.
    GivenBack {
        /// Its number.
        sequence: u64,
        /// Its name and version.
        package: String,
        /// How many targets it waits for again.
        targets: u64,
    },
    /// It cannot be given back: the package has to be sent again.
    Lost {
        /// Its number.
        sequence: u64,
        /// Its name and version.
        package: String,
        /// Why, for people.
        reason: String,
        /// Who has not answered and will not get it.
        targets: Vec<PeerName>,
    },
}

impl std::fmt::Display for Forgotten {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let s = |count: u64| if count == 1 { "" } else { "s" };
        match self {
            Self::GivenBack { sequence, package, targets } => write!(
                f,
                "the hub had forgotten {package}, release {sequence}, and has it again for {targets} target{}",
                s(*targets)
            ),
            Self::Lost { sequence, package, reason, targets } => {
                let count = targets.len() as u64;
                write!(
                    f,
                    "{package}, release {sequence}, is lost for {count} target{}: the hub forgot it, and {reason}",
                    s(count)
                )
            }
        }
    }
}

/// The newest release of this publisher's feed that a hub has.
#[derive(Debug, Clone, Copy)]
struct Newest {
    /// 0 for none.
    sequence: u64,
    /// Whether the ledger has it too; there is nothing to give back to a history that is not ours.
    is_ours: bool,
}

/// What came of handing a release in again.
enum Posted {
    Done,
    /// It never will be: why.
    Never(String),
    /// This node does not publish there: it is no home of the community, or the roster says so.
    Elsewhere,
}

impl Place {
    /// Gives the hub what it forgot of the releases that somebody has not answered.
    ///
    /// # Errors
    /// See [`SendError`]. What was given back stays so; the next one goes on.
    pub async fn give_back(&self, ledger: &dyn Ledger) -> Result<Vec<Forgotten>, SendError> {
        // A hub forgets on purpose what its community ended with.
        crate::communities::going_on(self.charter()?)?;
        let hub = self.hub()?;
        // Two at once would each leave out what the other is about to hand in.
        let sent = self.directory().join("sent");
        create_private_directory(&sent)?;
        let waits = Waits::default();
        let _turn = Drafting::begin(&sent, "what the hub forgot", &waits).await?;
        let mut news = Vec::new();
        let Newest { sequence: mut newest, is_ours } = self.newest_at(&hub, ledger).await?;
        if !is_ours {
            return Ok(news);
        }
        let mut members = None;
        for package in self.owed(newest, ledger).await? {
            let waiting = waiting_for(&package, ledger).await?;
            if package.sequence > newest {
                match self.post_again(&hub, &package, newest).await? {
                    Posted::Done => newest = package.sequence,
                    Posted::Elsewhere => return Ok(news),
                    Posted::Never(reason) => {
                        news.extend(self.lose(&package, &waiting, &reason, ledger).await?);
                        self.abandon_rollout(package.id, &reason, ledger).await?;
                        continue;
                    }
                }
            }
            if waiting.is_empty() {
                continue;
            }
            let members = match &members {
                Some(members) => members,
                None => members.insert(self.target_members().await?),
            };
            news.extend(self.address_again(&hub, &package, &waiting, members, ledger).await?);
        }
        Ok(news)
    }

    /// The last release that was sent from here, which the hub's newest one does not contradict.
    pub(super) async fn last_release(
        &self,
        hub: &HubLink,
        ledger: &dyn Ledger,
    ) -> Result<Option<(u64, DocumentHash)>, SendError> {
        let feed = self.feed();
        let Newest { sequence, is_ours } = self.newest_at(hub, ledger).await?;
        let own = ledger.last_sequence(&feed).await?.unwrap_or(0);
        // It may have been sent with a ledger that is not this one.
        let trust = self.node().trust(&hub.identity, &feed)?;
        let seen = trust.and_then(|trust| trust.seen).map_or(0, |seen| seen.sequence);
        if !is_ours || seen > own {
            return Err(SendError::OtherHistory { hub: sequence.max(seen), own });
        }
        if own == 0 {
            return Ok(None);
        }
        let last = self.sent_package(ledger, own).await?;
        let last = last.ok_or(SendError::OtherHistory { hub: sequence, own })?;
        Ok(Some((own, last.manifest)))
    }

    /// The number of the hub's newest release, if releases before `sequence` are not there and nobody waits
    /// for them.
    pub(super) async fn left_out_before(
        &self,
        hub: &HubLink,
        sequence: u64,
        ledger: &dyn Ledger,
    ) -> Result<Option<u64>, SendError> {
        let newest = self.newest_at(hub, ledger).await?;
        if !newest.is_ours || newest.sequence.saturating_add(1) >= sequence {
            return Ok(None);
        }
        let owed = self.owed(newest.sequence, ledger).await?;
        if owed.iter().any(|one| (newest.sequence + 1..sequence).contains(&one.sequence)) {
            return Err(SendError::Forgot { hub: newest.sequence, own: sequence });
        }
        Ok(Some(newest.sequence))
    }

    /// Whether the hub has taken a release before, so that targets may have it.
    pub(super) fn was_taken(
        &self,
        hub: &HubLink,
        package: &PackageRecord,
    ) -> Result<bool, SendError> {
        let trust = self.node().trust(&hub.identity, &package.feed)?;
        let seen = trust.and_then(|trust| trust.seen);
        Ok(seen.is_some_and(|seen| seen.sequence >= package.sequence))
    }

    async fn newest_at(&self, hub: &HubLink, ledger: &dyn Ledger) -> Result<Newest, SendError> {
        let head = match hub.client.head(&self.feed()).await {
            Ok(head) => head,
            Err(error) if error.is_not_found() => {
                return Ok(Newest { sequence: 0, is_ours: true });
            }
            Err(source) => return Err(fail(hub, "read the newest release", source).into()),
        };
        let own = self.node().key().public();
        let Ok((manifest, hash)) = Manifest::open(&head.manifest, &own) else {
            return Ok(Newest { sequence: 0, is_ours: false });
        };
        let sequence = manifest.sequence;
        let known = self.sent_package(ledger, sequence).await?;
        Ok(Newest { sequence, is_ours: known.is_some_and(|known| known.manifest == hash) })
    }

    /// Releases that somebody may still answer, or a roll-out needs, in their order: those after `newest`,
    /// and of the others the last.
    async fn owed(
        &self,
        newest: u64,
        ledger: &dyn Ledger,
    ) -> Result<Vec<PackageRecord>, SendError> {
        let feed = self.feed();
        let last = ledger.last_sequence(&feed).await?.unwrap_or(0);
        let first = (newest.saturating_add(1)).min(last.saturating_sub(KEPT_MAX));
        let rollouts: BTreeSet<_> =
            ledger.open_rollouts().await?.iter().map(|rollout| rollout.package.id).collect();
        let filter = PackageFilter { community: Some(self.id()), ..PackageFilter::default() };
        let (mut owed, mut before) = (Vec::new(), None);
        loop {
            let page = ledger.packages(&filter, before, PAGE).await?;
            before = page.last().map(|last| last.id);
            let is_last = page.len() < PAGE as usize
                || page.iter().any(|one| one.feed == feed && one.sequence < first);
            owed.extend(page.into_iter().filter(|one| {
                let is_waited_for = one.counts.pending > 0 || rollouts.contains(&one.id);
                one.feed == feed && one.sequence >= first && one.sent.is_some() && is_waited_for
            }));
            if is_last {
                owed.sort_by_key(|one| one.sequence);
                return Ok(owed);
            }
        }
    }

    async fn lose(
        &self,
        package: &PackageRecord,
        targets: &[PublicKey],
        reason: &str,
        ledger: &dyn Ledger,
    ) -> Result<Option<Forgotten>, SendError> {
        let targets = ledger.lose(package.id, targets, reason, unix_now()).await?;
        let (sequence, package) = (package.sequence, name_of(package));
        let reason = reason.to_owned();
        let lost = Forgotten::Lost { sequence, package, reason, targets };
        tracing::warn!(community = %self.id(), sequence, "{lost}");
        Ok(Some(lost))
    }

    /// Hands a release in again after the hub's newest one.
    async fn post_again(
        &self,
        hub: &HubLink,
        package: &PackageRecord,
        newest: u64,
    ) -> Result<Posted, SendError> {
        let feed = &package.feed;
        let fail = |source| SendError::from(fail(hub, "give a release back", source));
        if package.expires <= unix_now() {
            return Ok(Posted::Never("it has expired".to_owned()));
        }
        let Some(kept) = self.kept(package)? else {
            return Ok(Posted::Never("it is not kept on this machine any more".to_owned()));
        };
        let Some((manifest, signed)) = &kept.signed else {
            let reason = "an earlier version of this program sent it, which kept too little";
            return Ok(Posted::Never(reason.to_owned()));
        };
        let is_refused = |error: &ClientError| {
            matches!(error.code(), Some(ProblemCode::Forbidden | ProblemCode::NameTaken))
        };
        match hub.client.name_info(feed).await {
            Ok(_) => {}
            Err(error) if error.is_not_found() => match hub.client.put_name(feed, false).await {
                Ok(()) => {}
                Err(error) if is_refused(&error) => return Ok(Posted::Elsewhere),
                Err(source) => return Err(fail(source)),
            },
            Err(source) => return Err(fail(source)),
        }
        let head = manifest.head(package.manifest).sign(self.node().key());
        let after = (newest.saturating_add(1) != package.sequence).then_some(newest);
        let mut is_uploaded = false;
        loop {
            match hub.client.post_release_after(feed, signed, &head, after).await {
                Ok(_) => return Ok(Posted::Done),
                Err(ClientError::Problem { code: ProblemCode::ChunksMissing, missing, .. }) => {
                    if is_uploaded {
                        let (name, missing) = (feed.clone(), missing.len());
                        return Err(PublishError::StillMissing { name, missing }.into());
                    }
                    if let Some(reason) = self.upload_again(hub, package, &kept, manifest).await? {
                        return Ok(Posted::Never(reason));
                    }
                    is_uploaded = true;
                }
                Err(error) if is_refused(&error) => return Ok(Posted::Elsewhere),
                Err(source) => return Err(fail(source)),
            }
        }
    }

    /// Puts the package of a release together again and sends the hub what it lacks of it; returns why
    /// that cannot be done.
    async fn upload_again(
        &self,
        hub: &HubLink,
        package: &PackageRecord,
        kept: &Kept,
        manifest: &Manifest,
    ) -> Result<Option<String>, SendError> {
        let (Some(from), Some(sources)) = (kept.sources.clone(), self.node().sources.clone())
        else {
            return Ok(Some("where its sources are is not known".to_owned()));
        };
        let shown = from.display().to_string();
        let staged = tokio::task::spawn_blocking(move || sources.stage(&from)).await;
        let staged = match staged.expect("putting together does not panic") {
            Ok(staged) => staged,
            Err(StageError::Gone(reason)) => {
                return Ok(Some(format!("its sources at {shown} cannot be used: {reason}")));
            }
            Err(source @ StageError::Later(_)) => {
                return Err(SendError::Stage { sequence: package.sequence, source });
            }
        };
        let valid_for = std::time::Duration::ZERO;
        let published = self.published(staged.tree.clone(), valid_for);
        let node = self.node();
        let memory = node.publish_memory(hub, &published)?;
        let progress = PublishProgress::default();
        let drafting = Drafting::begin(&memory, "another `package send`", &progress.waits).await?;
        let draft = memory.join("index.new");
        // First without sending: what has changed is of no use to the hub.
        let options = SnapshotOptions {
            sealer: Some(Sealer::new(node.convergence()?)),
            reread: true,
            owners: false,
            threads: std::thread::available_parallelism().map_or(2, usize::from),
            resend: HashSet::new(),
        };
        let (tree, index) = (staged.tree.clone(), draft.clone());
        let (turn, looking) = (drafting.clone(), Arc::clone(&progress.snapshot));
        let read = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            snapshot::snapshot(&tree, &options, None, &index, &Nowhere, &looking)
        });
        let read: Result<_, SnapshotError> = read.await.expect("reading does not panic");
        let shot =
            read.map_err(|source| PublishError::Snapshot { path: staged.tree.clone(), source })?;
        if shot.tree.id() != package.tree || shot.closure != manifest.closure {
            return Ok(Some(format!("its sources at {shown} have changed")));
        }
        let (resend, known) = (HashSet::new(), HashSet::new());
        let index = memory.join("index");
        node.send(hub, &published, &index, &draft, &drafting, resend, true, known, &progress)
            .await?;
        drop(staged);
        Ok(None)
    }

    /// Addresses a release again to those of `waiting` whom the hub forgot.
    async fn address_again(
        &self,
        hub: &HubLink,
        package: &PackageRecord,
        waiting: &[PublicKey],
        members: &BTreeMap<PublicKey, Membership>,
        ledger: &dyn Ledger,
    ) -> Result<Option<Forgotten>, SendError> {
        let there = self.addressed_at(hub, package).await?;
        // Whoever left the community gets nothing more.
        let forgotten = waiting.iter().filter(|key| !there.contains(key));
        let forgotten: Vec<&Membership> = forgotten.filter_map(|key| members.get(key)).collect();
        if forgotten.is_empty() {
            return Ok(None);
        }
        let keys: Vec<PublicKey> = forgotten.iter().map(|target| target.key).collect();
        let Some(tree) = self.kept_tree(package)? else {
            let reason = "what opens it is not kept on this machine any more";
            return self.lose(package, &keys, reason, ledger).await;
        };
        // Not those of the first time: what was to come before may be lost since.
        let last = ledger.last_sent(&package.feed, &keys, package.sequence).await?;
        let mut envelopes = Vec::with_capacity(forgotten.len());
        for target in forgotten {
            let previous = last.get(&target.key).copied().unwrap_or(0);
            match self.envelope(&tree, package.manifest, target, previous) {
                Ok(envelope) => envelopes.push((target.key, envelope)),
                Err(SendError::WeakKey(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let sequence = package.sequence;
        match hub.client.address_release(&package.feed, sequence, &envelopes).await {
            Ok(targets) => {
                let package = name_of(package);
                let given_back = Forgotten::GivenBack { sequence, package, targets };
                tracing::info!(community = %self.id(), sequence, "{given_back}");
                Ok(Some(given_back))
            }
            Err(error) if error.is_not_found() => {
                self.lose(package, &keys, "the hub has newer ones already", ledger).await
            }
            Err(source) => Err(fail(hub, "give a release back", source).into()),
        }
    }

    /// The targets that the hub knows a release to be addressed to.
    async fn addressed_at(
        &self,
        hub: &HubLink,
        package: &PackageRecord,
    ) -> Result<BTreeSet<PublicKey>, CommunityError> {
        let targets = self.targets_at(hub, &package.feed, package.sequence).await?;
        Ok(targets.iter().map(|target| PublicKey::from_bytes(target.target.0)).collect())
    }
}

/// The targets that a release was sent to and that have not answered.
async fn waiting_for(
    package: &PackageRecord,
    ledger: &dyn Ledger,
) -> Result<Vec<PublicKey>, SendError> {
    let (mut waiting, mut after) = (Vec::new(), None);
    loop {
        let page = ledger.targets(package.id, TargetFilter::Pending, after, PAGE).await?;
        after = page.last().map(|last| last.id);
        let is_last = page.len() < PAGE as usize;
        let sent = page.into_iter().filter(|target| target.sent.is_some());
        waiting.extend(sent.map(|target| target.key));
        if is_last {
            return Ok(waiting);
        }
    }
}

fn name_of(package: &PackageRecord) -> String {
    format!("{} {}", package.name, package.version)
}

/// Takes what is only looked at.
struct Nowhere;

impl ChunkSink for Nowhere {
    fn offer(&self, _: &ChunkRef, _: Bytes, _: ChunkKind) -> Result<(), SinkError> {
        Ok(())
    }
}
