//! A community that is passed on to a second hub, and what the one who passes it on cannot do.

use community::{JoinAnswer, JoinChallenge, JoinSecret, Role};
use documents::{DocumentHash, ReleaseName, jointly};
use hub::{Role as HubRole, Tls};
use hub_api::{CommunityNews, JoinEnd, ProblemCode, RosterChange};

use crate::plant::{BERLIN, CI, PARIS, Plant, change, charter, hears, key};
use crate::scene::{Person, Scene, Tree, code, fetch};

const RELAY: u8 = 7;
const OSLO: u8 = 9;

/// A community at its home, with a relay, and a second hub at which the relay may publish.
struct Passed {
    plant: Plant,
    second: Scene,
    relay: Person,
}

impl Passed {
    async fn start() -> Self {
        let mut plant = Plant::with_peers().await;
        plant.set(&[plant.member("relay", RELAY, &[Role::Relay])], &[]).await;
        let second = Scene::start(Tls::Off).await;
        let relay = second.person(RELAY, HubRole::Publisher, &[]).await;
        Self { plant, second, relay }
    }

    fn charter(&self) -> Vec<u8> {
        jointly::sign(&self.plant.charter, [&self.plant.manager.key])
    }

    /// The roster in force, and all whom it counts.
    fn roster(&self) -> RosterChange {
        let members: Vec<_> = self.plant.members.values().cloned().collect();
        let (mut roster, _) = self.plant.next(&[], &[]);
        roster.number -= 1;
        change(jointly::sign(&roster, [&self.plant.manager.key]), &members, &[])
    }

    async fn pass_on(&self) {
        let relay = &self.relay.client;
        for _ in 0..2 {
            relay.mirror_community(&self.charter()).await.expect("mirrors");
        }
        // Signed once: another second makes another roster.
        let roster = self.roster();
        for _ in 0..2 {
            relay.put_roster(&self.plant.id(), &roster).await.expect("passes on");
        }
    }

    fn feed(&self) -> ReleaseName {
        self.plant.feed(CI)
    }

    /// The manifest of the publisher's release at home.
    async fn manifest(&self) -> Vec<u8> {
        self.plant.peer(RELAY).client.release(&self.feed(), 1).await.expect("a relay reads")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_passes_a_second_hub_and_its_receipt_comes_back() {
    let passed = Passed::start().await;
    let (plant, relay) = (&passed.plant, &passed.relay.client);
    let (id, feed) = (plant.id(), passed.feed());
    let above = plant.peer(RELAY).client;
    let mut from_above = above.community_events(&id).await.expect("listens");
    let tree = plant.release(CI).await;
    plant.send(CI, &[BERLIN, PARIS]).await.expect("sends");
    hears(&mut from_above, CommunityNews::Queue).await;
    let waiting = above.waiting(&id, None).await.expect("a relay lists what waits").entries;
    assert_eq!(waiting.len(), 2);
    let target = plant.peer(BERLIN).client;
    assert_eq!(code(target.waiting(&id, None).await), ProblemCode::Forbidden);

    passed.pass_on().await;
    let mut from_below = relay.community_events(&id).await.expect("listens");
    let manifest = passed.manifest().await;
    let early = relay.mirror_release(&feed, 1, &manifest).await;
    assert_eq!(code(early), ProblemCode::ChunksMissing);
    relay.upload(tree.frames()).await.expect("uploads");
    for _ in 0..2 {
        relay.mirror_release(&feed, 1, &manifest).await.expect("takes it over");
    }
    let envelopes: Vec<_> = [BERLIN, PARIS].map(|it| (key(it).public(), vec![it; 92])).into();
    assert_eq!(relay.address_release(&feed, 1, &envelopes).await.expect("queues"), 2);
    assert_eq!(relay.address_release(&feed, 1, &envelopes).await.expect("again"), 0);

    // A target has its account here by the roster, and what it needs.
    let (berlin, paris) = (passed.second.stranger(BERLIN), passed.second.stranger(PARIS));
    let queue = berlin.client.queue(&id, None).await.expect("reads").entries;
    assert_eq!((queue.len(), &queue[0].envelope.0), (1, &vec![BERLIN; 92]));
    assert_eq!(queue[0].manifest.0, manifest);
    let (_, missing) = fetch(&berlin.client, &tree.ids()).await;
    assert_eq!(missing, []);
    assert!(berlin.client.standing(&id, 0).await.expect("reads").membership.is_some());
    // Nobody here says that a release is the newest.
    assert_eq!(code(berlin.client.head(&feed).await), ProblemCode::NotFound);

    let receipt = plant.receipt(CI, BERLIN, BERLIN).await;
    let own = berlin.key.public();
    berlin.client.put_receipt(&feed, 1, &own, receipt.clone()).await.expect("answers");
    hears(&mut from_below, CommunityNews::Receipts).await;
    let (listed, _) = relay.receipts(&feed, None).await.expect("lists");
    assert_eq!(listed.len(), 1);
    assert_eq!(relay.receipt(&feed, 1, &own).await.expect("reads"), receipt);
    above.put_receipt(&feed, 1, &own, receipt).await.expect("brings it");
    relay.receipts_taken(&feed, &[listed[0].id]).await.expect("takes");
    assert_eq!(relay.receipts(&feed, None).await.expect("lists").0, []);
    assert_eq!(plant.peer(BERLIN).client.queue(&id, None).await.expect("reads").entries, []);
    // The other one answered elsewhere.
    for _ in 0..2 {
        relay.withdraw_entry(&feed, 1, &paris.key.public()).await.expect("withdraws");
    }
    assert_eq!(paris.client.queue(&id, None).await.expect("reads").entries, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_taken_over_on_the_word_of_who_passes_it_on() {
    let passed = Passed::start().await;
    let (plant, relay) = (&passed.plant, &passed.relay.client);
    let (id, feed) = (plant.id(), passed.feed());
    let tree = plant.release(CI).await;
    let manifest = passed.manifest().await;
    // Who may publish here may begin it, and nobody else; the first charter, and no other.
    let reader = passed.second.person(30, HubRole::Reader, &[]).await;
    assert_eq!(
        code(reader.client.mirror_community(&passed.charter()).await),
        ProblemCode::Forbidden
    );
    let refused = relay.mirror_community(b"nothing").await;
    assert_eq!(code(refused), ProblemCode::DocumentRefused);
    passed.pass_on().await;
    let other = passed.second.person(31, HubRole::Publisher, &[]).await;
    let refused = other.client.mirror_community(&passed.charter()).await;
    assert_eq!(code(refused), ProblemCode::RosterConflict);
    let own = jointly::sign(&charter(31, &[31]), [&other.key]);
    other.client.create_community(&own).await.expect("manages one of its own");

    // A roster that no manager signed, and one that another hands in.
    let (forged, _) = plant.next(&[], &[]);
    let forged = change(jointly::sign(&forged, [&passed.relay.key]), &[], &[]);
    assert_eq!(code(relay.put_roster(&id, &forged).await), ProblemCode::DocumentRefused);
    let refused = other.client.put_roster(&id, &passed.roster()).await;
    assert_eq!(code(refused), ProblemCode::NotFound);

    // A release of another number than it says, by another key, of a feed of nobody.
    relay.upload(tree.frames()).await.expect("uploads");
    let refused = relay.mirror_release(&feed, 2, &manifest).await;
    assert_eq!(code(refused), ProblemCode::DocumentRefused);
    let mine = tree.manifest(&passed.relay, &feed, None).sign(&passed.relay.key);
    assert_eq!(code(relay.mirror_release(&feed, 1, &mine).await), ProblemCode::DocumentRefused);
    let own_feed = id.feed(&passed.relay.key.public());
    let mine = tree.manifest(&passed.relay, &own_feed, None).sign(&passed.relay.key);
    let refused = relay.mirror_release(&own_feed, 1, &mine).await;
    assert_eq!(code(refused), ProblemCode::DocumentRefused, "a relay publishes nothing");
    let elsewhere = charter(77, &[1]).community.feed(&key(CI).public());
    let refused = relay.mirror_release(&elsewhere, 1, &manifest).await;
    assert_eq!(code(refused), ProblemCode::NotFound);
    // Only who passes it on takes over and withdraws.
    let (ci, berlin) = (passed.second.stranger(CI), passed.second.stranger(BERLIN));
    for (person, expected) in [
        (&other, ProblemCode::NotFound),
        (&ci, ProblemCode::Forbidden),
        (&berlin, ProblemCode::Forbidden),
    ] {
        let refused = person.client.mirror_release(&feed, 1, &manifest).await;
        assert_eq!(code(refused), expected);
        let refused = person.client.withdraw_entry(&feed, 1, &key(BERLIN).public()).await;
        assert_eq!(code(refused), expected);
        let refused = person.client.receipts(&feed, None).await;
        assert_eq!(code(refused), ProblemCode::NotFound, "there is no such feed yet");
    }
    relay.mirror_release(&feed, 1, &manifest).await.expect("takes it over");
    // The publisher publishes at the home.
    assert_eq!(code(ci.client.put_name(&feed, false).await), ProblemCode::NameTaken);
    let again = tree.manifest(&ci, &feed, None).sign(&ci.key);
    let refused = ci.client.post_release(&feed, &again, b"").await;
    assert_eq!(code(refused), ProblemCode::Forbidden);

    // At the home nobody mirrors, whatever their role.
    let above = plant.peer(RELAY).client;
    let refused = above.mirror_release(&feed, 1, &manifest).await;
    assert_eq!(code(refused), ProblemCode::Forbidden);
    assert_eq!(code(above.mirror_community(&passed.charter()).await), ProblemCode::Forbidden);
    let refused = plant.manager.client.mirror_community(&passed.charter()).await;
    assert_eq!(code(refused), ProblemCode::RosterConflict);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_revoked_at_home_is_revoked_at_the_second_hub() {
    let mut passed = Passed::start().await;
    passed.pass_on().await;
    let id = passed.plant.id();
    let berlin = passed.second.stranger(BERLIN);
    berlin.client.standing(&id, 0).await.expect("belongs to it");
    let gone = passed.plant.member("berlin", BERLIN, &[Role::Target]);
    passed.plant.set(&[], &["berlin"]).await;
    let mut change = passed.roster();
    change.members.clear();
    change.removed.push(gone.peer.to_string());
    passed.relay.client.put_roster(&id, &change).await.expect("passes on");
    assert!(berlin.client.standing(&id, 0).await.is_err(), "is here no more");
    // Charters follow the same way.
    let next = community::Charter {
        number: 2,
        previous: Some(passed.plant.charter.hash()),
        ..passed.plant.charter.clone()
    };
    let next = jointly::sign(&next, [&passed.plant.manager.key]);
    passed.relay.client.add_charter(&id, &next).await.expect("passes on");
    assert_eq!(passed.second.anonymous().charters(&id, 1).await.expect("reads"), [next]);
    // The relay itself is a peer like any other: it passes on until the hub's operator ends it.
    let tree = Tree::new(9, 1);
    passed.relay.client.upload(tree.frames()).await.expect("has its own account");
}

/// The relay carries what others signed, and cannot say anything of its own.
#[tokio::test(flavor = "multi_thread")]
async fn who_asks_to_join_where_a_community_is_passed_on_is_answered_by_managers_alone() {
    let passed = Passed::start().await;
    passed.pass_on().await;
    let (id, relay, second) = (passed.plant.id(), &passed.relay, &passed.second);
    let manager = &passed.plant.manager;
    // With a secret or without: places are kept at the community's home.
    let mut request = passed.plant.request("oslo", OSLO, 3);
    request.admission = Some([7; 16]);
    let signed = request.sign(&key(OSLO));
    let mut news = relay.client.community_events(&id).await.expect("listens");
    let asked = second.anonymous().knock(&id, &signed).await.expect("asks");
    hears(&mut news, CommunityNews::Joins).await;
    let listed = relay.client.joinings(&id).await.expect("lists");
    assert_eq!(listed.iter().map(|it| it.id).collect::<Vec<_>>(), [asked.id]);
    let berlin = second.stranger(BERLIN);
    assert_eq!(code(berlin.client.joinings(&id).await), ProblemCode::Forbidden);
    // Neither a challenge of its own nor one for another request.
    let challenge = |manager: &Person, request: &[u8]| {
        let challenge = JoinChallenge {
            community: id,
            request: DocumentHash::of(request),
            manager: manager.key.public(),
            nonce: [4; 32],
        };
        challenge.sign(&manager.key)
    };
    for wrong in [challenge(relay, &signed), challenge(manager, b"other")] {
        let refused = relay.client.challenge_join(&id, &asked.id, &wrong).await;
        assert_eq!(code(refused), ProblemCode::DocumentRefused);
    }
    let sound = challenge(manager, &signed);
    relay.client.challenge_join(&id, &asked.id, &sound).await.expect("passes on");
    let secret = JoinSecret::from_random([7; 16]);
    let answer = |number: u8| JoinAnswer::new(&request, &sound, Some(&secret)).sign(&key(number));
    let forged = second.anonymous().answer_join(&id, &asked.id, &answer(RELAY)).await;
    assert_eq!(code(forged), ProblemCode::DocumentRefused, "it is not the machine");
    second.anonymous().answer_join(&id, &asked.id, &answer(OSLO)).await.expect("answers");
    // Nor is anybody in whom the roster does not have.
    let admitted = relay.client.end_join(&id, &asked.id, &JoinEnd::Admitted).await;
    assert_eq!(code(admitted), ProblemCode::RosterConflict);
    let end = JoinEnd::Refused { reason: "its secret was used".to_owned() };
    assert_eq!(code(berlin.client.end_join(&id, &asked.id, &end).await), ProblemCode::Forbidden);
    relay.client.end_join(&id, &asked.id, &end).await.expect("ends");
    let told = second.anonymous().joining(&id, &asked.id, 0).await.expect("reads");
    assert_eq!(told.end, Some(end));
}
