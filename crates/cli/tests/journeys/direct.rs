//! Deliveries on a direct path: contents from the sender itself, everything else through the hub.

use std::fs;
use std::process::Stdio;

use rustix::process::Signal;
use testkit::noise;

use crate::delivery::{Sender, ended, hold, received, receiving, segments_kept};
use crate::files::assert_same;
use crate::people::acquainted;
use crate::process::{Process, count, last_line, start_hub, told, until};
use crate::world::World;

const BYTES: usize = 60_000_000;
/// The header is before the contents, within the first.
const SEGMENTS: u64 = 58;
/// What the hub may have taken until the recipient turned to the sender: its window, and what sockets hold.
const THROUGH_HUB_MAX: u64 = 20;

fn anna() -> World {
    with_source(World::new())
}

fn with_source(world: World) -> World {
    world.join("anna", &[]);
    fs::write(world.path("source"), noise(81, BYTES)).expect("written");
    fs::create_dir(world.path("in")).expect("made");
    world
}

fn assert_arrived(world: &World) {
    let came = fs::read(world.path("in").join("source")).expect("there");
    assert!(came == noise(81, BYTES)[..], "another file arrived");
}

#[test]
fn contents_come_from_the_sender_itself_and_the_rest_through_the_hub() {
    let world = anna();
    let sender = Sender::start(&world, "anna", &[&world.text("source"), "--direct"]);
    let told = received(receiving(&world, "ben", &sender.ticket, &world.text("in")));
    let (told, sent) = (told.last().expect("a line").clone(), sender.last());
    // The header came from the hub, and the segment that it is in.
    assert_eq!(count(&told, "direct_segments"), SEGMENTS - 1, "{told}");
    assert!(count(&sent, "direct_segments") >= SEGMENTS - THROUGH_HUB_MAX, "{sent}");
    assert_eq!((sent["event"].as_str(), &sent["digest"]), (Some("delivered"), &told["digest"]));
    assert_eq!(told["receipt_taken"], true);
    assert_arrived(&world);
}

#[test]
fn whoever_wants_the_hub_between_has_it_between() {
    // The recipient.
    let world = anna();
    let sender = Sender::start(&world, "anna", &[&world.text("source"), "--direct"]);
    let mut command =
        world.command("ben", &["receive", "--yes", "--relay-only", "--to", &world.text("in")]);
    command.stdin(fs::File::open(&sender.ticket).expect("there"));
    let ben = Process::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
    let told = received(ben);
    assert_eq!(count(told.last().expect("a line"), "direct_segments"), 0, "{told:?}");
    assert_eq!(count(&sender.last(), "direct_segments"), 0);
    assert_arrived(&world);

    // The hub's operator; who sends is told.
    let world = with_source(World::with(&["--relay-only"]));
    let ticket = world.text("ticket");
    let source = world.text("source");
    let mut command =
        world.node("anna").plain(&["send", &source, "--direct", "--ticket-file", &ticket]);
    let said = world.path("said");
    command.stdout(Stdio::null()).stderr(fs::File::create(&said).expect("made"));
    let sender = Process::start(&mut command);
    let remark = || fs::read_to_string(&said).expect("there");
    until("it is said", || remark().contains("no direct path"));
    assert!(remark().contains("the hub passes all contents on itself"), "{}", remark());
    let told = received(receiving(&world, "ben", &world.path("ticket"), &world.text("in")));
    assert_eq!(count(told.last().expect("a line"), "direct_segments"), 0, "{told:?}");
    drop(sender);
    assert_arrived(&world);
}

#[test]
fn kills_of_recipient_hub_and_sender_lose_nothing_on_a_direct_path() {
    let mut world = anna();
    let sender = Sender::start(&world, "anna", &[&world.text("source"), "--direct"]);
    let to = world.text("in");
    let recipient = receiving(&world, "ben", &sender.ticket, &to);
    hold(&world, "ben", &recipient, 3);
    drop(recipient);
    let recipient = receiving(&world, "ben", &sender.ticket, &to);
    let kept = segments_kept(&world, "ben");
    hold(&world, "ben", &recipient, kept + 3);

    // Without the hub segments go on, and what it forgot it is told.
    world.hub.kill();
    let kept = segments_kept(&world, "ben");
    hold(&world, "ben", &recipient, (kept + 3).min(SEGMENTS));
    world.hub = start_hub(&world.path("hub"), &["--listen", world.address()]).0;

    // The sender listens elsewhere when it is started again; who was on the way goes on through the hub.
    drop(sender.process);
    recipient.signal(Signal::CONT);
    let id = world.ok("anna", &["deliveries"])["id"].as_str().expect("a text").to_owned();
    let mut resumed = world.command("anna", &["send", "--resume", &id]);
    let resumed = Process::start(resumed.stdout(Stdio::piped()).stderr(Stdio::piped()));
    let told = received(recipient);
    let told = told.last().expect("a line");
    assert!(count(told, "resumed_segments") >= 3, "{told}");
    assert!(count(told, "direct_segments") >= 3, "{told}");
    let sent = last_line(&ended(resumed));
    assert_eq!((sent["event"].as_str(), &sent["digest"]), (Some("delivered"), &told["digest"]));
    assert_arrived(&world);
}

#[test]
fn the_node_offers_a_direct_path_for_what_was_left_to_it() {
    let world = acquainted();
    let source = world.path("source");
    fs::create_dir(&source).expect("made");
    fs::write(source.join("large"), noise(82, BYTES)).expect("written");
    fs::create_dir(world.path("in")).expect("made");
    let source_text = world.text("source");
    let args = ["send", &source_text, "--to", "ben", "--background", "--direct"];
    let (node, _) = Process::start_ready(&mut world.command("anna", &["node"]));
    let addressed = world.ok("anna", &args);
    let id = addressed["id"].as_str().expect("a text").to_owned();
    let accept = ["accept", &id, "--to", &world.text("in")];
    let output = world.run("ben", &accept);
    assert!(output.status.success(), "{}", told(&output));
    let line = last_line(&output);
    assert!(count(&line, "direct_segments") >= SEGMENTS - THROUGH_HUB_MAX, "{line}");
    assert_same(&source, &world.path("in").join("source"));
    drop(node);
}
