//! Communities: standing, members, joining, queues and receipts. All unverified, as the hub sent it.

use community::CommunityId;
use documents::{PublicKey, ReleaseName};
use hub_api::{
    AddressedEnvelope, AdmissionSettings, Base64Bytes, BeginningDocument, BeginningInfo,
    BeginningsPage, CharterDocument, ChartersPage, CommunityEvent, EVENT_COMMUNITY, Envelopes, Hex,
    JoinAccepted, JoinDocument, JoinEnd, JoinKnock, Joining, JoiningsPage, ManifestDocument,
    MembersPage, QueuePage, Queued, QueuedTargetInfo, QueuedTargetsPage, ReceiptInfo, ReceiptsPage,
    RelayReports, RelayReportsTaken, RelayStates, RenewalDocument, RosterChange, Standing,
    TakenReceipts, WaitingPage, limits, routes,
};
use hyper::Method;

use crate::client::HubClient;
use crate::error::ClientError;
use crate::events::Events;
use crate::exchange::Call;
use crate::session::Need;

/// News of a community, for which the caller then asks.
pub type CommunityEvents = Events<CommunityEvent>;

impl HubClient {
    /// Creates a community at the hub by its first charter.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn create_community(&self, charter: &[u8]) -> Result<(), ClientError> {
        let call = Call::new(Method::POST, routes::COMMUNITIES, "create a community")
            .json(&CharterDocument { charter: charter.into() });
        self.done(&call).await
    }

    /// Gives the hub the next charter of a community.
    ///
    /// # Errors
    /// See [`ClientError`]; [`hub_api::ProblemCode::RosterConflict`] when it does not follow the newest.
    pub async fn add_charter(
        &self,
        community: &CommunityId,
        charter: &[u8],
    ) -> Result<(), ClientError> {
        let path = routes::of_community(routes::CHARTERS, community);
        let call = Call::new(Method::POST, path, "change who manages a community")
            .json(&CharterDocument { charter: charter.into() });
        self.done(&call).await
    }

    /// The charters of a community behind number `after`, the oldest first; as many as fit an answer.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn charters(
        &self,
        community: &CommunityId,
        after: u64,
    ) -> Result<Vec<Vec<u8>>, ClientError> {
        let path = routes::of_community(routes::CHARTERS, community);
        let path = format!("{path}?after={after}");
        let call = Call::new(Method::GET, path, "read who manages a community");
        let page: ChartersPage = self.json(&call, Need::Nothing).await?;
        Ok(page.charters.into_iter().map(|charter| charter.0).collect())
    }

    /// How the community stands for this key, with the charters behind number `charter`.
    ///
    /// # Errors
    /// See [`ClientError`]; not found for whoever does not belong to it.
    pub async fn standing(
        &self,
        community: &CommunityId,
        charter: u64,
    ) -> Result<Standing, ClientError> {
        let path = routes::of_community(routes::STANDING, community);
        let path = format!("{path}?charter={charter}");
        let call = Call::new(Method::GET, path, "read how a community stands");
        self.json(&call, Need::Required).await
    }

    /// Changes who belongs to a community.
    ///
    /// # Errors
    /// See [`ClientError`]; [`hub_api::ProblemCode::RosterConflict`] when the roster is not the next.
    pub async fn put_roster(
        &self,
        community: &CommunityId,
        change: &RosterChange,
    ) -> Result<(), ClientError> {
        let path = routes::of_community(routes::ROSTER, community);
        self.done(&Call::new(Method::PUT, path, "change who belongs to a community").json(change))
            .await
    }

    /// Says that the roster is still the newest.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn put_renewal(
        &self,
        community: &CommunityId,
        renewal: &[u8],
    ) -> Result<(), ClientError> {
        let path = routes::of_community(routes::RENEWAL, community);
        let call = Call::new(Method::PUT, path, "renew the roster of a community")
            .json(&RenewalDocument { renewal: renewal.into() });
        self.done(&call).await
    }

    /// A page of the memberships, by name; `after` is the `next` of the page before.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn members(
        &self,
        community: &CommunityId,
        after: Option<&str>,
    ) -> Result<MembersPage, ClientError> {
        let path = routes::of_community(routes::MEMBERS, community);
        let from = after.as_ref().map(|after| ("after", after as &dyn std::fmt::Display));
        let path = routes::page(&path, from, limits::PAGE_MAX);
        self.json(&Call::new(Method::GET, path, "list a community's peers"), Need::Required).await
    }

    /// Keeps a place for a peer that has a join secret.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn admit(
        &self,
        community: &CommunityId,
        admission: [u8; 16],
        expires: u64,
    ) -> Result<(), ClientError> {
        let path = routes::admission(community, Hex(admission));
        let call = Call::new(Method::PUT, path, "keep a place for a peer")
            .json(&AdmissionSettings { expires });
        self.done(&call).await
    }

    /// Gives the place up.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn withdraw_admission(
        &self,
        community: &CommunityId,
        admission: [u8; 16],
    ) -> Result<(), ClientError> {
        let path = routes::admission(community, Hex(admission));
        self.done(&Call::new(Method::DELETE, path, "give a peer's place up")).await
    }

    /// Asks to join; the answer says where to look for what becomes of it.
    ///
    /// # Errors
    /// See [`ClientError`]; not found also when the secret is none of this community's any more.
    pub async fn knock(
        &self,
        community: &CommunityId,
        request: &[u8],
    ) -> Result<JoinAccepted, ClientError> {
        let path = routes::of_community(routes::JOINS, community);
        let call = Call::new(Method::POST, path, "ask to join a community")
            .json(&JoinKnock { request: request.into() });
        self.json(&call, Need::Nothing).await
    }

    /// The joinings that are not over, for managers.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn joinings(&self, community: &CommunityId) -> Result<Vec<Joining>, ClientError> {
        let path = routes::of_community(routes::JOINS, community);
        let call = Call::new(Method::GET, path, "list who asks to join");
        let bytes_max = limits::RELEASES_RESPONSE_BYTES_MAX;
        let body = self.body_of(&call, Need::Required, bytes_max).await?;
        let page: JoiningsPage = self.exchange.parse(&call, &body)?;
        Ok(page.joinings)
    }

    /// How far a joining is; the hub answers at its next step, or after `wait` seconds.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn joining(
        &self,
        community: &CommunityId,
        id: &Hex<32>,
        wait: u64,
    ) -> Result<Joining, ClientError> {
        let path = format!("{}?wait={wait}", routes::join(routes::JOIN, community, id));
        let call = Call::new(Method::GET, path, "wait for a manager");
        self.json(&call, Need::Nothing).await
    }

    /// Puts a manager's challenge to a joining.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn challenge_join(
        &self,
        community: &CommunityId,
        id: &Hex<32>,
        challenge: &[u8],
    ) -> Result<(), ClientError> {
        let path = routes::join(routes::JOIN_CHALLENGE, community, id);
        let call = Call::new(Method::PUT, path, "challenge a machine")
            .json(&JoinDocument { document: challenge.into() });
        self.done(&call).await
    }

    /// Puts the machine's answer.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn answer_join(
        &self,
        community: &CommunityId,
        id: &Hex<32>,
        answer: &[u8],
    ) -> Result<(), ClientError> {
        let path = routes::join(routes::JOIN_ANSWER, community, id);
        let call = Call::new(Method::PUT, path, "answer a manager's challenge")
            .json(&JoinDocument { document: answer.into() });
        self.unsigned(&call).await
    }

    /// Ends a joining as a manager.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn end_join(
        &self,
        community: &CommunityId,
        id: &Hex<32>,
        end: &JoinEnd,
    ) -> Result<(), ClientError> {
        let path = routes::join(routes::JOIN_END, community, id);
        self.done(&Call::new(Method::PUT, path, "end a joining").json(end)).await
    }

    /// Breaks a joining off as the machine that began it.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn abort_join(
        &self,
        community: &CommunityId,
        id: &Hex<32>,
        reason: String,
    ) -> Result<(), ClientError> {
        let path = routes::join(routes::JOIN_END, community, id);
        let call =
            Call::new(Method::PUT, path, "break a joining off").json(&JoinEnd::Aborted { reason });
        self.unsigned(&call).await
    }

    /// A page of what waits for this key, in order; `after` is the `next` of the page before.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn queue(
        &self,
        community: &CommunityId,
        after: Option<u64>,
    ) -> Result<QueuePage, ClientError> {
        let path = routes::of_community(routes::QUEUE, community);
        let from = after.as_ref().map(|after| ("after", after as &dyn std::fmt::Display));
        let path = routes::page(&path, from, limits::RELEASES_PAGE_MAX);
        let call = Call::new(Method::GET, path, "read what waits for this machine");
        let bytes_max = limits::RELEASES_RESPONSE_BYTES_MAX;
        let body = self.body_of(&call, Need::Required, bytes_max).await?;
        self.exchange.parse(&call, &body)
    }

    /// A page of what waits for all targets, for relays and mirrors; `after` is the `next` of the page
    /// before, or the last id that was seen.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn waiting(
        &self,
        community: &CommunityId,
        after: Option<u64>,
    ) -> Result<WaitingPage, ClientError> {
        let path = routes::of_community(routes::WAITING, community);
        let from = after.as_ref().map(|after| ("after", after as &dyn std::fmt::Display));
        let path = routes::page(&path, from, limits::PAGE_MAX);
        self.json(&Call::new(Method::GET, path, "read what waits for targets"), Need::Required)
            .await
    }

    /// What waits at the hub, and what relays told of themselves, for managers, publishers and mirrors.
    ///
    /// # Errors
    /// See [`ClientError`]; not found at a hub that is older than this.
    pub async fn relays(&self, community: &CommunityId) -> Result<RelayStates, ClientError> {
        let path = routes::of_community(routes::RELAYS, community);
        self.json(&Call::new(Method::GET, path, "read how relays are"), Need::Required).await
    }

    /// Tells the hub what relays signed of themselves; returns how many of these are the newest there.
    ///
    /// # Errors
    /// See [`ClientError`]; not found at a hub that is older than this.
    pub async fn tell_relays(
        &self,
        community: &CommunityId,
        reports: Vec<Base64Bytes>,
    ) -> Result<u64, ClientError> {
        let path = routes::of_community(routes::RELAYS, community);
        let call =
            Call::new(Method::PUT, path, "tell how relays are").json(&RelayReports { reports });
        let taken: RelayReportsTaken = self.json(&call, Need::Required).await?;
        Ok(taken.taken)
    }

    /// Begins to pass a community on to the hub, by its first charter.
    ///
    /// # Errors
    /// See [`ClientError`]; [`hub_api::ProblemCode::RosterConflict`] when it is managed there, or passed
    /// on by another.
    pub async fn mirror_community(&self, charter: &[u8]) -> Result<(), ClientError> {
        let call = Call::new(Method::POST, routes::MIRRORS, "pass a community on")
            .json(&CharterDocument { charter: charter.into() });
        self.done(&call).await
    }

    /// Gives the hub a release of a community that is passed on to it.
    ///
    /// # Errors
    /// See [`ClientError`]; [`hub_api::ProblemCode::ChunksMissing`] names what to upload first.
    pub async fn mirror_release(
        &self,
        feed: &ReleaseName,
        sequence: u64,
        manifest: &[u8],
    ) -> Result<(), ClientError> {
        let path = routes::mirrored(feed, sequence);
        let call = Call::new(Method::PUT, path, "pass a release on")
            .json(&ManifestDocument { manifest: manifest.into() });
        self.done(&call).await
    }

    /// Takes a release out of a target's queue at a hub that the community is passed on to.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn withdraw_entry(
        &self,
        feed: &ReleaseName,
        sequence: u64,
        target: &PublicKey,
    ) -> Result<(), ClientError> {
        let path = routes::target(feed, sequence, target);
        self.done(&Call::new(Method::DELETE, path, "take a release out of a queue")).await
    }

    /// Waits for news of a community. What came before this call is not told: ask for it first.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn community_events(
        &self,
        community: &CommunityId,
    ) -> Result<CommunityEvents, ClientError> {
        let path = routes::of_community(routes::COMMUNITY_EVENTS, community);
        let call = Call::new(Method::GET, path, "wait for news of a community");
        self.stream(call, EVENT_COMMUNITY, None, Need::Required).await
    }

    /// Addresses a release to targets, which have it in their queues then; returns how many are new.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn address_release(
        &self,
        feed: &ReleaseName,
        sequence: u64,
        envelopes: &[(PublicKey, Vec<u8>)],
    ) -> Result<u64, ClientError> {
        let mut queued = 0;
        for some in envelopes.chunks(limits::ENVELOPES_MAX) {
            let addressed = some.iter().map(|(target, envelope)| AddressedEnvelope {
                target: Hex(*target.as_bytes()),
                envelope: Base64Bytes(envelope.clone()),
            });
            let path = routes::envelopes(feed, sequence);
            let call = Call::new(Method::POST, path, "address a release")
                .json(&Envelopes { envelopes: addressed.collect() });
            queued += self.json::<Queued>(&call, Need::Required).await?.queued;
        }
        Ok(queued)
    }

    /// A page of the targets of a release, by key.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn release_targets(
        &self,
        feed: &ReleaseName,
        sequence: u64,
        after: Option<&Hex<32>>,
    ) -> Result<(Vec<QueuedTargetInfo>, Option<Hex<32>>), ClientError> {
        let from = after.map(|after| ("after", after as &dyn std::fmt::Display));
        let path = routes::page(&routes::targets(feed, sequence), from, limits::PAGE_MAX);
        let call = Call::new(Method::GET, path, "read how a release stands");
        let page: QueuedTargetsPage = self.json(&call, Need::Required).await?;
        Ok((page.targets, page.next))
    }

    /// Hands in what `target` signed when it began with a release that waits for it.
    ///
    /// # Errors
    /// See [`ClientError`]; a hub that is older knows no such call.
    pub async fn begin_release(
        &self,
        feed: &ReleaseName,
        sequence: u64,
        target: &PublicKey,
        signed: Vec<u8>,
    ) -> Result<(), ClientError> {
        let path = routes::target(feed, sequence, target);
        let call = Call::new(Method::PUT, path, "tell that a release was begun")
            .json(&BeginningDocument { beginning: signed.into() });
        self.done(&call).await
    }

    /// A page of what targets began with and have not answered. `after` is the `next` of the page before.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn beginnings(
        &self,
        feed: &ReleaseName,
        after: Option<u64>,
    ) -> Result<(Vec<BeginningInfo>, Option<u64>), ClientError> {
        let from = after.as_ref().map(|after| ("after", after as &dyn std::fmt::Display));
        let path = routes::page(&routes::beginnings(feed), from, limits::PAGE_MAX);
        let call = Call::new(Method::GET, path, "ask what targets work on");
        let page: BeginningsPage = self.json(&call, Need::Required).await?;
        Ok((page.beginnings, page.next))
    }

    /// Hands in a signed receipt of `target`, which takes the release out of its queue.
    ///
    /// # Errors
    /// See [`ClientError`]; not found when nothing is queued for it.
    pub async fn put_receipt(
        &self,
        feed: &ReleaseName,
        sequence: u64,
        target: &PublicKey,
        signed: Vec<u8>,
    ) -> Result<(), ClientError> {
        let path = routes::receipt(feed, sequence, target);
        let call = Call::new(Method::PUT, path, "hand in a receipt").octets([signed.into()]);
        self.done(&call).await
    }

    /// A signed receipt, for the publisher.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn receipt(
        &self,
        feed: &ReleaseName,
        sequence: u64,
        target: &PublicKey,
    ) -> Result<Vec<u8>, ClientError> {
        let path = routes::receipt(feed, sequence, target);
        let call = Call::new(Method::GET, path, "read a receipt");
        let body = self.body_of(&call, Need::Required, limits::RECEIPT_BYTES_MAX).await?;
        Ok(body.to_vec())
    }

    /// A page of the receipts of a feed that were not taken yet, the short ones with what was signed;
    /// the others are read one by one, as are all of a hub that does not hand them out together. `after`
    /// is the `next` of the page before.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn receipts(
        &self,
        feed: &ReleaseName,
        after: Option<u64>,
    ) -> Result<(Vec<ReceiptInfo>, Option<u64>), ClientError> {
        let from = after.as_ref().map(|after| ("after", after as &dyn std::fmt::Display));
        let path = routes::page(&routes::receipts(feed), from, limits::PAGE_MAX) + "&signed=true";
        let call = Call::new(Method::GET, path, "list receipts");
        let page: ReceiptsPage = self.json(&call, Need::Required).await?;
        Ok((page.receipts, page.next))
    }

    /// Says that these receipts are kept here, so that the hub need not.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn receipts_taken(&self, feed: &ReleaseName, ids: &[u64]) -> Result<(), ClientError> {
        for some in ids.chunks(limits::ENVELOPES_MAX) {
            let call = Call::new(Method::POST, routes::receipts_taken(feed), "take receipts")
                .json(&TakenReceipts { ids: some.to_vec() });
            self.done(&call).await?;
        }
        Ok(())
    }
}
