//! Sending without an account, where the hub lets people.

use std::fs;
use std::process::Stdio;

use serde_json::Value;

use crate::process::{Process, free_port, lines, start_hub, until};
use crate::world::World;

/// The hub's address as somebody writes it who was never there.
fn address(world: &World) -> String {
    format!("{}#{}", world.url, world.hello["fingerprint"].as_str().expect("a text"))
}

fn plan(world: &World) -> String {
    fs::write(world.path("plan.txt"), "Ground floor").expect("written");
    world.text("plan.txt")
}

/// Sends in the background what these arguments say; the file with its facts.
fn send(world: &World, name: &str, args: &[&str]) -> (Process, std::path::PathBuf) {
    let facts = world.path(name);
    let mut command = world.command("anna", &[&["send"], args].concat());
    command.stdout(fs::File::create(&facts).expect("made")).stderr(Stdio::null());
    (Process::start(&mut command), facts)
}

fn delivered(facts: &std::path::Path) -> bool {
    let text = fs::read_to_string(facts).expect("there");
    text.lines().any(|line| {
        let line: Value = serde_json::from_str(line).expect("JSON");
        line["event"] == "delivered"
    })
}

#[test]
fn two_people_without_accounts_deliver_by_a_code_also_after_the_sender_was_killed() {
    let world = World::with(&["--guests", "64MB"]);
    let (plan, hub, code, to) =
        (plan(&world), address(&world), world.text("code"), world.text("in"));
    fs::create_dir(&to).expect("made");
    let (mut killed, _) = send(&world, "first", &[&plan, "--hub", &hub, "--code-file", &code]);
    until("a code", || world.path("code").exists());
    killed.kill();
    let sent = world.lines("anna", &["deliveries"], 0);
    let id = sent[0]["id"].as_str().expect("a text").to_owned();
    fs::remove_file(&code).expect("removed");
    // It is known by the delivery alone where it goes, and how the hub is recognised.
    let (mut sender, facts) = send(&world, "second", &["--resume", &id[..8], "--code-file", &code]);
    until("another code", || world.path("code").exists());
    let shown = fs::read_to_string(&code).expect("there");
    let receive = ["receive", shown.trim(), "--hub", &world.url, "--yes", "--to", &to];
    assert_eq!(world.ok("ben", &receive)["event"], "received");
    assert_eq!(fs::read(world.path("in/plan.txt")).expect("there"), b"Ground floor");
    assert!(sender.0.wait().expect("ends").success());
    assert!(delivered(&facts));
    assert_eq!(world.lines("anna", &["receipts"], 0).len(), 1, "the sender keeps a receipt");
    assert!(!world.path("anna/hubs.json").exists(), "it is registered nowhere");
}

#[test]
fn a_guest_hands_a_link_over_and_takes_it_back() {
    let world = World::with(&["--guests", "64MB"]);
    let (plan, hub, link) = (plan(&world), address(&world), world.text("link"));
    let (mut sender, _) =
        send(&world, "sent", &[&plan, "--hub", &hub, "--link", "--ticket-file", &link]);
    until("a link", || world.path("link").exists());
    let sent = world.lines("anna", &["deliveries"], 0);
    let id = sent[0]["id"].as_str().expect("a text").to_owned();
    until("the hub knows it", || {
        let ended = world.run("anna", &["terminate", &id[..8], "--reason", "the wrong one"]);
        ended.status.success()
    });
    assert_eq!(sender.0.wait().expect("ends").code(), Some(6));
    let link = fs::read_to_string(&link).expect("there");
    let late = world.run("ben", &["receive", link.trim(), "--yes", "--to", &world.text("in")]);
    assert!(!late.status.success());
}

#[test]
fn what_a_guest_may_not_is_said_with_what_to_do() {
    let world = World::with(&["--guests", "1MB"]);
    let (plan, hub) = (plan(&world), address(&world));
    let message = |args: &[&str], code: i32| {
        let output = world.run("anna", &[&["send"], args].concat());
        assert_eq!(output.status.code(), Some(code), "{args:?}: {output:?}");
        let last = lines(&output).pop().expect("says something");
        format!(
            "{} {}",
            last["message"].as_str().unwrap_or(""),
            last["hint"].as_str().unwrap_or("")
        )
    };
    let large = world.path("large");
    fs::File::create(&large).and_then(|file| file.set_len(3_000_000)).expect("made");
    let told = message(&[large.to_str().expect("UTF-8"), "--hub", &hub, "--ticket"], 5);
    assert!(told.contains("your network may send 1000000 bytes in a day"), "{told}");
    for (args, code) in [
        (&[&*plan, "--hub", &hub, "--to", "ben"][..], 1),
        (&[&*plan, "--hub", &hub, "--locker", "--ticket"], 1),
        (&[&*plan, "--ticket"], 1),
    ] {
        let told = message(args, code);
        assert!(told.contains("consign register"), "{args:?}: {told}");
    }
    // Without the fingerprint nothing says that it is this hub.
    let told = message(&[&plan, "--hub", &world.url, "--ticket"], 7);
    assert!(told.contains("URL#FINGERPRINT"), "{told}");

    // A hub that has no guests says so, and so does one that has none any more.
    let closed = world.path("closed");
    let port = free_port().to_string();
    let (_hub, hello) = start_hub(&closed, &["--listen", &format!("127.0.0.1:{port}")]);
    let url = hello["url"].as_str().expect("a text");
    let address = format!("{url}#{}", hello["fingerprint"].as_str().expect("a text"));
    let told = message(&[&plan, "--hub", &address, "--ticket"], 5);
    assert!(told.contains("consign register"), "{told}");
}
