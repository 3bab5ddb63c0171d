//! How a release stands at its hub.

use std::collections::BTreeMap;

use documents::{PublicKey, ReleaseName};
use hub_api::QueuedTargetInfo;
use ledger::{Ledger, LedgerError, PackageId, TargetFilter};

use super::SendError;
use crate::communities::manager::fail;
use crate::communities::{CommunityError, Place};
use crate::hubs::HubLink;
use crate::publish::unix_now;

/// Rows of one question to the ledger.
const PAGE: u32 = 500;

impl Place {
    /// The targets that told this place's hub that they began with a release of this publisher, and have
    /// not answered: since when.
    ///
    /// # Errors
    /// See [`CommunityError`].
    pub async fn begun(
        &self,
        feed: &ReleaseName,
        sequence: u64,
    ) -> Result<BTreeMap<PublicKey, u64>, CommunityError> {
        let targets = self.targets_at(&self.hub()?, feed, sequence).await?;
        let running = targets.into_iter().filter(|target| target.answered.is_none());
        Ok(running
            .filter_map(|it| it.begun.map(|since| (PublicKey::from_bytes(it.target.0), since)))
            .collect())
    }

    /// Notes in the ledger which targets began with what was sent from here; returns how many that is new
    /// of. The hub is asked of those releases alone that somebody may begin with.
    ///
    /// # Errors
    /// See [`SendError`]. What was noted stays so.
    pub async fn note_begun(&self, ledger: &dyn Ledger) -> Result<u64, SendError> {
        let now = unix_now();
        let mut noted = 0;
        for package in ledger.may_begin(&self.feed()).await? {
            let begun = self.begun(&package.feed, package.sequence).await?;
            if begun.is_empty() {
                continue;
            }
            let waiting = not_begun(package.id, ledger).await?.into_iter();
            // By the hub's clock, which may be ahead of this one.
            let new = waiting.filter_map(|key| Some((key, now.min(*begun.get(&key)?))));
            let new: Vec<_> = new.collect();
            if !new.is_empty() {
                noted += ledger.begin(package.id, &new).await?;
            }
        }
        Ok(noted)
    }

    /// The targets that a hub knows a release to be addressed to; none when it knows no such release.
    pub(super) async fn targets_at(
        &self,
        hub: &HubLink,
        feed: &ReleaseName,
        sequence: u64,
    ) -> Result<Vec<QueuedTargetInfo>, CommunityError> {
        let (mut there, mut after) = (Vec::new(), None);
        loop {
            let page = hub.client.release_targets(feed, sequence, after.as_ref());
            let (targets, next) = match page.await {
                Ok(page) => page,
                Err(error) if error.is_not_found() => return Ok(there),
                Err(source) => return Err(fail(hub, "read how a release stands", source)),
            };
            there.extend(targets);
            match next {
                // A hub that never ends must not keep us.
                Some(next) if after.is_none_or(|after| after.0 < next.0) => after = Some(next),
                Some(_) | None => return Ok(there),
            }
        }
    }
}

/// The targets of a package that have not answered and are not known to have begun.
async fn not_begun(package: PackageId, ledger: &dyn Ledger) -> Result<Vec<PublicKey>, LedgerError> {
    let (mut waiting, mut after) = (Vec::new(), None);
    loop {
        let page = ledger.targets(package, TargetFilter::Pending, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(waiting) };
        after = Some(last.id);
        waiting.extend(page.iter().filter(|it| it.begun.is_none()).map(|it| it.key));
    }
}
