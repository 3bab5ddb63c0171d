//! A community that is made at once: its manager, one publisher and any number of targets, with keys
//! that follow from their numbers.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use community::roster::members_root;
use community::{
    Address, Charter, CommunityId, Envelope, ExchangeKey, ExchangePublic, Membership, MessageSeed,
    PeerName, Role, Roster, RosterPublisher,
};
use content::closure::{ClosureBuilder, ClosureEntry};
use content::frame::{Codec, FrameBuilder, FrameCodec};
use content::seal::{ConvergenceSecret, Sealer};
use content::{ChunkId, TreeRef};
use documents::{
    DocumentHash, Head, Invitation, Manifest, NodeKey, PublicKey, Quorum, ReleaseName, jointly,
};
use hub_api::{Base64Bytes, RosterChange};
use hub_client::{HubClient, Pin};
use random::Random;

/// How long what is signed here holds: longer than any measurement.
const LIFETIME_S: u64 = 86_400;
/// What a target fetches.
const PAYLOAD_BYTES: usize = 1 << 10;

/// A founded community.
pub(crate) struct Plant {
    pub(crate) id: CommunityId,
    pub(crate) charter: Charter,
    pub(crate) url: String,
    pub(crate) fingerprint: [u8; 32],
    pub(crate) publisher: Publisher,
    pub(crate) targets: Vec<Target>,
}

/// Who sends.
pub(crate) struct Publisher {
    pub(crate) key: NodeKey,
    pub(crate) exchange: ExchangeKey,
    pub(crate) client: HubClient,
    pub(crate) feed: ReleaseName,
    previous: Option<(u64, DocumentHash)>,
    random: Random,
}

/// Who receives.
pub(crate) struct Target {
    pub(crate) key: PublicKey,
    pub(crate) exchange: ExchangePublic,
    /// Its number, from which its secrets follow.
    pub(crate) number: usize,
}

/// A release that nobody was told of yet.
pub(crate) struct Sealed {
    pub(crate) sequence: u64,
    pub(crate) manifest: DocumentHash,
    pub(crate) envelopes: Vec<(PublicKey, Vec<u8>)>,
}

/// The secret key of whoever has this name.
pub(crate) fn key(name: &str) -> NodeKey {
    NodeKey::from_secret_bytes(*ChunkId::of(name.as_bytes()).as_bytes())
}

/// The secret key of a target.
pub(crate) fn target_key(number: usize) -> NodeKey {
    key(&target_name(number))
}

fn target_name(number: usize) -> String {
    format!("press-{number}")
}

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Random enough for a measurement, and never the same twice in one.
pub(crate) fn message_seed(random: &mut Random) -> Result<MessageSeed> {
    let bytes = random.bytes(32).try_into().ok().context("32 bytes were asked for")?;
    Ok(MessageSeed::from_random(bytes))
}

impl Plant {
    /// Founds a community with that many targets at the hub of an invitation.
    pub(crate) async fn found(invitation: &Invitation, targets: usize) -> Result<Self> {
        let (url, fingerprint) = (invitation.url.clone(), invitation.fingerprint);
        let client = |key| HubClient::new(&url, Pin::Fingerprint(fingerprint), Some(key));
        let manager = key("manager");
        let managing = client(key("manager"))?;
        managing.register(invitation).await?;
        let charter = charter(&manager);
        let id = charter.community;
        managing.create_community(&jointly::sign(&charter, [&manager])).await?;
        let publisher = key("ci");
        let mut members = vec![membership(id, "ci".parse()?, &publisher, Role::Publisher)];
        for number in 0..targets {
            let peer = target_name(number).parse()?;
            members.push(membership(id, peer, &target_key(number), Role::Target));
        }
        managing.put_roster(&id, &first_roster(&charter, &manager, members)).await?;
        let publisher = Publisher {
            exchange: ExchangeKey::derive(&publisher),
            feed: id.feed(&publisher.public()),
            client: client(key("ci"))?,
            key: publisher,
            previous: None,
            random: Random::new(now()),
        };
        publisher.client.put_name(&publisher.feed, false).await?;
        let target = |number| {
            let key = target_key(number);
            let exchange = ExchangeKey::derive(&key).public();
            Target { key: key.public(), exchange, number }
        };
        let targets = (0..targets).map(target).collect();
        Ok(Self { id, charter, url, fingerprint, publisher, targets })
    }

    /// What an envelope for a target is bound to, and its receipt.
    pub(crate) fn address(&self, manifest: DocumentHash, target: PublicKey) -> Address {
        Address { community: self.id, manifest, publisher: self.publisher.key.public(), target }
    }

    /// Publishes the next release, and seals what every target is to be told.
    pub(crate) async fn publish(&mut self) -> Result<Sealed> {
        let payload = self.publisher.random.bytes(PAYLOAD_BYTES);
        let (sequence, manifest, tree) = self.publisher.post(&payload).await?;
        let mut envelopes = Vec::with_capacity(self.targets.len());
        for index in 0..self.targets.len() {
            let seed = message_seed(&mut self.publisher.random)?;
            let target = &self.targets[index];
            let (address, exchange) =
                (self.address(manifest, target.key), &self.publisher.exchange);
            let sealed =
                Envelope::seal(&tree, sequence - 1, &address, exchange, &target.exchange, seed)?;
            envelopes.push((target.key, sealed.as_bytes().to_vec()));
        }
        Ok(Sealed { sequence, manifest, envelopes })
    }
}

impl Publisher {
    /// Puts a release of one sealed chunk into the feed.
    async fn post(&mut self, payload: &[u8]) -> Result<(u64, DocumentHash, TreeRef)> {
        let secret = ConvergenceSecret::from_bytes(self.key.secret_bytes());
        let (root, sealed) = Sealer::new(secret).seal(payload);
        let mut builder = ClosureBuilder::default();
        let tree = ClosureEntry { id: root.id, stored_length: root.stored_length() };
        let mut chunks = vec![sealed];
        chunks.extend(builder.push(tree));
        let (last, head) = builder.finish(root.id);
        chunks.extend(last);
        let head = head.encode();
        let stored_length = u32::try_from(head.len())?;
        let closure = ClosureEntry { id: ChunkId::of(&head), stored_length };
        chunks.push(head);
        let mut frame = FrameBuilder::default();
        for chunk in &chunks {
            frame.push(ChunkId::of(chunk), chunk);
        }
        let (entries, plain) = frame.take().context("a frame that was filled")?;
        let frame = FrameCodec::default().encode(entries, plain, Codec::Zstd);
        self.client.upload(vec![frame]).await?;
        let (publisher, name, issued) = (self.key.public(), self.feed.clone(), now());
        let expires = issued + LIFETIME_S;
        let manifest = Manifest {
            publisher,
            name: name.clone(),
            sequence: self.previous.map_or(1, |(sequence, _)| sequence + 1),
            previous: self.previous.map(|(_, hash)| hash),
            issued,
            expires,
            tree,
            closure,
            totals: None,
            parameters: 1,
            sealed_root: Some(Vec::new()),
        };
        let signed = manifest.sign(&self.key);
        let (sequence, hash) = (manifest.sequence, DocumentHash::of(&signed));
        let head = Head { publisher, name, sequence, manifest: hash, issued, expires };
        self.client.post_release(&self.feed, &signed, &head.sign(&self.key)).await?;
        self.previous = Some((sequence, hash));
        Ok((sequence, hash, TreeRef(root)))
    }
}

fn charter(manager: &NodeKey) -> Charter {
    Charter {
        community: CommunityId::from_random([7; 16]),
        name: "Plant 7".to_owned(),
        number: 1,
        issued: now(),
        expires: now() + LIFETIME_S,
        managers: Quorum { keys: [manager.public()].into(), threshold: 1 },
        previous: None,
        ended: false,
    }
}

fn membership(community: CommunityId, peer: PeerName, key: &NodeKey, role: Role) -> Membership {
    Membership {
        community,
        peer,
        key: key.public(),
        exchange: ExchangeKey::derive(key).public(),
        roles: BTreeSet::from([role]),
        labels: BTreeMap::new(),
        routes: Vec::new(),
        issued: now(),
        description: None,
        host: None,
        addresses: Vec::new(),
    }
}

fn first_roster(
    charter: &Charter,
    manager: &NodeKey,
    mut members: Vec<Membership>,
) -> RosterChange {
    // The root is over all of them in the order of their names.
    members.sort_by(|one, other| one.peer.cmp(&other.peer));
    let encoded: Vec<Vec<u8>> = members.iter().map(Membership::encode).collect();
    let publishers = members.iter().filter(|it| it.roles.contains(&Role::Publisher));
    let publisher = |it: &Membership| {
        (it.key, RosterPublisher { exchange: it.exchange, peer: it.peer.clone() })
    };
    let roster = Roster {
        community: charter.community,
        charter: (charter.number, charter.hash()),
        number: 1,
        issued: now(),
        expires: now() + LIFETIME_S,
        count: members.len() as u64,
        members: members_root(encoded.iter().map(Vec::as_slice)),
        publishers: publishers.map(publisher).collect(),
        renewers: BTreeSet::new(),
    };
    RosterChange {
        roster: Base64Bytes(jointly::sign(&roster, [manager])),
        renewal: None,
        members: encoded.into_iter().map(Base64Bytes).collect(),
        removed: Vec::new(),
    }
}
