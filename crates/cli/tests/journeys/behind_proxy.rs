//! Two people with accounts, one of whom only a proxy lets out: a delivery of any size, whose recipient dies on the way.
//!
//! `CONSIGN_DELIVERY_MIB` says how much is delivered; with 5,120 it takes some minutes and 10 GB of disk.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use testkit::noise;
use testkit::parts::{require, skip_on_this_machine};

use crate::apart::Lan;
use crate::delivery::{assert_nowhere, hold_below, segments_below};
use crate::link::hash_of;
use crate::people::PASSWORD;
use crate::process::{Process, invite, last_line, lines, ok, told, until};
use crate::proxy::{self, Tinyproxy, configure};
use crate::users::is_root;

/// At the beginning of each MiB.
const MARKER: &[u8] = b"the marker of this delivery";
/// What a hub may write while anything is delivered: its database, whatever the size.
const WRITTEN_MAX: u64 = 8_000_000;
/// By how much a hub may grow over it, whatever the size: two segments, buffers, and what the allocator gives back later.
const GROWN_MAX: u64 = 48_000_000;

fn make(path: &Path) -> (blake3::Hash, u64) {
    let asked = std::env::var("CONSIGN_DELIVERY_MIB").ok();
    let pieces = asked.map_or(128, |asked| asked.parse().expect("a number of MiB"));
    let mut file = fs::File::create(path).expect("made");
    let mut hasher = blake3::Hasher::new();
    for number in 0..pieces {
        let mut piece = noise(number, 1 << 20).to_vec();
        piece[..MARKER.len()].copy_from_slice(MARKER);
        hasher.update(&piece);
        file.write_all(&piece).expect("written");
    }
    (hasher.finalize(), pieces)
}

/// A number of a process, in the kernel's words.
fn kernel_says(process: &Process, file: &str, what: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{}/{file}", process.0.id())).expect("readable");
    let line = text.lines().find_map(|line| line.strip_prefix(what)).expect("a line");
    line.split_whitespace().next().expect("a number").parse().expect("a number")
}

fn with_password(mut command: Command) -> Value {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("starts");
    let line = format!("{PASSWORD}\n");
    child.stdin.take().expect("piped").write_all(line.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", told(&output));
    last_line(&output)
}

#[test]
fn what_a_person_behind_a_proxy_sends_comes_whole_to_one_whose_machine_dies_twice() {
    if require("ip").is_none() || require("tinyproxy").is_none() {
        return;
    }
    if !is_root() {
        return skip_on_this_machine("machines in namespaces", "making them needs root");
    }
    let lan = Lan::new(&["hub", "anna", "proxy", "ben"]);
    let (hub, _) = lan.hub("hub", "hub-data");
    let data = lan.path("hub-data");
    let _proxy = Tinyproxy::start(&lan);
    lan.reaches_only("anna", "proxy");
    let config = configure(&lan, "anna", Some(&format!("anna:{}", proxy::PASSWORD)));
    let anna = |args: &[&str]| proxy::command(&lan, "anna", &config, args);
    let ben = |args: &[&str]| lan.command("ben", args);
    ok(&mut anna(&["register", &invite(&data, &[])]));
    ok(&mut ben(&["register", &invite(&data, &[])]));
    with_password(anna(&["account", "create", "anna", "--first-name", "Anna"]));
    with_password(ben(&["account", "create", "ben", "--first-name", "Ben"]));
    ok(&mut ben(&["book", "add", "anna"]));

    let (expected, pieces) = make(&lan.path("film.mkv"));
    let resident = kernel_says(&hub, "status", "VmRSS:") * 1024;
    let written = kernel_says(&hub, "io", "write_bytes:");
    let mut send = anna(&["send", &lan.text("film.mkv"), "--subject", "The film", "--to", "ben"]);
    send.stdout(fs::File::create(lan.path("sent")).expect("made")).stderr(Stdio::null());
    let mut sender = Process::start(&mut send);
    let mut id = String::new();
    until("it is in the inbox", || {
        let inbox = lines(&ben(&["inbox"]).output().expect("runs"));
        let found = inbox.iter().find(|line| line["event"] == "boxed-delivery");
        found.is_some_and(|line| {
            line["id"].as_str().expect("a text").clone_into(&mut id);
            true
        })
    });
    let to = lan.text("in");
    fs::create_dir(&to).expect("made");
    let accept = || {
        let mut accept = ben(&["accept", &id, "--to", &to]);
        Process::start(accept.stdout(Stdio::null()).stderr(Stdio::null()))
    };
    for part in 1..=2 {
        let mut recipient = accept();
        let slice = Duration::from_millis(20);
        hold_below(&lan.path("ben"), &recipient, part * pieces / 4, slice);
        recipient.kill();
        let kept = segments_below(&lan.path("ben"));
        assert!(kept < pieces, "it died in the middle, not at segment {kept} of {pieces}");
        assert!(!Path::new(&to).join("film.mkv").exists(), "half a delivery has no name");
    }
    let mut recipient = accept();
    assert!(recipient.0.wait().expect("ends").success());
    assert!(sender.0.wait().expect("ends").success());
    assert_eq!(hash_of(&Path::new(&to).join("film.mkv")), expected);

    // Both have the receipt, of the same bytes.
    let receipts = [anna(&["receipts"]), ben(&["receipts"])].map(|mut command| ok(&mut command));
    let [sent, received] = &receipts;
    assert_eq!((&sent["id"], &sent["digest"]), (&received["id"], &received["digest"]));
    assert_eq!(sent["id"].as_str(), Some(&*id));

    // The hub's disk saw nothing of it, and its memory two segments.
    let peak = kernel_says(&hub, "status", "VmHWM:") * 1024;
    let written = kernel_says(&hub, "io", "write_bytes:") - written;
    eprintln!("{pieces} MiB: the hub grew from {resident} to {peak} bytes and wrote {written}");
    assert!(peak < resident + GROWN_MAX, "from {resident} to {peak} bytes");
    assert!(written < WRITTEN_MAX, "{written} bytes");
    for needle in [MARKER, b"film.mkv", b"The film"] {
        assert_nowhere(&data, needle);
    }
}
