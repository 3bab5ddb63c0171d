//! Deliveries that one side ends, however they were handed over: nothing of them stays.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use rustix::process::Signal;
use testkit::noise;

use crate::delivery::{Sender, hold, received, receiving};
use crate::locker::{ALLOWED, segment_files};
use crate::people::{Sending, acquainted};
use crate::process::Process;
use crate::world::World;

/// What is left of deliveries where Ben receives, and in his state.
fn left(world: &World) -> Vec<String> {
    let names = |path: &str| {
        let Ok(found) = fs::read_dir(world.path(path)) else { return Vec::new() };
        found.map(|it| it.expect("listed").file_name().into_string().expect("text")).collect()
    };
    [names("in"), names("ben/deliveries/in")].concat()
}

/// Ben receives a delivery, and is stopped in the middle of it.
fn in_the_middle(world: &World, id: &str) -> Process {
    let to = world.text("in");
    let mut accepting = world.command("ben", &["accept", id, "--to", &to]);
    let process = Process::start(accepting.stdout(Stdio::null()).stderr(Stdio::null()));
    hold(world, "ben", &process, 3);
    assert_eq!(left(world), [&format!(".consign-delivery-{id}"), id], "half of it is here");
    process
}

/// Anna sends so much that Ben can be stopped in the middle.
fn sending(world: &World, subject: &str) -> Sending {
    let film = world.text("film");
    if !world.path("film").exists() {
        fs::write(&film, noise(5, 40 << 20)).expect("written");
        fs::create_dir(world.path("in")).expect("made");
    }
    // Each gets a file of facts of its own.
    let mut args = vec![&*film, "--to", "ben"];
    if !subject.is_empty() {
        args.extend(["--subject", subject]);
    }
    Sending::start(world, "anna", &args)
}

#[test]
fn what_its_sender_takes_back_in_the_middle_leaves_nothing() {
    let world = acquainted();
    let sent = sending(&world, "");
    let id = sent.id();
    let mut process = in_the_middle(&world, &id);
    world.ok("anna", &["terminate", &id, "--reason", "the wrong film"]);
    process.signal(Signal::CONT);
    let first = process.0.wait().expect("it ends");
    assert_eq!(first.code(), Some(6), "it was ended");
    assert_eq!(left(&world), [""; 0]);
    assert_eq!(world.run("ben", &["accept", &id]).status.code(), Some(6), "and still is");
    assert_eq!(left(&world), [""; 0]);
    assert_eq!(sent.last()["exit_code"], 6);
}

#[test]
fn what_a_killed_recipient_left_goes_when_the_end_is_met() {
    let world = acquainted();
    // Somebody put something where the delivery grows: it is not ours to remove.
    let sent = sending(&world, "");
    let id = sent.id();
    in_the_middle(&world, &id).kill();
    let note = world.path("in").join(format!(".consign-delivery-{id}/items/note"));
    fs::write(&note, "mine").expect("written");
    world.ok("anna", &["terminate", &id]);
    assert_eq!(left(&world).len(), 2, "nobody has met it yet");
    world.lines("ben", &["inbox"], 0);
    assert_eq!(fs::read(&note).expect("there"), b"mine");
    assert_eq!(left(&world).len(), 2, "and what is left is remembered");
    fs::remove_file(&note).expect("removed");
    world.lines("ben", &["inbox"], 0);
    assert_eq!(left(&world), [""; 0]);
    drop(sent);

    // Whoever was killed does not want it any more, and says so by its id.
    let sent = sending(&world, "again");
    let id = sent.id();
    in_the_middle(&world, &id).kill();
    world.ok("ben", &["refuse", &id[..8], "--reason", "not now"]);
    assert_eq!(left(&world), [""; 0]);
    assert_eq!(sent.last()["exit_code"], 6);
}

#[test]
fn a_delivery_is_received_by_one_process_at_a_time() {
    let world = acquainted();
    let sent = sending(&world, "");
    let id = sent.id();
    let mut process = in_the_middle(&world, &id);
    let second = world.fails("ben", &["accept", &id], 8);
    assert!(second["message"].as_str().expect("text").contains("another process"), "{second}");
    // One that ends it leaves what is there to the other one.
    world.ok("ben", &["refuse", &id, "--reason", "not now"]);
    assert_eq!(left(&world).len(), 2);
    process.signal(Signal::CONT);
    assert_eq!(process.0.wait().expect("it ends").code(), Some(6));
    assert_eq!(left(&world), [""; 0]);
    drop(sent);
}

#[test]
fn what_went_by_a_link_or_a_ticket_is_taken_back_by_its_id() {
    let world = World::with(&ALLOWED);
    world.join("anna", &[]);
    fs::write(world.path("notes"), "notes").expect("written");
    let (notes, link) = (world.text("notes"), world.text("link"));
    let kept = world.ok("anna", &["send", &notes, "--link", "--ticket-file", &link, "--locker"]);
    let kept = kept["id"].as_str().expect("an id").to_owned();
    let sender = Sender::start(&world, "anna", &[&notes]);
    let listed = world.lines("anna", &["deliveries"], 0);
    let ids = |state: &str| {
        let of = listed.iter().filter(|line| line["state"] == state);
        of.map(|line| line["id"].as_str().expect("an id").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids("in-locker"), [&*kept]);
    let live = ids("unfinished").remove(0);
    assert_eq!(segment_files(&world).len(), 1);

    // What is not one delivery ends none.
    world.fails("anna", &["send", "--resume", ""], 4);
    world.fails("anna", &["terminate", &kept[..8], "nothing"], 4);
    assert_eq!(segment_files(&world).len(), 1);
    let reason = ["--reason", "the wrong notes"];
    let ended =
        world.lines("anna", &[&["terminate", &kept[..8], &live[..8]], &reason[..]].concat(), 0);
    let said: Vec<_> = ended.iter().map(|line| (&line["event"], &line["id"])).collect();
    assert_eq!(
        said,
        [(&"ended".into(), &kept.clone().into()), (&"ended".into(), &live.clone().into())]
    );
    assert!(segment_files(&world).is_empty(), "the hub keeps it no more");
    let ticket = fs::read_to_string(&sender.ticket).expect("there");
    assert_eq!(sender.last()["exit_code"], 6);
    for line in world.lines("anna", &["deliveries"], 0) {
        assert_eq!(
            (&line["state"], &line["ended"]),
            (&"ended".into(), &"the sender: the wrong notes".into())
        );
    }
    // Whoever has the link learns why, and nothing is left of it.
    for handed in [fs::read_to_string(&link).expect("there"), ticket] {
        let late = world.fails("ben", &["receive", "--yes", handed.trim()], 6);
        let causes = late.to_string();
        assert!(causes.contains("the wrong notes"), "{late}");
    }
    assert_eq!(left(&world), [""; 0]);
    world.fails("anna", &["terminate", &kept], 4);
    world.fails("anna", &["send", "--resume", &live], 4);
}

#[test]
fn what_arrived_is_not_taken_back_before_its_receipt_is_taken() {
    let world = World::with(&ALLOWED);
    world.join("anna", &[]);
    fs::write(world.path("notes"), "notes").expect("written");
    fs::create_dir(world.path("in")).expect("made");
    let (notes, link) = (world.text("notes"), world.text("link"));
    world.ok("anna", &["send", &notes, "--link", "--ticket-file", &link, "--locker"]);
    let id = world.ok("anna", &["deliveries"])["id"].as_str().expect("an id").to_owned();
    received(receiving(&world, "ben", Path::new(&link), &world.text("in")));
    let late = world.fails("anna", &["terminate", &id], 6);
    assert!(late["hint"].as_str().expect("advice").contains(&format!("--resume {id}")), "{late}");
    assert_eq!(world.ok("anna", &["send", "--resume", &id[..8]])["event"], "delivered");
    assert_eq!(world.ok("anna", &["deliveries"])["state"], "received");
}
