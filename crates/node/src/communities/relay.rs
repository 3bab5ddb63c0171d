//! This machine passes a community on: from the hubs its membership names to a hub beside it.
//!
//! The hub beside it is an ordinary one, at which this node is registered as a publisher; it *mirrors*
//! the community, so that targets speak with it as with the first. The relay sees what every hub sees:
//! documents that others signed, chunks and envelopes that others sealed. It hands on
//!
//! * charters, roster and renewals, so that the hub beside it knows who belongs;
//! * releases that wait for targets whose routes lead through here, chunks before envelopes, so that
//!   what a target is told of is there;
//! * receipts, and before them what targets began with, back to where the releases came from;
//! * how it is, and what relays under it told of themselves, to the hub above;
//! * who asks to join at the hub beside it, and what a manager and the machine say to each other: see
//!   `joins`.
//!
//! Nothing is remembered here but which hub it is: what is where, the two hubs say. So a relay that was
//! stopped, cut off or lost its hub's database goes on from what there is, and everything can be done
//! twice.
//!
//! ```text
//! relay.json       the hub beside this node
//! ```

mod beginnings;
mod chunks;
mod counts;
mod joins;
mod telling;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use community::{CommunityId, Membership, PeerName, RosterSeen, served_by};
use documents::{DocumentError, Manifest, PublicKey, ReleaseName};
use fetch::FetchError;
use futures_util::future::try_join_all;
use hub_api::limits::MEMBERS_MAX;
use hub_api::{ProblemCode, ReceiptInfo, RosterChange, WaitingEntryInfo};
use hub_client::{ClientError, CommunityEvents};
use serde::{Deserialize, Serialize};

use self::beginnings::Begun;
use self::chunks::{CopyError, copy_chunks};
pub(super) use self::counts::Counts;
pub use self::telling::{RelayTold, RelaysTold};
use super::manager::fail;
use super::publisher::{AT_ONCE, read_receipts};
use super::{CommunityError, Place, Standing};
use crate::causes::chain;
use crate::hubs::{HubLink, KnownHub};
use crate::state::{StateError, lock_for_change, read_json, write_json};

/// Most that can wait in a community: a hundred releases for each of the most peers there can be.
const ENTRIES_MAX: usize = 100 * MEMBERS_MAX;
/// How often all that waits is compared, and not only what is new.
const COMPARE_AGAIN: Duration = Duration::from_mins(15);

/// Why a community was not passed on; it is tried again.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// The community, the hub it comes from or the hub it goes to.
    #[error(transparent)]
    Community(#[from] CommunityError),
    /// The chunks of a release did not come.
    #[error("cannot fetch release {sequence} of {feed}")]
    Fetch {
        /// The feed.
        feed: String,
        /// The release.
        sequence: u64,
        /// Why not.
        #[source]
        source: FetchError,
    },
    /// A hub lists more than can wait, or lists it in a circle. It is faulty or hostile: nothing that
    /// it listed last was passed on or withdrawn.
    #[error("{url} lists without end what waits for targets")]
    Endless {
        /// The hub.
        url: String,
    },
    /// The state directory failed.
    #[error("cannot use this node's state")]
    State(#[from] StateError),
}

/// What a relay did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RelayNews {
    /// The hub beside it knows who belongs.
    Roster(u64),
    /// A release is there, and waits for so many targets that it did not wait for before.
    Release {
        /// Whose it is, as the roster calls it.
        publisher: String,
        /// Its number.
        sequence: u64,
        /// Bytes of chunks that were not there yet.
        bytes: u64,
        /// How many targets have it in their queue by this.
        targets: u64,
    },
    /// A release cannot be passed on: why. Others can.
    Refused {
        /// The feed, by the word of the hub it comes from.
        feed: String,
        /// Its number.
        sequence: u64,
        /// Why.
        reason: String,
    },
    /// So many receipts went back.
    Receipts(u64),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredRelay {
    hub: KnownHub,
}

/// What a relay has in mind while it runs.
#[derive(Debug, Default)]
pub struct Passing {
    /// Who belongs, by the roster they were read for.
    members: Option<(RosterSeen, Vec<Membership>)>,
    /// The standing that the hub beside it has.
    given: Option<Given>,
    /// Which of all entries were seen, and when all were compared.
    seen: Option<(u64, Instant)>,
    /// Releases that are there.
    there: BTreeSet<(String, u64)>,
    /// What targets began with, as far as it is known above.
    begun: BTreeSet<Begun>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Given {
    charter: u64,
    roster: Vec<u8>,
    renewal: Option<Vec<u8>>,
}

/// A release, of a feed of the community.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Which {
    feed: ReleaseName,
    publisher: PublicKey,
    sequence: u64,
}

impl Place {
    fn relay_path(&self) -> std::path::PathBuf {
        self.directory().join("relay.json")
    }

    /// Passes the community on through this hub from now on, at which the node is registered.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub fn pass_on_through(&self, hub: &HubLink) -> Result<(), CommunityError> {
        let known = super::known_hub(&hub.route());
        let _lock = lock_for_change(&self.relay_path())?;
        Ok(write_json(&self.relay_path(), &StoredRelay { hub: known })?)
    }

    /// The hub that this node passes the community on through, if it does.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn relay_hub(&self) -> Result<Option<HubLink>, CommunityError> {
        let stored: Option<StoredRelay> = read_json(&self.relay_path())?;
        Ok(stored.map(|stored| self.node().link(&stored.hub)).transpose()?)
    }

    /// Waits for what comes at the hub beside this relay.
    ///
    /// # Errors
    /// That hub cannot be reached.
    pub(super) async fn relay_events(
        &self,
        beside: &HubLink,
    ) -> Result<Option<CommunityEvents>, CommunityError> {
        match beside.client.community_events(&self.id()).await {
            Ok(events) => Ok(Some(events)),
            // It does not know the community yet.
            Err(error) if error.is_not_found() => Ok(None),
            Err(source) => Err(fail(beside, "wait for receipts", source)),
        }
    }

    /// Passes on what there is to pass on, both ways.
    ///
    /// # Errors
    /// See [`RelayError`]. What was passed on stays so.
    pub async fn pass_on(
        &self,
        beside: &HubLink,
        passing: &mut Passing,
    ) -> Result<Vec<RelayNews>, RelayError> {
        let standing = self.refresh().await?;
        let (standing, members) = match passing.members.take() {
            Some((seen, members)) if seen == standing.roster().seen() => (standing, members),
            Some(_) | None => self.members().await?,
        };
        let mut news = Vec::new();
        if self.give_standing(beside, passing, &standing, &members).await? {
            news.push(RelayNews::Roster(standing.roster().number));
        }
        let receipts = self.return_receipts(beside, &standing).await?;
        if receipts > 0 {
            news.push(RelayNews::Receipts(receipts));
        }
        self.return_beginnings(beside, &standing, &mut passing.begun).await?;
        self.pass_down(beside, passing, &standing, &members, &mut news).await?;
        passing.members = Some((standing.roster().seen(), members));
        Ok(news)
    }

    /// Makes the hub beside this one know who belongs; returns whether anything changed there.
    async fn give_standing(
        &self,
        beside: &HubLink,
        passing: &mut Passing,
        standing: &Standing,
        members: &[Membership],
    ) -> Result<bool, CommunityError> {
        let stored = self.stored()?;
        let roster = stored.roster.map_or_else(Vec::new, |roster| roster.0);
        let renewal = stored.renewal.map(|renewal| renewal.0);
        let charter = standing.charter.number;
        let given = Given { charter, roster, renewal };
        if passing.given.as_ref() == Some(&given) {
            return Ok(false);
        }
        let hub = self.hub()?;
        let known = newest_charter(beside, &self.id()).await?;
        self.give_charters(&hub, beside, known, charter).await?;
        let there = match beside.client.standing(&self.id(), charter).await {
            Ok(there) => Some(there),
            Err(error) if error.is_not_found() => None,
            Err(source) => return Err(fail(beside, "ask what it knows", source)),
        };
        let has_roster = there.as_ref().is_some_and(|there| there.roster.0 == given.roster);
        if !has_roster {
            let change = self.roster_change(beside, &given, members).await?;
            match beside.client.put_roster(&self.id(), &change).await {
                Ok(()) => {}
                Err(source) => return Err(fail(beside, "pass the roster on", source)),
            }
        } else if let Some(renewal) = &given.renewal
            && there.and_then(|there| there.renewal).map(|renewal| renewal.0).as_ref()
                != Some(renewal)
        {
            match beside.client.put_renewal(&self.id(), renewal).await {
                // It came another way.
                Err(ClientError::Problem { code: ProblemCode::RosterConflict, .. }) | Ok(()) => {}
                Err(source) => return Err(fail(beside, "pass the renewal on", source)),
            }
        }
        passing.given = Some(given);
        Ok(!has_roster)
    }

    /// Ends the community at the hub beside this one, if it is known there. Its charters say so; this relay
    /// cannot.
    pub(super) async fn pass_end_on(&self) -> Result<(), CommunityError> {
        let Some(beside) = self.relay_hub()? else { return Ok(()) };
        let known = newest_charter(&beside, &self.id()).await?;
        if known == 0 {
            return Ok(());
        }
        self.give_charters(&self.hub()?, &beside, known, self.charter()?.number).await
    }

    /// Hands on the charters behind number `after`, up to `last`.
    async fn give_charters(
        &self,
        hub: &HubLink,
        beside: &HubLink,
        mut after: u64,
        last: u64,
    ) -> Result<(), CommunityError> {
        while after < last {
            let page = hub.client.charters(&self.id(), after).await;
            let page = page.map_err(|source| fail(hub, "read who manages it", source))?;
            if page.is_empty() {
                break;
            }
            for signed in page {
                let done = match after {
                    0 => beside.client.mirror_community(&signed).await,
                    _ => beside.client.add_charter(&self.id(), &signed).await,
                };
                done.map_err(|source| fail(beside, "pass the charter on", source))?;
                after += 1;
            }
        }
        Ok(())
    }

    async fn roster_change(
        &self,
        beside: &HubLink,
        given: &Given,
        members: &[Membership],
    ) -> Result<RosterChange, CommunityError> {
        let there = self.members_at(beside).await?;
        let wanted: BTreeMap<&PeerName, Vec<u8>> =
            members.iter().map(|member| (&member.peer, member.encode())).collect();
        let removed = there.keys().filter(|peer| !wanted.contains_key(peer));
        let removed = removed.map(ToString::to_string).collect();
        let changed = wanted.iter().filter(|(peer, member)| there.get(peer) != Some(member));
        Ok(RosterChange {
            roster: given.roster.clone().into(),
            renewal: given.renewal.clone().map(Into::into),
            members: changed.map(|(_, member)| member.clone().into()).collect(),
            removed,
        })
    }

    /// The memberships at the hub beside, which the roster there counted.
    async fn members_at(
        &self,
        beside: &HubLink,
    ) -> Result<BTreeMap<PeerName, Vec<u8>>, CommunityError> {
        let (mut all, mut listed, mut after) = (BTreeMap::new(), 0, None);
        loop {
            let page = beside.client.members(&self.id(), after.as_deref()).await;
            let page = page.map_err(|source| fail(beside, "list whom it knows", source))?;
            let is_empty = page.members.is_empty();
            listed += page.members.len();
            for member in page.members {
                all.insert(Membership::decode(&member.0)?.peer, member.0);
            }
            match page.next {
                Some(next) if !is_empty && listed <= MEMBERS_MAX => after = Some(next),
                Some(_) | None => return Ok(all),
            }
        }
    }

    /// Hands in above what targets answered at the hub beside this one; returns how many.
    async fn return_receipts(
        &self,
        beside: &HubLink,
        standing: &Standing,
    ) -> Result<u64, CommunityError> {
        let hub = self.hub()?;
        let mut returned = 0;
        for publisher in standing.roster().publishers.keys() {
            let feed = self.id().feed(publisher);
            let mut after = None;
            loop {
                let (receipts, next) = match beside.client.receipts(&feed, after).await {
                    Ok(page) => page,
                    // Nothing of it was ever passed on.
                    Err(error) if error.is_not_found() => break,
                    Err(source) => return Err(fail(beside, "list receipts", source)),
                };
                let mut taken = Vec::new();
                for some in receipts.chunks(AT_ONCE) {
                    let signed = read_receipts(beside, &feed, some).await?;
                    let bytes: usize = signed.iter().map(Vec::len).sum();
                    returned += hand_in(&hub, &feed, some, signed).await?;
                    self.counts().passed_up(bytes as u64);
                    taken.extend(some.iter().map(|receipt| receipt.id));
                }
                // Only now: until they are above, they are kept here.
                let told = beside.client.receipts_taken(&feed, &taken).await;
                told.map_err(|source| fail(beside, "drop receipts", source))?;
                match next {
                    Some(next) => after = Some(next),
                    None => break,
                }
            }
        }
        Ok(returned)
    }

    /// Passes on what waits above for those served here.
    async fn pass_down(
        &self,
        beside: &HubLink,
        passing: &mut Passing,
        standing: &Standing,
        members: &[Membership],
        news: &mut Vec<RelayNews>,
    ) -> Result<(), RelayError> {
        let served = served_by(&self.node().key().public(), members);
        let hub = self.hub()?;
        let since = passing.seen.filter(|(_, compared)| compared.elapsed() < COMPARE_AGAIN);
        let mut compared: Option<BTreeSet<(Which, PublicKey)>> =
            since.is_none().then(BTreeSet::new);
        let (mut after, when) = since.unwrap_or((0, Instant::now()));
        let mut listed = 0;
        loop {
            let page = hub.client.waiting(&self.id(), Some(after)).await;
            let page = page.map_err(|source| fail(&hub, "read what waits for targets", source))?;
            let entries: Vec<(Which, &WaitingEntryInfo)> = page
                .entries
                .iter()
                .filter(|entry| served.contains(&PublicKey::from_bytes(entry.target.0)))
                .filter_map(|entry| Some((self.which(entry, standing)?, entry)))
                .collect();
            // Runs of one release, so that each target gets its releases in their order.
            for run in entries.chunk_by(|(one, _), (other, _)| one == other) {
                if let Some(told) = self.pass_release(beside, passing, standing, run).await? {
                    news.push(told);
                }
            }
            if let Some(compared) = &mut compared {
                let here = |(which, entry): (Which, &WaitingEntryInfo)| {
                    (which, PublicKey::from_bytes(entry.target.0))
                };
                compared.extend(entries.into_iter().map(here));
            }
            let last = page.entries.last().map(|entry| entry.id);
            listed += page.entries.len();
            match page.next {
                Some(next) if last.is_some() && next > after && listed < ENTRIES_MAX => {
                    after = next;
                }
                Some(_) => return Err(RelayError::Endless { url: hub.url.clone() }),
                None => {
                    after = last.unwrap_or(after);
                    break;
                }
            }
        }
        if let Some(waiting_above) = compared {
            self.withdraw_others(beside, standing, &waiting_above).await?;
        }
        passing.seen = Some((after, when));
        Ok(())
    }

    /// The release of an entry, if it is one of the community by a publisher in the roster.
    fn which(&self, entry: &WaitingEntryInfo, standing: &Standing) -> Option<Which> {
        let feed: ReleaseName = entry.name.parse().ok()?;
        let (community, publisher) = CommunityId::of_feed(&feed)?;
        let is_known =
            community == self.id() && standing.roster().publishers.contains_key(&publisher);
        is_known.then_some(Which { feed, publisher, sequence: entry.sequence })
    }

    /// Takes out of the queues below what does not wait above any more.
    async fn withdraw_others(
        &self,
        beside: &HubLink,
        standing: &Standing,
        above: &BTreeSet<(Which, PublicKey)>,
    ) -> Result<(), RelayError> {
        let mut after = 0;
        loop {
            let page = beside.client.waiting(&self.id(), Some(after)).await;
            let page = page.map_err(|source| fail(beside, "read what waits there", source))?;
            for entry in &page.entries {
                let target = PublicKey::from_bytes(entry.target.0);
                let Some(which) = self.which(entry, standing) else { continue };
                if !above.contains(&(which.clone(), target)) {
                    let (feed, sequence) = (&which.feed, which.sequence);
                    let gone = beside.client.withdraw_entry(feed, sequence, &target).await;
                    gone.map_err(|source| fail(beside, "take a release out of a queue", source))?;
                }
            }
            match page.next {
                Some(next) if !page.entries.is_empty() && next > after => after = next,
                Some(_) => return Err(RelayError::Endless { url: beside.url.clone() }),
                None => return Ok(()),
            }
        }
    }

    /// Passes one release on to some targets.
    async fn pass_release(
        &self,
        beside: &HubLink,
        passing: &mut Passing,
        standing: &Standing,
        run: &[(Which, &WaitingEntryInfo)],
    ) -> Result<Option<RelayNews>, RelayError> {
        let Some((which, _)) = run.first() else { return Ok(None) };
        let place = (which.feed.to_string(), which.sequence);
        let mut bytes = 0;
        if !passing.there.contains(&place) {
            match self.copy_release(beside, which).await {
                Ok(copied) => bytes = copied,
                Err(Uncopied::Refused(reason)) => {
                    let (feed, sequence) = place;
                    return Ok(Some(RelayNews::Refused { feed, sequence, reason }));
                }
                Err(Uncopied::Later(error)) => return Err(error),
            }
            passing.there.insert(place);
        }
        let envelopes: Vec<(PublicKey, Vec<u8>)> = run
            .iter()
            .map(|(_, entry)| (PublicKey::from_bytes(entry.target.0), entry.envelope.0.clone()))
            .collect();
        let queued = beside.client.address_release(&which.feed, which.sequence, &envelopes).await;
        let targets = match queued {
            Ok(queued) => queued,
            Err(error) => {
                // It may have been deleted there meanwhile.
                passing.there.clear();
                return Err(fail(beside, "address a release", error).into());
            }
        };
        if bytes == 0 && targets == 0 {
            return Ok(None);
        }
        if targets > 0 {
            let sealed: usize = envelopes.iter().map(|(_, envelope)| envelope.len()).sum();
            self.counts().passed_down(sealed as u64);
        }
        let publisher = &standing.roster().publishers[&which.publisher];
        let (publisher, sequence) = (publisher.peer.to_string(), which.sequence);
        Ok(Some(RelayNews::Release { publisher, sequence, bytes, targets }))
    }

    /// Copies a release to the hub beside; returns the bytes of chunks that were not there.
    async fn copy_release(&self, beside: &HubLink, which: &Which) -> Result<u64, Uncopied> {
        let hub = self.hub().map_err(|error| Uncopied::Later(error.into()))?;
        let signed = hub
            .client
            .release(&which.feed, which.sequence)
            .await
            .map_err(|source| Uncopied::Later(fail(&hub, "read a release", source).into()))?;
        let (manifest, _) = Manifest::open(&signed, &which.publisher)?;
        let sources = self.links().map_err(|error| Uncopied::Later(error.into()))?;
        let copied = copy_chunks(&sources, &beside.client, &manifest, self.counts()).await;
        let copied = copied.map_err(|error| match error {
            CopyError::Refused(reason) => Uncopied::Refused(reason),
            CopyError::Fetch(source) => {
                let (feed, sequence) = (which.feed.to_string(), which.sequence);
                Uncopied::Later(RelayError::Fetch { feed, sequence, source })
            }
            CopyError::Hub(source) => {
                Uncopied::Later(fail(beside, "pass chunks on", source).into())
            }
        })?;
        let taken = beside.client.mirror_release(&which.feed, which.sequence, &signed).await;
        match taken {
            Ok(()) => Ok(copied),
            Err(error) if error.code() == Some(ProblemCode::DocumentRefused) => {
                Err(Uncopied::Refused(chain(&error)))
            }
            Err(source) => Err(Uncopied::Later(fail(beside, "pass a release on", source).into())),
        }
    }
}

/// Hands receipts in at the same time; returns how many somebody waited for.
async fn hand_in(
    hub: &HubLink,
    feed: &ReleaseName,
    receipts: &[ReceiptInfo],
    signed: Vec<Vec<u8>>,
) -> Result<u64, CommunityError> {
    let handing = receipts.iter().zip(signed).map(|(info, signed)| {
        let (client, feed, sequence) = (Arc::clone(&hub.client), feed.clone(), info.sequence);
        let target = PublicKey::from_bytes(info.target.0);
        async move {
            match client.put_receipt(&feed, sequence, &target, signed).await {
                Ok(()) => Ok(1),
                // Nobody waits for it any more.
                Err(error) if error.is_not_found() => Ok(0),
                Err(source) => Err(source),
            }
        }
    });
    let handed: Result<Vec<u64>, _> = try_join_all(handing.collect::<Vec<_>>()).await;
    let handed = handed.map_err(|source| fail(hub, "hand a receipt in", source))?;
    Ok(handed.into_iter().sum())
}

/// Why a release is not at the hub beside.
enum Uncopied {
    /// It never will be: what its publisher or the hub above made of it is refused.
    Refused(String),
    Later(RelayError),
}

impl From<DocumentError> for Uncopied {
    fn from(error: DocumentError) -> Self {
        Self::Refused(error.to_string())
    }
}

/// Number of the newest charter at a hub; 0 where the community is unknown.
async fn newest_charter(hub: &HubLink, community: &CommunityId) -> Result<u64, CommunityError> {
    let mut newest = 0;
    loop {
        match hub.client.charters(community, newest).await {
            Ok(page) if page.is_empty() => return Ok(newest),
            Ok(page) => newest += page.len() as u64,
            Err(error) if error.is_not_found() => return Ok(0),
            Err(source) => return Err(fail(hub, "read which charters it knows", source)),
        }
    }
}
