//! `consign demo`: what it shows, and what it leaves.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::Value;
use testkit::noise;

use crate::files::make_tree;
use crate::process::{consign, count, last_line, told, until};
use crate::world::World;

/// Far longer than a small one takes.
const DEMONSTRATION: Duration = Duration::from_secs(180);

/// A tree that takes a fetch long enough to be killed in its middle.
fn make_tree_to_kill_in(root: &Path) {
    make_tree(root);
    for index in 0..20 {
        fs::write(root.join(format!("large-{index}.bin")), noise(30 + index, 20_000_000))
            .expect("written");
    }
}

/// Runs the demonstration of a job, which leaves nothing behind; the last it said.
fn demonstrated(job: &str) -> Value {
    let directory = tempfile::tempdir().expect("temporary directory");
    let mut command = consign();
    command.args(["--json", "demo", job]).env("TMPDIR", directory.path());
    let output = command.output().expect("consign runs");
    assert!(output.status.success(), "{}", told(&output));
    let done = last_line(&output);
    assert_eq!(done["event"], "done");
    assert_eq!(fs::read_dir(directory.path()).expect("readable").count(), 0, "nothing is left");
    done
}

#[test]
fn the_demonstration_of_a_community_ends_with_every_receipt() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let mut command = consign();
    command.args(["--json", "demo", "community", "--console"]).env("TMPDIR", directory.path());
    let mut child = command.stdout(Stdio::piped()).spawn().expect("consign runs");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut told = |event: &str| -> Value {
        loop {
            let line = lines.next().unwrap_or_else(|| panic!("ends without {event}"));
            let line: Value = serde_json::from_str(&line.expect("UTF-8")).expect("JSON");
            if line["event"] == event {
                return line;
            }
        }
    };
    let (done, link) = (told("done"), told("console"));
    assert!(link["link"].as_str().is_some_and(|link| link.starts_with("http://")), "{link}");
    // Whoever closes the console has seen everything: nothing is left, and nothing went wrong.
    kill_process(Pid::from_child(&child), Signal::INT).expect("it runs");
    assert!(child.wait().expect("ends").success());
    assert_eq!(fs::read_dir(directory.path()).expect("readable").count(), 0, "nothing is left");
    let releases = done["releases"].as_array().expect("three");
    assert_eq!(releases.len(), 3, "{done}");
    for release in releases {
        // On one machine a script fails, always.
        let counts = ["passed", "failed", "pending"].map(|field| count(release, field));
        assert_eq!(counts, [4, 1, 0], "{release}");
    }
    // One was killed in the middle of its transfer, one was off until the end, and so is a relay.
    assert_eq!(done["killed"], true, "{done}");
    assert_eq!((&done["off"][0], &done["off"][1]), (&"press-3".into(), &Value::Null), "{done}");
    assert_eq!(done["relay_off"], "relay-a", "{done}");
    let (first, second) = (count(&done, "first_bytes_sent"), count(&done, "second_bytes_sent"));
    assert!(first > 30 << 20 && second < first / 50, "{done}");
}

#[test]
fn the_demonstration_of_a_delivery_ends_with_the_same_receipt_on_both_sides() {
    let done = demonstrated("delivery");
    // The folder has a folder, 40 notes and a film.
    assert_eq!(count(&done, "entries"), 42, "{done}");
    assert_eq!(done["words"].as_str().expect("words").split_whitespace().count(), 9, "{done}");
    for field in ["digest", "identity"] {
        assert_eq!(done[field].as_str().map(str::len), Some(64), "{field}: {done}");
    }
    // Both times in the middle, and the hub between; the link was opened before it was over.
    assert_eq!((count(&done, "killed"), count(&done, "hub_restarts")), (2, 1), "{done}");
    assert!(done["link"].as_str().is_some_and(|link| link.contains("/d/")), "{done}");
}

#[test]
fn the_demonstration_shows_a_kill_and_what_a_second_release_costs() {
    let world = World::new();
    make_tree_to_kill_in(&world.path("source"));
    let output = consign()
        .args(["--json", "demo", &world.text("source")])
        .env("TMPDIR", world.directory.path())
        .output()
        .expect("consign runs");
    assert!(output.status.success(), "{}", told(&output));
    let done = last_line(&output);
    assert_eq!((&done["event"], &done["equal"]), (&Value::from("done"), &Value::Bool(true)));
    assert_eq!(done["release"], "demo/files@2");
    assert_eq!(count(&done, "files"), 223);
    let total = count(&done, "bytes_total");
    assert!(total > 403_000_000, "{done}");

    // One of the two was killed on its way, and was equal in the end all the same.
    assert_eq!(done["killed"], true, "{done}");

    // The first release cost its bytes, the second next to nothing, up and down.
    let first = count(&done, "publish_bytes_sent");
    assert!(first > 400_000_000 && first < total + total / 20, "{done}");
    let second = count(&done, "update_publish_bytes_sent");
    assert!(second > 0 && second < first / 50, "{done}");
    assert_eq!(count(&done, "bytes_sent"), first + second, "{done}");
    let received = done["update_bytes_received"].as_array().expect("one a node");
    assert_eq!(received.len(), 2, "{done}");
    for one in received {
        assert!(one.as_u64().is_some_and(|bytes| bytes > 0 && bytes < first / 50), "{done}");
    }
    for field in ["publish_wall_s", "fetch_both_wall_s", "wall_s"] {
        assert!(done[field].as_f64().is_some_and(|seconds| seconds > 0.0), "{field}: {done}");
    }

    // The hub ended and everything it made is gone.
    let left: Vec<_> = fs::read_dir(world.directory.path()).expect("there").flatten().collect();
    assert!(!left.iter().any(|entry| entry.file_name().as_encoded_bytes().starts_with(b"consign")));
}

/// Ends a process that is nobody's child here.
struct EndWithTest(Pid);

impl EndWithTest {
    fn runs(&self) -> bool {
        // One that ended and that nobody has waited for still has its number.
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.as_raw_nonzero()));
        let ended = stat.is_ok_and(|stat| {
            stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z'))
        });
        test_kill_process(self.0).is_ok() && !ended
    }
}

impl Drop for EndWithTest {
    fn drop(&mut self) {
        let _ = kill_process(self.0, Signal::KILL);
    }
}

#[test]
fn a_kept_demonstration_leaves_its_hub_and_its_files() {
    let world = World::new();
    fs::create_dir(world.path("source")).expect("made");
    for index in 0..5 {
        fs::write(world.path("source").join(format!("{index}.txt")), noise(40 + index, 50_000))
            .expect("written");
    }
    // Into a file: the hub that stays would keep a pipe open.
    let talk = world.path("talk");
    let status = consign()
        .args(["demo", "--keep", &world.text("source")])
        .env("TMPDIR", world.directory.path())
        .stdout(Stdio::null())
        .stderr(fs::File::create(&talk).expect("made"))
        .status()
        .expect("consign runs");
    let said = fs::read_to_string(talk).expect("UTF-8");
    // "kept: PLACE; the hub runs as process N, stop it with: kill N"
    let (_, kept) = said.split_once("kept: ").unwrap_or_else(|| panic!("{said}"));
    let (place, rest) = kept.split_once("; the hub runs as process ").expect("its process");
    let number = rest.split(',').next().and_then(|number| number.parse().ok()).expect("a number");
    let hub = EndWithTest(Pid::from_raw(number).expect("not 0"));
    assert!(status.success(), "{said}");
    assert!(rest.contains(&format!("kill {number}")), "{said}");
    assert!(hub.runs(), "{said}");

    let place = Path::new(place);
    assert!(place.starts_with(world.directory.path()), "{said}");
    for copy in ["ben-files", "cleo-files"] {
        let files = fs::read_dir(place.join(copy)).expect("kept").flatten();
        let shown = files.filter(|entry| entry.file_name() != ".consign.tmp");
        assert_eq!(shown.count(), fs::read_dir(place.join("published")).expect("kept").count());
    }
    // The hub still answers the nodes that were kept with it.
    let state = place.join("ben");
    let again = consign()
        .arg("--state")
        .arg(&state)
        .args(["--json", "get", "demo/files", "--to"])
        .arg(world.path("later"))
        .output()
        .expect("consign runs");
    assert!(again.status.success(), "{again:?}");
    assert_eq!(last_line(&again)["release"], "demo/files@2");

    // What the user is told to do ends it.
    kill_process(hub.0, Signal::TERM).expect("it runs");
    until("the hub ends", || !hub.runs());
}

#[test]
fn who_reads_a_kept_demonstration_to_its_end_does_not_wait_for_its_hub() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let source = directory.path().join("source");
    fs::create_dir(&source).expect("made");
    fs::write(source.join("file"), vec![7; 300_000]).expect("written");
    let mut command = consign();
    command.args(["--json", "demo", "--keep"]).arg(&source);
    command.env("TMPDIR", directory.path()).env("HOME", directory.path());
    let (sender, ended) = mpsc::channel();
    std::thread::spawn(move || {
        // Reads both outputs to their ends.
        let _ = sender.send(command.output().expect("runs"));
    });
    let output = ended.recv_timeout(DEMONSTRATION).expect("nothing holds its outputs open");
    assert!(output.status.success(), "{output:?}");
    let done = last_line(&output);
    let number = |field: &str| count(&done, field);
    let hub = i32::try_from(number("hub_process")).expect("small");
    let _hub = EndWithTest(Pid::from_raw(hub).expect("not 0"));
    assert!(number("publish_bytes_per_s") > 0 && number("fetch_both_bytes_per_s") > 0, "{done}");

    let runs = fs::read_to_string(format!("/proc/{hub}/cmdline")).expect("it runs");
    assert!(runs.contains("hub"), "{runs}");
    let text = |field: &str| done[field].as_str().unwrap_or_else(|| panic!("{field}: {done}"));
    let kept = directory.path().canonicalize().expect("there");
    assert!(Path::new(text("kept")).starts_with(&kept), "{done}");
    let log = Path::new(text("hub_log"));
    assert!(log.starts_with(text("kept")) && log.is_file(), "{done}");
    // What the hub would say on standard error goes there.
    let said = fs::read_link(format!("/proc/{hub}/fd/2")).expect("its standard error");
    assert_eq!(said, log);
}
