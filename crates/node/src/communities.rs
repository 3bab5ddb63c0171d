//! The communities this node belongs to or manages, and how they stand.
//!
//! * [`Place`]: one community as this node sees it, and what it remembers of it.
//! * [`manager`]: who belongs is defined, admitted, changed.
//! * [`join`]: this machine becomes a peer.
//! * [`publisher`]: packages are sent, receipts collected.
//! * [`rollout`]: packages reach their targets wave after wave.
//! * [`relay`]: what others sent is passed on.
//! * [`target`]: what waits for this machine is carried out and answered.
//! * [`follow`]: all of that goes on by itself while the node runs.
//!
//! Below `communities/ID` in the state directory:
//!
//! ```text
//! place.json       the newest charter and roster accepted, this peer's membership, the hubs
//! relay.json       see `relay`
//! manager.json     memberships as last signed here, and peers that are defined and have not joined
//! proposal.json    a change made here that more managers have to sign
//! sent/            what opens the last releases that were sent from here, to go back to them
//! target/          see `target`
//! ```

mod alarms;
pub mod follow;
pub mod join;
pub mod manager;
pub mod publisher;
pub mod relay;
pub mod rollout;
pub mod target;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use community::{
    Charter, CharterError, CommunityId, CurrentRoster, ExchangeKey, Inclusion, Membership,
    MembershipError, Role, Roster, RosterError, RosterSeen, Route, accept_membership,
};
use content::DecodeError;
use documents::DocumentHash;
use hub_api::{Base64Bytes, Hex, MembershipProof};
use hub_client::{ClientError, Timeouts};
use serde::{Deserialize, Serialize};

use crate::hubs::{HubChoiceError, HubLink, KnownHub};
use crate::publish::unix_now;
use crate::state::{
    Node, StateError, create_private_directory, lock_for_change, read_json, write_json,
};

/// How long a hub or relay is waited for to take a connection when there is another one.
const SHORT_CONNECT: Duration = Duration::from_secs(3);
/// The same for it to begin an answer.
const SHORT_RESPONSE: Duration = Duration::from_secs(8);

/// Why something with a community was not done.
#[derive(Debug, thiserror::Error)]
pub enum CommunityError {
    /// This node belongs to no such community. `consign community list` shows those it knows.
    #[error("this node knows no community {0}")]
    Unknown(String),
    /// It knows none, or several and none was named.
    #[error("name the community with --community: this node knows {0} of them")]
    NotNamed(usize),
    /// The hub could not be reached or refused.
    #[error("cannot {doing} at {url}")]
    Hub {
        /// What was tried.
        doing: &'static str,
        /// The hub.
        url: String,
        /// What it said.
        #[source]
        source: ClientError,
    },
    /// The hub showed a chain of charters that does not continue the known one. Speak with the
    /// managers; nothing was accepted.
    #[error("the managers' charter at the hub is refused")]
    Charter(#[from] CharterError),
    /// The roster at the hub may not be used; the one that was accepted before stays.
    #[error("the roster at the hub is refused")]
    Roster(#[from] RosterError),
    /// The membership at the hub is not this machine's, or not in the roster.
    #[error("the membership at the hub is refused")]
    Membership(#[from] MembershipError),
    /// Something the hub sent is no such document.
    #[error("what the hub sent is malformed")]
    Malformed(#[from] DecodeError),
    /// Its managers ended it, and signed that: nothing is sent, received or changed in it any more. What
    /// was carried out stays as it is. There is nothing to do; a new community has a new seed.
    #[error("{name} has ended: its managers signed that with charter {charter}")]
    Ended {
        /// What it was called.
        name: String,
        /// Number of its last charter.
        charter: u64,
    },
    /// The hub does not know the community any more, and shows nothing by which its managers ended it:
    /// its operator removed it, or the hub lost what it had. Ask them, or a manager where it is now.
    #[error("the hub at {url} no longer has {name}")]
    Gone {
        /// What it is called.
        name: String,
        /// The hub.
        url: String,
    },
    /// The node is no manager of this community: only those in its charter may do that.
    #[error("this node is no manager of {0}")]
    NotManager(String),
    /// A proposal was not made, signed or handed in.
    #[error(transparent)]
    Proposing(#[from] manager::ProposingError),
    /// A manager cannot take itself out: another one has to.
    #[error("a manager cannot leave by itself: another one has to take it out")]
    LastWord,
    /// A community has at most [`community::charter::MANAGERS_MAX`] managers.
    #[error("{0} managers are more than there can be")]
    TooManyManagers(usize),
    /// There is a peer of this name already, defined or joined. Choose another name, or revoke it first.
    #[error("there is a peer {0} already")]
    PeerExists(String),
    /// There is no peer of this name. `consign community list` shows them.
    #[error("there is no peer {0}")]
    NoPeer(String),
    /// What was said of a peer does not fit into a membership: a text that is too long or more than a line, too many
    /// labels or routes. Nothing was changed.
    #[error("no peer can be as {peer} would be then")]
    Unfit {
        /// Its name.
        peer: String,
        /// What does not fit.
        #[source]
        source: DecodeError,
    },
    /// Somebody else changed the roster meanwhile, again and again. Try again.
    #[error("the roster kept changing at the hub")]
    Contended,
    /// No way to the community's hub is known.
    #[error(transparent)]
    HubChoice(#[from] HubChoiceError),
    /// The state directory failed.
    #[error("cannot use this node's state")]
    State(#[from] StateError),
}

/// One community as this node sees it.
#[derive(Debug, Clone)]
pub struct Place {
    node: Node,
    id: CommunityId,
    /// Which of the ways to the community is used: the first, until it failed.
    turn: Arc<AtomicUsize>,
    /// What it passed on, if it is a relay.
    counts: Arc<relay::Counts>,
    /// What comes in at the moment, if it is a target.
    fetching: Arc<target::Fetching>,
}

/// What is remembered of a community.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    /// The newest charter, as its managers signed it.
    charter: Base64Bytes,
    /// The hubs, in order of preference.
    hubs: Vec<KnownHub>,
    /// The newest roster that was accepted.
    seen: Option<StoredSeen>,
    roster: Option<Base64Bytes>,
    renewal: Option<Base64Bytes>,
    membership: Option<MembershipProof>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredSeen {
    charter: u64,
    number: u64,
    hash: Hex<32>,
}

/// How a community stands, as this node may believe now.
#[derive(Debug, Clone)]
pub struct Standing {
    /// Who manages it.
    pub charter: Charter,
    /// Who belongs to it.
    pub current: CurrentRoster,
    /// This node's own membership; none for a manager who is no peer.
    pub membership: Option<Membership>,
}

impl Standing {
    /// The roster.
    #[must_use]
    pub fn roster(&self) -> &Roster {
        &self.current.roster
    }
}

impl Node {
    fn communities_directory(&self) -> PathBuf {
        self.directory().join("communities")
    }

    /// The communities this node knows, by id.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn communities(&self) -> Result<Vec<Place>, CommunityError> {
        let directory = self.communities_directory();
        let entries = match std::fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(crate::state::io("list", &directory)(error).into()),
        };
        let mut found: Vec<CommunityId> = entries
            .flatten()
            .filter(|entry| entry.path().join("place.json").is_file())
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .collect();
        found.sort();
        Ok(found.into_iter().map(|id| self.place(id)).collect())
    }

    /// The community with this id or name; without one, the only one there is.
    ///
    /// # Errors
    /// There is none, or more than one.
    pub fn community(&self, named: Option<&str>) -> Result<Place, CommunityError> {
        let mut all = self.communities()?;
        if named.is_none() && all.len() > 1 {
            // Those that ended are asked for by name.
            let mut going_on = Vec::new();
            for place in &all {
                if !place.charter()?.ended {
                    going_on.push(place.clone());
                }
            }
            if !going_on.is_empty() {
                all = going_on;
            }
        }
        if let Some(named) = named {
            let mut fitting = Vec::new();
            for place in all {
                if place.id.to_string() == named || place.charter()?.name == named {
                    fitting.push(place);
                }
            }
            all = fitting;
            if all.is_empty() {
                return Err(CommunityError::Unknown(named.to_owned()));
            }
        }
        match all.len() {
            1 => Ok(all.remove(0)),
            count => Err(CommunityError::NotNamed(count)),
        }
    }

    fn place(&self, id: CommunityId) -> Place {
        let counts = Arc::new(relay::Counts::begin());
        let (turn, fetching) = (Arc::default(), Arc::default());
        Place { node: self.clone(), id, turn, counts, fetching }
    }

    /// This node's exchange key.
    #[must_use]
    pub fn exchange(&self) -> ExchangeKey {
        ExchangeKey::derive(self.key())
    }
}

impl Place {
    /// The community.
    #[must_use]
    pub const fn id(&self) -> CommunityId {
        self.id
    }

    /// The node whose view this is.
    #[must_use]
    pub const fn node(&self) -> &Node {
        &self.node
    }

    fn counts(&self) -> &Arc<relay::Counts> {
        &self.counts
    }

    pub(crate) fn directory(&self) -> PathBuf {
        self.node.communities_directory().join(self.id.to_string())
    }

    fn path(&self) -> PathBuf {
        self.directory().join("place.json")
    }

    fn stored(&self) -> Result<Stored, CommunityError> {
        let stored = read_json(&self.path())?;
        stored.ok_or_else(|| CommunityError::Unknown(self.id.to_string()))
    }

    /// Remembers a community that is new to this node.
    fn begin(&self, charter: &[u8], routes: &[Route]) -> Result<(), CommunityError> {
        create_private_directory(&self.directory())?;
        let hubs = routes.iter().map(known_hub).collect();
        let stored = Stored {
            charter: charter.into(),
            hubs,
            seen: None,
            roster: None,
            renewal: None,
            membership: None,
        };
        Ok(write_json(&self.path(), &stored)?)
    }

    /// The newest charter that was accepted.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn charter(&self) -> Result<Charter, CommunityError> {
        Ok(Charter::open(&self.stored()?.charter.0)?)
    }

    /// Whether this node's key is among the managers.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn is_managed_here(&self) -> Result<bool, CommunityError> {
        Ok(self.charter()?.managers.keys.contains(&self.node.key().public()))
    }

    /// The ways to the community, in order of preference: the membership's routes, else those known
    /// from the seed. At least one.
    fn ways(&self) -> Result<Vec<KnownHub>, CommunityError> {
        let stored = self.stored()?;
        let routes = stored.membership.as_ref().and_then(|proof| {
            let membership = Membership::decode(&proof.membership.0).ok()?;
            Some(membership.routes.iter().map(known_hub).collect::<Vec<_>>())
        });
        let ways = routes.filter(|routes| !routes.is_empty()).unwrap_or(stored.hubs);
        if ways.is_empty() {
            return Err(HubChoiceError::NoneKnown.into());
        }
        Ok(ways)
    }

    /// The hub or relay to speak with: the first way, or the one that was turned to when it failed.
    ///
    /// # Errors
    /// None is known.
    pub fn hub(&self) -> Result<HubLink, CommunityError> {
        let ways = self.ways()?;
        let way = &ways[self.turn.load(Ordering::Relaxed) % ways.len()];
        // Where there is another way, one that is silent is not worth a long wait. What managers and
        // publishers hand in takes its time at any of them.
        if ways.len() == 1 || self.hands_in()? {
            return Ok(self.node.link(way)?);
        }
        let timeouts = Timeouts {
            connect: SHORT_CONNECT,
            response_head: SHORT_RESPONSE,
            ..Timeouts::default()
        };
        Ok(self.node.link_within(way, timeouts)?)
    }

    /// Whether this node is a manager or a publisher of the community.
    fn hands_in(&self) -> Result<bool, CommunityError> {
        let own = self.stored()?.membership.map(|own| Membership::decode(&own.membership.0));
        let is_publisher = own.transpose()?.is_some_and(|own| own.roles.contains(&Role::Publisher));
        Ok(is_publisher || self.is_managed_here()?)
    }

    /// All hubs and relays that chunks may be asked of, the one that is spoken with first.
    fn links(&self) -> Result<Vec<HubLink>, CommunityError> {
        let mut ways = self.ways()?;
        let first = self.turn.load(Ordering::Relaxed) % ways.len();
        ways.rotate_left(first);
        let links: Result<_, _> = ways.iter().map(|way| self.node.link(way)).collect();
        Ok(links?)
    }

    /// Speaks with the next hub or relay from now on; returns whether that is the first again.
    fn take_next_way(&self) -> Result<bool, CommunityError> {
        let count = self.ways()?.len();
        let turn = (self.turn.load(Ordering::Relaxed) + 1) % count;
        self.turn.store(turn, Ordering::Relaxed);
        if count > 1 {
            self.counts.turned(unix_now());
        }
        Ok(turn == 0)
    }

    /// Whether another one failed, and this was turned to.
    fn has_turned(&self) -> bool {
        self.turn.load(Ordering::Relaxed) != 0
    }

    /// Speaks with the first one again.
    fn take_first_way(&self) {
        self.turn.store(0, Ordering::Relaxed);
    }

    /// How the community stands by what was accepted before, without asking anybody; none before the
    /// first time.
    ///
    /// # Errors
    /// It has expired meanwhile, or the state cannot be read.
    pub fn standing(&self, now: u64) -> Result<Option<Standing>, CommunityError> {
        let stored = self.stored()?;
        let charter = going_on(Charter::open(&stored.charter.0)?)?;
        let Some(roster) = &stored.roster else { return Ok(None) };
        let renewal = stored.renewal.as_ref().map(|renewal| &renewal.0[..]);
        let seen = stored.seen.map(RosterSeen::from);
        let current = Roster::accept(&roster.0, renewal, &charter, seen.as_ref(), now)?;
        let membership = match &stored.membership {
            Some(proof) => Some(self.own(proof, &current.roster)?),
            None => None,
        };
        Ok(Some(Standing { charter, current, membership }))
    }

    fn own(&self, proof: &MembershipProof, roster: &Roster) -> Result<Membership, CommunityError> {
        let path = proof.path.iter().map(|hash| hash.0).collect();
        let inclusion = Inclusion { index: proof.index, path };
        let keys = (&self.node.key().public(), &self.node.exchange().public());
        Ok(accept_membership(&proof.membership.0, &inclusion, roster, keys)?)
    }

    /// Asks the hub how the community stands, and remembers what may be believed.
    ///
    /// # Errors
    /// See [`CommunityError`]; what was accepted before stays.
    pub async fn refresh(&self) -> Result<Standing, CommunityError> {
        let known = going_on(self.charter()?)?;
        let hub = self.hub()?;
        let offered = match hub.client.standing(&self.id, known.number).await {
            Ok(offered) => offered,
            Err(source) => {
                return Err(self.refused(&hub, "ask how the community stands", source).await);
            }
        };
        let _lock = lock_for_change(&self.path())?;
        let mut stored = self.stored()?;
        // Another job may have accepted newer ones meanwhile.
        let mut charter = Charter::open(&stored.charter.0)?;
        for signed in offered.charters {
            if Charter::open(&signed.0)?.number > charter.number {
                charter = charter.follow(&signed.0)?;
                stored.charter = signed;
            }
        }
        let charter = going_on(charter)?;
        let now = unix_now();
        let renewal = offered.renewal.as_ref().map(|renewal| &renewal.0[..]);
        let seen = stored.seen.map(RosterSeen::from);
        let current = Roster::accept(&offered.roster.0, renewal, &charter, seen.as_ref(), now)?;
        let membership = match &offered.membership {
            Some(proof) => Some(self.own(proof, &current.roster)?),
            None => None,
        };
        stored.seen = Some(current.roster.seen().into());
        stored.roster = Some(offered.roster);
        stored.renewal = offered.renewal;
        stored.membership = offered.membership;
        write_json(&self.path(), &stored)?;
        Ok(Standing { charter, current, membership })
    }

    /// Why a hub does not answer this node as a member: its managers may have ended the community, which
    /// they then show in its charters, or the hub has it no more. What the hub says by itself ends
    /// nothing.
    async fn refused(
        &self,
        hub: &HubLink,
        doing: &'static str,
        source: ClientError,
    ) -> CommunityError {
        let url = hub.url.clone();
        if !source.is_of_no_member() {
            return CommunityError::Hub { doing, url, source };
        }
        match self.follow_charters(hub).await {
            Ok(charter) if charter.ended => ended(&charter),
            Ok(_) => CommunityError::Hub { doing, url, source },
            Err(CommunityError::Hub { source, .. }) if source.is_not_found() => {
                match self.charter() {
                    Ok(charter) => CommunityError::Gone { name: charter.name, url },
                    Err(error) => error,
                }
            }
            // It was reached a moment ago.
            Err(CommunityError::Hub { .. }) => CommunityError::Hub { doing, url, source },
            Err(error) => error,
        }
    }

    /// Follows the charters to the newest at a hub, which anybody may read, and remembers it.
    async fn follow_charters(&self, hub: &HubLink) -> Result<Charter, CommunityError> {
        loop {
            let known = self.charter()?;
            let later = hub.client.charters(&self.id, known.number).await;
            let later = later.map_err(|source| CommunityError::Hub {
                doing: "read who manages the community",
                url: hub.url.clone(),
                source,
            })?;
            if later.is_empty() || known.ended {
                return Ok(known);
            }
            let _lock = lock_for_change(&self.path())?;
            let mut stored = self.stored()?;
            let mut charter = Charter::open(&stored.charter.0)?;
            for signed in later {
                if Charter::open(&signed)?.number > charter.number {
                    charter = charter.follow(&signed)?;
                    stored.charter = signed.into();
                }
            }
            if charter.number <= known.number {
                return Ok(charter);
            }
            write_json(&self.path(), &stored)?;
        }
    }

    /// All memberships, as the hub has them and the roster counts them, with the roster.
    ///
    /// # Errors
    /// The hub leaves somebody out or slips somebody in, or see [`CommunityError`].
    pub async fn members(&self) -> Result<(Standing, Vec<Membership>), CommunityError> {
        let hub = self.hub()?;
        // The roster may change between the two: then the members are not those of the roster.
        for _ in 0..3 {
            let standing = self.refresh().await?;
            let encoded = self.all_members(&hub).await?;
            match standing.roster().check_members(encoded.iter().map(Vec::as_slice)) {
                Ok(()) => {
                    let members = encoded.iter().map(|bytes| Membership::decode(bytes));
                    return Ok((standing, members.collect::<Result<_, _>>()?));
                }
                Err(error) if self.refresh().await?.roster().seen() == standing.roster().seen() => {
                    return Err(error.into());
                }
                Err(_) => {}
            }
        }
        Err(CommunityError::Contended)
    }

    async fn all_members(&self, hub: &HubLink) -> Result<Vec<Vec<u8>>, CommunityError> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = hub.client.members(&self.id, after.as_deref()).await;
            let page = page.map_err(|source| CommunityError::Hub {
                doing: "list the community's peers",
                url: hub.url.clone(),
                source,
            })?;
            let is_empty = page.members.is_empty();
            all.extend(page.members.into_iter().map(|member| member.0));
            // A hub that never ends must neither fill the memory nor keep us here.
            match page.next {
                Some(next) if !is_empty && all.len() <= hub_api::limits::MEMBERS_MAX => {
                    after = Some(next);
                }
                Some(_) | None => return Ok(all),
            }
        }
    }
}

/// The charter, of a community that has not ended.
fn going_on(charter: Charter) -> Result<Charter, CommunityError> {
    if charter.ended { Err(ended(&charter)) } else { Ok(charter) }
}

fn ended(charter: &Charter) -> CommunityError {
    CommunityError::Ended { name: charter.name.clone(), charter: charter.number }
}

fn known_hub(route: &Route) -> KnownHub {
    let fingerprint = (route.fingerprint != [0; 32]).then(|| hex::encode(route.fingerprint));
    KnownHub { url: route.url.clone(), fingerprint }
}

impl From<StoredSeen> for RosterSeen {
    fn from(seen: StoredSeen) -> Self {
        let hash = DocumentHash::from_bytes(seen.hash.0);
        Self { charter: seen.charter, number: seen.number, hash }
    }
}

impl From<RosterSeen> for StoredSeen {
    fn from(seen: RosterSeen) -> Self {
        let hash = Hex(*seen.hash.as_bytes());
        Self { charter: seen.charter, number: seen.number, hash }
    }
}
