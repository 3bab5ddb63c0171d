//! A community at a running hub, with its manager, and rosters signed for it.

use std::collections::{BTreeMap, BTreeSet};

use community::roster::members_root;
use community::{
    Address, Beginning, Charter, CommunityId, ExchangeKey, JoinRequest, Membership, MessageSeed,
    PeerName, Role, Roster, RosterPublisher, SignedReceipt,
};
use documents::{DocumentHash, NodeKey, Quorum, ReleaseName, jointly};
use hub::{Role as HubRole, Tls};
use hub_api::{Base64Bytes, CommunityNews, Hex, RosterChange};
use hub_client::{ClientError, CommunityEvents};
use tokio::time::timeout;

use crate::raw::PATIENCE;
use crate::scene::{Person, Scene, Tree, now};

/// Key numbers: the manager, and peers as tests know them.
pub(crate) const MANAGER: u8 = 1;
pub(crate) const CI: u8 = 4;
pub(crate) const BERLIN: u8 = 5;
pub(crate) const PARIS: u8 = 6;

pub(crate) struct Plant {
    pub(crate) scene: Scene,
    pub(crate) manager: Person,
    pub(crate) charter: Charter,
    pub(crate) members: BTreeMap<PeerName, Membership>,
    /// Number of the roster that is in force.
    pub(crate) number: u64,
    pub(crate) renewers: BTreeSet<u8>,
}

pub(crate) fn key(number: u8) -> NodeKey {
    NodeKey::from_secret_bytes([number; 32])
}

pub(crate) fn peer(name: &str) -> PeerName {
    name.parse().expect("a name")
}

pub(crate) fn charter(number: u8, managers: &[u8]) -> Charter {
    Charter {
        community: CommunityId::from_random([number; 16]),
        name: "Plant 7".to_owned(),
        number: 1,
        issued: now(),
        expires: now() + 100_000,
        managers: Quorum {
            keys: managers.iter().map(|number| key(*number).public()).collect(),
            threshold: 1,
        },
        previous: None,
        ended: false,
    }
}

impl Plant {
    /// A hub with a community, whose manager has an account, and no roster.
    pub(crate) async fn start() -> Self {
        Self::at(Scene::start(Tls::Off).await).await
    }

    /// The same at a hub that runs already.
    pub(crate) async fn at(scene: Scene) -> Self {
        let manager = scene.person(MANAGER, HubRole::Publisher, &[]).await;
        let charter = charter(6, &[MANAGER]);
        let signed = jointly::sign(&charter, [&manager.key]);
        manager.client.create_community(&signed).await.expect("creates");
        let (members, renewers) = (BTreeMap::new(), BTreeSet::new());
        Self { scene, manager, charter, members, number: 0, renewers }
    }

    /// The same with the publisher `ci` and the targets `berlin` and `paris`.
    pub(crate) async fn with_peers() -> Self {
        let mut plant = Self::start().await;
        plant.add_peers().await;
        plant
    }

    pub(crate) async fn add_peers(&mut self) {
        let peers = [
            self.member("ci", CI, &[Role::Publisher]),
            self.member("berlin", BERLIN, &[Role::Target]),
            self.member("paris", PARIS, &[Role::Target]),
        ];
        self.set(&peers, &[]).await;
    }

    pub(crate) fn id(&self) -> CommunityId {
        self.charter.community
    }

    /// The peer with this key.
    pub(crate) fn peer(&self, number: u8) -> Person {
        self.scene.stranger(number)
    }

    pub(crate) fn member(&self, name: &str, number: u8, roles: &[Role]) -> Membership {
        Membership {
            community: self.id(),
            peer: peer(name),
            key: key(number).public(),
            exchange: ExchangeKey::derive(&key(number)).public(),
            roles: roles.iter().copied().collect(),
            labels: BTreeMap::new(),
            routes: Vec::new(),
            issued: now(),
            description: None,
            host: None,
            addresses: Vec::new(),
        }
    }

    /// The roster after the one in force, and all whom it counts.
    pub(crate) fn next(
        &self,
        changed: &[Membership],
        removed: &[&str],
    ) -> (Roster, BTreeMap<PeerName, Membership>) {
        let mut members = self.members.clone();
        members.retain(|name, _| !removed.contains(&name.as_str()));
        members.extend(changed.iter().map(|it| (it.peer.clone(), it.clone())));
        let encoded: Vec<Vec<u8>> = members.values().map(Membership::encode).collect();
        let publishers = members.values().filter(|it| it.roles.contains(&Role::Publisher));
        let publisher = |it: &Membership| {
            (it.key, RosterPublisher { exchange: it.exchange, peer: it.peer.clone() })
        };
        let roster = Roster {
            community: self.id(),
            charter: (self.charter.number, self.charter.hash()),
            number: self.number + 1,
            issued: now(),
            expires: now() + 10_000,
            count: members.len() as u64,
            members: members_root(encoded.iter().map(Vec::as_slice)),
            publishers: publishers.map(publisher).collect(),
            renewers: self.renewers.iter().map(|number| key(*number).public()).collect(),
        };
        (roster, members)
    }

    /// Puts a roster as the manager signed it.
    pub(crate) async fn put(
        &self,
        roster: &Roster,
        changed: &[Membership],
        removed: &[&str],
    ) -> Result<(), ClientError> {
        let change = change(jointly::sign(roster, [&self.manager.key]), changed, removed);
        self.manager.client.put_roster(&self.id(), &change).await
    }

    /// Changes who belongs to the community.
    pub(crate) async fn set(&mut self, changed: &[Membership], removed: &[&str]) {
        let (roster, members) = self.next(changed, removed);
        self.put(&roster, changed, removed).await.expect("sets the roster");
        (self.number, self.members) = (roster.number, members);
    }

    pub(crate) fn feed(&self, publisher: u8) -> ReleaseName {
        self.id().feed(&key(publisher).public())
    }

    /// Publishes the first release of a publisher's feed; what receipts for it are bound to.
    pub(crate) async fn release(&self, publisher: u8) -> Tree {
        let (person, feed) = (self.peer(publisher), self.feed(publisher));
        let tree = Tree::new(u32::from(publisher), 3);
        person.publish(&feed, false, &tree).await;
        tree
    }

    /// Addresses release 1 of a publisher's feed.
    pub(crate) async fn send(&self, publisher: u8, targets: &[u8]) -> Result<u64, ClientError> {
        let envelopes: Vec<_> =
            targets.iter().map(|it| (key(*it).public(), vec![*it; 92])).collect();
        let (person, feed) = (self.peer(publisher), self.feed(publisher));
        person.client.address_release(&feed, 1, &envelopes).await
    }

    /// The receipt of a target for release 1 of a feed, which `signer` signs.
    pub(crate) async fn receipt(&self, publisher: u8, target: u8, signer: u8) -> Vec<u8> {
        self.signed_receipt(publisher, target, signer, b"it went well").await
    }

    /// The receipt of a target for release 1 of a feed, which says this.
    pub(crate) async fn receipt_of(&self, publisher: u8, target: u8, body: &[u8]) -> Vec<u8> {
        self.signed_receipt(publisher, target, target, body).await
    }

    /// That a target begins with release 1 of a feed, as `signer` signs it.
    pub(crate) async fn beginning(&self, publisher: u8, target: u8, signer: u8) -> Vec<u8> {
        let address = self.address(publisher, target).await;
        Beginning { address, sequence: 1, begun: now() }.sign(&key(signer))
    }

    /// The newest release of a feed, for a target.
    async fn address(&self, publisher: u8, target: u8) -> Address {
        let head = self.peer(publisher).client.head(&self.feed(publisher)).await.expect("reads");
        Address {
            community: self.id(),
            manifest: DocumentHash::of(&head.manifest),
            publisher: key(publisher).public(),
            target: key(target).public(),
        }
    }

    async fn signed_receipt(&self, publisher: u8, target: u8, signer: u8, body: &[u8]) -> Vec<u8> {
        let address = self.address(publisher, target).await;
        let (exchange, random) =
            (ExchangeKey::derive(&key(publisher)).public(), MessageSeed::from_random([3; 32]));
        let receipt = SignedReceipt::new(address, 1, now(), body, &exchange, random);
        receipt.expect("seals").sign(&key(signer))
    }

    /// A request of the machine with this key to be a peer.
    pub(crate) fn request(&self, name: &str, number: u8, nonce: u8) -> JoinRequest {
        JoinRequest {
            community: self.id(),
            peer: peer(name),
            key: key(number).public(),
            exchange: ExchangeKey::derive(&key(number)).public(),
            nonce: [nonce; 32],
            admission: None,
        }
    }
}

pub(crate) fn change(roster: Vec<u8>, changed: &[Membership], removed: &[&str]) -> RosterChange {
    RosterChange {
        roster: Base64Bytes(roster),
        renewal: None,
        members: changed.iter().map(|it| Base64Bytes(it.encode())).collect(),
        removed: removed.iter().map(|name| (*name).to_owned()).collect(),
    }
}

/// The id of a joining.
pub(crate) fn join_id(request: &[u8]) -> Hex<32> {
    Hex(*DocumentHash::of(request).as_bytes())
}

/// Waits until the stream says so.
pub(crate) async fn hears(events: &mut CommunityEvents, wanted: CommunityNews) {
    loop {
        let event = timeout(PATIENCE, events.next()).await.expect("in time").expect("goes on");
        if event.expect("the stream goes on").news == wanted {
            return;
        }
    }
}
