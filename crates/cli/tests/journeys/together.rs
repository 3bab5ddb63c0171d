//! Deliveries of the same contents to several recipients, uploaded once for all who keep pace.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use deliver::{DeliveryProgress, Offered, Outgoing, Received, Sending, Sent, Source};
use delivery::{DeliveryId, DeliverySecret, Ticket};
use documents::{Invitation, NodeKey};
use futures_util::future::join_all;
use hub_api::limits::SEGMENT_HEAD_BYTES;
use hub_api::{DeliveryAnnouncement, Hex, ProblemCode};
use hub_client::{DeliverySegments, HubClient, Pin};
use testkit::noise;

use crate::world::World;

const MIB: u64 = 1 << 20;

fn fingerprint(world: &World) -> [u8; 32] {
    let mut fingerprint = [0; 32];
    let text = world.hello["fingerprint"].as_str().expect("a text");
    hex::decode_to_slice(text, &mut fingerprint).expect("hexadecimal");
    fingerprint
}

fn client(world: &World, key: Option<u8>) -> HubClient {
    let key = key.map(|key| NodeKey::from_secret_bytes([key; 32]));
    HubClient::new(&world.url, Pin::Fingerprint(fingerprint(world)), key).expect("a client")
}

async fn account(world: &World, key: u8) -> HubClient {
    let invitation: Invitation = world.invitation(&[]).parse().expect("an invitation");
    let client = client(world, Some(key));
    client.register(&invitation).await.expect("registers");
    client
}

/// A sender and the deliveries of one file to three recipients, each announced.
struct Scene {
    world: World,
    sender: Arc<HubClient>,
    length: u64,
}

impl Scene {
    async fn new(length: u64) -> Self {
        let world = World::new();
        fs::write(world.path("film"), noise(9, length as usize)).expect("written");
        let sender = Arc::new(account(&world, 1).await);
        let scene = Self { world, sender, length };
        for at in 0..3 {
            let source = scene.source();
            let recipient = blake3::hash(&scene.secret(at).recipient_token());
            let announcement = DeliveryAnnouncement {
                segments: source.layout().segments(),
                bytes: source.layout().stream_bytes(),
                recipient: Hex(*recipient.as_bytes()),
                until: None,
                direct: None,
            };
            let announced = scene.sender.announce_delivery(scene.id(at), &announcement).await;
            announced.expect("announces");
        }
        scene
    }

    fn id(&self, at: u8) -> [u8; 16] {
        [at + 1; 16]
    }

    fn secret(&self, at: u8) -> DeliverySecret {
        DeliverySecret::from_bytes([at + 100; 32])
    }

    fn source(&self) -> Source {
        let surveyed = deliver::survey(&[self.world.path("film")]).expect("is there");
        let origins = surveyed.origins.clone();
        let header = surveyed.header("s".into(), String::new(), 5);
        let encoded = header.encode();
        Source::new(header, &encoded, &origins).expect("is short enough")
    }

    /// Sends all three, together.
    fn sending(&self) -> Vec<Sending> {
        let sending = |at| {
            let (id, secret) = (DeliveryId::from_bytes(self.id(at)), self.secret(at));
            let outgoing = Outgoing {
                id,
                secret,
                source: self.source(),
                locker: None,
                until: None,
                digest: None,
            };
            Sending::new(Arc::clone(&self.sender), outgoing)
        };
        let mut sendings: Vec<Sending> = (0..3).map(sending).collect();
        Sending::together(sendings.iter_mut().collect(), [77; 32]);
        sendings
    }

    async fn receive(&self, at: u8) -> Received {
        let (memory, to) = (format!("memory {at}"), format!("in {at}"));
        let [memory, to] = [memory, to].map(|name| self.world.path(&name));
        fs::create_dir(&memory).expect("made");
        fs::create_dir(&to).expect("made");
        let ticket = Ticket {
            url: self.world.url.clone(),
            fingerprint: fingerprint(&self.world),
            id: DeliveryId::from_bytes(self.id(at)),
            secret: self.secret(at),
        };
        let progress = DeliveryProgress::default();
        let client = Arc::new(client(&self.world, None));
        let offered = Offered::open(client, ticket, &memory, &progress).await.expect("opens");
        let key = NodeKey::from_secret_bytes([at + 50; 32]);
        offered.receive(&to, &key, &progress).await.expect("receives")
    }

    /// Waits until the recipient takes segments.
    async fn listens(&self, at: u8) {
        while self.status(at).await.next.is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn status(&self, at: u8) -> hub_api::DeliveryStatus {
        self.sender.delivery_status(self.id(at), None, None).await.expect("answers")
    }

    /// The stream of a recipient of whom nothing more is known.
    async fn stream(&self, at: u8) -> (HubClient, DeliverySegments) {
        let (client, token) = (client(&self.world, None), self.secret(at).recipient_token());
        let stream = client.delivery_segments(self.id(at), &token, 0).await.expect("opens");
        (client, stream)
    }

    fn assert_arrived(&self, at: u8) {
        let came = fs::read(self.world.path(&format!("in {at}")).join("film")).expect("there");
        assert!(came == noise(9, self.length as usize), "{at} has something else");
    }
}

async fn send(mut sending: Sending) -> Sent {
    sending.run(&DeliveryProgress::default()).await.expect("sends")
}

#[tokio::test(flavor = "multi_thread")]
async fn three_who_keep_pace_cost_one_upload_and_have_a_receipt_each() {
    let scene = Scene::new(64 * MIB).await;
    let sending = async {
        for at in 0..3 {
            scene.listens(at).await;
        }
        let before = scene.sender.bytes_on_wire().sent;
        let sent = join_all(scene.sending().into_iter().map(send)).await;
        (sent, scene.sender.bytes_on_wire().sent - before)
    };
    let receiving = join_all((0..3).map(|at| scene.receive(at)));
    let ((sent, uploaded), received) = tokio::join!(sending, receiving);
    for (at, (sent, received)) in (0..).zip(sent.iter().zip(&received)) {
        scene.assert_arrived(at);
        assert_eq!(sent.receipt, received.receipt, "each has its own");
        assert_eq!(sent.receipt.id.as_bytes(), &scene.id(at));
    }
    let digests: Vec<_> = sent.iter().map(|sent| sent.receipt.digest).collect();
    assert!(digests[0] != digests[1] && digests[1] != digests[2], "nothing tells they are equal");
    // Three uploads are 3.0. What was on its way when a recipient had the header goes once more, and one that
    // the machine held up for a moment went alone meanwhile.
    assert!(uploaded < scene.length * 3 / 2, "{uploaded} bytes for {}", scene.length);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recipient_that_takes_nothing_is_left_behind_and_gets_everything_later() {
    // Many times what the systems of both ends hold for a connection.
    let scene = Scene::new(48 * MIB).await;
    let stalled = scene.stream(2).await;
    let mut others = scene.sending();
    let slow = send(others.pop().expect("three"));
    tokio::pin!(slow);
    let fast = async {
        let sending = join_all(others.into_iter().map(send));
        tokio::join!(sending, scene.receive(0), scene.receive(1))
    };
    let (sent, ..) = tokio::select! {
        fast = fast => fast,
        _ = &mut slow => panic!("nobody takes it"),
    };
    assert_eq!(sent.len(), 2);
    scene.assert_arrived(0);
    scene.assert_arrived(1);
    assert_eq!(scene.status(2).await.verified, 0, "it is still where it was");

    drop(stalled);
    let (sent, received) = tokio::join!(slow, scene.receive(2));
    scene.assert_arrived(2);
    assert_eq!(sent.receipt, received.receipt);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_goes_to_deliveries_of_its_sender_alone_and_to_each_with_its_own_head() {
    let scene = Scene::new(3 * MIB).await;
    let other = account(&scene.world, 2).await;
    let [foreign, unknown] = [[90; 16], [91; 16]];
    let token = [5; 32];
    let recipient = Hex(*blake3::hash(&token).as_bytes());
    let announcement =
        DeliveryAnnouncement { segments: 4, bytes: 3 * MIB, recipient, until: None, direct: None };
    other.announce_delivery(foreign, &announcement).await.expect("announces");
    let theirs = client(&scene.world, None);
    let _theirs = theirs.delivery_segments(foreign, &token, 0).await.expect("opens");

    let mut streams = [scene.stream(0).await, scene.stream(1).await];
    let head = |id: [u8; 16]| (id, [id[0]; SEGMENT_HEAD_BYTES]);
    let own = [scene.id(0), scene.id(1)];
    let to = [own[0], foreign, own[1], unknown].map(head);
    let rest = noise(3, 5_000);
    let taken = scene.sender.put_together(&to, 0, rest.clone()).await.expect("answers");
    let mut answered: Vec<_> =
        taken.deliveries.iter().map(|one| (one.delivery.0, one.taken, one.next)).collect();
    answered.sort_unstable();
    assert_eq!(answered, own.map(|id| (id, true, Some(1))), "others are not there");
    for ((_, stream), id) in streams.iter_mut().zip(own) {
        let (number, bytes) = stream.next().await.expect("reads").expect("comes");
        assert_eq!((number, &bytes[..SEGMENT_HEAD_BYTES]), (0, &head(id).1[..]));
        assert_eq!(bytes[SEGMENT_HEAD_BYTES..], rest[..], "and nothing of another one's");
    }
    let status = other.delivery_status(foreign, None, None).await.expect("answers");
    assert_eq!((status.next, status.verified), (Some(0), 0), "nothing came to it");

    // Somebody else's first, the same twice, too many, too few bytes, a number beyond the end.
    let put = async |to: &[[u8; 16]], number, rest: &[u8]| {
        let to: Vec<_> = to.iter().copied().map(head).collect();
        let refused = scene.sender.put_together(&to, number, rest.to_vec().into()).await;
        refused.expect_err("refused").code()
    };
    assert_eq!(put(&[foreign, own[0]], 1, b"x").await, Some(ProblemCode::NotFound));
    let malformed = Some(ProblemCode::MalformedRequest);
    assert_eq!(put(&[own[0], own[0]], 1, b"x").await, malformed);
    assert_eq!(put(&[own[0], own[1]], 1, b"").await, malformed);
    assert_eq!(put(&[own[0], own[1]], 99, b"x").await, malformed);
    let many: Vec<_> = (40..73).map(|at| [at; 16]).collect();
    assert_eq!(put(&[&own[..1], &many[1..]].concat(), 1, b"x").await, malformed);
    // Their places were given back each time.
    assert_eq!(scene.status(0).await.next, Some(1));

    // Who takes none is gone without, and the others have it within a bounded time.
    let alone = [own[0], scene.id(2)].map(head);
    let taken = scene.sender.put_together(&alone, 1, rest.clone()).await.expect("answers");
    let of = |id| taken.deliveries.iter().find(|one| one.delivery == Hex(id)).expect("answered");
    assert!(of(own[0]).taken && !of(scene.id(2)).taken);
    let next = streams[0].1.next().await.expect("reads").expect("comes");
    assert_eq!(next.0, 1);
}
