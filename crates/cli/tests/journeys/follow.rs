//! What came is told by itself: in the terminal that follows, and in the log of the node.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;

use crate::people::person;
use crate::process::{Process, until};
use crate::world::World;

/// A program whose lines go to files.
struct Told {
    process: Process,
    lines: PathBuf,
    log: PathBuf,
}

impl Told {
    fn start(world: &World, name: &str, node: &str, args: &[&str]) -> Self {
        let (lines, log) = (world.path(&format!("{name}.out")), world.path(&format!("{name}.err")));
        let mut command = world.command(node, args);
        command.stdout(fs::File::create(&lines).expect("made"));
        command.stderr(fs::File::create(&log).expect("made")).stdin(Stdio::null());
        command.env("CONSIGN_LOG", "info");
        Self { process: Process::start(&mut command), lines, log }
    }

    fn lines(&self) -> Vec<Value> {
        let text = fs::read_to_string(&self.lines).expect("there");
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// Deliveries and senders in the order in which they were told.
    fn told(&self) -> Vec<String> {
        let text = |line: &Value, field: &str| line[field].as_str().unwrap_or_default().to_owned();
        let one = |line: &Value| match line["event"].as_str() {
            Some("pending-sender") => Some(format!("{} asks", text(line, "handle"))),
            Some("boxed-delivery") => Some(text(line, "state")),
            _ => None,
        };
        self.lines().iter().filter_map(one).collect()
    }

    /// Waits until this is what it told last.
    fn tells(&self, expected: &[&str]) {
        let expected: Vec<String> = expected.iter().map(|&text| text.to_owned()).collect();
        until(&format!("{expected:?}"), || self.told().ends_with(&expected));
    }
}

fn has(log: &Path, text: &str) -> bool {
    fs::read_to_string(log).expect("there").contains(text)
}

#[test]
fn who_follows_the_inbox_is_told_of_everything_as_it_comes() {
    let world = World::new();
    person(&world, "anna");
    person(&world, "ben");
    fs::write(world.path("note.txt"), "hello").expect("written");
    let (note, to) = (world.text("note.txt"), world.text("in"));
    fs::create_dir(&to).expect("made");
    let follower = Told::start(&world, "follower", "ben", &["inbox", "--follow"]);
    let mut sending = Told::start(&world, "sending", "anna", &["send", &note, "--to", "ben"]);
    follower.tells(&["anna asks", "pending-approval"]);
    world.ok("ben", &["accept", "anna"]);
    follower.tells(&["anna asks", "pending-approval", "waiting"]);
    let last = follower.lines().pop().expect("some");
    assert_eq!(last["for_this_device"], true, "{last}");

    // The node listens from now on, and the terminal asks; neither throws the other out.
    let node = Told::start(&world, "node", "ben", &["node"]);
    until("the node tells", || has(&node.log, "a delivery came"));
    let id = last["id"].as_str().expect("a text").to_owned();
    world.ok("ben", &["accept", &id, "--to", &to]);
    follower.tells(&["received"]);
    assert!(sending.process.0.wait().expect("ends").success());
    let _sent = Told::start(&world, "again", "anna", &["send", &note, "--to", "ben"]);
    follower.tells(&["received", "waiting"]);
    assert!(!has(&node.log, "copies of one state directory"));
}

#[test]
fn an_administrator_lists_what_is_addressed_and_ends_one() {
    let world = World::new();
    person(&world, "anna");
    person(&world, "ben");
    world.join_administrator("root");
    world.ok("ben", &["book", "add", "anna"]);
    fs::write(world.path("note.txt"), "hello").expect("written");
    let note = world.text("note.txt");
    let mut sending = Told::start(&world, "sending", "anna", &["send", &note, "--to", "ben"]);
    let mut listed = Vec::new();
    until("it is listed", || {
        listed = world.lines("root", &["hub", "deliveries"], 0);
        listed.iter().any(|line| line["event"] == "boxed-delivery")
    });
    assert_eq!((listed[0]["from"].as_str(), listed[0]["to"].as_str()), (Some("anna"), Some("ben")));
    assert_eq!(listed[0]["box"], "hub");
    let id = listed[0]["id"].as_str().expect("a text");
    let end = ["hub", "deliveries", "--end", &id[..8], "--reason", "by request"];
    world.fails("anna", &end, 5);
    assert_eq!(world.ok("root", &end)["event"], "ended");
    assert_eq!(sending.process.0.wait().expect("ends").code(), Some(6));
    assert!(has(&sending.log, "by request") || has(&sending.lines, "by request"));
    let inbox = world.lines("ben", &["inbox", "--all"], 0);
    assert_eq!(inbox[0]["ended"]["by"], "hub", "{inbox:?}");
    let over = world.lines("root", &["hub", "deliveries", "--all"], 0);
    assert_eq!(over[0]["state"], "terminated", "{over:?}");
    let accounts = world.lines("root", &["account", "list"], 0);
    assert!(accounts.iter().any(|line| line["handle"] == "ben"), "{accounts:?}");
}

#[test]
fn copies_of_a_device_do_not_throw_each_other_out_without_end() {
    let world = World::new();
    person(&world, "ben");
    let copy = world.path("copy");
    fs::create_dir(&copy).expect("made");
    copy_directory(&world.path("ben"), &copy);
    let first = Told::start(&world, "first", "ben", &["node"]);
    let second = Told::start(&world, "second", "copy", &["node"]);
    let is_told = |node: &Told| has(&node.log, "copies of one state directory");
    until("one of them is told", || is_told(&first) || is_told(&second));
    // The one that came last has the line, and is not thrown out by the other coming again at once.
    assert_ne!(is_told(&first), is_told(&second));
}

fn copy_directory(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("listed") {
        let entry = entry.expect("listed");
        let (kind, to) = (entry.file_type().expect("known"), to.join(entry.file_name()));
        if kind.is_dir() {
            fs::create_dir(&to).expect("made");
            copy_directory(&entry.path(), &to);
        } else if kind.is_file() {
            fs::copy(entry.path(), &to).expect("copied");
        }
    }
}
