//! What tests here have in common: a community with manager 1, publisher `ci` 4, target `berlin-1` 5
//! and renewer 8.

use std::collections::BTreeSet;

use content::closure::ClosureEntry;
use content::{ChunkId, ConvergenceSecret, Sealer, TreeRef};
use documents::{DocumentHash, Manifest, NodeKey, Quorum, jointly};

use crate::proposal::{Basis, Draft};
use crate::release::Address;
use crate::report::Beside;
use crate::roster::members_root;
use crate::{
    Beginning, Charter, CommunityId, ExchangeKey, JoinChallenge, JoinRequest, JoinSecret,
    Membership, Passed, PeerName, Proposal, RelayReport, Renewal, Role, Roster, RosterPublisher,
    Route, Seed, SignedReceipt,
};
use documents::MessageSeed;

pub(crate) const NOW: u64 = 1_800_000_000;

pub(crate) fn key(secret: u8) -> NodeKey {
    NodeKey::from_secret_bytes([secret; 32])
}

pub(crate) fn exchange(secret: u8) -> ExchangeKey {
    ExchangeKey::derive(&key(secret))
}

pub(crate) fn peer(name: &str) -> PeerName {
    name.parse().expect("a name")
}

pub(crate) fn charter() -> Charter {
    Charter {
        community: CommunityId::from_random([6; 16]),
        name: "Plant 7".into(),
        number: 1,
        issued: NOW - 1000,
        expires: NOW + 100_000,
        managers: Quorum { keys: [key(1).public()].into(), threshold: 1 },
        previous: None,
        ended: false,
    }
}

pub(crate) fn membership(name: &str, secret: u8) -> Membership {
    Membership {
        community: charter().community,
        peer: peer(name),
        key: key(secret).public(),
        exchange: exchange(secret).public(),
        roles: BTreeSet::from([Role::Target]),
        labels: [("site", "berlin"), ("lab", "")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
        routes: vec![route()],
        issued: NOW - 100,
        description: Some("Press 1, hall 2".into()),
        host: Some("press-1.berlin.example".into()),
        addresses: Vec::new(),
    }
}

pub(crate) fn route() -> Route {
    Route { url: "https://hub.example:7333".into(), fingerprint: [2; 32] }
}

pub(crate) fn roster() -> Roster {
    let publisher = RosterPublisher { exchange: exchange(4).public(), peer: peer("ci") };
    Roster {
        community: charter().community,
        charter: (1, charter().hash()),
        number: 3,
        issued: NOW - 100,
        expires: NOW + 10_000,
        count: 1,
        members: members_root([&membership("berlin-1", 5).encode()[..]]),
        publishers: [(key(4).public(), publisher)].into(),
        renewers: [key(8).public()].into(),
    }
}

pub(crate) fn renewal(roster: &Roster) -> Renewal {
    Renewal {
        community: roster.community,
        renewer: key(8).public(),
        roster: jointly::payload_hash(roster),
        issued: NOW - 10,
        expires: NOW + 1000,
    }
}

pub(crate) fn seed() -> Seed {
    Seed { charter: jointly::sign(&charter(), [&key(1)]), routes: vec![route()] }
}

/// `berlin-2` takes the place of `berlin-1`, and a second manager has to sign with the first one from
/// then on.
pub(crate) fn proposal() -> Proposal {
    let managers = Quorum { keys: [key(1).public(), key(2).public()].into(), threshold: 2 };
    let next = Charter { number: 2, managers, previous: Some(charter().hash()), ..charter() };
    let members = [(peer("berlin-2"), membership("berlin-2", 6))];
    let basis = Basis {
        charter: charter(),
        roster: Some(roster().seen()),
        members: [(peer("berlin-1"), membership("berlin-1", 5))].into(),
    };
    let members = members.into();
    let times = (NOW, NOW + 10_000);
    let roster = basis.next_roster(&next, &members, [key(1).public()].into(), times);
    let removed = [peer("berlin-1")].into();
    let draft = Draft { base: basis.roster, charter: Some(next), roster, members, removed };
    Proposal::new(draft, &key(1))
}

pub(crate) fn request() -> JoinRequest {
    JoinRequest {
        community: charter().community,
        peer: peer("berlin-1"),
        key: key(5).public(),
        exchange: exchange(5).public(),
        nonce: [3; 32],
        admission: Some(
            JoinSecret::from_random([7; 16]).admission(&charter().community, &peer("berlin-1")),
        ),
    }
}

pub(crate) fn challenge(request: &[u8]) -> JoinChallenge {
    JoinChallenge {
        community: charter().community,
        request: DocumentHash::of(request),
        manager: key(1).public(),
        nonce: [4; 32],
    }
}

pub(crate) fn tree() -> TreeRef {
    TreeRef(Sealer::new(ConvergenceSecret::from_bytes([5; 32])).seal(b"a tree root").0)
}

/// Release `sequence` of `ci`.
pub(crate) fn manifest(sequence: u64) -> Manifest {
    Manifest {
        publisher: key(4).public(),
        name: charter().community.feed(&key(4).public()),
        sequence,
        previous: (sequence > 1).then(|| DocumentHash::of(&[0])),
        issued: NOW - 10,
        expires: NOW + 1000,
        tree: ClosureEntry::from(&tree().0),
        closure: ClosureEntry { id: ChunkId::of(b"closure"), stored_length: 90 },
        totals: None,
        parameters: 1,
        sealed_root: Some(Vec::new()),
    }
}

/// Of release `manifest`, as it was signed, for target `berlin-1`.
pub(crate) fn address(manifest: &[u8]) -> Address {
    Address {
        community: charter().community,
        manifest: DocumentHash::of(manifest),
        publisher: key(4).public(),
        target: key(5).public(),
    }
}

pub(crate) const BODY: &[u8] = b"what became of it";

pub(crate) fn receipt() -> SignedReceipt {
    let (publisher, random) = (exchange(4).public(), MessageSeed::from_random([3; 32]));
    SignedReceipt::new(address(b"manifest"), 7, NOW, BODY, &publisher, random).expect("seals")
}

pub(crate) fn beginning() -> Beginning {
    Beginning { address: address(b"manifest"), sequence: 7, begun: NOW }
}

/// Of relay 9.
pub(crate) fn report() -> RelayReport {
    RelayReport {
        community: charter().community,
        relay: key(9).public(),
        made: NOW,
        since: NOW - 5000,
        total: Passed { down: 3_000_000_000, up: 70_000 },
        seconds: 5,
        recent: Passed { down: 40_000_000, up: 900 },
        turns: Some((2, NOW - 600)),
        beside: Beside::Waiting { entries: 12, oldest: NOW - 90 },
    }
}
