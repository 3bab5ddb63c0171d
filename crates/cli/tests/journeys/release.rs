//! Releases as they travel: to whom they are shown, and what each costs.

use std::fs;

use serde_json::Value;
use testkit::noise;

use crate::files::{assert_same, listing, make_tree};
use crate::process::{invite, start_hub};
use crate::world::World;

#[test]
fn a_release_travels_and_the_next_one_costs_its_changes() {
    let world = World::new();
    world.join("anna", &[]);
    world.join("ben", &["--reader"]);
    let (source, copy) = (world.path("source"), world.path("copy"));
    make_tree(&source);

    let first = world.ok("anna", &["publish", &world.text("source"), "team/site", "--public"]);
    assert_eq!(first["release"], "team/site@1");
    assert_eq!(first["files"], 203);
    let got = world.ok("ben", &["get", "team/site", "--to", &world.text("copy")]);
    assert_eq!(got["tree"], first["tree"]);
    assert_same(&source, &copy);

    // Nothing new: nothing is read, nothing released, next to nothing is sent.
    let again = world.ok("anna", &["publish", &world.text("source"), "team/site"]);
    assert_eq!((&again["new"], &again["files_read"]), (&Value::Bool(false), &Value::from(0)));
    let same = world.ok("ben", &["get", "team/site", "--to", &world.text("copy")]);
    assert!(same["bytes_received"].as_u64().expect("a number") < 8_192, "{same}");

    // A change, a move, a removal.
    let mut large = noise(1, 3_000_000).to_vec();
    large[1_500_000..1_500_010].copy_from_slice(b"0123456789");
    fs::write(source.join("large.bin"), large).expect("written");
    fs::rename(source.join("docs/page-000.txt"), source.join("docs/moved.txt")).expect("moved");
    fs::remove_file(source.join("docs/page-001.txt")).expect("removed");
    let second = world.ok("anna", &["publish", &world.text("source"), "team/site"]);
    assert_eq!(second["release"], "team/site@2");
    assert!(second["bytes_sent"].as_u64().expect("a number") < 600_000, "{second}");
    let update = world.ok("ben", &["get", "team/site", "--to", &world.text("copy")]);
    assert!(update["bytes_received"].as_u64().expect("a number") < 600_000, "{update}");
    assert_same(&source, &copy);

    // Somebody edits the copy; it is repaired.
    fs::write(copy.join("docs/page-100.txt"), "vandalised").expect("written");
    fs::remove_file(copy.join("docs/page-101.txt")).expect("removed");
    world.ok("ben", &["get", "team/site", "--to", &world.text("copy")]);
    assert_same(&source, &copy);

    // The old release is still there, also in parts.
    world.ok("ben", &["get", "team/site@1", "--to", &world.text("old"), "--only", "docs/page-00*"]);
    assert_eq!(fs::read_dir(world.path("old/docs")).expect("there").count(), 10);

    let changes = world.ok("ben", &["diff", "team/site@1", "team/site@2"]);
    assert_eq!((&changes["moved"], &changes["removed"]), (&Value::from(1), &Value::from(1)));
    let range = world.run("ben", &["cat", "team/site", "large.bin", "--range", "1500000-1500009"]);
    assert_eq!(range.stdout, b"0123456789");
    let newest = world.run("ben", &["log", "team/site"]);
    assert_eq!(String::from_utf8_lossy(&newest.stdout).lines().count(), 2);
}

#[test]
fn a_private_name_is_read_by_grant_only() {
    let world = World::new();
    world.join("anna", &[]);
    let ben = world.join("ben", &["--reader"]);
    world.join("eve", &[]);
    fs::create_dir(world.path("source")).expect("made");
    fs::write(world.path("source/secret.txt"), "for ben").expect("written");
    world.ok("anna", &["publish", &world.text("source"), "team/private"]);

    let refused = world.fails("ben", &["get", "team/private", "--to", &world.text("ben-copy")], 4);
    assert_eq!(refused["event"], "error");
    world.ok("anna", &["grant", "team/private", &ben]);
    world.ok("ben", &["get", "team/private", "--to", &world.text("ben-copy")]);
    assert_eq!(fs::read(world.path("ben-copy/secret.txt")).expect("there"), b"for ben");

    // Nobody else, not even by the id of the tree, and nobody publishes under anna's name.
    world.fails("eve", &["get", "team/private", "--to", &world.text("eve-copy")], 4);
    let tree = world.ok("anna", &["log", "team/private"])["tree"].as_str().expect("id").to_owned();
    assert!(!world.run("eve", &["get", &tree, "--to", &world.text("eve-copy")]).status.success());
    assert!(
        !world.run("eve", &["publish", &world.text("source"), "team/private"]).status.success()
    );
    assert!(!world.path("eve-copy/secret.txt").exists());

    world.ok("anna", &["revoke", "team/private", &ben]);
    world.fails("ben", &["get", "team/private", "--to", &world.text("ben-again")], 4);
}

#[test]
fn a_sealed_release_shows_the_hub_neither_names_nor_contents() {
    let world = World::new();
    world.join("anna", &[]);
    world.join("ben", &["--reader"]);
    let source = world.path("source");
    fs::create_dir_all(source.join("marker-directory")).expect("made");
    fs::write(source.join("marker-directory/marker-name.txt"), "marker-contents").expect("written");
    let long = "marker-long-contents ".repeat(20_000);
    fs::write(source.join("large-marker.txt"), &long).expect("written");
    let capability = world.text("capability");
    let args = ["publish", "--sealed", &world.text("source"), "team/sealed", "--public"];
    let done = world.ok("anna", &[&args[..], &["--capability-file", &capability]].concat());
    assert_eq!(done["capability"], Value::Null, "not printed when it goes to a file");

    for (path, _, _, _, contents) in listing(&world.path("hub")) {
        for marker in [&b"marker-"[..], b"large-marker"] {
            let found = contents.windows(marker.len()).any(|window| window == marker);
            assert!(!found, "{} holds {}", path.display(), String::from_utf8_lossy(marker));
        }
    }

    let (url, copy) = (world.url.clone(), world.text("copy"));
    let denied = world.fails("ben", &["--hub", &url, "get", "team/sealed", "--to", &copy], 5);
    assert!(denied["hint"].as_str().is_some_and(|hint| hint.contains("--capability")), "{denied}");
    world.ok("ben", &["get", "team/sealed", "--to", &copy, "--capability", &capability]);
    assert_same(&source, &world.path("copy"));

    // The same capability opens the next release, which re-sends only what changed.
    fs::write(source.join("note.txt"), "one more").expect("written");
    let next = world.ok("anna", &[&args[..], &["--capability-file", &capability]].concat());
    assert_eq!(next["release"], "team/sealed@2");
    assert!(next["bytes_sent"].as_u64().expect("a number") < 20_000, "{next}");
    world.ok("ben", &["get", "team/sealed", "--to", &copy, "--capability", &capability]);
    assert_same(&source, &world.path("copy"));
}

#[test]
fn errors_name_the_thing_and_the_remedy() {
    let world = World::new();
    let none = world.fails("nobody", &["get", "team/none", "--to", &world.text("x")], 1);
    assert!(none["hint"].as_str().is_some_and(|hint| hint.contains("register")), "{none}");
    world.join("anna", &[]);
    let missing = world.fails("anna", &["get", "team/none", "--to", &world.text("x")], 4);
    assert!(
        missing["message"].as_str().is_some_and(|text| text.contains("team/none")),
        "{missing}"
    );
    world.fails("anna", &["get", "no-such-form", "--to", &world.text("x")], 2);
    world.fails("anna", &["register", "nonsense"], 2);
    let absent = world.fails("anna", &["publish", &world.text("absent"), "team/x"], 4);
    assert!(absent["message"].as_str().is_some_and(|text| text.contains("absent")), "{absent}");
}

#[test]
fn a_hub_runs_with_a_certificate_of_ones_own() {
    let world = World::new();
    // A certificate and key as files: those the first hub made serve as well as any.
    let pem = |want: &[u8]| {
        let found = fs::read_dir(world.path("hub/tls")).expect("there").flatten().find(|entry| {
            fs::read(entry.path())
                .is_ok_and(|bytes| bytes.windows(want.len()).any(|window| window == want))
        });
        found.expect("a PEM file").path().to_str().expect("UTF-8").to_owned()
    };
    let tls = format!("{},{}", pem(b"BEGIN CERTIFICATE"), pem(b"PRIVATE KEY"));
    let data = world.path("second");
    let (_hub, _) = start_hub(&data, &["--listen", "127.0.0.1:0", "--tls", &tls]);
    world.ok("anna", &["register", &invite(&data, &[])]);
}
