//! Who is silent in the middle of a delivery is named by the other side, with what comes next.

use std::fs;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use testkit::noise;
use testkit::parts::{require, skip_on_this_machine};

use crate::apart::Lan;
use crate::delivery::{Sender, hold, segments_kept};
use crate::people::{PASSWORD, Sending, acquainted};
use crate::process::{Process, lines, start_hub, until};
use crate::users::is_root;
use crate::world::World;

const FILM_MIB: usize = 60;

/// Waits until this was said in a file of the world's.
fn told(world: &World, file: &str, what: &str) {
    until(what, || {
        let said = fs::read_to_string(world.path(file)).expect("there");
        let mut lines = said.lines().filter(|line| line.contains(what));
        lines.any(|line| line.contains("it goes on by itself"))
    });
}

#[test]
fn a_sender_is_told_of_a_recipient_that_takes_nothing_and_of_one_that_left() {
    let world = acquainted();
    let film = noise(21, FILM_MIB << 20);
    fs::write(world.path("film"), &film).expect("written");
    let to = world.text("in");
    fs::create_dir(&to).expect("made");
    let sending = Sending::start(&world, "anna", &[&world.text("film"), "--to", "ben"]);
    let id = sending.id();
    let mut accept = world.command("ben", &["accept", &id, "--to", &to]);
    let accepting = Process::start(accept.stdout(Stdio::null()).stderr(Stdio::null()));
    // It stands still, with its connection open.
    hold(&world, "ben", &accepting, 5);
    told(&world, "progress", "the recipient, who is connected and takes nothing");
    drop(accepting);
    told(&world, "progress", "the recipient, who is away");
    assert!(segments_kept(&world, "ben") < FILM_MIB as u64, "in the middle");
    world.ok("ben", &["accept", &id, "--to", &to]);
    assert_eq!(sending.last()["event"], "delivered");
    assert!(fs::read(world.path("in/film")).expect("there") == film);
}

#[test]
fn a_recipient_is_told_of_a_sender_that_sends_nothing_of_one_that_left_and_of_the_hub() {
    let mut world = World::new();
    world.join("anna", &[]);
    let film = noise(22, FILM_MIB << 20);
    fs::write(world.path("film"), &film).expect("written");
    let to = world.text("in");
    fs::create_dir(&to).expect("made");
    let sender = Sender::start(&world, "anna", &[&world.text("film")]);
    let mut receive = world.command("ben", &["receive", "--yes", "--to", &to]);
    receive.stdin(fs::File::open(&sender.ticket).expect("there")).stdout(Stdio::null());
    receive.stderr(fs::File::create(world.path("said")).expect("made"));
    let mut recipient = Process::start(&mut receive);
    hold(&world, "ben", &recipient, 5);
    sender.process.signal(Signal::STOP);
    recipient.signal(Signal::CONT);
    told(&world, "said", "the sender, who was there half a minute ago at most and sends nothing");
    assert!(segments_kept(&world, "ben") < FILM_MIB as u64, "in the middle");
    drop(sender.process);
    world.hub.kill();
    told(&world, "said", "the hub, which does not answer");
    world.hub = start_hub(&world.path("hub"), &["--listen", world.address()]).0;
    told(&world, "said", "the sender, who is away");
    let id = world.ok("anna", &["deliveries"])["id"].as_str().expect("a text").to_owned();
    assert_eq!(world.ok("anna", &["send", "--resume", &id])["event"], "delivered");
    assert!(recipient.0.wait().expect("it ends").success());
    assert!(fs::read(world.path("in/film")).expect("there") == film);
}

/// What a sender hears of Ben before anything is sent.
fn answer(mut asking: Command) -> String {
    let lines = lines(&asking.output().expect("consign runs"));
    let told = lines.iter().find(|line| line["event"] == "recipient");
    told.and_then(|line| line["answer"].as_str()).unwrap_or_default().to_owned()
}

#[test]
fn a_person_whose_cable_was_pulled_is_offline_after_three_missed_heart_beats() {
    if require("ip").is_none() {
        return;
    }
    if !is_root() {
        return skip_on_this_machine("machines in namespaces", "making them needs root");
    }
    let lan = Lan::new(&["hub", "anna", "ben"]);
    let (_hub, _) = lan.hub("hub", "hub-data");
    fs::write(lan.path("password"), PASSWORD).expect("written");
    for who in ["anna", "ben"] {
        let invitation = crate::process::invite(&lan.path("hub-data"), &[]);
        lan.ok(who, &["register", &invitation]);
        let create = ["account", "create", who, "--first-name", who, "--device", "desk"];
        let mut create = lan.command(who, &create);
        let password = fs::File::open(lan.path("password")).expect("there");
        assert!(create.stdin(password).output().expect("runs").status.success(), "{who}");
    }
    lan.ok("ben", &["book", "add", "anna"]);
    let (node, _) = Process::start_ready(&mut lan.command("ben", &["node"]));
    let missing = lan.text("missing");
    let ask = || lan.command("anna", &["send", &missing, "--to", "ben"]);
    until("ben is online", || answer(ask()) == "ready");
    // Neither end is told of it.
    lan.cut("ben");
    until("ben is seen to be away", || answer(ask()) == "offline");
    lan.mend("ben");
    until("ben is online again", || answer(ask()) == "ready");
    drop(node);
}

#[test]
fn who_is_online_is_known_again_after_the_hub_was_killed() {
    let mut world = acquainted();
    let (mut node, _) = Process::start_ready(&mut world.command("ben", &["node"]));
    let missing = world.text("missing");
    let answered =
        |world: &World| answer(world.command("anna", &["send", &missing, "--to", "ben"]));
    until("ben is online", || answered(&world) == "ready");
    world.hub.kill();
    world.hub = start_hub(&world.path("hub"), &["--listen", world.address()]).0;
    // Nobody does anything for it.
    until("ben is online again", || answered(&world) == "ready");
    assert!(node.0.try_wait().expect("asked").is_none(), "the node ran all the time");
    assert!(node.stop());
    until("ben is gone", || answered(&world) == "offline");
}
