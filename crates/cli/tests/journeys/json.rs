//! `docs/json.md` is what `--json` prints: every line of a journey through the commands is
//! compared with its section there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::documented::{Documented, documented};

#[test]
fn every_line_of_a_journey_is_as_documented() {
    let world = Documented::new();
    fs::create_dir(world.path("source")).expect("made");
    for (name, text) in [("one.txt", "one"), ("two.txt", "two"), ("three.txt", "three three")] {
        fs::write(world.path("source").join(name), text).expect("written");
    }
    let fifo = world.path("source/fifo");
    assert!(Command::new("mkfifo").arg(fifo).status().expect("mkfifo runs").success());

    let (source, copy) = (world.text("source"), world.text("copy"));
    for node in ["anna", "ben"] {
        world.register(node, &[]);
    }
    let ben = world.tells("ben", &["id"], &["id"])["key"].as_str().expect("a key").to_owned();

    world.tells("anna", &["publish", &source, "team/site"], &["skipped", "done"]);
    world.tells("ben", &["get", "team/site"], &["error"]);
    world.tells("anna", &["grant", "team/site", &ben], &["granted"]);
    world.tells("ben", &["get", "team/site", "--to", &copy], &["done"]);
    world.tells("anna", &["revoke", "team/site", &ben], &["revoked"]);
    fs::rename(world.path("source/one.txt"), world.path("source/moved.txt")).expect("moved");
    fs::write(world.path("source/two.txt"), "changed").expect("written");
    fs::write(world.path("source/four.txt"), "four").expect("written");
    fs::remove_file(world.path("source/three.txt")).expect("removed");
    world.tells("anna", &["publish", &source, "team/site"], &["done"]);
    let changes = ["added", "changed", "removed", "moved", "done"];
    world.tells("anna", &["diff", "team/site@1", "team/site@2"], &changes);
    world.tells("anna", &["log", "team/site"], &["release"]);
    world.tells("anna", &["ls"], &["name"]);
    world.tells("anna", &["ls", "team/site", "-R"], &["entry"]);
    world.tells("anna", &["publish", "--sealed", &source, "team/sealed"], &["done"]);

    world.tells("solo", &["put", &source], &["skipped", "done"]);
    world.tells("solo", &["verify"], &["done"]);
    world.tells("solo", &["gc"], &["done"]);
    world.tells("solo", &["stats"], &["done"]);

    let memory = world.path("anna/checkout/aa");
    fs::create_dir_all(&memory).expect("made");
    let asked =
        r#"{"kind":"get","what":"team/site","path":"/x","hub":null,"more":false,"began":1}"#;
    fs::write(memory.join("asked.json"), asked).expect("written");
    world.tells("anna", &["status"], &["node", "job", "done"]);
    world.tells("anna", &["doctor"], &["check", "done"]);
    world.tells("anna", &["man", "--to", &world.text("man")], &["done"]);

    fs::create_dir_all(world.path(".config/consign")).expect("made");
    fs::write(world.path(".config/consign/config.toml"), "[gc]\ngrace = 3\nx = 1")
        .expect("written");
    world.tells("anna", &["config", "show"], &["problem", "setting"]);
    world.tells("anna", &["config", "check"], &["problem", "done"]);
    world.tells("anna", &["id"], &["error"]);
    fs::remove_file(world.path(".config/consign/config.toml")).expect("removed");
    fs::remove_file(world.path("source/fifo")).expect("removed");
    world.tells("solo", &["demo", &source], &["done"]);
}

#[test]
fn an_error_that_nobody_can_read_still_ends_with_its_code() {
    let full = || fs::File::options().write(true).open("/dev/full").expect("Linux has it");
    for args in [&["--json", "receive", "no-ticket"][..], &["receive", "no-ticket"]] {
        let mut command = crate::process::consign();
        let ended = command.args(args).stdout(full()).stderr(full()).status();
        assert_eq!(ended.expect("it runs").code(), Some(2), "{args:?}");
    }
}

#[test]
fn every_event_in_the_sources_is_documented() {
    let events = documented();
    let mut stack = vec![PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
    let mut found = 0;
    while let Some(path) = stack.pop() {
        if path.is_dir() {
            stack.extend(fs::read_dir(&path).expect("readable").flatten().map(|one| one.path()));
            continue;
        }
        let text = fs::read_to_string(&path).expect("UTF-8");
        for rest in text.split("\"event\": \"").skip(1) {
            let event = rest.split('"').next().unwrap_or_default();
            found += 1;
            assert!(events.keys().any(|(_, known)| known == event), "{event} in {}", shown(&path));
        }
    }
    assert!(found > 30, "the search works");
}

fn shown(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
