//! A hub whose database is put back from an old backup, and the publisher of a community.

use std::fs;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::community::{Community, serve};
use crate::process::{lines, start_hub, until};

/// What a hub keeps its database in.
const DATABASE: [&str; 3] = ["hub.sqlite", "hub.sqlite-wal", "hub.sqlite-shm"];

/// Both machines of the plant, by the labels that tell them apart.
const BOTH: [&str; 2] = ["press-1", "press-2"];

fn plant() -> Community {
    let community = Community::create();
    community.peer("ci", &["--role", "publisher"]);
    community.peer("press-1", &["--role", "target", "--label", "id=1"]);
    community.peer("press-2", &["--role", "target", "--label", "id=2"]);
    community
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(copied.expect("cp runs").success());
}

impl Community {
    /// Writes a package, in a folder of its own, that leaves a word on each machine it runs on.
    fn word(&self, word: &str) -> String {
        let folder = self.world.path(word);
        fs::create_dir_all(&folder).expect("made");
        fs::write(folder.join("page"), format!("a page about {word}")).expect("written");
        let mut text = format!("[package]\nname = \"{word}\"\nversion = \"1\"\n");
        for id in [1, 2] {
            let (ran, placed) =
                (self.said_file(id), self.world.path(&format!("placed-{word}-{id}")));
            text += &format!(
                "\n[[step]]\nlabels = \"id={id}\"\nfiles = \"page\"\ntarget = \"{}\"\n\
                 \n[[step]]\nlabels = \"id={id}\"\nwrites = [\"/\"]\nscript = '''\n#!/bin/sh\necho {word} >> {}\n'''\n",
                placed.display(),
                ran.display(),
            );
        }
        fs::write(folder.join("consign-package.toml"), text).expect("written");
        self.world.text(word)
    }

    fn said_file(&self, id: u8) -> std::path::PathBuf {
        self.world.path(&format!("said-{id}"))
    }

    /// What ran on a machine, in order.
    fn said(&self, id: u8) -> Vec<String> {
        let text = fs::read_to_string(self.said_file(id)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn says(&self, word: &str) -> Value {
        let package = self.word(word);
        self.send(&package, &[])
    }

    /// A field of a release in the ledger.
    fn listed(&self, sequence: u64, field: &str) -> u64 {
        let listed = lines(&self.world.run("ci", &["package", "list"]));
        let line = listed.iter().find(|line| line["sequence"] == sequence);
        line.and_then(|line| line[field].as_u64())
            .unwrap_or_else(|| panic!("{field} in {listed:?}"))
    }

    /// How a release stands with a target.
    fn state(&self, sequence: u64, peer: &str) -> Value {
        let shown = lines(&self.world.run("ci", &["package", "show", &sequence.to_string()]));
        let line = shown.into_iter().find(|line| line["peer"] == peer);
        line.unwrap_or_else(|| panic!("{peer} is a target of {sequence}"))
    }

    /// A machine is on until it has said these words and the hub has its answers.
    fn works(&self, peer: &str, id: u8, words: &[&str]) {
        let node = serve(&self.world, peer);
        until("it was carried out", || self.said(id) == words);
        until("it was answered", || {
            let status = lines(&self.world.run(peer, &["status"]));
            let line = status.into_iter().find(|line| line["event"] == "community");
            line.is_some_and(|line| {
                let last = format!("{} 1", words.last().expect("a word"));
                line["state"] == "listening"
                    && line["last"].as_str().is_some_and(|it| it.contains(&last))
            })
        });
        node.end(Signal::TERM);
    }

    fn collects(&self, answers: &[(u64, u64)]) {
        let ci = serve(&self.world, "ci");
        for (sequence, passed) in answers {
            until("the receipts came", || self.listed(*sequence, "passed") == *passed);
        }
        ci.end(Signal::TERM);
    }

    /// Does something to the hub's data while it is stopped, and starts it where it was.
    fn while_stopped(&mut self, work: impl FnOnce(&Path, &Path)) {
        let (data, backup) = (self.world.path("hub"), self.world.path("backup"));
        let listen = self.world.address().to_owned();
        assert!(self.world.hub.stop());
        work(&data, &backup);
        let (hub, hello) = start_hub(&data, &["--listen", &listen]);
        assert_eq!(hello["url"].as_str(), Some(&*self.world.url));
        self.world.hub = hub;
    }

    fn back_up(&mut self) {
        self.while_stopped(copy);
    }

    /// All of it: database, chunks, keys.
    fn restore(&mut self) {
        self.while_stopped(|data, backup| {
            fs::remove_dir_all(data).expect("removed");
            copy(backup, data);
        });
    }

    /// What `package send` tells.
    fn told_by_sending(&self, word: &str) -> Vec<Value> {
        let package = self.word(word);
        let output = self.world.run("ci", &["package", "send", &package]);
        assert!(output.status.success(), "{output:?}");
        lines(&output)
    }
}

fn events(lines: &[Value]) -> Vec<(&str, u64)> {
    let event = |line: &Value| line["sequence"].as_u64();
    lines
        .iter()
        .map(|line| (line["event"].as_str().expect("a text"), event(line).unwrap_or(0)))
        .collect()
}

#[test]
fn a_restored_hub_is_given_back_what_it_forgot_and_nothing_runs_twice_or_is_missed() {
    let mut community = plant();
    community.says("one");
    community.works("press-1", 1, &["one"]);
    community.works("press-2", 2, &["one"]);
    community.back_up();
    // The publisher has these receipts, and the restored hub will have them again.
    community.collects(&[(1, 2)]);
    let receipts = |community: &Community| {
        let told = community.world.run("ci", &["package", "receipts", "1"]);
        String::from_utf8(told.stdout).expect("UTF-8")
    };
    let before = receipts(&community);

    community.says("two");
    community.works("press-1", 1, &["one", "two"]);
    community.says("three");
    community.works("press-2", 2, &["one", "two", "three"]);
    community.restore();

    let told = community.told_by_sending("four");
    let expected = [("given_back", 2), ("given_back", 3), ("sent", 4)];
    assert_eq!(events(&told), expected, "{told:?}");
    assert_eq!((&told[0]["package"], &told[0]["targets"]), (&json!("two 1"), &json!(2)));
    let all = ["one", "two", "three", "four"];
    let _targets = BOTH.map(|peer| serve(&community.world, peer));
    until("the first machine has what it missed", || community.said(1) == all);
    until("the second one goes on", || community.said(2) == all);
    community.collects(&[(1, 2), (2, 2), (3, 2), (4, 2)]);
    // In order, once each, and what was answered twice counts once.
    assert_eq!(
        (community.said(1), community.said(2)),
        (all.map(Into::into).into(), all.map(Into::into).into())
    );
    assert_eq!(receipts(&community), before);
    for sequence in 1..=4 {
        assert_eq!(
            (community.listed(sequence, "pending"), community.listed(sequence, "lost")),
            (0, 0)
        );
    }
    // The history goes on as ever.
    let told = community.told_by_sending("five");
    assert_eq!(events(&told), [("sent", 5)]);
    until("both have it", || community.said(1).len() == 5 && community.said(2).len() == 5);
}

#[test]
fn what_cannot_be_given_back_is_named_and_the_rest_goes_on() {
    let mut community = plant();
    community.says("one");
    community.works("press-1", 1, &["one"]);
    community.back_up();
    community.says("two");
    community.works("press-1", 1, &["one", "two"]);
    community.collects(&[(1, 1), (2, 1)]);
    community.says("three");
    // Its sources are not what they were.
    fs::write(community.world.path("two/page"), "another page").expect("written");
    community.restore();

    let told = community.told_by_sending("four");
    let expected = [("lost", 2), ("given_back", 3), ("sent", 4)];
    assert_eq!(events(&told), expected, "{told:?}");
    assert_eq!(told[0]["targets"], json!(["press-2"]), "{told:?}");
    let lost = community.state(2, "press-2");
    assert_eq!(lost["state"], "lost", "{lost}");
    let reason = lost["reason"].as_str().expect("a reason");
    assert!(reason.contains("two have changed") && lost["lost"].is_u64(), "{lost}");
    assert_eq!(community.state(2, "press-1")["state"], "answered");
    assert_eq!((community.listed(2, "lost"), community.listed(2, "pending")), (1, 0));
    let args = ["package", "show", "2"];
    let shown = community.world.node("ci").plain(&args).output().expect("runs");
    let shown = String::from_utf8(shown.stdout).expect("UTF-8");
    assert!(shown.contains("lost since") && shown.contains("send the package again"), "{shown}");

    // The machine that misses it gets what comes after it, and it again when it is sent again.
    let _targets = BOTH.map(|peer| serve(&community.world, peer));
    until("the second machine goes on without it", || {
        community.said(2) == ["one", "three", "four"]
    });
    until("the first one goes on", || community.said(1) == ["one", "two", "three", "four"]);
    let package = community.word("two");
    community.send(&package, &["--to", "press-2"]);
    until("it has it", || community.said(2) == ["one", "three", "four", "two"]);
    assert_eq!(community.said(1).len(), 4);
}

#[test]
fn a_node_gives_back_what_only_the_database_forgot() {
    let mut community = plant();
    community.says("one");
    community.back_up();
    community.says("two");
    // The packs have the chunks; that they are the publisher's to use nobody knows any more.
    community.while_stopped(|data, backup| {
        for name in DATABASE {
            let _ = fs::remove_file(data.join(name));
            if backup.join(name).exists() {
                copy(&backup.join(name), &data.join(name));
            }
        }
    });
    let _targets = BOTH.map(|peer| serve(&community.world, peer));
    until("they have what the hub remembers", || {
        community.said(1) == ["one"] && community.said(2) == ["one"]
    });
    let ci = serve(&community.world, "ci");
    until("they have what it forgot", || {
        community.said(1) == ["one", "two"] && community.said(2) == ["one", "two"]
    });
    until("they answered", || community.listed(2, "passed") == 2);
    ci.end(Signal::TERM);
    let status = community.told_by_sending("three");
    assert_eq!(events(&status), [("sent", 3)]);
}

#[test]
fn a_roll_out_goes_on_where_it_was_at_a_hub_that_was_restored() {
    let mut community = plant();
    community.back_up();
    let package = community.word("one");
    let staged = ["--canary", "1", "--canary-labels", "id=1", "--wave", "100%"];
    let send = [&["package", "send", &package], &staged[..]].concat();
    community.world.tells("ci", &send, &["sent", "rollout"]);
    // The hub has the canary's answer, which nobody fetched, and forgets all of it.
    community.works("press-1", 1, &["one"]);
    assert_eq!(community.rollout(1)["wave"], 1);
    community.restore();

    let ci = serve(&community.world, "ci");
    let canary = serve(&community.world, "press-1");
    // Its turn has not come by the restore, but by the answer.
    until("the canary's answer came", || community.listed(1, "passed") >= 1);
    let rest = serve(&community.world, "press-2");
    until("the roll-out is over", || community.rollout(1)["state"] == "finished");
    for id in [1, 2] {
        assert_eq!(community.said(id), ["one"], "press-{id} ran it once");
    }
    assert_eq!(community.listed(1, "passed"), 2);
    for node in [ci, canary, rest] {
        node.end(Signal::TERM);
    }
}
