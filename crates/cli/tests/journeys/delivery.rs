//! Deliveries from one person to another, one of whom has no account.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use testkit::noise;

use crate::files::{assert_same, make_tree};
use crate::process::{Process, count, last_line, lines, start_hub, told, until};
use crate::world::World;

const TAG_BYTES: u64 = 32;

/// Somebody who sends, and where the ticket and the facts are.
pub(crate) struct Sender {
    pub(crate) process: Process,
    pub(crate) ticket: PathBuf,
    facts: PathBuf,
}

impl Sender {
    /// Starts to send, and waits for the ticket.
    pub(crate) fn start(world: &World, node: &str, args: &[&str]) -> Self {
        let (ticket, facts) = (world.path("ticket"), world.path("facts"));
        let text = world.text("ticket");
        let mut command = world.command(node, &[&["send", "--ticket-file", &text], args].concat());
        command.stdout(fs::File::create(&facts).expect("made")).stderr(Stdio::null());
        let process = Process::start(&mut command);
        let line = || fs::read_to_string(&facts).expect("there");
        until("the ticket comes", || line().ends_with('\n'));
        assert!(line().contains("\"ticket\""), "{}", line());
        assert!(!line().contains("consign-delivery-1:"), "what goes to a file is not printed");
        Self { process, ticket, facts }
    }

    /// Waits until it ends; the last it said.
    pub(crate) fn last(mut self) -> Value {
        self.process.0.wait().expect("it ends");
        let text = fs::read_to_string(&self.facts).expect("there");
        serde_json::from_str(text.lines().last().expect("a line")).expect("JSON")
    }
}

pub(crate) fn receiving(world: &World, node: &str, ticket: &Path, to: &str) -> Process {
    let mut command = world.command(node, &["receive", "--yes", "--to", to]);
    command.stdin(fs::File::open(ticket).expect("there"));
    Process::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()))
}

pub(crate) fn ended(mut process: Process) -> Output {
    let read = |from: Option<&mut dyn std::io::Read>| {
        let mut bytes = Vec::new();
        from.map(|from| from.read_to_end(&mut bytes)).transpose().expect("readable");
        bytes
    };
    let stdout = read(process.0.stdout.as_mut().map(|out| out as &mut dyn std::io::Read));
    let stderr = read(process.0.stderr.as_mut().map(|out| out as &mut dyn std::io::Read));
    Output { status: process.0.wait().expect("it ends"), stdout, stderr }
}

pub(crate) fn received(process: Process) -> Vec<Value> {
    let output = ended(process);
    assert!(output.status.success(), "{}", told(&output));
    lines(&output)
}

/// How many segments are on the recipient's disk.
pub(crate) fn segments_kept(world: &World, node: &str) -> u64 {
    segments_below(&world.path(node))
}

/// How many segments are in a recipient's state directory.
pub(crate) fn segments_below(state: &Path) -> u64 {
    let Ok(found) = fs::read_dir(state.join("deliveries/in")) else { return 0 };
    let tags = found.map(|entry| entry.expect("listed").path().join("tags"));
    tags.filter_map(|path| fs::metadata(path).ok()).map(|facts| facts.len() / TAG_BYTES).sum()
}

/// Lets the recipient come so far and stops it there, in the middle for sure: it runs in slices, each too
/// short for the rest of a delivery.
pub(crate) fn hold(world: &World, node: &str, process: &Process, segments: u64) {
    hold_below(&world.path(node), process, segments, Duration::from_millis(5));
}

/// The same of a recipient with this state directory, in slices of this length.
pub(crate) fn hold_below(state: &Path, process: &Process, segments: u64, slice: Duration) {
    until("segments come", || {
        process.signal(Signal::CONT);
        std::thread::sleep(slice);
        process.signal(Signal::STOP);
        segments_below(state) >= segments
    });
}

/// Every byte that the hub keeps, and what it said.
pub(crate) fn assert_nowhere(directory: &Path, needle: &[u8]) {
    for entry in fs::read_dir(directory).expect("listed") {
        let path = entry.expect("listed").path();
        if path.is_dir() {
            assert_nowhere(&path, needle);
        } else {
            let bytes = fs::read(&path).expect("readable");
            let found = bytes.windows(needle.len()).any(|window| window == needle);
            assert!(!found, "{} holds what was delivered", path.display());
        }
    }
}

#[test]
fn a_delivery_arrives_as_it_left_at_somebody_without_an_account() {
    let world = World::new();
    world.join("anna", &[]);
    let source = world.path("plans");
    make_tree(&source);
    fs::write(source.join("marker"), "the marker of this delivery".repeat(500)).expect("written");
    fs::write(world.path("notes.txt"), "notes").expect("written");
    let (plans, notes) = (world.text("plans"), world.text("notes.txt"));
    let sender = Sender::start(
        &world,
        "anna",
        &[&plans, &notes, "--subject", "The plans", "--message", "As promised\nAnna"],
    );
    // Something of that name is there, and stays.
    let to = world.path("in");
    fs::create_dir(&to).expect("made");
    fs::write(to.join("notes.txt"), "mine").expect("written");
    let told = received(receiving(&world, "ben", &sender.ticket, &world.text("in")));
    let events: Vec<&str> = told.iter().filter_map(|line| line["event"].as_str()).collect();
    assert_eq!(events, ["offered", "placed", "placed", "received"]);
    assert_eq!(told[0]["subject"], "The plans");
    assert_eq!(told[0]["message"], "As promised\nAnna");
    assert_eq!(told[3]["receipt_taken"], true);
    let sent = sender.last();
    assert_eq!(sent["event"], "delivered", "{sent}");
    assert_eq!(sent["digest"], told[3]["digest"], "both speak of the same bytes");
    assert_same(&source, &to.join("plans"));
    assert_eq!(fs::read(to.join("notes.txt")).expect("there"), b"mine");
    assert_eq!(fs::read(to.join("notes (2).txt")).expect("there"), b"notes");
    let left: Vec<_> = fs::read_dir(&to).expect("listed").map(|it| it.expect("listed")).collect();
    assert_eq!(left.len(), 3, "nothing of the way stays: {left:?}");
    // The hub had it in memory only, and could not read it there.
    assert_nowhere(&world.path("hub"), b"the marker of this delivery");
    assert_nowhere(&world.path("hub"), b"plans");
    // It is over: the ticket is of no use any more, and both know.
    let listed = world.ok("anna", &["deliveries"]);
    assert_eq!(listed["state"], "received");
    let again = listed["id"].as_str().expect("a text").to_owned();
    let refused = world.fails("anna", &["send", "--resume", &again], 4);
    assert!(
        refused["message"].as_str().is_some_and(|it| it.contains("no single unfinished")),
        "{refused}"
    );
}

#[test]
fn kills_of_recipient_hub_and_sender_lose_nothing() {
    let mut world = World::new();
    world.join("anna", &[]);
    let source = world.path("source");
    fs::create_dir(&source).expect("made");
    for index in 0..6 {
        let name = format!("part-{index}.bin");
        fs::write(source.join(name), noise(40 + index, 40_000_000)).expect("written");
    }
    let sender = Sender::start(&world, "anna", &[&world.text("source")]);
    let to = world.text("in");
    fs::create_dir(&to).expect("made");

    // The recipient is killed, and begins where it was.
    let recipient = receiving(&world, "ben", &sender.ticket, &to);
    hold(&world, "ben", &recipient, 10);
    let kept = segments_kept(&world, "ben");
    drop(recipient);
    assert!(!world.path("in").join("source").exists(), "half a delivery has no name");
    let recipient = receiving(&world, "ben", &sender.ticket, &to);
    hold(&world, "ben", &recipient, kept + 20);

    // The hub is killed and forgets everything.
    world.hub.kill();
    world.hub = start_hub(&world.path("hub"), &["--listen", world.address()]).0;
    recipient.signal(Signal::CONT);
    let kept = segments_kept(&world, "ben");
    hold(&world, "ben", &recipient, kept + 20);

    // The sender is killed and goes on by the beginning of the delivery's id.
    drop(sender.process);
    recipient.signal(Signal::CONT);
    let id = world.ok("anna", &["deliveries"])["id"].as_str().expect("a text").to_owned();
    let mut resumed = world.command("anna", &["send", "--resume", &id[..6]]);
    let resumed = Process::start(resumed.stdout(Stdio::piped()).stderr(Stdio::piped()));
    let told = received(recipient);
    assert!(count(told.last().expect("a line"), "resumed_segments") >= 10);
    let sent = last_line(&ended(resumed));
    assert_eq!(sent["event"], "delivered", "{sent}");
    assert_same(&source, &world.path("in").join("source"));
}

#[test]
fn what_changed_meanwhile_is_not_mixed_with_what_was_sent() {
    let world = World::new();
    world.join("anna", &[]);
    fs::write(world.path("growing.log"), noise(1, 30_000_000)).expect("written");
    let sender = Sender::start(&world, "anna", &[&world.text("growing.log")]);
    let mut file =
        fs::OpenOptions::new().append(true).open(world.path("growing.log")).expect("opens");
    file.write_all(b"one more line\n").expect("written");
    let to = world.text("in");
    fs::create_dir(&to).expect("made");
    let recipient = receiving(&world, "ben", &sender.ticket, &to);
    let failed = sender.last();
    assert_eq!(failed["event"], "error");
    assert!(failed["message"].as_str().is_some_and(|it| it.contains("has changed")), "{failed}");
    drop(recipient);
    assert!(!world.path("in/growing.log").exists());
}

#[test]
fn a_recipient_can_refuse_and_a_stranger_learns_nothing() {
    let world = World::new();
    world.join("anna", &[]);
    fs::write(world.path("offer"), "an offer").expect("written");
    let sender = Sender::start(&world, "anna", &[&world.text("offer")]);
    let text = fs::read_to_string(&sender.ticket).expect("there");
    // Nobody is here to be asked, so nothing is received.
    let asked = world.fails("ben", &["receive", text.trim()], 2);
    assert!(asked["message"].as_str().is_some_and(|it| it.contains("--yes")), "{asked}");
    // A ticket that was altered on its way is none.
    let cut = &text.trim()[..text.trim().len() - 2];
    world.fails("ben", &["receive", "--yes", cut], 2);
    drop(sender);
}
