//! A relay hands on what targets told it that they began with, so that the publisher sees them running.

use std::collections::BTreeSet;
use std::sync::Arc;

use documents::{PublicKey, ReleaseName};
use futures_util::future::try_join_all;
use hub_api::BeginningInfo;
use hub_client::ClientError;

use crate::causes::chain;
use crate::communities::manager::fail;
use crate::communities::publisher::AT_ONCE;
use crate::communities::{CommunityError, Place, Standing};
use crate::hubs::HubLink;

/// A target, and the release of a publisher that it began with.
pub(super) type Begun = (PublicKey, u64, PublicKey);

impl Place {
    /// Hands in above which targets began with what, as these signed it to the hub beside this one. What is in
    /// `told` went up before.
    ///
    /// # Errors
    /// See [`CommunityError`]. What went up stays so.
    pub(super) async fn return_beginnings(
        &self,
        beside: &HubLink,
        standing: &Standing,
        told: &mut BTreeSet<Begun>,
    ) -> Result<(), CommunityError> {
        let mut there = BTreeSet::new();
        for publisher in standing.roster().publishers.keys() {
            let feed = self.id().feed(publisher);
            let mut beginnings = self.beginnings_at(beside, &feed, |_| true).await?;
            let named =
                |it: &BeginningInfo| (*publisher, it.sequence, PublicKey::from_bytes(it.target.0));
            there.extend(beginnings.iter().map(named));
            beginnings.retain(|it| !told.contains(&named(it)));
            for some in beginnings.chunks(AT_ONCE) {
                hand_in(&self.hub()?, &feed, some).await?;
                told.extend(some.iter().map(named));
            }
        }
        // What was answered meanwhile is not told of again.
        told.retain(|it| there.contains(it));
        Ok(())
    }
}

/// Hands beginnings in at the same time. One that is refused above, or comes to a hub that is older than it,
/// is left out: its target is pending there until its receipt comes.
async fn hand_in(
    hub: &HubLink,
    feed: &ReleaseName,
    beginnings: &[BeginningInfo],
) -> Result<(), CommunityError> {
    let handing = beginnings.iter().map(|info| {
        let (client, sequence) = (Arc::clone(&hub.client), info.sequence);
        let (target, signed) = (PublicKey::from_bytes(info.target.0), info.beginning.0.clone());
        async move {
            match client.begin_release(feed, sequence, &target, signed).await {
                Ok(()) => Ok(()),
                Err(error @ ClientError::Problem { .. }) => {
                    let error = chain(&error);
                    tracing::debug!(%feed, sequence, %target, error, "not told above");
                    Ok(())
                }
                Err(source) => Err(source),
            }
        }
    });
    let handed = try_join_all(handing.collect::<Vec<_>>()).await;
    handed.map_err(|source| fail(hub, "tell what targets work on", source))?;
    Ok(())
}
