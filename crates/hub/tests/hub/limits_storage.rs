//! A hub without room: refuses uploads, serves readers, goes on when there is room again.

use std::time::{Duration, Instant};

use bytes::Bytes;
use hub::{Hub, HubConfig, Role, Tls};
use hub_api::ProblemCode;

use crate::raw::PATIENCE;
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
