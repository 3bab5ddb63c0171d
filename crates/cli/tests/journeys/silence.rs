//! Who is silent in the middle of a delivery is named by the other side, with what comes next.

use std::fs;
use std::process::Stdio;

use rustix::process::Signal;
use testkit::noise;

use crate::delivery::{Sender, hold, segments_kept};
use crate::people::{Sending, acquainted};
use crate::process::{Process, start_hub, until};
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
