//! A link that dies in the middle of a transfer: the command says what it waits for, since when
//! and what comes next, in each of its ways to speak, and goes on when the link is back.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::Value;
use testkit::noise;

use crate::documented::{Documented, documented};
use crate::gate::{Counted, Gate};
use crate::process::{PATIENCE, Process};
use crate::terminal::terminal;
use crate::world::World;

/// What a transfer carries: several requests of the hub's client.
const FILE_BYTES: usize = 24 << 20;
/// What passes of it before the link dies.
const BEFORE_BYTES: u64 = 9 << 20;

/// How a command speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Lines,
    Terminal,
    Json,
}

const WAYS: [Way; 3] = [Way::Lines, Way::Terminal, Way::Json];

/// A command that runs; ended with the test.
struct Running {
    process: Process,
    /// All it has said so far, each time it says more.
    said: mpsc::Receiver<String>,
    last: String,
    /// Kept open, or the terminal is gone for the command.
    _terminal: Option<File>,
}

impl Running {
    fn start(mut command: Command, way: Way) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null()).env("TERM", "xterm-256color");
        let (process, output, terminal): (Process, Box<dyn Read + Send>, _) = match way {
            Way::Terminal => {
                // Room for a whole line.
                let (master, slave) = terminal(240);
                let process = Process::start(command.stderr(slave));
                let kept = master.try_clone().expect("cloned");
                (process, Box::new(master), Some(kept))
            }
            Way::Lines | Way::Json => {
                let mut process = Process::start(command.stderr(Stdio::piped()));
                let stderr = process.0.stderr.take().expect("piped");
                (process, Box::new(stderr), None)
            }
        };
        let said = listen(output);
        Self { process, said, last: String::new(), _terminal: terminal }
    }

    /// What it says until `wanted` finds something in it.
    fn until<T>(&mut self, wanted: impl Fn(&str) -> Option<T>) -> T {
        let began = Instant::now();
        loop {
            if let Some(found) = wanted(&self.last) {
                return found;
            }
            let left = PATIENCE.saturating_sub(began.elapsed());
            match self.said.recv_timeout(left) {
                Ok(said) => self.last = said,
                Err(error) => panic!("{error}; it said {:?}", self.last),
            }
        }
    }

    fn end(mut self) {
        let began = Instant::now();
        loop {
            if let Some(status) = self.process.0.try_wait().expect("waits") {
                self.last = self.said.try_iter().last().unwrap_or(self.last.clone());
                assert!(status.success(), "{status:?}: {:?}", self.last);
                return;
            }
            assert!(began.elapsed() < PATIENCE, "it does not end: {:?}", self.last);
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Reads on, so that whoever speaks is never held up.
fn listen(mut output: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, said) = mpsc::channel();
    std::thread::spawn(move || {
        let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
        while let Ok(count @ 1..) = output.read(&mut buffer) {
            all.extend_from_slice(&buffer[..count]);
            if sender.send(String::from_utf8_lossy(&all).into_owned()).is_err() {
                return;
            }
        }
    });
    said
}

/// The first reason given for standing still, if there is one: for how long, and the words.
fn reason(said: &str, way: Way) -> Option<(u64, String)> {
    if way == Way::Json {
        let (whole, _) = said.rsplit_once('\n')?;
        let events = whole.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut stalled = events.filter(|event| event["waits_for"].is_string());
        let event = stalled.next()?;
        return Some((event["still_s"].as_u64()?, event["waits_for"].as_str()?.to_owned()));
    }
    let (before, after) = said.split_once(" s waiting for ")?;
    let (words, _) = after.split_once(['\n', '\r'])?;
    Some((before.rsplit(' ').next()?.parse().ok()?, words.to_owned()))
}

/// A hub with the nodes `anna` and `ben`, and a folder with a file that takes a while.
fn world() -> Documented {
    let world = Documented::new();
    for node in ["anna", "ben"] {
        world.register(node, &[]);
    }
    for (number, way) in WAYS.iter().enumerate() {
        let folder = world.path(&format!("{way:?}"));
        fs::create_dir(&folder).expect("made");
        fs::write(folder.join("file"), noise(number as u64 + 1, FILE_BYTES)).expect("written");
    }
    world
}

fn same(one: &Path, other: &Path) {
    let [one, other] = [one, other].map(|path| fs::read(path.join("file")).expect("there"));
    assert!(one == other, "the copy differs");
}

/// Starts a command, cuts its link in the middle, and opens it when the command has said why it
/// stands still.
fn cut_and_heal(world: &World, gate: &Gate, node: &str, way: Way, words: &[&str]) {
    gate.let_through(BEFORE_BYTES);
    let node = world.node(node);
    let command = if way == Way::Json { node.command(words) } else { node.plain(words) };
    let mut running = Running::start(command, way);
    gate.wait_until_shut();
    let (still_s, words) = running.until(|said| reason(said, way));
    // Since when; that it is told in time is the narrator's own test, which needs no clock.
    assert!(still_s > 0, "{way:?}: {words}");
    assert!(words.contains(&gate.url), "{way:?}: {words}");
    // What comes next, and when.
    assert!(words.contains("; ") && words.contains(" in "), "{way:?}: {words}");
    gate.open();
    running.end();
}

#[test]
fn a_get_whose_link_dies_says_so_and_goes_on() {
    let world = world();
    world.tells("anna", &["publish", &world.text("Lines"), "team/big", "--public"], &["done"]);
    let gate = Gate::before(&world, "ben", Counted::FromTheHub, u64::MAX);
    for way in WAYS {
        let to = world.text(&format!("copy-{way:?}"));
        cut_and_heal(&world, &gate, "ben", way, &["get", "team/big", "--to", &to]);
        same(&world.path("Lines"), Path::new(&to));
    }
}

#[test]
fn a_publish_whose_link_dies_says_so_and_goes_on() {
    let world = world();
    let gate = Gate::before(&world, "anna", Counted::ToTheHub, u64::MAX);
    for way in WAYS {
        let (folder, name) = (world.text(&format!("{way:?}")), format!("team/{way:?}"));
        let name = name.to_lowercase();
        cut_and_heal(&world, &gate, "anna", way, &["publish", &folder, &name, "--public"]);
        let to = world.text(&format!("copy-{way:?}"));
        world.tells("ben", &["get", &name, "--to", &to], &["done"]);
        same(Path::new(&folder), Path::new(&to));
    }
}

#[test]
fn progress_for_programs_is_as_documented_and_beside_the_facts() {
    let world = world();
    world.tells("anna", &["publish", &world.text("Lines"), "team/big", "--public"], &["done"]);
    let gate = Gate::before(&world, "ben", Counted::FromTheHub, u64::MAX);
    gate.let_through(BEFORE_BYTES);
    let mut command = world.command("ben", &["get", "team/big", "--to", &world.text("copy")]);
    let mut process = Process::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
    let mut facts = process.0.stdout.take().expect("piped");
    let talk = process.0.stderr.take().expect("piped");
    let said = listen(talk);
    let mut running = Running { process, said, last: String::new(), _terminal: None };
    // Some that move or not yet stand still, and some that do.
    running.until(|said| (said.matches("\"still_s\"").count() > 3).then_some(()));
    running.until(|said| reason(said, Way::Json));
    gate.open();
    let mut text = String::new();
    facts.read_to_string(&mut text).expect("UTF-8");
    let lines: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 1, "facts alone: {text}");
    assert_eq!(lines[0]["event"], "done");

    let fields = &documented()[&("any command".to_owned(), "progress".to_owned())];
    let (mut seconds, mut last_done) = (Vec::new(), 0);
    for line in running.last.lines() {
        let event: Value = serde_json::from_str(line).expect("talk is JSON too");
        let object = event.as_object().expect("an object");
        assert_eq!(event["event"], "progress");
        assert_eq!(object.len(), fields.len() + 1, "{event}");
        assert!(fields.iter().all(|(name, _)| object.contains_key(name)), "{event}");
        let done = event["bytes_done"].as_u64().expect("a number");
        assert!(done >= last_done, "{event}");
        last_done = done;
        seconds.push(event["elapsed_s"].as_u64().expect("a number"));
    }
    // At most one a second.
    let span = seconds.last().expect("some") - seconds[0];
    assert!(seconds.len() as u64 <= span + 1, "{seconds:?}");
}
