//! A hub without room: refuses uploads, serves readers, goes on when there is room again.

use std::time::{Duration, Instant};

use bytes::Bytes;
use hub::{Hub, HubConfig, Role, Tls};
use hub_api::ProblemCode;
use serde_json::json;
use testkit::SmallDisk;

use crate::ask::Ask;
use crate::raw::{PATIENCE, token};
use crate::scene::{self, Scene, Tree, chunk, code, fetch, frames, name};

const QUOTA_BYTES: u64 = 2 << 20;

fn config(dir: &tempfile::TempDir) -> HubConfig {
    HubConfig { quota_bytes: Some(QUOTA_BYTES), ..scene::config(dir, Tls::Off) }
}

fn chunks(seed: u32, bytes: u64) -> Vec<Bytes> {
    (0..(bytes / 3000) as u32).map(|number| chunk(seed, number)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_hub_refuses_uploads_until_collection_made_room() {
    let dir = tempfile::tempdir().expect("a directory");
    let scene = Scene { hub: Hub::start(config(&dir)).await.expect("starts"), dir };
    let owner = scene.person(1, Role::Publisher, &[]).await;
    let open = name("team/open");
    let tree = Tree::new(1, 100);
    owner.publish(&open, true, &tree).await;
    // Uploaded and never released.
    owner.client.upload(frames(&chunks(2, QUOTA_BYTES / 2))).await.expect("has room");

    let more = frames(&chunks(3, QUOTA_BYTES / 2));
    let refused = owner.client.upload(more.clone()).await.expect_err("is full");
    assert!(!refused.is_retryable(), "{refused}");
    assert_eq!(code(Err::<(), _>(refused)), ProblemCode::StorageFull);
    // Readers see nothing of it, and what needs no room is done.
    let (_, missing) = fetch(&scene.anonymous(), &tree.ids()).await;
    assert_eq!(missing, []);
    scene.anonymous().head(&open).await.expect("reads");
    owner.client.put_name(&name("team/other"), false).await.expect("puts");
    owner.client.upload(tree.frames()).await.expect("knows these");

    drop(owner);
    let Scene { dir, hub } = scene;
    hub.shutdown().await;
    let (gc_interval, gc_grace) = (Duration::from_millis(100), Duration::ZERO);
    let config = HubConfig { gc_interval, gc_grace, ..config(&dir) };
    let scene = Scene { hub: Hub::start(config).await.expect("starts again"), dir };
    let owner = scene.stranger(1);
    let started = Instant::now();
    while let Err(refused) = owner.client.upload(more.clone()).await {
        assert_eq!(refused.code(), Some(ProblemCode::StorageFull), "{refused}");
        assert!(started.elapsed() < PATIENCE, "still full");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (_, missing) = fetch(&scene.anonymous(), &tree.ids()).await;
    assert_eq!(missing, [], "the release is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_below_its_reserve_refuses_uploads_and_serves_readers() {
    let dir = tempfile::tempdir().expect("a directory");
    let scene = Scene { hub: Hub::start(config(&dir)).await.expect("starts"), dir };
    let owner = scene.person(1, Role::Publisher, &[]).await;
    let tree = Tree::new(1, 10);
    owner.publish(&name("team/open"), true, &tree).await;
    drop(owner);
    let Scene { dir, hub } = scene;
    hub.shutdown().await;

    // No disk has so much room.
    let free_reserve_bytes = 1 << 60;
    let config = HubConfig { free_reserve_bytes, ..scene::config(&dir, Tls::Off) };
    let scene = Scene { hub: Hub::start(config).await.expect("starts again"), dir };
    let owner = scene.stranger(1);
    let refused = owner.client.upload(frames(&chunks(2, 6000))).await;
    assert_eq!(code(refused), ProblemCode::StorageFull);
    let (_, missing) = fetch(&scene.anonymous(), &tree.ids()).await;
    assert_eq!(missing, []);
}

/// The chunks lie on a disk of their own and have room.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_without_room_takes_nothing_in_and_goes_on_by_itself() {
    let place = tempfile::tempdir().expect("a directory");
    let Some(disk) = SmallDisk::mount(place.path().join("disk"), 8) else { return };
    let dir = tempfile::tempdir_in(disk.path()).expect("a directory");
    let store = place.path().join("store");
    std::fs::create_dir(&store).expect("is fresh");
    std::os::unix::fs::symlink(&store, dir.path().join("store")).expect("is fresh");
    let hub = Hub::start(scene::config(&dir, Tls::Off)).await.expect("starts");
    let scene = Scene { dir, hub };
    let owner = scene.person(1, Role::Publisher, &[]).await;
    let (open, tree) = (name("team/open"), Tree::new(1, 100));
    let first = owner.publish(&open, true, &tree).await;
    let session = token(&scene, &owner);
    let ready = async |query: &str| Ask::get(&format!("/readyz{query}")).send(&scene).await;
    assert_eq!(ready("").await.status, 200);

    let filler = disk.fill();
    // Until what the database's log has of its own is used up.
    let mut names = 0;
    let refused = loop {
        names += 1;
        assert!(names < 10_000, "never full");
        let put = owner.client.put_name(&name(&format!("team/n{names}")), false).await;
        if put.is_err() {
            break put;
        }
    };
    assert_eq!(code(refused), ProblemCode::StorageFull);
    let invitation = json!({ "label": "machine", "scope": "read", "lifetime_s": 3600 });
    let asked = Ask::new("POST", "/v1/tokens").token(&session).json(&invitation);
    assert_eq!(asked.send(&scene).await.problem(), (507, "storage-full".to_owned()));
    let more = Tree::new(2, 100);
    let refused = owner.client.upload(more.frames()).await.map(drop);
    assert_eq!(code(refused), ProblemCode::StorageFull);

    // Readers see nothing of it, not even those who come now.
    let (_, missing) = fetch(&scene.anonymous(), &tree.ids()).await;
    assert_eq!(missing, []);
    scene.stranger(1).client.head(&open).await.expect("signs in and reads");
    assert_eq!(scene.anonymous().releases(&open, None, 10).await.expect("lists").len(), 1);
    let told = until_told(&ready, "full").await;
    assert_eq!(told["database"], "ok", "{told}");
    assert_eq!(told["store"], "ok", "{told}");
    assert_eq!(ready("").await.status, 503);
    assert_eq!(ready("?for=reading").await.status, 200);

    std::fs::remove_file(filler).expect("removes");
    owner.client.put_name(&name("team/room"), false).await.expect("has room");
    owner.client.upload(more.frames()).await.expect("has room");
    owner.post(&open, &more, Some(first)).await.expect("publishes");
    let (_, missing) = fetch(&scene.anonymous(), &more.ids()).await;
    assert_eq!(missing, []);
    until_told(&ready, "ok").await;
    assert_eq!(ready("").await.status, 200);
    scene.hub.shutdown().await;
}

/// Asks until the hub says so of its space; it looks once a second.
async fn until_told(
    ready: &impl AsyncFn(&str) -> crate::ask::Answer,
    space: &str,
) -> serde_json::Value {
    let started = Instant::now();
    loop {
        let told = ready("").await.json();
        if told["space"] == space {
            return told;
        }
        assert!(started.elapsed() < PATIENCE, "{told}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
