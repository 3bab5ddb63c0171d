//! Managing a community: who belongs to it is defined here, admitted and changed.
//!
//! Whatever changes who belongs makes a new roster, signed here and handed to the hub with the
//! memberships that differ. Of two managers who change at once one is refused by the hub and begins
//! again on what the other did. Where more than one has to sign, the change is a proposal until enough
//! have: see [`Proposed`].

mod admitting;
mod changing;
mod ending;
mod proposing;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use community::{Charter, CommunityId, JoinSecret, Membership, PeerName, Role, Route, Seed};
use documents::{PublicKey, Quorum, jointly};
use hub_api::Base64Bytes;
use hub_client::ClientError;
use serde::{Deserialize, Serialize};

pub use self::admitting::JoinNews;
pub use self::ending::Ending;
pub use self::proposing::{Pending, Proposed, ProposingError};
use super::{CommunityError, Place, Standing, going_on, known_hub};
use crate::hubs::{HubLink, KnownHub};
use crate::publish::unix_now;
use crate::state::{Node, lock_for_change, random, read_json, write_json};

/// How long a charter counts: managers look at it once in a while, and a key lost unseen ends.
const CHARTER_LIFETIME: Duration = Duration::from_hours(2 * 365 * 24);
/// How long a roster counts, as long as somebody renews it.
const ROSTER_LIFETIME: Duration = Duration::from_hours(90 * 24);
/// How long a renewal counts: what a hub that hides a newer roster gains.
const RENEWAL_LIFETIME: Duration = Duration::from_hours(7 * 24);
/// How long a join secret is good when nothing else is said.
pub const SECRET_LIFETIME: Duration = Duration::from_hours(7 * 24);
/// How often a change is begun again when others change at the same time.
const ATTEMPTS: usize = 5;

/// What a manager says of a peer before it has joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerDefinition {
    /// What it is called.
    pub peer: PeerName,
    /// What it does.
    pub roles: BTreeSet<Role>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Where it gets its packages; none: where the seed says.
    pub routes: Vec<Route>,
    /// Where a relay is found.
    pub addresses: Vec<Route>,
    /// For people.
    pub description: Option<String>,
    /// Name or address of the machine, for people.
    pub host: Option<String>,
}

/// How a peer may join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// With this secret, once, until then.
    Secret(JoinSecret, u64),
    /// When a manager approves its key.
    Approval,
}

/// What this node's manager remembers.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Managed {
    /// All memberships, as encoded, by peer.
    members: BTreeMap<String, Base64Bytes>,
    /// Peers that have not joined yet, by name.
    defined: BTreeMap<String, Defined>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Defined {
    /// What the membership will be, but for its keys.
    roles: Vec<String>,
    labels: BTreeMap<String, String>,
    routes: Vec<KnownHub>,
    #[serde(default)]
    addresses: Vec<KnownHub>,
    description: Option<String>,
    host: Option<String>,
    /// The secret, which whoever can read this file may use; none when a manager approves.
    secret: Option<String>,
    expires: Option<u64>,
    /// The key that a manager approved.
    approved: Option<String>,
}

/// What became of a change.
#[derive(Debug)]
pub enum Changed {
    /// It is in force.
    InForce(Box<Standing>),
    /// More managers have to sign it.
    Proposed(Box<Proposed>),
}

/// A peer that is defined and has not joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// What it is called.
    pub peer: String,
    /// What it will do.
    pub roles: Vec<String>,
    /// Until when its secret is good; none when a manager approves it.
    pub expires: Option<u64>,
}

impl Node {
    /// Manages a community whose newest charter has this node's key, at the hubs of its seed.
    ///
    /// # Errors
    /// The charter does not have it, or see [`CommunityError`].
    pub async fn open_community(&self, seed: &Seed) -> Result<Place, CommunityError> {
        let mut charter = seed.open()?;
        let mut signed = seed.charter.clone();
        let mut last = None;
        for route in &seed.routes {
            let hub = self.link(&known_hub(route))?;
            match hub.client.charters(&charter.community, charter.number).await {
                Ok(later) => {
                    for next in later {
                        charter = charter.follow(&next)?;
                        signed = next;
                    }
                    let charter = going_on(charter)?;
                    if !charter.managers.keys.contains(&self.key().public()) {
                        return Err(CommunityError::NotManager(charter.name));
                    }
                    let place = self.place(charter.community);
                    if !place.path().is_file() {
                        place.begin(&signed, &seed.routes)?;
                    }
                    place.refresh().await?;
                    return Ok(place);
                }
                Err(source) => last = Some(fail(&hub, "read who manages it", source)),
            }
        }
        Err(last.expect("a seed names a hub"))
    }

    /// Creates a community at a hub, with this node as its manager.
    ///
    /// # Errors
    /// The hub refused, or see [`CommunityError`].
    pub async fn create_community(
        &self,
        hub: &HubLink,
        name: &str,
    ) -> Result<Place, CommunityError> {
        let now = unix_now();
        let own = self.key().public();
        let charter = Charter {
            community: CommunityId::from_random(random()?),
            name: name.to_owned(),
            number: 1,
            issued: now,
            expires: now + CHARTER_LIFETIME.as_secs(),
            managers: Quorum { keys: [own].into(), threshold: 1 },
            previous: None,
            ended: false,
        };
        let signed = jointly::sign(&charter, [self.key()]);
        // What cannot be read again is not to be signed: such as a name of two lines.
        Charter::open(&signed)?;
        let created = hub.client.create_community(&signed).await;
        created.map_err(|source| fail(hub, "create the community", source))?;
        let place = self.place(charter.community);
        place.begin(&signed, &[hub.route()])?;
        place.change(|_| Ok(())).await?;
        Ok(place)
    }
}

impl Place {
    fn managed_path(&self) -> std::path::PathBuf {
        self.directory().join("manager.json")
    }

    fn managed(&self) -> Result<Managed, CommunityError> {
        Ok(read_json(&self.managed_path())?.unwrap_or_default())
    }

    /// The charter, if this node is among its managers.
    fn own_charter(&self) -> Result<Charter, CommunityError> {
        self.managing(self.charter()?)
    }

    fn managing(&self, charter: Charter) -> Result<Charter, CommunityError> {
        let charter = going_on(charter)?;
        if charter.managers.keys.contains(&self.node.key().public()) {
            return Ok(charter);
        }
        Err(CommunityError::NotManager(charter.name))
    }

    /// The seed to hand to machines.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn seed(&self) -> Result<Seed, CommunityError> {
        let stored = self.stored()?;
        let routes = stored.hubs.iter().map(route_of).collect();
        Ok(Seed { charter: stored.charter.0, routes })
    }

    /// A seed by which machines ask at these hubs or relays, and at no other.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn seed_through(&self, routes: Vec<Route>) -> Result<Seed, CommunityError> {
        Ok(Seed { routes, ..self.seed()? })
    }

    /// Defines a peer, which may join from then on.
    ///
    /// # Errors
    /// There is one of that name, or see [`CommunityError`].
    pub async fn define(
        &self,
        definition: &PeerDefinition,
        lifetime: Option<Duration>,
    ) -> Result<Admission, CommunityError> {
        self.own_charter()?;
        let peer = &definition.peer;
        let admission = match lifetime {
            Some(lifetime) => {
                let expires = unix_now().saturating_add(lifetime.as_secs());
                Admission::Secret(JoinSecret::from_random(random()?), expires)
            }
            None => Admission::Approval,
        };
        {
            let _lock = lock_for_change(&self.managed_path())?;
            let mut managed = self.managed()?;
            if managed.members.contains_key(peer.as_str()) {
                return Err(CommunityError::PeerExists(peer.to_string()));
            }
            let (secret, expires) = match &admission {
                Admission::Secret(secret, expires) => (Some(secret.to_string()), Some(*expires)),
                Admission::Approval => (None, None),
            };
            let defined = Defined {
                roles: definition.roles.iter().map(|role| role.as_str().to_owned()).collect(),
                labels: definition.labels.clone(),
                routes: definition.routes.iter().map(known_hub).collect(),
                addresses: definition.addresses.iter().map(known_hub).collect(),
                description: definition.description.clone(),
                host: definition.host.clone(),
                secret,
                expires,
                approved: None,
            };
            // A peer that is defined anew joins with the new secret alone.
            managed.defined.insert(peer.to_string(), defined);
            write_json(&self.managed_path(), &managed)?;
        }
        if let Admission::Secret(secret, expires) = &admission {
            let hub = self.hub()?;
            let place = secret.admission(&self.id, peer);
            let admitted = hub.client.admit(&self.id, place, *expires).await;
            admitted.map_err(|source| fail(&hub, "keep a place for the peer", source))?;
        }
        Ok(admission)
    }

    /// Peers that are defined and have not joined, by name.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn expected(&self) -> Result<Vec<Expected>, CommunityError> {
        let managed = self.managed()?;
        let expected = managed.defined.into_iter().map(|(peer, defined)| Expected {
            peer,
            roles: defined.roles,
            expires: defined.expires,
        });
        Ok(expected.collect())
    }

    /// Lets a peer that is defined without a secret join with this key.
    ///
    /// # Errors
    /// There is no such peer, or see [`CommunityError`].
    pub fn approve(&self, peer: &PeerName, key: &PublicKey) -> Result<(), CommunityError> {
        self.own_charter()?;
        let _lock = lock_for_change(&self.managed_path())?;
        let mut managed = self.managed()?;
        let defined = managed.defined.get_mut(peer.as_str());
        let defined = defined.ok_or_else(|| CommunityError::NoPeer(peer.to_string()))?;
        defined.approved = Some(key.to_string());
        Ok(write_json(&self.managed_path(), &managed)?)
    }

    /// Takes a peer out of the community, or a definition away: it receives nothing from then on.
    ///
    /// # Errors
    /// There is no such peer, or see [`CommunityError`].
    pub async fn revoke(&self, peer: &PeerName) -> Result<Changed, CommunityError> {
        let defined = {
            let _lock = lock_for_change(&self.managed_path())?;
            let mut managed = self.managed()?;
            let defined = managed.defined.remove(peer.as_str());
            if defined.is_some() {
                write_json(&self.managed_path(), &managed)?;
            }
            defined
        };
        if let Some(secret) = defined.as_ref().and_then(|defined| defined.secret.as_deref())
            && let Ok(secret) = secret.parse::<JoinSecret>()
        {
            let hub = self.hub()?;
            let withdrawn =
                hub.client.withdraw_admission(&self.id, secret.admission(&self.id, peer)).await;
            match withdrawn {
                Err(error) if !error.is_not_found() => {
                    return Err(fail(&hub, "give the peer's place up", error));
                }
                Ok(()) | Err(_) => {}
            }
        }
        if defined.is_some() {
            let proposed = self.pending()?;
            if proposed.is_none_or(|pending| !pending.proposal.members().contains_key(peer)) {
                return Ok(Changed::InForce(Box::new(self.refresh().await?)));
            }
            // It has shown its secret, and managers are signing.
            let without = self.change(|next| {
                next.members.remove(peer);
                Ok(())
            });
            return without.await;
        }
        self.change(|next| match next.members.remove(peer) {
            Some(_) => Ok(()),
            None => Err(CommunityError::NoPeer(peer.to_string())),
        })
        .await
    }

    /// Changes one peer that has joined.
    ///
    /// # Errors
    /// There is no such peer, or see [`CommunityError`].
    pub async fn change_peer(
        &self,
        peer: &PeerName,
        with: impl Fn(&mut Membership),
    ) -> Result<Changed, CommunityError> {
        self.change(|next| {
            let member = next.members.get_mut(peer);
            let member = member.ok_or_else(|| CommunityError::NoPeer(peer.to_string()))?;
            with(member);
            member.issued = unix_now();
            Ok(())
        })
        .await
    }
}

pub(super) fn fail(hub: &HubLink, doing: &'static str, source: ClientError) -> CommunityError {
    CommunityError::Hub { doing, url: hub.url.clone(), source }
}

fn route_of(hub: &KnownHub) -> Route {
    let mut fingerprint = [0; 32];
    if let Some(text) = &hub.fingerprint {
        // One that is no fingerprint is as good as none known: then the system's authorities decide.
        let _ = hex::decode_to_slice(text, &mut fingerprint);
    }
    Route { url: hub.url.clone(), fingerprint }
}
