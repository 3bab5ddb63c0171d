//! A community from its creation to the receipts of a package.

use std::fs;
use std::path::PathBuf;

use community::membership::LABELS_MAX;
use rustix::process::Signal;
use serde_json::Value;
use testkit::noise;

use crate::documented::Documented;
use crate::process::{Process, lines, until};

/// A hub, a manager `boss` whose node runs, and a seed.
pub(crate) struct Community {
    pub(crate) world: Documented,
    _boss: Process,
}

impl Community {
    pub(crate) fn create() -> Self {
        Self::of(Documented::new())
    }

    /// One in which hubs and nodes log all they can.
    pub(crate) fn logged() -> Self {
        Self::of(Documented::logged())
    }

    fn of(world: Documented) -> Self {
        world.register("boss", &[]);
        let seed = world.text("seed");
        world.tells("boss", &["community", "create", "Plant 7", "--seed", &seed], &["created"]);
        let boss = serve(&world, "boss");
        Self { world, _boss: boss }
    }

    /// Defines a peer and has it join.
    pub(crate) fn peer(&self, name: &str, options: &[&str]) {
        let (seed, secret) = (self.world.text("seed"), self.world.text(&format!("{name}.secret")));
        let add = ["community", "peer", "add", name, "--secret-file", &secret];
        self.world.tells("boss", &[&add[..], options].concat(), &["defined"]);
        let join = ["join", &seed, "--as", name, "--secret-file", &secret];
        let joined = self.world.tells(name, &join, &["joined"]);
        assert_eq!((&joined["peer"], &joined["again"]), (&name.into(), &false.into()));
    }

    /// Writes a package that says something, and leaves a file on machines in Berlin: where all of them
    /// are one machine, only one may.
    pub(crate) fn package(&self, version: &str, line: &str) -> String {
        let folder = self.world.path("hello");
        fs::create_dir_all(&folder).expect("made");
        fs::write(folder.join("page"), format!("page of {version}")).expect("written");
        let text = format!(
            "[package]\nname = \"hello\"\nversion = \"{version}\"\n\n\
             [[step]]\nlabels = \"site=berlin\"\nfiles = \"page\"\ntarget = \"{}\"\n\n\
             [[step]]\nwrites = [\"/\"]\nscript = '''\n#!/bin/sh\n{line}\n'''\n",
            self.world.path("placed").display(),
        );
        fs::write(folder.join("consign-package.toml"), text).expect("written");
        self.world.text("hello")
    }

    /// One with a file that does not compress, which is placed before the script runs.
    pub(crate) fn large_package(&self, version: &str, length: usize) -> Large {
        let line = format!("echo {version} >> {}", self.ran_file().display());
        let package = self.package(version, &line);
        let seed = version.parse().expect("a number");
        let content = noise(seed, length).to_vec();
        let large = Large { package, content, placed: self.world.path("placed-large") };
        fs::write(self.world.path("hello/large"), &large.content).expect("written");
        let path = self.world.path("hello/consign-package.toml");
        let text = fs::read_to_string(&path).expect("read");
        let placed = large.placed.display();
        let step = format!("[[step]]\nfiles = \"large\"\ntarget = \"{placed}\"\n\n");
        let script = text.find("[[step]]\nwrites").expect("has one");
        fs::write(path, [&text[..script], &step, &text[script..]].concat()).expect("written");
        large
    }

    pub(crate) fn send(&self, package: &str, more: &[&str]) -> Value {
        let args = [&["package", "send", package], more].concat();
        self.world.tells("ci", &args, &["sent"])
    }

    fn placed(&self) -> Option<String> {
        fs::read_to_string(self.world.path("placed")).ok()
    }

    pub(crate) fn ran(&self) -> usize {
        fs::read_to_string(self.ran_file()).map_or(0, |text| text.lines().count())
    }

    pub(crate) fn ran_file(&self) -> PathBuf {
        self.world.path("ran")
    }
}

/// A package with a large file.
pub(crate) struct Large {
    /// Where it is sent from.
    pub(crate) package: String,
    content: Vec<u8>,
    placed: PathBuf,
}

impl Large {
    pub(crate) fn assert_placed(&self) {
        let placed = fs::read(&self.placed).expect("placed");
        assert!(placed[..] == self.content[..], "byte by byte");
    }
}

pub(crate) fn serve(world: &Documented, name: &str) -> Process {
    let mut command = world.command(name, &["node"]);
    let command = world.logging(command.env_remove("CONSIGN_CONFIG"), name);
    let (node, hello) = Process::start_ready(command);
    assert_eq!(hello["event"], "serving");
    node
}

#[test]
fn a_package_reaches_its_targets_and_they_answer_once() {
    let community = Community::create();
    community.peer("ci", &["--role", "publisher"]);
    community.peer("press-1", &["--role", "target", "--label", "site=berlin"]);
    community.peer("press-2", &["--role", "target", "--label", "site=lyon"]);
    let world = &community.world;
    let listed = lines(&world.run("boss", &["community", "list"]));
    let peers: Vec<&Value> = listed.iter().filter(|line| line["event"] == "peer").collect();
    assert_eq!(peers.len(), 3, "{listed:?}");

    let ran = community.ran_file();
    let line = format!("echo ran >> {}; echo hello from $0", ran.display());
    let package = community.package("1", &line);
    let choice = ["--labels", "site=berlin"];
    let dry = [&["package", "send", &package, "--dry-run"], &choice[..]].concat();
    let would = world.tells("ci", &dry, &["target", "would_send"]);
    let bytes = "page of 1".len() + format!("#!/bin/sh\n{line}\n").len();
    assert_eq!((&would["targets"], &would["bytes"]), (&1.into(), &bytes.into()), "{would}");
    assert_eq!(world.lines("ci", &dry, 0)[0]["peer"], "press-1");
    let sent = community.send(&package, &choice);
    assert_eq!((&sent["sequence"], &sent["targets"][0]), (&1.into(), &"press-1".into()));
    // It waits while the target is off, and the other one never hears of it.
    let other = serve(world, "press-2");
    let target = serve(world, "press-1");
    until("the package was carried out", || community.ran() == 1);
    assert_eq!(community.placed().as_deref(), Some("page of 1"));
    // Stopped any sooner, its script would be one that was cut off.
    until("it was answered", || {
        let status = lines(&world.run("press-1", &["status"]));
        let line = status.into_iter().find(|line| line["event"] == "community");
        line.is_some_and(|line| line["last"].as_str().is_some_and(|last| last.contains("passed")))
    });

    // A second release, with the target stopped and started in between.
    let package = community.package("2", &format!("{line}; exit 3"));
    target.end(Signal::TERM);
    community.send(&package, &[]);
    until("the other target carried it out", || community.ran() == 2);
    let target = serve(world, "press-1");
    until("both carried it out", || community.ran() == 3);
    until("both answered", || {
        let status = world.run("press-1", &["status"]);
        let line = lines(&status).into_iter().find(|line| line["event"] == "community");
        line.is_some_and(|line| {
            line["state"] == "listening"
                && line["last"].as_str().is_some_and(|last| last.contains("code 3"))
        })
    });
    // Nothing is begun again after a restart.
    target.end(Signal::TERM);
    let _target = serve(world, "press-1");
    world.tells("press-1", &["community", "status"], &["community"]);
    let _other = other;

    // What they answered is with the publisher.
    let _ci = serve(world, "ci");
    until("the receipts came", || {
        let line = |line: &Value| line["event"] == "package" && line["sequence"] == 2;
        let listed = lines(&world.run("ci", &["package", "list"]));
        listed.iter().any(|one| line(one) && one["failed"] == 2)
    });
    let shown = world.tells("ci", &["package", "show", "2"], &["package", "addressed"]);
    assert_eq!((&shown["state"], &shown["verdict"]), (&"answered".into(), &"failed".into()));
    let answer = world.tells("ci", &["package", "receipts", "1"], &["answer"]);
    assert_eq!((&answer["peer"], &answer["verdict"]), (&"press-1".into(), &"passed".into()));
    assert!(answer["steps"].to_string().contains("hello from"), "{answer}");
    assert_eq!(community.ran(), 3);
}

#[test]
fn a_target_is_seen_running_from_when_it_begins_until_it_has_answered() {
    let community = Community::create();
    community.peer("ci", &["--role", "publisher"]);
    community.peer("press-1", &["--role", "target", "--label", "site=berlin"]);
    community.peer("press-2", &["--role", "target"]);
    let world = &community.world;
    let go = world.path("go");
    let line = format!("while [ ! -e {} ]; do sleep 0.1; done", go.display());
    let sent = community.send(&community.package("1", &line), &[]);
    assert_eq!(sent["targets"].as_array().map(Vec::len), Some(2), "{sent}");
    let show = |peer: &str| {
        let shown = lines(&world.run("ci", &["package", "show", "1"]));
        let line = shown.into_iter().find(|line| line["peer"] == peer);
        line.unwrap_or_else(|| panic!("{peer} is addressed"))
    };
    let waits = show("press-1");
    assert_eq!((&waits["state"], &waits["begun"]), (&"pending".into(), &Value::Null), "{waits}");

    let _target = serve(world, "press-1");
    until("it is seen running", || show("press-1")["state"] == "running");
    let runs = show("press-1");
    assert!(runs["begun"].as_u64() >= runs["sent"].as_u64(), "{runs}");
    assert_eq!((&runs["answered"], &runs["verdict"]), (&Value::Null, &Value::Null), "{runs}");
    // Who is off runs nothing.
    assert_eq!(show("press-2")["state"], "pending");

    fs::write(&go, "").expect("written");
    let _ci = serve(world, "ci");
    until("it has answered", || show("press-1")["state"] == "answered");
    let answered = show("press-1");
    let told = (&answered["verdict"], &answered["begun"]);
    assert_eq!(told, (&"passed".into(), &Value::Null), "{answered}");
}

#[test]
fn the_ledger_knows_who_runs_it_and_so_do_roll_outs_and_exports() {
    let community = Community::create();
    community.peer("ci", &["--role", "publisher"]);
    community.peer("press-1", &["--role", "target", "--label", "ring=0"]);
    community.peer("press-2", &["--role", "target"]);
    let world = &community.world;
    let go = world.path("go");
    let line = format!("while [ ! -e {} ]; do sleep 0.1; done", go.display());
    community.send(&community.package("1", &line), &["--canary", "1", "--canary-labels", "ring=0"]);
    let _ci = serve(world, "ci");
    let _target = serve(world, "press-1");
    let listed = || world.tells("ci", &["package", "list"], &["package"]);
    until("the ledger knows that it runs", || listed()["running"] == 1);
    assert_eq!(listed()["pending"], 1, "it has not answered");
    let rollout = || {
        let shown = lines(&world.run("ci", &["package", "show", "1"]));
        shown.into_iter().find(|line| line["event"] == "rollout").expect("it is rolled out")
    };
    let running = rollout()["running"].clone();
    assert_eq!(running.as_array().map(Vec::len), Some(1), "{running}");
    assert_eq!(running[0]["peer"], "press-1", "{running}");
    let file = world.path("receipts.jsonl");
    let path = file.to_str().expect("UTF-8");
    let args = ["package", "receipts", "--format", "jsonl", "--output", path];
    let exported = || -> Value {
        world.tells("ci", &args, &["exported"]);
        let written = fs::read_to_string(&file).expect("there");
        serde_json::from_str(written.lines().next().expect("a row")).expect("JSON")
    };
    let row = exported();
    assert_eq!((&row["peer"], &row["state"]), (&"press-1".into(), &"running".into()), "{row}");
    assert!(row["begun"].as_str() >= row["sent"].as_str(), "{row}");

    fs::write(&go, "").expect("written");
    until("it has answered", || listed()["passed"] == 1);
    assert_eq!(exported()["state"], "answered");
    assert_eq!(rollout()["running"].as_array().map(Vec::len), Some(0));
}

#[test]
fn a_package_goes_to_a_list_of_targets_and_to_nobody_else() {
    let community = Community::create();
    community.peer("ci", &["--role", "publisher"]);
    for peer in ["press-1", "press-2", "press-3"] {
        community.peer(peer, &["--role", "target"]);
    }
    let world = &community.world;
    let list = ["--to", "press-1", "--to", "press-3"];
    let package =
        community.package("1", &format!("echo ran >> {}", community.ran_file().display()));
    let dry = [&["package", "send", &package, "--dry-run"], &list[..]].concat();
    let told = world.lines("ci", &dry, 0);
    let peers: Vec<&Value> =
        told.iter().filter(|line| line["event"] == "target").map(|line| &line["peer"]).collect();
    assert_eq!(peers, ["press-1", "press-3"], "{told:?}");
    let sent = community.send(&package, &list);
    assert_eq!(sent["targets"], serde_json::json!(["press-1", "press-3"]));
    // To one, then to all: each gets what is for it.
    community.send(&package, &["--to", "press-2"]);
    let last = format!("echo last >> {}", community.ran_file().display());
    community.send(&community.package("2", &last), &[]);
    let _targets = ["press-1", "press-2", "press-3"].map(|peer| serve(world, peer));
    until("all was carried out", || community.ran() == 6);
    let ran = fs::read_to_string(community.ran_file()).expect("read");
    assert_eq!(ran.matches("last").count(), 3, "{ran}");
    for (number, targets) in [(1, 2), (2, 1), (3, 3)] {
        let shown = lines(&world.run("ci", &["package", "show", &number.to_string()]));
        let addressed = shown.iter().filter(|line| line["event"] == "addressed").count();
        assert_eq!(addressed, targets, "release {number}: {shown:?}");
    }
}

#[test]
fn a_target_that_was_off_carries_packages_out_in_the_order_in_which_they_were_sent() {
    let community = Community::create();
    community.peer("ci", &["--role", "publisher"]);
    community.peer("press-1", &["--role", "target"]);
    let sent = ["1", "2", "3", "4", "5"];
    for version in sent {
        let line = format!("echo {version} >> {}", community.ran_file().display());
        community.send(&community.package(version, &line), &[]);
    }
    let _target = serve(&community.world, "press-1");
    until("all were carried out", || community.ran() == sent.len());
    let ran = fs::read_to_string(community.ran_file()).expect("read");
    assert_eq!(ran.lines().collect::<Vec<_>>(), sent);
}

#[test]
fn a_revoked_target_receives_nothing_more() {
    let community = Community::create();
    community.peer("ci", &["--role", "publisher"]);
    community.peer("press-1", &["--role", "target"]);
    community.peer("press-2", &["--role", "target"]);
    let world = &community.world;
    world.tells("boss", &["community", "revoke", "press-2"], &["revoked"]);
    let line = format!("echo ran >> {}", community.ran_file().display());
    let package = community.package("1", &line);
    let sent = community.send(&package, &[]);
    assert_eq!(sent["targets"], serde_json::json!(["press-1"]));
    let refused = world.fails("ci", &["package", "send", &package, "--to", "press-2"], 4);
    assert!(refused["message"].as_str().is_some_and(|it| it.contains("press-2")), "{refused}");
    // It is no peer any more, and the hub tells it nothing.
    world.fails("press-2", &["community", "status"], 3);
}

#[test]
fn a_second_manager_goes_on_when_the_first_is_gone() {
    let community = Community::create();
    community.peer("ci", &["--role", "publisher"]);
    let world = &community.world;
    world.register("deputy", &[]);
    let key = |node: &str| world.ok(node, &["id"])["key"].as_str().expect("a text").to_owned();
    let seed = world.text("seed");
    world.fails("deputy", &["community", "open", &seed], 5);
    let add = ["community", "manager", "add", &key("deputy")];
    let managers = world.tells("boss", &add, &["managers"]);
    assert_eq!(managers["managers"].as_array().map(Vec::len), Some(2), "{managers}");
    world.tells("deputy", &["community", "open", &seed], &["opened"]);
    // It takes the first one out, who can change nothing from then on.
    world.fails("deputy", &["community", "manager", "remove", &key("deputy")], 5);
    let remove = ["community", "manager", "remove", &key("boss")];
    world.tells("deputy", &remove, &["managers"]);
    world.fails("boss", &["community", "revoke", "ci"], 5);
    let _deputy = serve(world, "deputy");
    let secret = world.text("late.secret");
    let add = ["community", "peer", "add", "late", "--role", "target", "--secret-file", &secret];
    world.tells("deputy", &add, &["defined"]);
    // The seed is that of the first charter: it leads to the newest one.
    let join = ["join", &seed, "--as", "late", "--secret-file", &secret];
    world.tells("late", &join, &["joined"]);
    world.tells("ci", &["community", "status"], &["community"]);
}

#[test]
fn a_machine_without_the_right_secret_does_not_join() {
    let community = Community::create();
    let world = &community.world;
    let (seed, secret) = (world.text("seed"), world.text("a.secret"));
    for name in ["a", "b"] {
        let file = world.text(&format!("{name}.secret"));
        let add = ["community", "peer", "add", name, "--role", "target", "--secret-file", &file];
        world.tells("boss", &add, &["defined"]);
    }
    // The secret of another peer, then the right one, then that one once more.
    let other = world.text("b.secret");
    world.fails("eve", &["join", &seed, "--as", "a", "--secret-file", &other], 4);
    world.tells("a", &["join", &seed, "--as", "a", "--secret-file", &secret], &["joined"]);
    world.fails("eve", &["join", &seed, "--as", "a", "--secret-file", &secret], 4);
    let again = ["join", &seed, "--as", "a", "--secret-file", &secret];
    assert_eq!(world.tells("a", &again, &["joined"])["again"], true);
}

#[test]
fn what_is_said_of_a_peer_can_be_changed_and_a_roster_stays_readable() {
    let community = Community::create();
    community.peer("press-1", &["--role", "target", "--description", "Press 1"]);
    let world = &community.world;
    let said = || {
        let listed = lines(&world.run("boss", &["community", "list"]));
        let peer = listed.into_iter().find(|line| line["event"] == "peer").expect("has joined");
        (peer["description"].clone(), peer["host"].clone())
    };
    assert_eq!(said(), ("Press 1".into(), Value::Null));
    let describe = |more: &[&str]| {
        let args = [&["community", "describe", "press-1"], more].concat();
        world.tells("boss", &args, &["changed"]);
    };
    describe(&["--host", "press-1.example", "--description", "Press 1, hall 2"]);
    assert_eq!(said(), ("Press 1, hall 2".into(), "press-1.example".into()));
    describe(&["--forget", "host"]);
    assert_eq!(said(), ("Press 1, hall 2".into(), Value::Null));
    let shown = world.node("boss").plain(&["community", "list"]).output().expect("runs");
    assert!(String::from_utf8_lossy(&shown.stdout).contains("Press 1, hall 2"), "{shown:?}");

    // Neither a text that no membership can have nor more labels than it can have.
    let long = "x".repeat(257);
    for text in ["", "two\nlines", &long] {
        let refused =
            world.run("boss", &["community", "describe", "press-1", "--description", text]);
        assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    }
    let labels: Vec<String> = (0..=LABELS_MAX).map(|number| format!("k{number}")).collect();
    let mut args = vec!["community", "label", "press-1"];
    args.extend(labels.iter().map(String::as_str));
    let refused = world.fails("boss", &args, 1);
    let message = refused["message"].as_str().expect("a text");
    assert!(message.contains("no peer can be as press-1 would be then"), "{refused}");
    assert_eq!(said(), ("Press 1, hall 2".into(), Value::Null));
    describe(&["--host", "it goes on"]);
}
