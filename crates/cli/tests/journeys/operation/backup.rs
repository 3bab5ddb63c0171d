//! `consign hub backup` and `consign hub restore`.

use std::fs;

use testkit::noise;

use crate::process::{start_hub, told};
use crate::world::Node;

#[test]
fn a_hub_comes_back_from_its_backup() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    let text = |name: &str| path(name).to_str().expect("UTF-8").to_owned();
    let (mut hub, hello) = start_hub(&path("hub"), &["--listen", "127.0.0.1:0"]);
    let listen = hello["url"].as_str().expect("a URL").trim_start_matches("https://").to_owned();
    let node = Node::new(path("node"));
    node.join(&path("hub"), &[]);
    fs::create_dir(path("site")).expect("a directory");
    fs::write(path("site").join("file"), noise(1, 2 << 20)).expect("writes");
    node.ok(&["publish", &text("site"), "team/site", "--public"]);

    let done = node.ok(&["hub", "backup", "--data", &text("hub"), "--to", &text("backup")]);
    assert_eq!(
        (done["has_database"].as_bool(), done["packs_kept"].as_u64()),
        (Some(true), Some(0))
    );
    let done = node.ok(&["hub", "backup", "--data", &text("hub"), "--to", &text("backup")]);
    assert_eq!(done["packs_copied"].as_u64(), Some(0), "nothing is new: {done}");
    assert!(hub.stop());
    fs::remove_dir_all(path("hub")).expect("is lost");

    let done = node.ok(&["hub", "restore", "--from", &text("backup"), "--data", &text("hub")]);
    assert_eq!(done["releases"].as_u64(), Some(1));
    let again = node.run(&["hub", "restore", "--from", &text("backup"), "--data", &text("hub")]);
    assert!(!again.status.success() && told(&again).contains("not empty"), "{}", told(&again));
    // The same address and certificate: nodes notice nothing.
    let (_hub, _) = start_hub(&path("hub"), &["--listen", &listen]);
    node.ok(&["get", "team/site", "--to", &text("copy")]);
    let copied = fs::read(path("copy").join("file")).expect("reads");
    assert_eq!(copied, noise(1, 2 << 20));
    fs::write(path("site").join("file"), noise(2, 2 << 20)).expect("writes");
    node.ok(&["publish", &text("site"), "team/site", "--public"]);
}
