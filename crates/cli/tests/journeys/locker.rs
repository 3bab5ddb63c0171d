//! Deliveries that wait in the hub's locker: whoever sends does not stay, whoever receives comes later.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use testkit::noise;

use crate::console::{Driver, finished};
use crate::delivery::{Sender, assert_nowhere, hold, received, receiving, segments_kept};
use crate::files::{assert_same, make_tree};
use crate::people::person;
use crate::process::{Process, count, start_hub, until};
use crate::world::World;

pub(crate) const ALLOWED: [&str; 4] =
    ["--locker-quota", "200MB", "--locker-account-quota", "100MB"];
const SEGMENT_BYTES: u64 = 1 << 20;

/// A world whose operator allows lockers, where Ben lets Anna send to him.
fn acquainted() -> World {
    let world = World::with(&ALLOWED);
    person(&world, "anna");
    person(&world, "ben");
    world.ok("ben", &["book", "add", "anna"]);
    world
}

fn boxed(world: &World, node: &str, which: &str) -> Value {
    let all = world.lines(node, &[which, "--all"], 0);
    all.into_iter().find(|line| line["event"] == "boxed-delivery").expect("a delivery")
}

/// The files of the segments that the hub keeps.
pub(crate) fn segment_files(world: &World) -> Vec<PathBuf> {
    let Ok(lockers) = fs::read_dir(world.path("hub/lockers")) else { return Vec::new() };
    let files = lockers.map(|locker| locker.expect("listed").path().join("segments"));
    files.filter(|path| path.exists()).collect()
}

fn bytes_kept(world: &World) -> u64 {
    segment_files(world).iter().map(|path| fs::metadata(path).map_or(0, |it| it.len())).sum()
}

#[test]
fn a_delivery_waits_in_the_locker_until_the_recipient_comes_and_its_receipt_for_the_sender() {
    let world = acquainted();
    fs::create_dir(world.path("in")).expect("made");
    let source = world.path("plans");
    make_tree(&source);
    fs::write(source.join("marker"), "the marker of this delivery".repeat(500)).expect("written");
    let sent = world.ok("anna", &["send", &world.text("plans"), "--to", "ben", "--locker"]);
    assert_eq!(sent["event"], "in-locker", "{sent}");
    let id = sent["id"].as_str().expect("a text").to_owned();
    // Nobody runs for Anna any more, and what the hub has it cannot read.
    assert_eq!(segment_files(&world).len(), 1);
    assert_nowhere(&world.path("hub"), b"the marker of this delivery");
    let (out, came) = (boxed(&world, "anna", "outbox"), boxed(&world, "ben", "inbox"));
    for shown in [&out, &came] {
        assert_eq!(shown["locker"]["kept"], shown["segments"], "{shown}");
        assert_eq!(shown["locker"]["until"], sent["until"], "{shown}");
    }
    assert_eq!(world.ok("anna", &["deliveries"])["state"], "in-locker");
    let waits = world.ok("anna", &["send", "--resume", &id]);
    assert_eq!(waits["event"], "in-locker", "nobody collected it yet: {waits}");

    let told = world.lines("ben", &["accept", &id, "--to", &world.text("in")], 0);
    let end = told.last().expect("a line");
    assert_eq!((&end["event"], &end["receipt_kept"]), (&"received".into(), &true.into()), "{end}");
    assert_same(&source, &world.path("in").join("plans"));
    assert!(segment_files(&world).is_empty(), "gone with the receipt");
    assert_eq!(boxed(&world, "anna", "outbox")["state"], "received");
    // Anna may have removed what she sent, and the receipt holds all the same.
    fs::remove_dir_all(&source).expect("removed");
    let taken = world.ok("anna", &["send", "--resume", &id]);
    assert_eq!((&taken["event"], &taken["digest"]), (&"delivered".into(), &end["digest"]));
    let receipt = world.ok("anna", &["receipts"]);
    assert_eq!(receipt["with"], "ben", "{receipt}");
    assert_eq!(fs::read_dir(world.path("hub/lockers")).expect("listed").count(), 0);
}

#[test]
fn a_hub_and_a_sender_that_are_killed_in_mid_upload_go_on_at_the_segment() {
    let mut world = World::with(&ALLOWED);
    world.join("anna", &[]);
    fs::create_dir(world.path("in")).expect("made");
    let large = noise(3, 40 << 20);
    fs::write(world.path("large"), &large).expect("written");
    let (ticket, file) = (world.text("ticket"), world.text("large"));
    let arguments = ["send", &file, "--locker", "--ticket-file", &ticket];
    let mut command = world.command("anna", &arguments);
    let facts = world.path("facts");
    command.stdout(fs::File::create(&facts).expect("made")).stderr(Stdio::null());
    let mut sender = Process::start(&mut command);
    // In slices, each too short for the rest of it.
    until("a part of it is kept", || {
        sender.signal(Signal::CONT);
        std::thread::sleep(Duration::from_millis(5));
        sender.signal(Signal::STOP);
        bytes_kept(&world) > 4 * SEGMENT_BYTES
    });
    world.hub.kill();
    sender.kill();
    let kept = bytes_kept(&world);
    assert!(kept < 40 * SEGMENT_BYTES, "killed in the middle");
    let listen = world.address().to_owned();
    let (hub, _) = start_hub(&world.path("hub"), &[&["--listen", &listen], &ALLOWED[..]].concat());
    world.hub = hub;
    let id = first_line(&facts)["id"].as_str().expect("a text").to_owned();
    let sent = world.ok("anna", &["send", "--resume", &id]);
    assert_eq!(sent["event"], "in-locker", "{sent}");

    // The recipient is killed as well, and fetches nothing twice.
    let mut killed = receiving(&world, "ben", Path::new(&ticket), &world.text("in"));
    hold(&world, "ben", &killed, 4);
    killed.kill();
    let here = segments_kept(&world, "ben");
    let told = received(receiving(&world, "ben", Path::new(&ticket), &world.text("in")));
    let end = told.last().expect("a line");
    assert_eq!(end["event"], "received", "{end}");
    assert!(count(end, "resumed_segments") >= here, "{end}");
    assert!(fs::read(world.path("in/large")).expect("there") == large);
    let taken = world.ok("anna", &["send", "--resume", &id]);
    assert_eq!(taken["event"], "delivered", "{taken}");
}

fn first_line(path: &Path) -> Value {
    let text = fs::read_to_string(path).expect("there");
    serde_json::from_str(text.lines().next().expect("a line")).expect("JSON")
}

#[test]
fn a_link_that_may_be_downloaded_once_gives_nothing_to_the_second() {
    let world = World::with(&ALLOWED);
    world.join("anna", &[]);
    fs::create_dir(world.path("in")).expect("made");
    fs::write(world.path("notes"), "notes for one").expect("written");
    let (link, file) = (world.text("link"), world.text("notes"));
    let sent = world.ok(
        "anna",
        &["send", &file, "--link", "--ticket-file", &link, "--locker", "--downloads", "1"],
    );
    assert_eq!((&sent["event"], &sent["downloads_max"]), (&"in-locker".into(), &1.into()));
    let told = received(receiving(&world, "ben", Path::new(&link), &world.text("in")));
    assert_eq!(told.last().expect("a line")["event"], "received");
    assert_eq!(fs::read_to_string(world.path("in/notes")).expect("there"), "notes for one");
    let link = fs::read_to_string(&link).expect("there");
    let late = world.fails("clara", &["receive", "--yes", link.trim()], 6);
    let message = late["message"].as_str().expect("a text");
    assert!(message.contains("as often as its sender allowed"), "{message}");
    let id = sent["id"].as_str().expect("a text");
    assert_eq!(world.ok("anna", &["send", "--resume", id])["event"], "delivered");
}

#[test]
fn a_browser_receives_out_of_a_locker_and_another_one_is_told_that_it_is_over() {
    let Some(driver) = Driver::find() else { return };
    let world = World::with(&ALLOWED);
    world.join("anna", &[]);
    fs::write(world.path("film"), noise(4, 5 << 20)).expect("written");
    let (link, file) = (world.text("link"), world.text("film"));
    let kept = ["--link", "--ticket-file", &link, "--locker", "--downloads", "1"];
    let sent = world.ok("anna", &[&["send", &file], &kept[..]].concat());
    let downloads = world.path("downloads");
    fs::create_dir_all(&downloads).expect("made");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/console/delivery.cjs");
    let link = fs::read_to_string(&link).expect("there").trim().to_owned();
    let told = json!({ "journeys": script, "delivery": link, "downloads": downloads });
    finished(driver.start(&world, "locker", told).wait_with_output().expect("ends"));
    let id = sent["id"].as_str().expect("a text");
    assert_eq!(world.ok("anna", &["send", "--resume", id])["event"], "delivered");
}

#[test]
fn a_hub_whose_operator_allows_no_lockers_or_small_ones_says_so_and_keeps_nothing() {
    let world = World::new();
    world.join("anna", &[]);
    fs::write(world.path("file"), vec![7; 3 << 20]).expect("written");
    let (file, ticket) = (world.text("file"), world.text("ticket"));
    let arguments = ["send", &file, "--locker", "--ticket-file", &ticket];
    let refused = world.fails("anna", &arguments, 5);
    let message = refused["message"].as_str().expect("a text");
    assert!(message.contains("allows no lockers"), "{message}");
    assert!(!world.path("hub/lockers").exists());
    // A code needs its sender, so it does not go with a locker.
    world.fails("anna", &["send", &file, "--locker"], 2);

    let world = World::with(&["--locker-quota", "20MiB"]);
    world.join("anna", &[]);
    fs::write(world.path("file"), vec![7; 3 << 20]).expect("written");
    let (file, ticket) = (world.text("file"), world.text("ticket"));
    let arguments = ["send", &file, "--locker", "--ticket-file", &ticket];
    let refused = world.fails("anna", &arguments, 5);
    let message = refused["message"].as_str().expect("a text");
    assert!(message.contains("2097152 of its 2097152 left"), "a tenth of all: {message}");
    assert!(segment_files(&world).is_empty());
    let long = [&arguments[..], &["--days", "15"]].concat();
    let refused = world.fails("anna", &long, 5);
    assert!(refused["message"].as_str().is_some_and(|it| it.contains("336 hours")), "{refused}");
}

#[test]
fn a_delivery_without_a_locker_leaves_nothing_at_a_hub_that_allows_them() {
    let world = World::with(&ALLOWED);
    world.join("anna", &[]);
    fs::create_dir(world.path("in")).expect("made");
    fs::write(world.path("marked"), "a mark that is nowhere".repeat(9000)).expect("written");
    let sender = Sender::start(&world, "anna", &[&world.text("marked")]);
    received(receiving(&world, "ben", &sender.ticket, &world.text("in")));
    assert_eq!(sender.last()["event"], "delivered");
    assert!(!world.path("hub/lockers").exists());
    assert_nowhere(&world.path("hub"), b"a mark that is nowhere");
}
