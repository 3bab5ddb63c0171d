//! A publisher's directory is watched, and its targets have what is in it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;
use testkit::noise;

use crate::community::{Community, serve};
use crate::process::{Process, count, until};
use crate::world::World;

/// A watch that runs, and what it says.
struct Watch<'a> {
    process: Process,
    world: &'a World,
}

impl<'a> Watch<'a> {
    fn start(world: &'a World, package: &str) -> Self {
        let said = fs::File::create(world.path("said")).expect("made");
        let mut command =
            world.command("ci", &["package", "send", package, "--watch", "--settle", "1s"]);
        Self { process: Process::start(command.stdout(said)), world }
    }

    /// What it says next of this kind; `before` is how many of them were heard.
    fn says(&self, event: &str, before: usize) -> Value {
        let heard = || {
            let text = fs::read_to_string(self.world.path("said")).expect("there");
            let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
            let lines = whole.lines().map(|line| serde_json::from_str(line).expect("JSON"));
            lines.filter(|line: &Value| line["event"] == event).nth(before)
        };
        until(event, || heard().is_some());
        heard().expect("was just there")
    }
}

#[test]
fn what_changes_in_a_watched_directory_is_sent_and_nothing_else() {
    let community = Community::create();
    community.peer("ci", &["--role", "publisher"]);
    community.peer("press-1", &["--role", "target"]);
    let world = &community.world;
    let _target = serve(world, "press-1");
    let (sources, placed) = (world.path("package"), world.path("placed"));
    fs::create_dir_all(sources.join("site")).expect("made");
    let write = |name: &str, bytes: &[u8]| fs::write(sources.join(name), bytes).expect("written");
    let specification = format!(
        "[package]\nname = \"site\"\nversion = \"1\"\n\n[[step]]\nfiles = \"site\"\n\
         target = \"{}\"\nplacing = \"replace\"\n",
        placed.display()
    );
    write("consign-package.toml", specification.as_bytes());
    write("site/film", &noise(3, 3 << 20));
    write("site/page", b"one");
    write("site/old", b"soon gone");

    let package = world.text("package");
    let watch = Watch::start(world, &package);
    let first = watch.says("sent", 0);
    assert_eq!(first["sequence"], 1, "{first}");
    until("it is placed", || placed.join("old").exists());

    // What goes, goes at the targets; what stays is not sent again.
    write("site/page", b"two");
    fs::remove_file(sources.join("site/old")).expect("there");
    let second = watch.says("sent", 1);
    assert_eq!(second["sequence"], 2, "{second}");
    let most = count(&first, "bytes_sent") / 10;
    assert!(count(&second, "bytes_sent") < most, "{first} {second}");
    until("it is exchanged", || fs::read(placed.join("page")).is_ok_and(|page| page == b"two"));
    assert!(!placed.join("old").exists());

    // A change that leaves everything as it was.
    let page = sources.join("site/page");
    let mode = fs::metadata(&page).expect("there").permissions().mode();
    fs::set_permissions(&page, PermissionsExt::from_mode(0o600)).expect("changed");
    fs::set_permissions(&page, PermissionsExt::from_mode(mode)).expect("changed back");
    assert_eq!(watch.says("unchanged", 0)["sequence"], 2);

    // A watch that begins anew goes on where the one before was.
    drop(watch.process);
    let watch = Watch::start(world, &package);
    assert_eq!(watch.says("unchanged", 0)["sequence"], 2);

    // Mistakes are told, and what mends them is sent.
    write("consign-package.toml", b"[package]\nname = 3\n");
    let refused = watch.says("not_sent", 0);
    assert!(
        refused["message"].as_str().is_some_and(|it| it.contains("is no specification")),
        "{refused}"
    );
    write("consign-package.toml", specification.replace("\"1\"", "\"2\"").as_bytes());
    let third = watch.says("sent", 0);
    assert_eq!((&third["sequence"], &third["version"]), (&3.into(), &"2".into()), "{third}");
    let listed = world.lines("ci", &["package", "list"], 0);
    assert_eq!(listed.iter().filter(|line| line["event"] == "package").count(), 3, "{listed:?}");
}
