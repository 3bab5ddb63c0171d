//! How a release stands at its hub.

use std::collections::BTreeMap;

use documents::{PublicKey, ReleaseName};
use hub_api::QueuedTargetInfo;

use crate::communities::manager::fail;
use crate::communities::{CommunityError, Place};
use crate::hubs::HubLink;

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
