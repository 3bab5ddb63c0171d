//! Who may read what, tried over the wire.

use crate::scene;

use std::collections::HashSet;

use content::ChunkId;
use hub::{Role, Tls};
use hub_api::ProblemCode;
use hub_client::HubClient;
use hub_db::{AccountKey, Accounts as _, SqliteDb};
use scene::{Person, Scene, Tree, chunk, code, fetch, frames, name};

/// Asserts what `client` gets of `ids` on each chunk route: all of them or none.
async fn assert_reads(client: &HubClient, ids: &[ChunkId], all: bool, who: &str) {
    assert_eq!(client.have(ids).await.expect("answers"), vec![all; ids.len()], "have of {who}");
    let (came, missing) = fetch(client, ids).await;
    let (came, missing): (HashSet<_>, HashSet<_>) =
        (came.into_iter().collect(), missing.into_iter().collect());
    let (ids_set, none) = (ids.iter().copied().collect(), HashSet::new());
    let (expected, lacking) = if all { (&ids_set, &none) } else { (&none, &ids_set) };
    assert!(came.is_superset(expected), "fetch of {who}");
    assert_eq!(&missing, lacking, "missing of {who}");
    if !all {
        assert!(came.is_empty(), "fetch of {who}");
    }
    let one = client.chunk(&ids[0]).await;
    if all {
        one.expect("reads one");
    } else {
        assert_eq!(code(one), ProblemCode::NotFound, "one of {who}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_release_is_read_by_its_owner_and_granted_readers_alone() {
    let scene = Scene::start(Tls::SelfSigned).await;
    let tools = name("team/tools");
    let owner = scene.person(1, Role::Publisher, &[]).await;
    let granted = scene.person(2, Role::Reader, std::slice::from_ref(&tools)).await;
    let other = scene.person(3, Role::Publisher, &[]).await;
    let tree = Tree::new(1, 40);
    owner.publish(&tools, false, &tree).await;
    let ids = tree.ids();

    assert_reads(&owner.client, &ids, true, "the owner").await;
    assert_reads(&granted.client, &ids, true, "a reader invited to the name").await;
    assert_reads(&other.client, &ids, false, "a reader without grant").await;
    assert_reads(&scene.anonymous(), &ids, false, "nobody").await;

    owner.client.add_reader(&tools, &other.key.public()).await.expect("grants");
    assert_reads(&other.client, &ids, true, "a reader with a grant").await;
    owner.client.remove_grant(&tools, &other.key.public()).await.expect("revokes");
    assert_reads(&other.client, &ids, false, "a reader whose grant was taken back").await;

    owner.client.put_name(&tools, true).await.expect("opens to all");
    assert_reads(&scene.anonymous(), &ids, true, "nobody, public").await;
    assert_reads(&other.client, &ids, true, "a stranger, public").await;
    owner.client.put_name(&tools, false).await.expect("closes");
    assert_reads(&scene.anonymous(), &ids, false, "nobody, private again").await;
    assert_reads(&other.client, &ids, false, "a stranger, private again").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_account_reads_nothing_with_a_session_it_has() {
    let scene = Scene::start(Tls::SelfSigned).await;
    let tools = name("team/tools");
    let owner = scene.person(1, Role::Publisher, &[]).await;
    let reader = scene.person(2, Role::Reader, std::slice::from_ref(&tools)).await;
    let tree = Tree::new(1, 3);
    owner.publish(&tools, false, &tree).await;
    assert_reads(&reader.client, &tree.ids(), true, "the reader").await;

    // As an administrative command in another process would.
    let db = SqliteDb::open(&scene.dir.path().join("hub.sqlite")).await.expect("opens");
    let key = AccountKey(*reader.key.public().as_bytes());
    assert!(db.revoke_account(&key, scene::now()).await.expect("revokes"));

    let refused = reader.client.have(&tree.ids()).await;
    assert_eq!(code(refused), ProblemCode::NotRegistered);
    let refused = reader.client.head(&tools).await;
    assert_eq!(code(refused.map(drop)), ProblemCode::NotRegistered);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_publishes_a_chunk_they_only_know_the_id_of() {
    let scene = Scene::start(Tls::Off).await;
    let owner = scene.person(1, Role::Publisher, &[]).await;
    let thief = scene.person(2, Role::Publisher, &[]).await;
    let secret = Tree::new(1, 10);
    owner.publish(&name("team/secret"), false, &secret).await;

    // The thief knows every id, and has uploaded its own closure that lists them.
    let loot = name("thief/loot");
    thief.client.put_name(&loot, true).await.expect("puts");
    thief.client.upload(frames(&secret.metadata)).await.expect("uploads the closure");
    let refused = thief.post(&loot, &secret, None).await.expect_err("is refused");
    let hub_client::ClientError::Problem { code, missing, .. } = refused else {
        panic!("another error: {refused}")
    };
    assert_eq!(code, ProblemCode::ChunksMissing);
    assert_eq!(missing.iter().collect::<HashSet<_>>(), secret.ids().iter().collect());
    assert_reads(&thief.client, &secret.ids(), false, "the thief").await;

    // Whoever shows the bytes may.
    thief.client.upload(secret.frames()).await.expect("uploads");
    thief.post(&loot, &secret, None).await.expect("publishes");
    assert_reads(&scene.anonymous(), &secret.ids(), true, "nobody").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_shares_a_frame_with_a_public_chunk_stays_private() {
    let scene = Scene::start(Tls::Off).await;
    let owner = scene.person(1, Role::Publisher, &[]).await;
    let secret = chunk(9, 0);
    let tree = Tree::new(1, 20);
    // One frame of all of them: the store keeps it, and nine tenths of it are public.
    let mut together = tree.chunks.clone();
    together.insert(7, secret.clone());
    owner.client.upload(frames(&together)).await.expect("uploads");
    owner.publish(&name("team/open"), true, &tree).await;

    let (came, missing) = fetch(&scene.anonymous(), &tree.ids()).await;
    assert_eq!(missing, []);
    let came: HashSet<_> = came.into_iter().collect();
    assert_eq!(came, tree.ids().into_iter().collect(), "the public chunks and no other");
    let secret = ChunkId::of(&secret);
    assert_reads(&scene.anonymous(), &[secret], false, "nobody").await;
    assert_reads(&owner.client, &[secret], true, "the uploader").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_name_looks_like_one_that_is_not_there() {
    let scene = Scene::start(Tls::Off).await;
    let owner = scene.person(1, Role::Publisher, &[]).await;
    let (private, absent) = (name("team/private"), name("team/absent"));
    let tree = Tree::new(1, 3);
    owner.publish(&private, false, &tree).await;

    let other = scene.person(2, Role::Publisher, &[]).await;
    for client in [&other.client, &scene.anonymous()] {
        assert_eq!(client.names(None, 100).await.expect("lists"), []);
        for name in [&private, &absent] {
            let texts = [
                text(client.name_info(name).await),
                text(client.head(name).await.map(drop)),
                text(client.releases(name, None, 5).await),
                text(client.release(name, 1).await),
                text(client.events(name, None).await.map(drop)),
            ];
            assert!(texts.iter().all(|text| *text == texts[0]), "{texts:?}");
            assert!(texts[0].starts_with("404 not-found"), "{texts:?}");
        }
    }
    for name in [&private, &absent] {
        let refused = other.client.add_reader(name, &other.key.public()).await;
        assert_eq!(code(refused), ProblemCode::NotFound);
        let refused = other.post(name, &tree, None).await;
        assert_eq!(code(refused), ProblemCode::NotFound);
    }
    assert_eq!(owner.client.names(None, 100).await.expect("lists").len(), 1);
}

/// All a client is told of a refusal, apart from what it asked.
fn text<T: std::fmt::Debug>(result: Result<T, hub_client::ClientError>) -> String {
    let error = result.expect_err("is refused");
    let hub_client::ClientError::Problem { code, status, detail, missing, .. } = error else {
        panic!("another error: {error}")
    };
    format!("{status} {code} {detail} {missing:?}")
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_and_strangers_change_nothing() {
    let scene = Scene::start(Tls::Off).await;
    let owner = scene.person(1, Role::Publisher, &[]).await;
    let tools = name("team/tools");
    let tree = Tree::new(1, 3);
    let first = owner.publish(&tools, true, &tree).await;

    let reader = scene.person(2, Role::Reader, &[]).await;
    let other = scene.person(3, Role::Publisher, &[]).await;
    let stranger = scene.stranger(4);
    let anonymous = |key: u8| Person { client: scene.anonymous(), ..scene.stranger(key) };
    for (person, expected) in [
        (&reader, ProblemCode::Forbidden),
        (&stranger, ProblemCode::NotRegistered),
        (&anonymous(5), ProblemCode::SessionRequired),
    ] {
        assert_eq!(code(person.client.upload(tree.frames()).await), expected);
        assert_eq!(code(person.client.put_name(&name("new/name"), true).await), expected);
        assert_eq!(code(person.post(&tools, &tree, Some(first)).await), expected);
        let grant = person.client.add_reader(&tools, &person.key.public()).await;
        assert_eq!(code(grant), expected);
    }
    assert_eq!(code(other.client.put_name(&tools, false).await), ProblemCode::NameTaken);
    assert_eq!(code(other.post(&tools, &tree, Some(first)).await), ProblemCode::Forbidden);
    let revoke = other.client.remove_grant(&tools, &reader.key.public()).await;
    assert_eq!(code(revoke), ProblemCode::Forbidden);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_registers_one_key() {
    let scene = Scene::start(Tls::SelfSigned).await;
    let hour = std::time::Duration::from_secs(3600);
    let invitation =
        hub::invite(scene.dir.path(), Role::Publisher, &[], hour).await.expect("invites");
    let (first, second) = (scene.stranger(1), scene.stranger(2));
    first.client.register(&invitation).await.expect("registers");
    first.client.register(&invitation).await.expect("again: its answer may have been lost");
    let refused = second.client.register(&invitation).await;
    assert_eq!(code(refused), ProblemCode::InvitationRefused);
    let mut forged = invitation;
    forged.secret[0] ^= 1;
    let refused = second.client.register(&forged).await;
    assert_eq!(code(refused), ProblemCode::InvitationRefused);
}
