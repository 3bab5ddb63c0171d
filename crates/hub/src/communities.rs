//! Communities as their routes see them: what an account is to one, and which names are feeds.
//!
//! The hub verifies what it stores, so that nobody can hand its peers what they would refuse; they
//! verify it again. Whoever does not belong to a community sees nothing where it is.

use community::{Charter, CommunityId, Role, Roster};
use documents::{PublicKey, ReleaseName, jointly};
use hub_api::ProblemCode;
use hub_db::{Account, AccountKey, Caller, CommunityKey, CommunityRecord, NameRecord, PeerRoles};

use crate::app::App;
use crate::caller::{Segments, just_before};
use crate::refusal::Refusal;

/// A community that is here.
pub(crate) struct Community {
    pub(crate) id: CommunityId,
    pub(crate) key: CommunityKey,
    pub(crate) record: CommunityRecord,
    /// The newest charter; it was verified when it came.
    pub(crate) charter: Charter,
}

/// A community, and what an account is to it: any of these.
pub(crate) struct Belonging {
    pub(crate) community: Community,
    pub(crate) is_manager: bool,
    /// Whether it passes the community on to this hub.
    pub(crate) is_mirror: bool,
    pub(crate) peer: Option<hub_db::Member>,
}

/// What the database knows a community by.
pub(crate) fn key_of(id: &CommunityId) -> CommunityKey {
    CommunityKey(*id.as_bytes())
}

pub(crate) fn public_key(key: &AccountKey) -> PublicKey {
    PublicKey::from_bytes(key.0)
}

impl Segments {
    /// The id at `{community}`.
    pub(crate) fn community(&self) -> Result<CommunityId, Refusal> {
        self.parse("community")
    }
}

impl Community {
    /// The community at `{community}`.
    pub(crate) async fn find(app: &App, segments: &Segments) -> Result<Self, Refusal> {
        Self::with_id(app, segments.community()?).await
    }

    /// The community with this id.
    async fn with_id(app: &App, id: CommunityId) -> Result<Self, Refusal> {
        let key = key_of(&id);
        let record = app.db.community(&key).await?.ok_or_else(Refusal::not_found)?;
        let charter =
            jointly::peek(&record.signed_charter).map_err(|error| Refusal::internal(&error))?;
        Ok(Self { id, key, record, charter })
    }

    /// The same, if the account belongs to it.
    pub(crate) async fn of(
        app: &App,
        segments: &Segments,
        account: &Account,
    ) -> Result<Belonging, Refusal> {
        Self::belonging(app, segments.community()?, account).await
    }

    async fn belonging(
        app: &App,
        id: CommunityId,
        account: &Account,
    ) -> Result<Belonging, Refusal> {
        let community = Self::with_id(app, id).await?;
        let is_manager = community.charter.managers.keys.contains(&public_key(&account.key));
        let is_mirror = community.record.mirror == Some(account.key);
        let peer = app.db.member(&community.key, &account.key).await?;
        if !is_manager && !is_mirror && peer.is_none() {
            return Err(Refusal::not_found());
        }
        Ok(Belonging { community, is_manager, is_mirror, peer })
    }

    /// The same, if the account manages it.
    pub(crate) async fn managed(
        app: &App,
        segments: &Segments,
        account: &Account,
    ) -> Result<Self, Refusal> {
        let Belonging { community, is_manager, .. } = Self::of(app, segments, account).await?;
        if !is_manager {
            return Err(forbidden("managers of the community only"));
        }
        community.must_go_on()?;
        Ok(community)
    }

    /// Refuses what comes for a community that has ended. Its peers have no part in it any more; those
    /// who managed it are told why.
    pub(crate) fn must_go_on(&self) -> Result<(), Refusal> {
        if self.charter.ended {
            return Err(conflict("the community has ended"));
        }
        Ok(())
    }

    /// The same, if the account may hand in what managers signed: one of them, or whoever mirrors it.
    pub(crate) async fn handed_in(
        app: &App,
        segments: &Segments,
        account: &Account,
    ) -> Result<Self, Refusal> {
        let belonging = Self::of(app, segments, account).await?;
        if !(belonging.is_manager || belonging.is_mirror) {
            return Err(forbidden("managers of the community only"));
        }
        Ok(belonging.community)
    }

    /// The same, if the account answers those who ask to join: a manager, or whoever mirrors the community,
    /// who carries them to its home and brings the answers.
    pub(crate) async fn answering(
        app: &App,
        segments: &Segments,
        account: &Account,
    ) -> Result<Self, Refusal> {
        let community = Self::handed_in(app, segments, account).await?;
        community.must_go_on()?;
        Ok(community)
    }

    /// The roster in force.
    pub(crate) fn roster(&self) -> Result<Option<Roster>, Refusal> {
        let roster = self.record.roster.as_ref().map(|(_, signed)| jointly::peek(signed));
        roster.transpose().map_err(|error| Refusal::internal(&error))
    }
}

impl Belonging {
    /// What the peer does; nothing for a manager who is none.
    pub(crate) fn roles(&self) -> PeerRoles {
        self.peer.as_ref().map_or_else(PeerRoles::default, |peer| peer.roles)
    }

    /// Whether it passes on what waits for others.
    pub(crate) fn passes_on(&self) -> bool {
        self.is_mirror || self.roles().relay
    }
}

pub(crate) fn roles_of(membership: &community::Membership) -> PeerRoles {
    let has = |role: Role| membership.roles.contains(&role);
    PeerRoles {
        publisher: has(Role::Publisher),
        relay: has(Role::Relay),
        target: has(Role::Target),
    }
}

/// Rosters make accounts, and those make no rosters, nor anything else that outlasts them.
pub(crate) const OF_COMMUNITY: &str = "the account is for feeds of its communities alone";

/// The charter that a community begins with at this hub, if the account may begin one.
pub(crate) fn first_charter(account: &Account, signed: &[u8]) -> Result<Charter, Refusal> {
    if account.role < hub_db::Role::Publisher {
        return Err(forbidden("publishers only"));
    }
    if account.of_community {
        return Err(forbidden(OF_COMMUNITY));
    }
    let charter = Charter::open(signed).map_err(refused)?;
    if charter.number != 1 {
        return Err(refused(format!("a community begins with charter 1, not {}", charter.number)));
    }
    Ok(charter)
}

pub(crate) fn forbidden(who: &str) -> Refusal {
    Refusal::new(ProblemCode::Forbidden, who)
}

pub(crate) fn refused(why: impl std::fmt::Display) -> Refusal {
    Refusal::new(ProblemCode::DocumentRefused, why.to_string())
}

pub(crate) fn conflict(why: impl std::fmt::Display) -> Refusal {
    Refusal::new(ProblemCode::RosterConflict, why.to_string())
}

/// The feed of a publisher.
pub(crate) struct Feed {
    pub(crate) community: CommunityId,
    pub(crate) publisher: PublicKey,
    pub(crate) name: NameRecord,
}

impl Feed {
    /// The feed at `{team}/{name}` as far as the account may see it.
    pub(crate) async fn visible(
        app: &App,
        segments: &Segments,
        account: &Account,
    ) -> Result<Self, Refusal> {
        let feed = CommunityId::of_feed(&segments.name()?);
        let (community, publisher) = feed.ok_or_else(Refusal::not_found)?;
        let name = segments.visible(app, &Caller::from(account)).await?;
        Ok(Self { community, publisher, name })
    }

    /// The same, if it is the account's own.
    pub(crate) async fn own(
        app: &App,
        segments: &Segments,
        account: &Account,
    ) -> Result<Self, Refusal> {
        let feed = Self::visible(app, segments, account).await?;
        if feed.publisher != public_key(&account.key) || feed.name.owner != account.id {
            return Err(forbidden("the publisher of the feed only"));
        }
        Ok(feed)
    }
}

impl Feed {
    /// The feed at `{team}/{name}`, if its receipts are the account's to take: the publisher's, or the
    /// mirror's, which brings them on.
    pub(crate) async fn collected(
        app: &App,
        segments: &Segments,
        account: &Account,
    ) -> Result<Self, Refusal> {
        match Self::mirrored(app, segments, account).await {
            Ok(feed) => Ok(feed),
            Err(refusal) if refusal.is_failure() => Err(refusal),
            Err(_) => Self::own(app, segments, account).await,
        }
    }

    /// The feed at `{team}/{name}` of a community that the account passes on to this hub.
    pub(crate) async fn mirrored(
        app: &App,
        segments: &Segments,
        account: &Account,
    ) -> Result<Self, Refusal> {
        let Mirrored { community, publisher } = Mirrored::at(app, segments, account).await?;
        let name = segments.name()?;
        let found = app.db.all_names(&just_before(name.as_str()), 1).await?.pop();
        let found = found.filter(|found| found.name == name.as_str());
        let name = found.ok_or_else(Refusal::not_found)?;
        Ok(Self { community: community.id, publisher, name })
    }
}

/// The community and publisher of the feed at `{team}/{name}`, there or not, of a community that an
/// account passes on to this hub.
pub(crate) struct Mirrored {
    pub(crate) community: Community,
    pub(crate) publisher: PublicKey,
}

impl Mirrored {
    pub(crate) async fn at(
        app: &App,
        segments: &Segments,
        account: &Account,
    ) -> Result<Self, Refusal> {
        let feed = CommunityId::of_feed(&segments.name()?);
        let (id, publisher) = feed.ok_or_else(Refusal::not_found)?;
        let belonging = Community::belonging(app, id, account).await?;
        if !belonging.is_mirror {
            return Err(forbidden("whoever passes the community on to this hub only"));
        }
        Ok(Self { community: belonging.community, publisher })
    }
}

/// Whether the holder of a key may have and use a name as its own: the feed of a publisher is that
/// publisher's, while the roster says so, at the community's home; other names are not decided here.
pub(crate) async fn may_use(
    app: &App,
    name: &ReleaseName,
    key: &AccountKey,
) -> Result<bool, Refusal> {
    if !CommunityId::is_reserved(name) {
        return Ok(true);
    }
    let Some((id, publisher)) = CommunityId::of_feed(name) else { return Ok(false) };
    if publisher != public_key(key) {
        return Ok(false);
    }
    let id = key_of(&id);
    if app.db.community(&id).await?.is_some_and(|it| it.mirror.is_some()) {
        return Ok(false);
    }
    let peer = app.db.member(&id, key).await?;
    Ok(peer.is_some_and(|peer| peer.roles.publisher))
}

/// Refuses what would give rights to a feed or take them: the roster does that, and nobody else.
pub(crate) fn refuse_feed(name: &str) -> Result<(), Refusal> {
    let is_reserved = name.parse().is_ok_and(|name| CommunityId::is_reserved(&name));
    if is_reserved {
        return Err(forbidden("the roster of its community says who may do what with a feed"));
    }
    Ok(())
}
