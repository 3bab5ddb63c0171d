//! Communities: who belongs to them, and what an account gets by that.

use async_trait::async_trait;

use crate::{AccountKey, DbError};

/// The 16 bytes that name a community.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommunityKey(pub [u8; 16]);

impl CommunityKey {
    /// The name under which the releases of a publisher for this community stand.
    #[must_use]
    pub fn feed(&self, publisher: &AccountKey) -> String {
        format!("{}{}", self.feeds().0, hex(&publisher.0))
    }

    /// All its feeds are between these two: behind a slash comes a zero.
    pub(crate) fn feeds(&self) -> (String, String) {
        let community = hex(&self.0);
        (format!("c-{community}/"), format!("c-{community}0"))
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A place in the order of a community's rosters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RosterOrder {
    /// Number of the charter under which it is signed.
    pub charter: u64,
    /// Its own number.
    pub number: u64,
}

/// What a peer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct PeerRoles {
    /// Sends releases.
    pub publisher: bool,
    /// Passes them on.
    pub relay: bool,
    /// Gets them.
    pub target: bool,
}

/// A peer of a community.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// What it is called.
    pub peer: String,
    /// Its key.
    pub key: AccountKey,
    /// What it does.
    pub roles: PeerRoles,
    /// Its membership, as the roster counts it.
    pub payload: Vec<u8>,
}

/// What says that a roster is still the newest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewal {
    /// The signed document.
    pub signed: Vec<u8>,
    /// When it was signed.
    pub issued: u64,
}

/// A new roster and what it changes. Its documents have been verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRoster {
    /// The community.
    pub community: CommunityKey,
    /// Its place.
    pub order: RosterOrder,
    /// The roster on which the change was computed.
    pub previous: Option<RosterOrder>,
    /// The signed roster.
    pub signed: Vec<u8>,
    /// Its renewal; that of the roster before goes in any case.
    pub renewal: Option<Renewal>,
    /// Peers that are new or not as they were: each peer and each key once.
    pub changed: Vec<Member>,
    /// Names of peers that are gone.
    pub removed: Vec<String>,
    /// Who may send; nobody else.
    pub publishers: Vec<AccountKey>,
    /// The time.
    pub now: u64,
}

/// How a community stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommunityRecord {
    /// Number of the newest charter.
    pub charter: u64,
    /// The newest charter, signed.
    pub signed_charter: Vec<u8>,
    /// The newest roster, signed; none before the first.
    pub roster: Option<(RosterOrder, Vec<u8>)>,
    /// Its newest renewal.
    pub renewal: Option<Renewal>,
    /// Who passes it on to here from another hub; none where its managers work here.
    pub mirror: Option<AccountKey>,
}

/// A community as its hub's operator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedCommunity {
    /// Its id.
    pub community: CommunityKey,
    /// The newest charter, signed.
    pub signed_charter: Vec<u8>,
    /// When it began here.
    pub created: u64,
    /// How many peers the roster counts.
    pub members: u64,
    /// When the roster was renewed last, by whoever signed that; none where nobody did.
    pub renewed: Option<u64>,
    /// Who passes it on to here; none where its managers work here.
    pub mirror: Option<AccountKey>,
}

/// Communities.
///
/// The roster gives and takes rights, in one transaction with itself:
///
/// * Each peer has an account, made here if there is none. Such an account is a publisher's while a
///   roster says so, a reader's otherwise; it is in force while its key belongs to any community.
///   An account that was ever registered with an invitation, or revoked by an administrator, is no
///   roster's to change.
/// * Targets and relays read the feeds of all publishers.
/// * What waits for a peer that is no target any more, and what somebody sent who is no publisher
///   any more, waits no longer.
#[async_trait]
pub trait Communities: Send + Sync {
    /// Begins a community with its first charter, as it is managed here or as `mirror` passes it on.
    /// False, and nothing changed, when there is one of this name.
    async fn create_community(
        &self,
        community: &CommunityKey,
        charter: &[u8],
        mirror: Option<&AccountKey>,
        now: u64,
    ) -> Result<bool, DbError>;

    /// Adds the charter with this number. False, and nothing changed, when it does not follow the
    /// newest one.
    async fn add_charter(
        &self,
        community: &CommunityKey,
        number: u64,
        charter: &[u8],
    ) -> Result<bool, DbError>;

    /// Adds the charter with this number, which is the last one: who belongs to the community, its feeds
    /// with all releases, what waits and what came back, and who asks to join are gone with it; the
    /// charters stay, so that its peers learn of the end. False, and nothing changed, when the charter
    /// does not follow the newest one.
    async fn end_community(
        &self,
        community: &CommunityKey,
        number: u64,
        charter: &[u8],
        now: u64,
    ) -> Result<bool, DbError>;

    /// Forgets a community with all that is gone when one ends, and its charters too. False when there is
    /// none.
    async fn remove_community(&self, community: &CommunityKey, now: u64) -> Result<bool, DbError>;

    /// All communities, in the order in which they began.
    async fn communities(&self) -> Result<Vec<ListedCommunity>, DbError>;

    /// Up to `limit` charters in order of their numbers, those behind the number `after`.
    async fn charters(
        &self,
        community: &CommunityKey,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Vec<u8>>, DbError>;

    /// How it stands, if there is one.
    async fn community(&self, community: &CommunityKey)
    -> Result<Option<CommunityRecord>, DbError>;

    /// Puts a roster in the place of the previous one. False, and nothing changed, when another one
    /// is in force than the change was computed on, when the new one does not come behind it, or
    /// when it is not under the newest charter.
    async fn set_roster(&self, new: &NewRoster) -> Result<bool, DbError>;

    /// Renews the roster that is in force. False, and nothing changed, when that is another one, or
    /// when there is a renewal at least as new.
    async fn renew_roster(
        &self,
        community: &CommunityKey,
        order: RosterOrder,
        renewal: &Renewal,
    ) -> Result<bool, DbError>;

    /// Up to `limit` peers in order of the bytes of their names, those behind `after`.
    async fn members(
        &self,
        community: &CommunityKey,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Member>, DbError>;

    /// All peers in order of the bytes of their names, and the roster that counts them.
    async fn all_members(
        &self,
        community: &CommunityKey,
    ) -> Result<(Option<RosterOrder>, Vec<Member>), DbError>;

    /// The peer with this key.
    async fn member(
        &self,
        community: &CommunityKey,
        key: &AccountKey,
    ) -> Result<Option<Member>, DbError>;
}
