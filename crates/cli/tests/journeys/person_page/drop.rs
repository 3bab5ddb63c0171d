//! Files and folders that are dropped on a person's page.

use std::fs;

use serde_json::json;
use testkit::noise;

use super::{approved, start, two_people};

#[test]
fn what_is_dropped_on_a_persons_page_is_sent_and_a_drop_elsewhere_leaves_the_page_alone() {
    let world = two_people();
    let (plans, picture) = (noise(11, 100_000).to_vec(), noise(12, 50_000).to_vec());
    fs::write(world.path("ground.dwg"), &plans).expect("written");
    fs::write(world.path("other.txt"), "other").expect("written");
    let folder = world.path("pictures");
    fs::create_dir_all(folder.join("deep")).expect("made");
    fs::write(folder.join("one.txt"), "one").expect("written");
    fs::write(folder.join("deep/two.bin"), &picture).expect("written");
    let told = json!({"file": world.text("ground.dwg"), "folder": folder,
        "other": world.text("other.txt")});
    let Some(mut browser) = start(&world, "drop", told) else { return };
    approved(&mut browser, &world);
    let link = browser.asks("receive");
    let to = world.text("in");
    fs::create_dir(&to).expect("made");
    let received = world.ok("carla", &["receive", "--yes", "--to", &to, &link]);
    assert_eq!(received["event"], "received", "{received}");
    assert!(fs::read(world.path("in/ground.dwg")).expect("there") == plans);
    assert_eq!(fs::read(world.path("in/pictures/one.txt")).expect("there"), b"one");
    assert!(fs::read(world.path("in/pictures/deep/two.bin")).expect("there") == picture);
    assert!(!world.path("in/other.txt").exists(), "it missed the place");
    browser.found();
}
