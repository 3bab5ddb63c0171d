//! Publishing: what is accepted, what is refused, who is told, what survives.

use crate::scene;

use std::time::Duration;

use content::ChunkId;
use documents::{DocumentHash, Manifest};
use hub::{Hub, Role, Tls};
use hub_api::ProblemCode;
use scene::{Person, Scene, Tree, code, fetch, frames, head, name};

#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_there_for_readers_and_after_a_restart() {
    let scene = Scene::start(Tls::SelfSigned).await;
    let owner = scene.person(1, Role::Publisher, &[]).await;
    let tools = name("team/tools");
    // More than one batch of a fetch, several frames, one closure of several segments.
    let tree = Tree::new(1, 1000);
    let (_, hash) = owner.publish(&tools, true, &tree).await;

    let reader = scene.anonymous();
    let (mut came, missing) = fetch(&reader, &tree.ids()).await;
    assert_eq!(missing, []);
    // Whole frames may bring chunks of the closure as well.
    came.retain(|id| tree.ids().contains(id));
    let sorted = |mut ids: Vec<ChunkId>| {
        ids.sort_by_key(|id| *id.as_bytes());
        ids.dedup();
        ids
    };
    assert_eq!(sorted(came), sorted(tree.ids()));
    let absent = ChunkId::of(b"absent");
    assert_eq!(fetch(&reader, &[tree.ids()[0], absent]).await.1, [absent]);

    let Scene { dir, hub } = scene;
    let fingerprint = hub.fingerprint;
    drop((reader, owner));
    hub.shutdown().await;
    let hub = Hub::start(scene::config(&dir, Tls::SelfSigned)).await.expect("starts again");
    assert_eq!(hub.fingerprint, fingerprint, "the certificate is kept");
    let scene = Scene { dir, hub };
    let reader = scene.anonymous();
    let head = reader.head(&tools).await.expect("reads");
    assert_eq!(DocumentHash::of(&head.manifest), hash);
    assert_eq!(reader.have(&tree.ids()).await.expect("answers"), vec![true; 1000]);
    let releases = reader.releases(&tools, None, 10).await.expect("lists");
    assert_eq!((releases.len(), releases[0].sequence, releases[0].stored_bytes), (1, 1, 3_000_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_hub_on_the_same_data_does_not_start() {
    let scene = Scene::start(Tls::Off).await;
    let refused = Hub::start(scene::config(&scene.dir, Tls::Off)).await.expect_err("is locked");
    assert!(matches!(refused, hub::StartError::Store(_)), "{refused}");
}

/// Signs `manifest` as it is and posts it.
async fn post(person: &Person, manifest: Manifest) -> Result<(), hub_client::ClientError> {
    let signed = manifest.sign(&person.key);
    let head = head(person, &manifest, &signed);
    person.client.post_release(&name("team/tools"), &signed, &head).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_next_valid_release_is_accepted() {
    let scene = Scene::start(Tls::Off).await;
    let owner = scene.person(1, Role::Publisher, &[]).await;
    let tools = name("team/tools");
    let tree = Tree::new(1, 5);
    let first = owner.publish(&tools, true, &tree).await;
    let next = || tree.manifest(&owner, &tools, Some(first));

    let skipped = Manifest { sequence: 3, ..next() };
    assert_eq!(code(post(&owner, skipped).await), ProblemCode::ReleaseConflict);
    let forked = Manifest { previous: Some(DocumentHash::of(b"other")), ..next() };
    assert_eq!(code(post(&owner, forked).await), ProblemCode::ReleaseConflict);
    let expired = Manifest { expires: scene::now() - 1, ..next() };
    assert_eq!(code(post(&owner, expired).await), ProblemCode::DocumentRefused);
    let renamed = Manifest { name: name("team/other"), ..next() };
    assert_eq!(code(post(&owner, renamed).await), ProblemCode::DocumentRefused);
    let other_tree = Manifest { tree: Tree::new(2, 1).root, ..next() };
    assert_eq!(code(post(&owner, other_tree).await), ProblemCode::DocumentRefused);
    let no_closure = Manifest { closure: tree.root, ..next() };
    assert_eq!(code(post(&owner, no_closure).await), ProblemCode::DocumentRefused);
    // Signed by somebody else who is not the name's owner.
    let other = scene.person(2, Role::Publisher, &[]).await;
    let manifest = tree.manifest(&other, &tools, Some(first));
    let signed = manifest.sign(&other.key);
    let its_head = head(&other, &manifest, &signed);
    let by_other = owner.client.post_release(&tools, &signed, &its_head).await;
    assert_eq!(code(by_other), ProblemCode::DocumentRefused);
    let altered = {
        let mut signed = next().sign(&owner.key);
        let middle = signed.len() / 2;
        signed[middle] ^= 1;
        let head = head(&owner, &next(), &signed);
        owner.client.post_release(&tools, &signed, &head).await
    };
    assert_eq!(code(altered), ProblemCode::DocumentRefused);

    assert_eq!(owner.client.name_info(&tools).await.expect("reads").latest, Some(1));
    post(&owner, next()).await.expect("the next one is accepted");
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_chunks_are_named_and_then_taken() {
    let scene = Scene::start(Tls::Off).await;
    let owner = scene.person(1, Role::Publisher, &[]).await;
    let tools = name("team/tools");
    let tree = Tree::new(1, 30);
    owner.client.put_name(&tools, false).await.expect("puts");
    let missing_of = async || match owner.post(&tools, &tree, None).await {
        Err(hub_client::ClientError::Problem { missing, .. }) => missing,
        other => panic!("{other:?}"),
    };
    let closure = ChunkId::of(tree.metadata.last().expect("a head"));
    assert_eq!(missing_of().await, [closure]);
    owner.client.upload(frames(&tree.metadata)).await.expect("uploads");
    assert_eq!(missing_of().await, tree.ids());
    let uploaded = owner.client.upload(frames(&tree.chunks[..20])).await.expect("uploads");
    assert_eq!((uploaded.stored, uploaded.known), (20, 0));
    assert_eq!(missing_of().await, tree.ids()[20..]);
    let uploaded = owner.client.upload(frames(&tree.chunks)).await.expect("uploads");
    assert_eq!((uploaded.stored, uploaded.known), (10, 20));
    owner.post(&tools, &tree, None).await.expect("publishes");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_release_may_be_posted_again_and_its_head_renewed() {
    let scene = Scene::start(Tls::Off).await;
    let owner = scene.person(1, Role::Publisher, &[]).await;
    let tools = name("team/tools");
    let tree = Tree::new(1, 5);
    owner.publish(&tools, true, &tree).await;
    let stored = owner.client.head(&tools).await.expect("reads");
    let (manifest, _) =
        Manifest::open(&stored.manifest, &owner.key.public()).expect("is the owner's");
    let renewed = documents::Head {
        publisher: manifest.publisher,
        name: manifest.name.clone(),
        sequence: 1,
        manifest: DocumentHash::of(&stored.manifest),
        issued: scene::now(),
        expires: scene::now() + 9000,
    };
    let renewed = renewed.sign(&owner.key);
    let etag = stored.etag.clone().expect("the hub sends a tag");
    let unchanged = owner.client.head_unless(&tools, &etag).await.expect("answers");
    assert!(unchanged.is_none());
    owner.client.post_release(&tools, &stored.manifest, &renewed).await.expect("is taken");
    let again = owner.client.head_unless(&tools, &etag).await.expect("answers").expect("is new");
    assert_eq!(again.head, renewed);
    // The head before, still in force: whoever has it cannot bring it back.
    owner.client.post_release(&tools, &stored.manifest, &stored.head).await.expect("is answered");
    assert_eq!(owner.client.head(&tools).await.expect("reads").head, renewed, "the newer stays");
    assert_eq!(owner.client.releases(&tools, None, 9).await.expect("lists").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_clients_are_told_and_catch_up() {
    let scene = Scene::start(Tls::SelfSigned).await;
    let owner = scene.person(1, Role::Publisher, &[]).await;
    let tools = name("team/tools");
    let tree = Tree::new(1, 5);
    let first = owner.publish(&tools, true, &tree).await;
    let reader = scene.anonymous();
    let mut events = reader.events(&tools, None).await.expect("subscribes");
    let soon = Duration::from_secs(10);

    let second = owner.post(&tools, &tree, Some(first)).await.expect("publishes");
    let event = tokio::time::timeout(soon, events.next()).await.expect("in time");
    let event = event.expect("streams").expect("goes on");
    assert_eq!((event.name.as_str(), event.sequence), ("team/tools", 2));
    let seen = events.last_event_id().expect("has an id").to_owned();
    drop(events);

    let third = owner.post(&tools, &tree, Some(second)).await.expect("publishes");
    owner.post(&tools, &tree, Some(third)).await.expect("publishes");
    let mut events = reader.events(&tools, Some(&seen)).await.expect("subscribes");
    for expected in [3, 4] {
        let event = tokio::time::timeout(soon, events.next()).await.expect("in time");
        assert_eq!(event.expect("streams").expect("goes on").sequence, expected);
    }
    // A hub that stops does not wait for those who wait.
    let stopping = tokio::time::timeout(Duration::from_secs(5), scene.hub.shutdown());
    stopping.await.expect("stops in time");
    assert!(matches!(events.next().await, Ok(None) | Err(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_a_private_name_ends_when_the_grant_does() {
    let scene = Scene::start(Tls::Off).await;
    let owner = scene.person(1, Role::Publisher, &[]).await;
    let tools = name("team/tools");
    let reader = scene.person(2, Role::Reader, std::slice::from_ref(&tools)).await;
    let tree = Tree::new(1, 5);
    let first = owner.publish(&tools, false, &tree).await;
    let mut events = reader.client.events(&tools, None).await.expect("subscribes");
    owner.client.remove_grant(&tools, &reader.key.public()).await.expect("revokes");
    owner.post(&tools, &tree, Some(first)).await.expect("publishes");
    let next = tokio::time::timeout(Duration::from_secs(10), events.next()).await;
    assert!(matches!(next.expect("in time"), Ok(None)), "told nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_collected_and_releases_are_kept() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = hub::HubConfig {
        gc_interval: Duration::from_millis(300),
        gc_grace: Duration::ZERO,
        ..scene::config(&dir, Tls::Off)
    };
    let hub = Hub::start(config).await.expect("starts");
    let scene = Scene { dir, hub };
    let owner = scene.person(1, Role::Publisher, &[]).await;
    let tools = name("team/tools");
    let (kept, stray) = (Tree::new(1, 50), Tree::new(2, 50));
    owner.client.put_name(&tools, true).await.expect("puts");
    // With no grace a collection may come between upload and release: then once more.
    for attempt in 0.. {
        owner.client.upload(kept.frames()).await.expect("uploads");
        match owner.post(&tools, &kept, None).await {
            Ok(_) => break,
            Err(error) => assert!(attempt < 20, "{error}"),
        }
    }
    owner.client.upload(stray.frames()).await.expect("uploads");
    let collected = async {
        while owner.client.have(&stray.ids()).await.expect("answers").contains(&true) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), collected).await.expect("is collected");
    assert_eq!(fetch(&owner.client, &kept.ids()).await.1, [], "all of the release is there");
}
