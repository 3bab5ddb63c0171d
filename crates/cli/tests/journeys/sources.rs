//! Other sources than a hub: what was put before, folders, stores.

use std::fs;

use crate::files::{assert_same, make_tree};
use crate::world::World;

#[test]
fn what_is_put_can_be_listed_verified_and_got_without_a_hub() {
    let world = World::new();
    make_tree(&world.path("source"));
    let put = world.ok("solo", &["put", &world.text("source")]);
    let tree = put["tree"].as_str().expect("an id").to_owned();
    let listed = world.run("solo", &["ls", &tree, "docs"]);
    assert_eq!(String::from_utf8_lossy(&listed.stdout).lines().count(), 202);
    world.ok("solo", &["get", &tree, "--to", &world.text("copy")]);
    assert_same(&world.path("source"), &world.path("copy"));
    assert_eq!(world.ok("solo", &["verify"])["damaged"], 0);
    assert!(world.ok("solo", &["stats"])["chunks"].as_u64().is_some_and(|count| count > 50));
    world.ok("solo", &["gc", "--grace", "0"]);
    world.ok("solo", &["get", &tree, "--to", &world.text("after-gc")]);
    assert_same(&world.path("source"), &world.path("after-gc"));
}

#[test]
fn a_folder_and_a_store_serve_beside_the_hub() {
    let world = World::new();
    world.join("anna", &[]);
    world.join("ben", &["--reader"]);
    let source = world.path("source");
    make_tree(&source);
    world.ok("anna", &["publish", &world.text("source"), "team/site", "--public"]);

    // A folder with most of the files, one of them altered: it is checked like any source.
    let folder = world.path("usb/some/where");
    fs::create_dir_all(&folder).expect("made");
    fs::copy(source.join("large.bin"), folder.join("renamed.bin")).expect("copied");
    let args = ["get", "team/site", "--to", &world.text("copy"), "--source", &world.text("usb")];
    let got = world.ok("ben", &args);
    assert_same(&source, &world.path("copy"));
    let received = got["bytes_received"].as_u64().expect("a number");
    assert!(received < 3_000_000, "large.bin came from the folder, at least in part: {got}");

    // A store that has everything, named by its directory.
    world.ok("solo", &["put", &world.text("source")]);
    let store = format!("{}/store", world.text("solo"));
    world.ok("ben", &["get", "team/site", "--to", &world.text("again"), "--source", &store]);
    assert_same(&source, &world.path("again"));
}
