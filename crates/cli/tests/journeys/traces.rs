//! What a hub leaves of deliveries that go through it while everybody is killed: nothing, neither plain nor sealed.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use deliver::Source;
use delivery::{Header, Ticket, Vault};
use rustix::process::Signal;
use testkit::noise;

use crate::delivery::{Sender, hold, received, receiving, segments_kept};
use crate::files::assert_same;
use crate::process::{Process, consign, until};
use crate::world::World;

const MARKER: &[u8; 32] = b"the marker of this delivery, 32B";
const NEEDLE_BYTES: usize = 32;
/// From where on a sealed segment has what is enciphered: before it stands the tag.
const TAG_BYTES: usize = 32;
/// What a hub may keep of a delivery in its locker, so that there is something to be found.
const ALLOWED: [&str; 4] = ["--locker-quota", "1GiB", "--locker-account-quota", "512MiB"];

/// What nobody is to find, each with a name.
struct Needles {
    all: Vec<(String, [u8; NEEDLE_BYTES])>,
    /// Which of them begin with these two bytes.
    by_beginning: Vec<Vec<usize>>,
}

impl Needles {
    fn new(all: Vec<(String, [u8; NEEDLE_BYTES])>) -> Self {
        let mut by_beginning = vec![Vec::new(); 1 << 16];
        for (at, (_, needle)) in all.iter().enumerate() {
            by_beginning[beginning(needle)].push(at);
        }
        Self { all, by_beginning }
    }

    /// Cuts from every segment of what somebody sends with this ticket: of the plain bytes and of what goes over the
    /// wire, which follows from them and the ticket. The first one begins with the header.
    fn of(world: &World, node: &str, ticket: &Path, source: &Path) -> Self {
        let ticket: Ticket =
            fs::read_to_string(ticket).expect("there").trim().parse().expect("a ticket");
        let kept = world.path(node).join("deliveries/out").join(ticket.id.to_string());
        let encoded = fs::read(kept.join("header")).expect("there");
        let header = Header::decode(&encoded).expect("a header");
        let origins = deliver::survey(&[source.to_owned()]).expect("is there").origins;
        let stream = Source::new(header, &encoded, &origins).expect("is short enough");
        let vault = Vault::of_segments(ticket.id, &ticket.secret);
        let mut all = vec![("the marker".to_owned(), *MARKER)];
        for number in 0..stream.layout().segments() {
            let plain = stream.segment(number).expect("readable");
            let mut cut = |what: &str, bytes: &[u8], at: usize| {
                let needle = bytes[at..at + NEEDLE_BYTES].try_into().expect("so long");
                all.push((format!("segment {number} {what} at {at}"), needle));
            };
            cut("plain", &plain, plain.len() / 3);
            let sealed = vault.seal(number, plain).1;
            cut("sealed", &sealed, 0);
            cut("sealed", &sealed, TAG_BYTES);
            cut("sealed", &sealed, sealed.len() - NEEDLE_BYTES);
        }
        Self::new(all)
    }

    fn named(&self, what: &str) -> Vec<&str> {
        let names = self.all.iter().map(|(name, _)| name.as_str());
        names.filter(|name| name.contains(what)).collect()
    }

    /// The names of those that are in there.
    fn found_in(&self, bytes: &[u8]) -> Vec<&str> {
        let mut found = Vec::new();
        for window in bytes.windows(NEEDLE_BYTES) {
            for at in &self.by_beginning[beginning(window)] {
                let (name, needle) = &self.all[*at];
                if window == needle {
                    found.push(name.as_str());
                }
            }
        }
        found
    }

    /// The names of those that are in any file below a directory.
    fn found_below(&self, directory: &Path) -> Vec<(PathBuf, &str)> {
        let mut found = Vec::new();
        for entry in fs::read_dir(directory).expect("listed") {
            let path = entry.expect("listed").path();
            if path.is_dir() {
                found.extend(self.found_below(&path));
            } else if path.is_file() {
                let bytes = fs::read(&path).expect("readable");
                found.extend(self.found_in(&bytes).into_iter().map(|name| (path.clone(), name)));
            }
        }
        found
    }
}

fn beginning(bytes: &[u8]) -> usize {
    usize::from(u16::from_le_bytes([bytes[0], bytes[1]]))
}

/// A hub of which everything that it could write to is in sight.
struct Watched {
    process: Process,
    /// Its data, its working directory, its temporary files and what it says are in these.
    places: [PathBuf; 2],
}

impl Watched {
    fn start(world: &World, log: u32) -> Self {
        let (data, beside) = (world.path("hub"), world.path("beside"));
        fs::create_dir_all(beside.join("tmp")).expect("made");
        fs::create_dir_all(beside.join("cwd")).expect("made");
        let said = beside.join(format!("said-{log}"));
        let mut command: Command = consign();
        command.args(["hub", "--json", "--data"]).arg(&data).args(["--listen", world.address()]);
        command.args(ALLOWED).env("CONSIGN_LOG", "debug").env("TMPDIR", beside.join("tmp"));
        command.current_dir(beside.join("cwd")).stdin(Stdio::null());
        command.stdout(fs::File::create(&said).expect("made"));
        command.stderr(fs::File::create(beside.join(format!("log-{log}"))).expect("made"));
        let process = Process::start(&mut command);
        until("the hub listens", || {
            fs::read_to_string(&said).expect("there").contains("listening")
        });
        Self { process, places: [data, beside] }
    }

    /// Nothing is in any of its files, nor in one that it has open and that has no name.
    fn assert_holds_none(&self, needles: &Needles) {
        for place in &self.places {
            assert_eq!(needles.found_below(place), []);
        }
        let open = format!("/proc/{}/fd", self.process.0.id());
        // One that was killed has none.
        let Ok(open) = fs::read_dir(open) else { return };
        for path in open.map(|entry| entry.expect("listed").path()) {
            if fs::metadata(&path).is_ok_and(|facts| facts.is_file()) {
                let bytes = fs::read(&path).expect("readable");
                assert_eq!(needles.found_in(&bytes), Vec::<&str>::new(), "{path:?}");
            }
        }
    }

    /// What of it is in its memory.
    fn in_memory<'a>(&self, needles: &'a Needles) -> Vec<&'a str> {
        let process = format!("/proc/{}", self.process.0.id());
        let maps = fs::read_to_string(format!("{process}/maps")).expect("it runs");
        let memory = fs::File::open(format!("{process}/mem")).expect("its parent may");
        let mut found = Vec::new();
        for map in maps.lines().filter(|map| map.contains(" rw-p ")) {
            let (from, rest) = map.split_once('-').expect("from and to");
            let to = rest.split(' ').next().expect("to");
            let [from, to] = [from, to].map(|it| u64::from_str_radix(it, 16).expect("a number"));
            for at in (from..to).step_by(1 << 20) {
                let mut bytes = vec![0; (to - at).min((1 << 20) + NEEDLE_BYTES as u64) as usize];
                // What was given back meanwhile is of no interest.
                if memory.read_exact_at(&mut bytes, at).is_ok() {
                    found.extend(needles.found_in(&bytes));
                }
            }
        }
        found
    }
}

fn resumed(world: &World, id: &str) -> Process {
    let mut command = world.command("anna", &["send", "--resume", id]);
    Process::start(command.stdout(Stdio::null()).stderr(Stdio::null()))
}

#[test]
fn a_hub_that_is_killed_in_mid_delivery_leaves_neither_plain_nor_sealed_bytes_of_it() {
    let mut world = World::with(&ALLOWED);
    world.join("anna", &[]);
    world.hub.kill();
    let mut hub = Watched::start(&world, 0);
    let source = world.path("source");
    fs::create_dir(&source).expect("made");
    // What compresses to next to nothing, and what does not at all.
    fs::write(source.join("a-marker"), MARKER.repeat(100_000)).expect("written");
    for part in 0..4 {
        let file = source.join(format!("part-{part}"));
        fs::write(file, noise(90 + part, 30_000_000)).expect("written");
    }
    let sender = Sender::start(&world, "anna", &[&world.text("source")]);
    let needles = Needles::of(&world, "anna", &sender.ticket, &source);
    assert!(needles.named("sealed").len() >= 3 * 115, "{}", needles.all.len());
    assert!(needles.named("segment 0 sealed").len() == 3 && needles.named("plain").len() >= 100);
    let id = world.ok("anna", &["deliveries"])["id"].as_str().expect("a text").to_owned();
    let to = world.text("in");
    fs::create_dir(&to).expect("made");

    // The recipient is held with the hub's hands full: what is looked for is what goes through it.
    let recipient = receiving(&world, "ben", &sender.ticket, &to);
    hold(&world, "ben", &recipient, 10);
    until("segments are in the hub's memory", || {
        hub.in_memory(&needles).iter().any(|name| name.contains("sealed"))
    });
    hub.assert_holds_none(&needles);
    let mut kept = segments_kept(&world, "ben");
    drop(recipient);
    hub.assert_holds_none(&needles);

    // The hub is killed with what it has, and killed again.
    let recipient = receiving(&world, "ben", &sender.ticket, &to);
    for log in 1..=2 {
        hold(&world, "ben", &recipient, kept + 10);
        kept = segments_kept(&world, "ben");
        hub.process.kill();
        hub.assert_holds_none(&needles);
        hub = Watched::start(&world, log);
        recipient.signal(Signal::CONT);
    }

    // The sender is killed, too, and the hub asked to end.
    hold(&world, "ben", &recipient, kept + 10);
    kept = segments_kept(&world, "ben");
    drop(sender.process);
    hub.assert_holds_none(&needles);
    let sender = resumed(&world, &id);
    recipient.signal(Signal::CONT);
    hold(&world, "ben", &recipient, kept + 10);
    kept = segments_kept(&world, "ben");
    assert!(kept < 110, "everybody was killed in the middle, not at segment {kept}");
    hub.process.signal(Signal::TERM);
    recipient.signal(Signal::CONT);
    hub.process.0.wait().expect("it ends");
    hub.assert_holds_none(&needles);
    let hub = Watched::start(&world, 3);
    let told = received(recipient);
    assert_eq!(told.last().expect("a line")["event"], "received");
    drop(sender);
    assert_same(&source, &world.path("in").join("source"));
    hub.assert_holds_none(&needles);
    assert!(!world.path("hub/lockers").exists());

    // The same contents, when their sender asks for it, are on the hub's disk: sealed, every segment, and never plain.
    let locker = world.text("locker-ticket");
    let send = ["send", &world.text("source"), "--locker", "--ticket-file", &locker];
    assert_eq!(world.ok("anna", &send)["event"], "in-locker");
    let kept = Needles::of(&world, "anna", Path::new(&locker), &source);
    let found = kept.found_below(&world.path("hub"));
    let mut names: Vec<&str> = found.iter().map(|(_, name)| *name).collect();
    names.sort_unstable();
    names.dedup();
    let mut expected = kept.named("sealed");
    expected.sort_unstable();
    assert_eq!(names, expected);
}
