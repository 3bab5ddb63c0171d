//! A hub that is restarted while people work with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use serde_json::Value;
use testkit::noise;

use super::supervisor::Supervisor;
use crate::process::{Process, consign, free_port, last_line, start_hub, told, until};
use crate::world::Node;

/// Exit code of a command that could not reach its hub; running it again goes on.
const UNREACHABLE: i32 = 7;

/// Runs a command until it ends well; only a hub that cannot be reached is a reason to run it
/// again.
fn persistently(node: &Node, args: &[&str]) -> Value {
    for _ in 0..100 {
        let output = node.run(args);
        if output.status.success() {
            return last_line(&output);
        }
        assert_eq!(output.status.code(), Some(UNREACHABLE), "{args:?}: {}", told(&output));
    }
    panic!("{args:?}: never reached the hub");
}

/// Publishes one release after the other; returns how many were acknowledged.
fn publish_on(node: &Node, from: &Path, number: u64, stop: &AtomicBool, done: &AtomicU64) -> u64 {
    let name = format!("team/n{number}");
    fs::create_dir_all(from).expect("a directory");
    let mut release = 0;
    while !stop.load(Ordering::Relaxed) || release == 0 {
        release += 1;
        fs::write(from.join("big"), noise(number * 1000 + release, 3 << 20)).expect("writes");
        fs::write(from.join(format!("file{release}")), noise(release, 50_000)).expect("writes");
        let path = from.to_str().expect("UTF-8");
        let line = persistently(node, &["publish", path, &name, "--public"]);
        // An answer that was lost is found again: the same content is not released twice.
        release = line["release"].as_u64().unwrap_or(release);
        done.fetch_add(1, Ordering::Relaxed);
    }
    release
}

#[test]
fn publishing_and_fetching_survive_restarts_and_nothing_acknowledged_is_lost() {
    let directory = tempfile::tempdir().expect("a directory");
    let data = directory.path().join("hub");
    let listen = format!("127.0.0.1:{}", free_port());
    let arguments = ["--listen", listen.as_str()];
    let (mut hub, _) = start_hub(&data, &arguments);
    let stop = Arc::new(AtomicBool::new(false));
    let done = Arc::new(AtomicU64::new(0));
    let mut publishing = Vec::new();
    for number in 0..2 {
        let node = Node::new(directory.path().join(format!("publisher{number}")));
        node.join(&data, &[]);
        let from: PathBuf = directory.path().join(format!("from{number}"));
        let (stop, done) = (Arc::clone(&stop), Arc::clone(&done));
        publishing.push(thread::spawn(move || publish_on(&node, &from, number, &stop, &done)));
    }
    until("both have published", || done.load(Ordering::Relaxed) >= 4);
    let reader = Node::new(directory.path().join("reader"));
    reader.join(&data, &["--reader"]);
    let reading = thread::spawn({
        let (stop, reader) = (Arc::clone(&stop), reader.clone());
        let to = directory.path().join("to");
        move || {
            let (to, mut gets) = (to.to_str().expect("UTF-8").to_owned(), 0);
            while !stop.load(Ordering::Relaxed) {
                persistently(&reader, &["get", "team/n0", "--to", &to]);
                gets += 1;
            }
            gets
        }
    });
    for _ in 0..3 {
        let before = done.load(Ordering::Relaxed);
        assert!(hub.stop(), "the hub ends well");
        (hub, _) = start_hub(&data, &arguments);
        until("publishing goes on", || done.load(Ordering::Relaxed) >= before + 3);
    }
    stop.store(true, Ordering::Relaxed);
    let released: Vec<u64> =
        publishing.into_iter().map(|it| it.join().expect("no publisher failed")).collect();
    assert!(reading.join().expect("no reader failed") > 0);

    for (number, last) in released.into_iter().enumerate() {
        let to = directory.path().join(format!("all{number}"));
        let to_text = to.to_str().expect("UTF-8");
        // Every release that was acknowledged is there, and the last is what was published.
        for release in 1..=last {
            reader.ok(&["ls", &format!("team/n{number}@{release}")]);
        }
        reader.ok(&["get", &format!("team/n{number}@{last}"), "--to", to_text]);
        let from = directory.path().join(format!("from{number}"));
        assert_eq!(
            fs::read(to.join("big")).expect("reads"),
            fs::read(from.join("big")).expect("reads")
        );
    }
}

#[test]
fn a_supervisor_is_told_how_the_hub_is() {
    let directory = tempfile::tempdir().expect("a directory");
    let supervisor = Supervisor::listen_in(directory.path());
    let mut command = consign();
    command.args(["hub", "--listen", "127.0.0.1:0", "--data"]).arg(directory.path().join("hub"));
    supervisor.supervise(command.env("WATCHDOG_USEC", "200000"));
    let mut hub = Process::start(command.stdout(Stdio::null()).stderr(Stdio::null()));
    let first = supervisor.next();
    assert!(first.contains("READY=1") && first.contains("STATUS=serving https://"), "{first}");
    for _ in 0..3 {
        assert_eq!(supervisor.next().trim(), "WATCHDOG=1", "a sign of life comes again and again");
    }
    assert!(hub.stop(), "ends well");
    while !supervisor.next().contains("STOPPING=1") {}
}

#[test]
fn listening_on_all_addresses_without_a_url_is_warned_of() {
    use std::io::{BufRead as _, BufReader};
    let directory = tempfile::tempdir().expect("a directory");
    let mut command = consign();
    command.args(["hub", "--listen", "0.0.0.0:0", "--data"]).arg(directory.path().join("hub"));
    let mut hub = Process::start(command.stdout(Stdio::null()).stderr(Stdio::piped()));
    let mut err = BufReader::new(hub.0.stderr.take().expect("piped")).lines();
    let warning = err.by_ref().map_while(Result::ok).find(|line| line.contains("--url"));
    assert!(warning.expect("a warning").contains("127.0.0.1"));
    assert!(hub.stop());
}
