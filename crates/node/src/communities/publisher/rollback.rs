//! Targets get a release again that they had before.
//!
//! Numbers only grow: going back is a new release with the tree of an old one, whose chunks the hub still
//! has. What opens that tree is kept on this machine for the last releases.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use community::Membership;
use content::ChunkId;
use documents::{DocumentHash, Manifest, PublicKey, envelope};
use ledger::{Ledger, LedgerError, PackageFilter, PackageRecord, RolloutState, TargetFilter};

use super::{HandInError, Release, Selection, SendError, Sent};
use crate::communities::manager::fail;
use crate::communities::rollout::{Order, RolloutError};
use crate::communities::{CommunityError, Place};
use crate::hubs::HubLink;
use crate::publish::unix_now;

/// Rows of one question to the ledger.
const PAGE: u32 = 500;

/// To which release whom.
#[derive(Debug, Clone)]
pub struct RollBackRequest {
    /// Number of the release to go back to.
    pub release: u64,
    /// Of whom those go back that have a later release of the same package.
    pub to: Selection,
    /// How long targets take it.
    pub valid_for: Duration,
}

/// A release whose content targets get again.
#[derive(Debug, Clone)]
pub struct RolledBack {
    /// What was sent.
    pub sent: Sent,
    /// The release it has the content of.
    pub of: PackageRecord,
    /// Releases whose roll-outs were ended, so that nobody more gets them.
    pub aborted: Vec<u64>,
}

/// Why nobody went back. Nothing was sent; roll-outs of later releases may have been ended.
#[derive(Debug, thiserror::Error)]
pub enum RollBackError {
    /// No release of this number was sent from here. `consign package list` shows those that were.
    #[error("no release {0} was sent from here")]
    Unknown(u64),
    /// None of those who are meant has a later release of the package with another content.
    #[error("no target that is meant has a later release of {name} than {release}")]
    NobodyAhead {
        /// The package.
        name: String,
        /// The release to go back to.
        release: u64,
    },
    /// What opens the release is not on this machine: it was sent from another one, or too long ago. Send
    /// the package from its sources.
    #[error("what opens release {0} is not kept on this machine")]
    NotKept(u64),
    /// The hub does not keep the release any more. Send the package from its sources.
    #[error("the hub does not keep release {0} any more")]
    GoneAtHub(u64),
    /// A roll-out of a later release could not be ended.
    #[error(transparent)]
    Rollout(#[from] RolloutError),
    /// The release could not be sent.
    #[error(transparent)]
    Send(#[from] SendError),
}

impl From<LedgerError> for RollBackError {
    fn from(error: LedgerError) -> Self {
        Self::Send(error.into())
    }
}

impl From<CommunityError> for RollBackError {
    fn from(error: CommunityError) -> Self {
        Self::Send(error.into())
    }
}

impl Place {
    /// Who would go back, by name.
    ///
    /// # Errors
    /// See [`RollBackError`].
    pub async fn would_roll_back(
        &self,
        request: &RollBackRequest,
        ledger: &dyn Ledger,
    ) -> Result<(PackageRecord, Vec<Membership>), RollBackError> {
        let found = self.sent_package(ledger, request.release).await.map_err(SendError::from)?;
        let old = found.filter(|old| old.sent.is_some());
        let old = old.ok_or(RollBackError::Unknown(request.release))?;
        let mut targets = self.select(&request.to).await?;
        let ahead = self.ahead_of(&old, ledger).await?;
        targets.retain(|target| ahead.contains(&target.key));
        Ok((old, targets))
    }

    /// Sends the content of an earlier release to the targets that have a later one of the same package,
    /// and ends the roll-outs of those.
    ///
    /// # Errors
    /// See [`RollBackError`].
    pub async fn roll_back(
        &self,
        request: &RollBackRequest,
        ledger: &dyn Ledger,
    ) -> Result<RolledBack, RollBackError> {
        let hub = self.hub()?;
        let before = hub.client.bytes_on_wire();
        let forgotten = self.give_back(ledger).await?;
        self.finish_drafts(ledger).await?;
        // First, so that nobody is on the way to what is taken back.
        let found = self.sent_package(ledger, request.release).await.map_err(SendError::from)?;
        let old = found.ok_or(RollBackError::Unknown(request.release))?;
        let tree = self.kept_tree(&old)?;
        let tree = tree.ok_or(RollBackError::NotKept(old.sequence))?;
        let aborted = self.end_rollouts_after(&old, ledger).await?;
        let (old, targets) = self.would_roll_back(request, ledger).await?;
        if targets.is_empty() {
            let (name, release) = (old.name, old.sequence);
            return Err(RollBackError::NobodyAhead { name, release });
        }
        let feed = self.feed();
        let past = self.manifest_of(&hub, &old).await?;
        let last = self.last_release(&hub, ledger).await?;
        let issued = unix_now();
        let manifest = Manifest {
            sequence: last.map_or(1, |(sequence, _)| sequence + 1),
            previous: last.map(|(_, hash)| hash),
            issued,
            expires: issued.saturating_add(request.valid_for.as_secs()),
            ..past
        };
        let release = Release {
            feed: &feed,
            tree: &tree,
            bytes: old.bytes,
            name: &old.name,
            version: &old.version,
            description: &old.description,
            selector: format!("back to {}: {}", old.sequence, request.to),
            manifest,
        };
        let (new, to) = self.seal(&release, &targets, ledger).await?;
        // It is put together from where the earlier one was.
        let sources = self.kept(&old)?.and_then(|kept| kept.sources);
        self.keep_release(&release, &new, sources.as_deref())?;
        let id = ledger.draft(&new, &to).await.map_err(SendError::from)?;
        let drafts = ledger.drafts().await?;
        let written = drafts.into_iter().find(|draft| draft.package.id == id);
        let written = written.ok_or(SendError::DamagedDraft(new.sequence))?;
        match self.hand_in(&hub, &written, ledger).await {
            Ok(()) => {}
            Err(HandInError::Missing(_)) => {
                ledger.discard(id).await?;
                return Err(RollBackError::GoneAtHub(old.sequence));
            }
            Err(HandInError::Send(error)) => return Err(error.into()),
        }
        let sent = Sent {
            sequence: new.sequence,
            manifest: new.manifest,
            targets: targets.into_iter().map(|target| target.peer).collect(),
            rollout: None,
            bytes_sent: hub.client.bytes_on_wire().sent - before.sent,
            bytes: old.bytes,
            forgotten,
        };
        Ok(RolledBack { sent, of: old, aborted })
    }

    /// Later releases of the same package, the newest first.
    async fn later_than(
        &self,
        old: &PackageRecord,
        ledger: &dyn Ledger,
    ) -> Result<Vec<PackageRecord>, LedgerError> {
        let filter = PackageFilter {
            community: Some(self.id()),
            name: Some(old.name.clone()),
            sequence: None,
        };
        let (mut later, mut before) = (Vec::new(), None);
        loop {
            let page = ledger.packages(&filter, before, PAGE).await?;
            before = page.last().map(|last| last.id);
            let is_last = page.len() < PAGE as usize
                || page.iter().any(|one| one.feed == old.feed && one.sequence <= old.sequence);
            later.extend(
                page.into_iter().filter(|one| one.feed == old.feed && one.sequence > old.sequence),
            );
            if is_last {
                return Ok(later);
            }
        }
    }

    /// Those to whom a later release of the package was sent last, with another content.
    async fn ahead_of(
        &self,
        old: &PackageRecord,
        ledger: &dyn Ledger,
    ) -> Result<BTreeSet<PublicKey>, LedgerError> {
        let mut newest: BTreeMap<PublicKey, ChunkId> = BTreeMap::new();
        for package in self.later_than(old, ledger).await? {
            let mut after = None;
            loop {
                let page = ledger.targets(package.id, TargetFilter::All, after, PAGE).await?;
                after = page.last().map(|last| last.id);
                for target in page.iter().filter(|target| target.sent.is_some()) {
                    newest.entry(target.key).or_insert(package.tree);
                }
                if page.len() < PAGE as usize {
                    break;
                }
            }
        }
        Ok(newest.into_iter().filter(|(_, tree)| *tree != old.tree).map(|(key, _)| key).collect())
    }

    async fn end_rollouts_after(
        &self,
        old: &PackageRecord,
        ledger: &dyn Ledger,
    ) -> Result<Vec<u64>, RollBackError> {
        let mut ended = Vec::new();
        for package in self.later_than(old, ledger).await? {
            let Some(rollout) = ledger.rollout(package.id).await? else { continue };
            if rollout.progress.state.is_over() || package.tree == old.tree {
                continue;
            }
            match self.order_rollout(package.sequence, Order::Abort, ledger).await {
                Ok(status) if status.state == RolloutState::Aborted => ended.push(package.sequence),
                // It was over just then.
                Ok(_) | Err(RolloutError::Order(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(ended)
    }

    /// The manifest of a release that was sent from here, as the hub still has it.
    async fn manifest_of(
        &self,
        hub: &HubLink,
        old: &PackageRecord,
    ) -> Result<Manifest, RollBackError> {
        let signed = match hub.client.release(&old.feed, old.sequence).await {
            Ok(signed) => signed,
            Err(error) if error.is_not_found() => {
                return Err(RollBackError::GoneAtHub(old.sequence));
            }
            Err(source) => return Err(fail(hub, "read the earlier release", source).into()),
        };
        let own = self.node().key().public();
        let manifest = envelope::open::<Manifest>(&signed, &own).ok();
        // The ledger knows which it was.
        let manifest = manifest
            .filter(|it| DocumentHash::of(&signed) == old.manifest && it.tree.id == old.tree);
        manifest.ok_or(RollBackError::GoneAtHub(old.sequence))
    }
}
