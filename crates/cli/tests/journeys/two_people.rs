//! Two people with handles, one of whom only an authenticating proxy lets out, and a third one with a browser: a large
//! delivery through a hub whose memory and disk are watched.
//!
//! `CONSIGN_SCENE_MIB` says how large it is.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::noise;
use testkit::parts::{require, skip_on_this_machine};

use crate::apart::Lan;
use crate::console::{Driver, finished};
use crate::delivery::{assert_nowhere, hold_below, segments_below};
use crate::files::assert_same;
use crate::people;
use crate::process::{Process, count, last_line, told, until};
use crate::proxy::{self, Tinyproxy, configure};
use crate::users::is_root;

const MARKER: &[u8] = b"the marker between two people";
const SCENE_MIB: usize = 96;
const FILE_MIB: usize = 32;
/// What the hub may take beside the two segments of a delivery, however large that is: the rest of its requests, and
/// what its allocator keeps.
const MEMORY_BYTES_MAX: u64 = 32 << 20;
/// What is noted of a delivery, and the database's own log of that.
const DISK_BYTES_MAX: u64 = 6 << 20;
/// How long the recipient runs before it is looked at, for each MiB of the scene.
const SLICE_PER_MIB: Duration = Duration::from_micros(50);

/// Who can run commands, each as its machine does.
struct Scene<'a> {
    lan: &'a Lan,
    /// Anna's, which names the proxy.
    config: &'a Path,
}

impl Scene<'_> {
    fn command(&self, who: &str, args: &[&str]) -> Command {
        match who {
            "anna" => proxy::command(self.lan, who, self.config, args),
            _ => self.lan.command(who, args),
        }
    }

    /// Runs a command that reads this text and must end well; its last line.
    fn ok_with(&self, who: &str, args: &[&str], input: &str) -> Value {
        let mut command = self.command(who, args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("starts");
        child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("written");
        good(&child.wait_with_output().expect("it ends"))
    }

    fn ok(&self, who: &str, args: &[&str]) -> Value {
        good(&self.command(who, args).output().expect("consign runs"))
    }

    fn person(&self, who: &str) {
        let invitation = crate::process::invite(&self.lan.path("hub-data"), &[]);
        self.ok(who, &["register", &invitation]);
        let create = ["account", "create", who, "--first-name", who, "--device", "desk"];
        let created = self.ok_with(who, &create, &format!("{}\n", people::PASSWORD));
        assert_eq!(created["event"], "account-created", "{created}");
    }

    /// Starts what goes on until somebody has taken it; the line in which it says so, of this event.
    fn sends(&self, args: &[&str], event: &str) -> (Process, Value) {
        let facts = self.lan.path(event);
        let mut command = self.command("anna", args);
        command.stdout(fs::File::create(&facts).expect("made")).stderr(Stdio::null());
        let process = Process::start(&mut command);
        let said = || said_in(&facts, event);
        until("it is sent", || said().is_some());
        (process, said().expect("is there"))
    }

    fn accepts(&self, id: &str, to: &str) -> Process {
        let mut command = self.command("ben", &["accept", id, "--to", to]);
        Process::start(command.stdout(Stdio::null()).stderr(Stdio::null()))
    }
}

/// What was said of this event, once the line is there in full.
fn said_in(facts: &Path, event: &str) -> Option<Value> {
    let text = fs::read_to_string(facts).expect("there");
    let (whole, _) = text.rsplit_once('\n')?;
    let mut lines = whole.lines().map(|line| serde_json::from_str(line).expect("JSON"));
    lines.find(|line: &Value| line["event"] == event)
}

fn good(output: &Output) -> Value {
    assert!(output.status.success(), "{}", told(output));
    last_line(output)
}

/// A number of bytes from what the kernel says of a process.
fn bytes_of(process: &Process, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.0.id())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("such a field");
    let number = line.trim_start_matches(':').trim_end_matches("kB").trim();
    number.parse::<u64>().expect("a number") << 10
}

fn bytes_below(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).expect("listed").map(|entry| entry.expect("listed"));
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(facts) if facts.is_dir() => bytes_below(&entry.path()),
        // What was removed meanwhile takes nothing.
        facts => facts.map_or(0, |facts| facts.len()),
    });
    sizes.sum()
}

fn scene_mib() -> usize {
    let asked = std::env::var("CONSIGN_SCENE_MIB").ok();
    asked.map_or(SCENE_MIB, |text| text.parse().expect("CONSIGN_SCENE_MIB is a number of MiB"))
}

#[test]
fn two_people_and_a_browser_exchange_much_through_a_proxy_and_a_hub_that_stays_small() {
    if require("ip").is_none() || require("tinyproxy").is_none() {
        return;
    }
    if !is_root() {
        return skip_on_this_machine("machines in namespaces", "making them needs root");
    }
    let mib = scene_mib();
    let lan = Lan::new(&["hub", "anna", "proxy", "ben", "clara"]);
    let (hub, hello) = lan.hub("hub", "hub-data");
    let _proxy = Tinyproxy::start(&lan);
    lan.reaches_only("anna", "proxy");
    let credentials = format!("anna:{}", proxy::PASSWORD);
    let config = configure(&lan, "anna", Some(&credentials));
    let scene = Scene { lan: &lan, config: &config };
    scene.person("anna");
    scene.person("ben");
    scene.ok("ben", &["book", "add", "anna"]);

    let source = lan.path("source");
    fs::create_dir(&source).expect("made");
    fs::write(source.join("a-marker"), MARKER.repeat(500)).expect("written");
    for part in 0..mib.div_ceil(FILE_MIB) {
        let bytes = FILE_MIB.min(mib - part * FILE_MIB) << 20;
        fs::write(source.join(format!("part-{part}")), noise(part as u64, bytes)).expect("written");
    }
    // From here on the kernel keeps the most that the hub has in memory.
    fs::write(format!("/proc/{}/clear_refs", hub.0.id()), "5").expect("the kernel can");
    let memory_before = bytes_of(&hub, "VmHWM");
    let disk_before = bytes_below(&lan.path("hub-data"));
    let began = Instant::now();

    // By handle, to somebody who is killed twice on the way.
    let (sender, addressed) =
        scene.sends(&["send", &lan.text("source"), "--to", "ben"], "addressed");
    let id = addressed["id"].as_str().expect("a text");
    let (to, segments) = (lan.text("in"), mib as u64);
    fs::create_dir(&to).expect("made");
    let slice = SLICE_PER_MIB * u32::try_from(mib).expect("fewer");
    let mut kept = 0;
    for share in [8, 4] {
        let ben = scene.accepts(id, &to);
        hold_below(&lan.path("ben"), &ben, kept.max(segments / share), slice);
        kept = segments_below(&lan.path("ben"));
        assert!(kept > 0 && kept < segments, "killed in the middle, not at {kept} of {segments}");
        drop(ben);
        assert!(!Path::new(&to).join("source").exists(), "half a delivery has no name");
    }
    let received = scene.ok("ben", &["accept", id, "--to", &to]);
    assert_eq!(received["event"], "received", "{received}");
    assert!(count(&received, "resumed_segments") >= kept, "{received}");
    let delivered = || said_in(&lan.path("addressed"), "delivered");
    until("the sender has the receipt", || delivered().is_some());
    assert_eq!(delivered().expect("is there")["digest"], received["digest"]);
    drop(sender);
    let wall = began.elapsed();
    assert_same(&source, &Path::new(&to).join("source"));

    // The hub stayed as it was.
    let memory = bytes_of(&hub, "VmHWM").saturating_sub(memory_before);
    let disk = bytes_below(&lan.path("hub-data")).saturating_sub(disk_before);
    println!(
        "{mib} MiB in {:.1} s, killed twice: the hub's memory grew by {} KiB from {} KiB, its directory by {} KiB",
        wall.as_secs_f64(),
        memory >> 10,
        memory_before >> 10,
        disk >> 10,
    );
    assert!(memory <= MEMORY_BYTES_MAX, "the hub's memory grew by {memory} bytes");
    assert!(disk <= DISK_BYTES_MAX, "the hub's directory grew by {disk} bytes");
    assert_nowhere(&lan.path("hub-data"), MARKER);

    // Each keeps a receipt that proves itself to the other.
    for (owner, other) in [("anna", "ben"), ("ben", "anna")] {
        let file = lan.text(&format!("{owner}.receipt"));
        scene.ok(owner, &["receipts", id, "--export", &file]);
        let checked = scene.ok(other, &["receipts", "--check", &file]);
        assert_eq!(checked["event"], "receipt-checked", "{checked}");
        assert_eq!(checked["digest"], received["digest"], "{checked}");
        assert_eq!(checked["recipient"], "ben", "{checked}");
    }

    // Clara has no account and no program but a browser.
    let Some(driver) = Driver::find() else { return };
    let picture = noise(77, 3 << 20);
    fs::write(lan.path("picture"), &picture).expect("written");
    let (sender, linked) = scene.sends(&["send", &lan.text("picture"), "--link"], "link");
    let downloads = lan.path("downloads");
    fs::create_dir(&downloads).expect("made");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/console/delivery.cjs");
    let told = json!({
        "journeys": script, "delivery": linked["link"], "downloads": downloads, "patience": 120_000,
    });
    let url = hello["url"].as_str().expect("a text");
    let mut browser = lan.on("clara", &driver.command(&lan.path("clara")));
    let browser = driver.start_by(&mut browser, url, "large", told);
    let saved = finished(browser.wait_with_output().expect("ends"));
    let name = saved["name"].as_str().expect("a name");
    assert!(fs::read(downloads.join(name)).expect("there") == picture, "{saved}");
    until("the sender has the receipt", || said_in(&lan.path("link"), "delivered").is_some());
    drop(sender);
}
