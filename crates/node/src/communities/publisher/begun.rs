//! How a release stands at its hub.

use std::collections::BTreeMap;

use community::{Address, Beginning, CommunityId};
use documents::{PublicKey, ReleaseName};
use hub_api::limits::MEMBERS_MAX;
use hub_api::{BeginningInfo, QueuedTargetInfo};
use ledger::{Ledger, LedgerError, PackageId, PackageRecord, TargetFilter};

use super::SendError;
use crate::causes::chain;
use crate::communities::manager::fail;
use crate::communities::{CommunityError, Place};
use crate::hubs::HubLink;
use crate::publish::unix_now;

/// Rows of one question to the ledger.
const PAGE: u32 = 500;

impl Place {
    /// The targets that began with a package of this publisher and have not answered, as far as this place's
    /// hub tells: since when. Each signed that.
    ///
    /// # Errors
    /// See [`CommunityError`].
    pub async fn begun(
        &self,
        package: &PackageRecord,
    ) -> Result<BTreeMap<PublicKey, u64>, CommunityError> {
        let of_it = |sequence| sequence == package.sequence;
        let told = self.beginnings_at(&self.hub()?, &package.feed, of_it).await?;
        Ok(opened(&told, package, unix_now()))
    }

    /// Notes in the ledger which targets began with what was sent from here; returns how many that is new
    /// of. The hub is asked when somebody may begin with something.
    ///
    /// # Errors
    /// See [`SendError`]. What was noted stays so.
    pub async fn note_begun(&self, ledger: &dyn Ledger) -> Result<u64, SendError> {
        let feed = self.feed();
        let packages = ledger.may_begin(&feed).await?;
        if packages.is_empty() {
            return Ok(0);
        }
        let may = |sequence| packages.iter().any(|package| package.sequence == sequence);
        let told = self.beginnings_at(&self.hub()?, &feed, may).await?;
        let (now, mut noted) = (unix_now(), 0);
        for package in packages {
            let of_it = told.iter().filter(|it| it.sequence == package.sequence);
            let mut of_it: Vec<_> = of_it.cloned().collect();
            if of_it.is_empty() {
                continue;
            }
            let waiting = not_begun(package.id, ledger).await?;
            of_it.retain(|it| waiting.binary_search(&PublicKey::from_bytes(it.target.0)).is_ok());
            let new: Vec<_> = opened(&of_it, &package, now).into_iter().collect();
            if !new.is_empty() {
                noted += ledger.begin(package.id, &new).await?;
            }
        }
        Ok(noted)
    }

    /// What targets began with by the word of a hub, of those releases of a feed that are asked for. One that
    /// knows no such feed, or is older than the question, tells of none.
    pub(in crate::communities) async fn beginnings_at(
        &self,
        hub: &HubLink,
        feed: &ReleaseName,
        wanted: impl Fn(u64) -> bool,
    ) -> Result<Vec<BeginningInfo>, CommunityError> {
        let (mut there, mut listed, mut after) = (Vec::new(), 0, None);
        loop {
            let (page, next) = match hub.client.beginnings(feed, after).await {
                Ok(page) => page,
                Err(error) if error.is_not_found() => return Ok(there),
                Err(source) => return Err(fail(hub, "ask what targets work on", source)),
            };
            let is_empty = page.is_empty();
            listed += page.len();
            there.extend(page.into_iter().filter(|it| wanted(it.sequence)));
            match next {
                // A target works on one release of a feed at a time. A hub that never ends must not keep us.
                Some(next) if !is_empty && listed < MEMBERS_MAX => after = Some(next),
                Some(_) | None => return Ok(there),
            }
        }
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

/// Since when which targets work on a package: those whose signature says so, by their clocks.
fn opened(told: &[BeginningInfo], package: &PackageRecord, now: u64) -> BTreeMap<PublicKey, u64> {
    let Some((community, publisher)) = CommunityId::of_feed(&package.feed) else {
        return BTreeMap::new();
    };
    let since = |info: &BeginningInfo| {
        let target = PublicKey::from_bytes(info.target.0);
        let address = Address { community, manifest: package.manifest, publisher, target };
        match Beginning::open(&info.beginning.0, &address, package.sequence) {
            Ok(beginning) => Some((target, beginning.since(package.sent.unwrap_or(0), now))),
            Err(error) => {
                let error = chain(&error);
                tracing::warn!(%community, %target, error, "what the hub tells is not believed");
                None
            }
        }
    };
    told.iter().filter_map(since).collect()
}

/// The targets of a package that have not answered and are not known to have begun, in order of keys.
async fn not_begun(package: PackageId, ledger: &dyn Ledger) -> Result<Vec<PublicKey>, LedgerError> {
    let (mut waiting, mut after) = (Vec::new(), None);
    loop {
        let page = ledger.targets(package, TargetFilter::Pending, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        waiting.extend(page.iter().filter(|it| it.begun.is_none()).map(|it| it.key));
    }
    waiting.sort_unstable();
    Ok(waiting)
}

#[cfg(test)]
mod tests {
    use community::Address;
    use content::ChunkId;
    use documents::{DocumentHash, NodeKey};
    use hub_api::Hex;
    use ledger::Counts;

    use super::*;

    const SENT: u64 = 1_000_000;
    const NOW: u64 = SENT + 90;

    fn key(secret: u8) -> NodeKey {
        NodeKey::from_secret_bytes([secret; 32])
    }

    fn package() -> PackageRecord {
        let community = CommunityId::from_random([6; 16]);
        PackageRecord {
            id: PackageId::from_number(1),
            community,
            feed: community.feed(&key(4).public()),
            sequence: 7,
            manifest: DocumentHash::of(b"manifest"),
            name: "paint".to_owned(),
            version: "1".to_owned(),
            description: String::new(),
            tree: ChunkId::of(b"tree"),
            bytes: 0,
            selector: "all".to_owned(),
            built: SENT,
            expires: NOW + 1000,
            sent: Some(SENT),
            counts: Counts::default(),
        }
    }

    /// What a hub tells of target 5: what somebody signed for a release.
    fn told(manifest: &[u8], sequence: u64, begun: u64, signer: u8) -> BeginningInfo {
        let (community, publisher) = (package().community, key(4).public());
        let (manifest, target) = (DocumentHash::of(manifest), key(5).public());
        let address = Address { community, manifest, publisher, target };
        let beginning = Beginning { address, sequence, begun }.sign(&key(signer)).into();
        BeginningInfo { id: 1, sequence: 7, target: Hex(*target.as_bytes()), beginning }
    }

    #[test]
    fn what_a_target_did_not_sign_is_not_believed() {
        let since = |info| opened(&[info], &package(), NOW).into_values().next();
        assert_eq!(since(told(b"manifest", 7, SENT + 9, 5)), Some(SENT + 9));
        assert_eq!(since(told(b"manifest", 7, SENT + 9, 6)), None, "made up by another");
        assert_eq!(since(told(b"manifest", 6, SENT + 9, 5)), None, "of the release before");
        assert_eq!(since(told(b"other", 7, SENT + 9, 5)), None, "of another one of this number");
        let of_another = BeginningInfo {
            target: Hex(*key(6).public().as_bytes()),
            ..told(b"manifest", 7, SENT + 9, 5)
        };
        assert_eq!(since(of_another), None, "shown as another target's");
        let nothing = BeginningInfo { beginning: Vec::new().into(), ..told(b"manifest", 7, 0, 5) };
        assert_eq!(since(nothing), None);
        // Whatever clock the target has.
        assert_eq!(since(told(b"manifest", 7, 0, 5)), Some(SENT));
        assert_eq!(since(told(b"manifest", 7, u64::MAX, 5)), Some(NOW));
    }
}
