//! Journeys through the real binary: a hub and its nodes as processes on loopback.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::Value;
use testkit::parts::skip_on_this_machine;

/// Far longer than anything here takes; a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(120);
/// User and group of nobody.
const NOBODY: u32 = 65_534;

fn consign() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_consign"));
    command.env_remove("CONSIGN_HUB").env_remove("CONSIGN_STATE").stdin(Stdio::null());
    command
}

/// A hub and a place for nodes; both end with the test.
struct World {
    directory: tempfile::TempDir,
    hub: Child,
    url: String,
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("temporary directory");
        let (hub, url) = start_hub(&directory.path().join("hub"), "127.0.0.1:0");
        Self { directory, hub, url }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().expect("UTF-8").to_owned()
    }

    fn run(&self, node: &str, args: &[&str]) -> Output {
        consign()
            .args(["--json", "--state", &self.text(node)])
            .args(args)
            .output()
            .expect("consign runs")
    }

    /// Runs a command that must end well; returns its last line.
    fn ok(&self, node: &str, args: &[&str]) -> Value {
        let output = self.run(node, args);
        assert!(
            output.status.success(),
            "{args:?}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        last_line(&output)
    }

    fn fails(&self, node: &str, args: &[&str], code: i32) -> Value {
        let output = self.run(node, args);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{args:?}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        last_line(&output)
    }

    fn invitation(&self, more: &[&str]) -> String {
        let data = self.text("hub");
        let line = self.ok("admin", &[&["invite", "--data", &data], more].concat());
        line["invitation"].as_str().expect("a string").to_owned()
    }

    fn join(&self, node: &str, more: &[&str]) -> String {
        self.ok(node, &["register", &self.invitation(more)]);
        self.ok(node, &["id"])["key"].as_str().expect("a string").to_owned()
    }

    /// Gives a node's state to a user who may not read everything, and says how commands run as
    /// that user: as nobody when this is root, else as who this is.
    fn unprivileged(&self, node: &str) -> impl Fn(&[&str]) -> Output {
        let state = self.text(node);
        fs::create_dir(&state).expect("made");
        let program = self.path("consign");
        let is_root = rustix::process::geteuid().is_root();
        if is_root {
            // Nobody must reach the program and the state.
            fs::copy(env!("CARGO_BIN_EXE_consign"), &program).expect("copied");
            for path in [self.directory.path(), &program] {
                fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("set");
            }
            chown(&state, Some(NOBODY), Some(NOBODY)).expect("root may");
        }
        move |args| {
            let mut command = consign();
            if is_root {
                command = Command::new(&program);
                command.env_clear().stdin(Stdio::null()).current_dir("/").uid(NOBODY).gid(NOBODY);
            }
            command.args(["--json", "--state", &state]).args(args).output().expect("consign runs")
        }
    }
}

/// Which of the two ways through a [`Gate`] is counted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Counted {
    FromTheHub,
    ToTheHub,
}

/// Lies between commands and the hub: lets so many bytes pass one way and then none, until it
/// is opened.
struct Gate {
    url: String,
    left: Arc<(Mutex<u64>, Condvar)>,
}

impl Gate {
    /// A gate that `node` of `world` takes for the hub.
    fn before(world: &World, node: &str, counted: Counted, bytes: u64) -> Self {
        let hub = world.url.split("//").nth(1).expect("a URL").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
        let url = format!("https://{}", listener.local_addr().expect("bound"));
        let hubs = world.path(node).join("hubs.json");
        let known = fs::read_to_string(&hubs).expect("registered");
        assert!(known.contains(&world.url), "{known}");
        fs::write(hubs, known.replace(&world.url, &url)).expect("written");
        let left = Arc::new((Mutex::new(bytes), Condvar::new()));
        let shared = Arc::clone(&left);
        std::thread::spawn(move || {
            for command in listener.incoming().map_while(Result::ok) {
                let hub = TcpStream::connect(&hub).expect("the hub listens");
                let (from, to) = (hub.try_clone(), command.try_clone());
                let (from, to) = (from.expect("cloned"), to.expect("cloned"));
                let both = [
                    (from, to, counted == Counted::FromTheHub),
                    (command, hub, counted == Counted::ToTheHub),
                ];
                for (from, to, counts) in both {
                    let left = counts.then(|| Arc::clone(&shared));
                    std::thread::spawn(move || pass(from, to, left.as_deref()));
                }
            }
        });
        Self { url, left }
    }

    fn wait_until_shut(&self) {
        let (left, changed) = &*self.left;
        let left = left.lock().expect("no panic");
        let (left, _) = changed.wait_timeout_while(left, PATIENCE, |left| *left > 0).expect("same");
        assert_eq!(*left, 0, "so much never came to {}", self.url);
    }

    fn let_through(&self, bytes: u64) {
        *self.left.0.lock().expect("no panic") = bytes;
        self.left.1.notify_all();
    }

    fn open(&self) {
        self.let_through(u64::MAX);
    }
}

/// Passes bytes on until one side is gone; `left` says how many may.
fn pass(mut from: TcpStream, mut to: TcpStream, left: Option<&(Mutex<u64>, Condvar)>) {
    let mut buffer = vec![0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if let Some((left, changed)) = left {
            let left = left.lock().expect("no panic");
            let mut left = changed.wait_while(left, |left| *left == 0).expect("no panic");
            *left = left.saturating_sub(count as u64);
            changed.notify_all();
        }
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Read);
    let _ = to.shutdown(Shutdown::Write);
}

fn count(line: &Value, field: &str) -> u64 {
    line[field].as_u64().unwrap_or_else(|| panic!("{field} is no number in {line}"))
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.hub.kill();
        let _ = self.hub.wait();
    }
}

fn start_hub(data: &Path, listen: &str) -> (Child, String) {
    let mut hub = consign()
        .args(["hub", "--json", "--listen", listen, "--data"])
        .arg(data)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the hub starts");
    let mut line = String::new();
    let out = hub.stdout.take().expect("piped");
    BufReader::new(out).read_line(&mut line).expect("readable");
    let hello: Value = serde_json::from_str(&line).expect("the first line is JSON");
    assert_eq!(hello["event"], "listening");
    assert_eq!(hello["fingerprint"].as_str().map(str::len), Some(64));
    (hub, hello["url"].as_str().expect("a string").to_owned())
}

fn last_line(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().last().unwrap_or_else(|| panic!("no output: {output:?}"));
    serde_json::from_str(last).unwrap_or_else(|error| panic!("{last:?}: {error}"))
}

/// Bytes that do not compress and differ by seed.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

fn make_tree(root: &Path) {
    fs::create_dir_all(root.join("docs/deep/er")).expect("made");
    fs::create_dir(root.join("empty")).expect("made");
    for index in 0..200 {
        let text = format!("page {index}\n").repeat(50 + index);
        fs::write(root.join(format!("docs/page-{index:03}.txt")), text).expect("written");
    }
    fs::write(root.join("large.bin"), noise(1, 3_000_000)).expect("written");
    fs::write(root.join("docs/deep/er/run.sh"), "#!/bin/sh\n").expect("written");
    let script = fs::Permissions::from_mode(0o755);
    fs::set_permissions(root.join("docs/deep/er/run.sh"), script).expect("set");
    fs::write(root.join("empty.txt"), "").expect("written");
    symlink("../large.bin", root.join("docs/link")).expect("linked");
    // Files younger than the granularity of time stamps are read again: let them age.
    std::thread::sleep(Duration::from_millis(100));
}

/// Everything under a directory: path, kind, mode, time, contents.
fn listing(root: &Path) -> Vec<(PathBuf, u32, i64, i64, Vec<u8>)> {
    let mut all = Vec::new();
    let mut stack = vec![root.to_owned()];
    while let Some(directory) = stack.pop() {
        for entry in fs::read_dir(&directory).expect("readable") {
            let path = entry.expect("readable").path();
            let facts = fs::symlink_metadata(&path).expect("exists");
            let contents = if facts.is_symlink() {
                fs::read_link(&path).expect("a link").into_os_string().into_encoded_bytes()
            } else if facts.is_dir() {
                stack.push(path.clone());
                Vec::new()
            } else {
                fs::read(&path).expect("readable")
            };
            let below = path.strip_prefix(root).expect("below").to_owned();
            all.push((below, facts.mode(), facts.mtime(), facts.mtime_nsec(), contents));
        }
    }
    all.sort();
    all
}

fn assert_same(left: &Path, right: &Path) {
    let (ours, theirs) = (listing(left), listing(right));
    let names = |list: &[(PathBuf, u32, i64, i64, Vec<u8>)]| {
        list.iter().map(|entry| entry.0.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&ours), names(&theirs));
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert!(ours == theirs, "{} differs", ours.0.display());
    }
}

#[test]
fn a_release_travels_and_the_next_one_costs_its_changes() {
    let world = World::new();
    world.join("anna", &[]);
    world.join("ben", &["--reader"]);
    let (source, copy) = (world.path("source"), world.path("copy"));
    make_tree(&source);

    let first = world.ok("anna", &["publish", &world.text("source"), "team/site", "--public"]);
    assert_eq!(first["release"], "team/site@1");
    assert_eq!(first["files"], 203);
    let got = world.ok("ben", &["get", "team/site", "--to", &world.text("copy")]);
    assert_eq!(got["tree"], first["tree"]);
    assert_same(&source, &copy);

    // Nothing new: nothing is read, nothing released, next to nothing is sent.
    let again = world.ok("anna", &["publish", &world.text("source"), "team/site"]);
    assert_eq!((&again["new"], &again["files_read"]), (&Value::Bool(false), &Value::from(0)));
    let same = world.ok("ben", &["get", "team/site", "--to", &world.text("copy")]);
    assert!(same["bytes_received"].as_u64().expect("a number") < 8_192, "{same}");

    // A change, a move, a removal.
    let mut large = noise(1, 3_000_000);
    large[1_500_000..1_500_010].copy_from_slice(b"0123456789");
    fs::write(source.join("large.bin"), large).expect("written");
    fs::rename(source.join("docs/page-000.txt"), source.join("docs/moved.txt")).expect("moved");
    fs::remove_file(source.join("docs/page-001.txt")).expect("removed");
    let second = world.ok("anna", &["publish", &world.text("source"), "team/site"]);
    assert_eq!(second["release"], "team/site@2");
    assert!(second["bytes_sent"].as_u64().expect("a number") < 600_000, "{second}");
    let update = world.ok("ben", &["get", "team/site", "--to", &world.text("copy")]);
    assert!(update["bytes_received"].as_u64().expect("a number") < 600_000, "{update}");
    assert_same(&source, &copy);

    // Somebody edits the copy; it is repaired.
    fs::write(copy.join("docs/page-100.txt"), "vandalised").expect("written");
    fs::remove_file(copy.join("docs/page-101.txt")).expect("removed");
    world.ok("ben", &["get", "team/site", "--to", &world.text("copy")]);
    assert_same(&source, &copy);

    // The old release is still there, also in parts.
    world.ok("ben", &["get", "team/site@1", "--to", &world.text("old"), "--only", "docs/page-00*"]);
    assert_eq!(fs::read_dir(world.path("old/docs")).expect("there").count(), 10);

    let changes = world.ok("ben", &["diff", "team/site@1", "team/site@2"]);
    assert_eq!((&changes["moved"], &changes["removed"]), (&Value::from(1), &Value::from(1)));
    let range = world.run("ben", &["cat", "team/site", "large.bin", "--range", "1500000-1500009"]);
    assert_eq!(range.stdout, b"0123456789");
    let newest = world.run("ben", &["log", "team/site"]);
    assert_eq!(String::from_utf8_lossy(&newest.stdout).lines().count(), 2);
}

#[test]
fn a_private_name_is_read_by_grant_only() {
    let world = World::new();
    world.join("anna", &[]);
    let ben = world.join("ben", &["--reader"]);
    world.join("eve", &[]);
    fs::create_dir(world.path("source")).expect("made");
    fs::write(world.path("source/secret.txt"), "for ben").expect("written");
    world.ok("anna", &["publish", &world.text("source"), "team/private"]);

    let refused = world.fails("ben", &["get", "team/private", "--to", &world.text("ben-copy")], 4);
    assert_eq!(refused["event"], "error");
    world.ok("anna", &["grant", "team/private", &ben]);
    world.ok("ben", &["get", "team/private", "--to", &world.text("ben-copy")]);
    assert_eq!(fs::read(world.path("ben-copy/secret.txt")).expect("there"), b"for ben");

    // Nobody else, not even by the id of the tree, and nobody publishes under anna's name.
    world.fails("eve", &["get", "team/private", "--to", &world.text("eve-copy")], 4);
    let tree = world.ok("anna", &["log", "team/private"])["tree"].as_str().expect("id").to_owned();
    assert!(!world.run("eve", &["get", &tree, "--to", &world.text("eve-copy")]).status.success());
    assert!(
        !world.run("eve", &["publish", &world.text("source"), "team/private"]).status.success()
    );
    assert!(!world.path("eve-copy/secret.txt").exists());

    world.ok("anna", &["revoke", "team/private", &ben]);
    world.fails("ben", &["get", "team/private", "--to", &world.text("ben-again")], 4);
}

#[test]
fn a_sealed_release_shows_the_hub_neither_names_nor_contents() {
    let world = World::new();
    world.join("anna", &[]);
    world.join("ben", &["--reader"]);
    let source = world.path("source");
    fs::create_dir_all(source.join("marker-directory")).expect("made");
    fs::write(source.join("marker-directory/marker-name.txt"), "marker-contents").expect("written");
    let long = "marker-long-contents ".repeat(20_000);
    fs::write(source.join("large-marker.txt"), &long).expect("written");
    let capability = world.text("capability");
    let args = ["publish", "--sealed", &world.text("source"), "team/sealed", "--public"];
    let done = world.ok("anna", &[&args[..], &["--capability-file", &capability]].concat());
    assert_eq!(done["capability"], Value::Null, "not printed when it goes to a file");

    for (path, _, _, _, contents) in listing(&world.path("hub")) {
        for marker in [&b"marker-"[..], b"large-marker"] {
            let found = contents.windows(marker.len()).any(|window| window == marker);
            assert!(!found, "{} holds {}", path.display(), String::from_utf8_lossy(marker));
        }
    }

    let (url, copy) = (world.url.clone(), world.text("copy"));
    let denied = world.fails("ben", &["--hub", &url, "get", "team/sealed", "--to", &copy], 5);
    assert!(denied["hint"].as_str().is_some_and(|hint| hint.contains("--capability")), "{denied}");
    world.ok("ben", &["get", "team/sealed", "--to", &copy, "--capability", &capability]);
    assert_same(&source, &world.path("copy"));

    // The same capability opens the next release, which re-sends only what changed.
    fs::write(source.join("note.txt"), "one more").expect("written");
    let next = world.ok("anna", &[&args[..], &["--capability-file", &capability]].concat());
    assert_eq!(next["release"], "team/sealed@2");
    assert!(next["bytes_sent"].as_u64().expect("a number") < 20_000, "{next}");
    world.ok("ben", &["get", "team/sealed", "--to", &copy, "--capability", &capability]);
    assert_same(&source, &world.path("copy"));
}

#[test]
fn kills_of_either_side_lose_nothing() {
    let mut world = World::new();
    world.join("anna", &[]);
    world.join("ben", &["--reader"]);
    let source = world.path("source");
    make_tree(&source);
    for index in 0..6 {
        fs::write(source.join(format!("big-{index}.bin")), noise(10 + index, 20_000_000))
            .expect("written");
    }
    // The publisher is killed in the middle, then finishes.
    let gate = Gate::before(&world, "anna", Counted::ToTheHub, 40_000_000);
    let mut publish = consign()
        .args(["--state", &world.text("anna"), "publish", "--public", &world.text("source")])
        .arg("team/big")
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("starts");
    gate.wait_until_shut();
    publish.kill().expect("killed");
    publish.wait().expect("ended");
    gate.open();
    world.ok("anna", &["publish", &world.text("source"), "team/big", "--public"]);

    // The hub is killed and comes back under the same address; what it acknowledged is there.
    world.hub.kill().expect("killed");
    world.hub.wait().expect("ended");
    let address = world.url.split("//").nth(1).expect("a URL").to_owned();
    let unreachable = world.fails("ben", &["get", "team/big", "--to", &world.text("copy")], 7);
    assert!(unreachable["hint"].as_str().is_some_and(|hint| hint.contains("again")));
    world.hub = start_hub(&world.path("hub"), &address).0;

    // The reader is killed again and again, each time after more came.
    let gate = Gate::before(&world, "ben", Counted::FromTheHub, 0);
    for bytes in [5_000_000, 10_000_000, 20_000_000, 30_000_000] {
        gate.let_through(bytes);
        let mut get = consign()
            .args(["--state", &world.text("ben"), "get", "team/big", "--to"])
            .arg(world.path("copy"))
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("starts");
        gate.wait_until_shut();
        get.kill().expect("killed");
        get.wait().expect("ended");
        // Whatever carries a final name is whole.
        for (path, _, _, _, contents) in listing(&world.path("copy")) {
            let hidden = path.starts_with(".consign.tmp");
            let is_file =
                fs::symlink_metadata(source.join(&path)).is_ok_and(|facts| facts.is_file());
            if !hidden && is_file {
                assert!(contents == fs::read(source.join(&path)).expect("there"), "{path:?}");
            }
        }
    }
    gate.open();
    world.ok("ben", &["get", "team/big", "--to", &world.text("copy")]);
    assert_same(&source, &world.path("copy"));
}

#[test]
fn unreadable_and_special_files_are_reported_and_left_out() {
    let world = World::new();
    world.join("anna", &[]);
    fs::create_dir(world.path("source")).expect("made");
    fs::write(world.path("source/fine.txt"), "fine").expect("written");
    let fifo = world.path("source/fifo");
    let made = Command::new("mkfifo").arg(&fifo).status().expect("mkfifo runs");
    assert!(made.success());
    let output = world.run("anna", &["publish", &world.text("source"), "team/odd", "--public"]);
    assert_eq!(output.status.code(), Some(3));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("\"skipped\"") && text.contains("fifo"), "{text}");
    assert_eq!(last_line(&output)["files"], 1);
}

#[test]
fn files_that_may_not_be_read_are_named_and_the_rest_is_published() {
    let world = World::new();
    let source = world.path("source");
    fs::create_dir_all(source.join("folder")).expect("made");
    for name in ["fine.txt", "closed.txt", "folder/inside.txt"] {
        fs::write(source.join(name), name).expect("written");
    }
    let close = |name: &str, mode| {
        fs::set_permissions(source.join(name), fs::Permissions::from_mode(mode)).expect("set");
    };
    close("closed.txt", 0o000);
    close("folder", 0o000);
    let anna = world.unprivileged("anna");
    let registered = anna(&["register", &world.invitation(&[])]);
    assert!(registered.status.success(), "{registered:?}");

    let output = anna(&["publish", &world.text("source"), "team/part", "--public"]);
    close("folder", 0o700);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(3), "{text}{output:?}");
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let skipped: Vec<_> = lines.filter(|line| line["event"] == "skipped").collect();
    let paths: Vec<_> = skipped.iter().map(|line| line["path"].as_str()).collect();
    assert_eq!(paths, [Some("closed.txt"), Some("folder")], "{text}");
    assert!(skipped.iter().all(|line| line["reason"].as_str().is_some_and(|why| !why.is_empty())));
    let done = last_line(&output);
    assert_eq!((&done["event"], &done["release"]), (&"done".into(), &"team/part@1".into()));
    assert_eq!((count(&done, "files"), count(&done, "skipped")), (1, 2));

    world.join("ben", &["--reader"]);
    world.ok("ben", &["get", "team/part", "--to", &world.text("copy")]);
    let got: Vec<_> = listing(&world.path("copy"))
        .into_iter()
        .filter(|entry| !entry.0.starts_with(".consign.tmp"))
        .map(|entry| (entry.0, entry.4))
        .collect();
    assert_eq!(got, [(PathBuf::from("fine.txt"), b"fine.txt".to_vec())]);
}

/// A source of 60 MB that do not compress.
fn make_large(source: &Path) {
    fs::create_dir(source).expect("made");
    for index in 0..6 {
        fs::write(source.join(format!("big-{index}.bin")), noise(20 + index, 10_000_000))
            .expect("written");
    }
}

/// Starts a command, waits until the gate has let half of its bytes through, presses Ctrl-C.
fn interrupt_in_the_middle(world: &World, node: &str, gate: &Gate, args: &[&str]) {
    let command = consign()
        .args(["--json", "--state", &world.text(node)])
        .args(args)
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    gate.wait_until_shut();
    kill_process(Pid::from_child(&command), Signal::INT).expect("it runs");
    let output = command.wait_with_output().expect("ends");
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    let last = last_line(&output);
    assert_eq!((&last["event"], &last["exit_code"]), (&"error".into(), &130.into()));
    assert!(last["hint"].as_str().is_some_and(|hint| hint.contains("again")), "{last}");
    gate.open();
}

/// What a rerun moves after half of 60 MB went through: the other half, and what the first run
/// had in its hands, never all of it.
fn assert_only_the_rest(line: &Value, field: &str) {
    let moved = count(line, field);
    assert!((29_000_000..50_000_000).contains(&moved), "{field}: {line}");
}

#[test]
fn ctrl_c_in_the_middle_of_a_get_keeps_what_came() {
    let world = World::new();
    world.join("anna", &[]);
    world.join("ben", &["--reader"]);
    make_large(&world.path("source"));
    world.ok("anna", &["publish", &world.text("source"), "team/big", "--public"]);

    let gate = Gate::before(&world, "ben", Counted::FromTheHub, 30_000_000);
    let copy = world.text("copy");
    let args = ["get", "team/big", "--to", &copy];
    interrupt_in_the_middle(&world, "ben", &gate, &args);
    assert_only_the_rest(&world.ok("ben", &args), "bytes_received");
    assert_same(&world.path("source"), &world.path("copy"));
}

#[test]
fn ctrl_c_in_the_middle_of_a_publish_keeps_what_went() {
    let world = World::new();
    world.join("anna", &[]);
    world.join("ben", &["--reader"]);
    make_large(&world.path("source"));

    let gate = Gate::before(&world, "anna", Counted::ToTheHub, 30_000_000);
    let source = world.text("source");
    let args = ["publish", &source, "team/big", "--public"];
    interrupt_in_the_middle(&world, "anna", &gate, &args);
    // Nothing is released before everything is there.
    world.fails("ben", &["get", "team/big", "--to", &world.text("early")], 4);
    let done = world.ok("anna", &args);
    assert_eq!(done["release"], "team/big@1");
    assert_only_the_rest(&done, "bytes_sent");
    world.ok("ben", &["get", "team/big", "--to", &world.text("copy")]);
    assert_same(&world.path("source"), &world.path("copy"));
}

#[test]
fn a_sparse_file_of_5_gib_travels_with_its_holes() {
    const SIZE: u64 = 5 << 30;
    const EDGE: u64 = 1 << 32;
    /// Bytes of data at each place; the file's holes are thousands of times longer.
    const DATA: usize = 300_000;
    let world = World::new();
    world.join("anna", &[]);
    world.join("ben", &["--reader"]);
    fs::create_dir(world.path("source")).expect("made");
    let path = world.path("source/disk.img");
    let file = fs::File::create_new(&path).expect("made");
    file.set_len(SIZE).expect("set");
    let half = DATA as u64 / 2;
    let places = [(0, 51), (EDGE - half, 52), (SIZE - DATA as u64, 53)];
    for (at, seed) in places {
        file.write_all_at(&noise(seed, DATA), at).expect("written");
    }
    if file.metadata().expect("there").blocks() * 512 > SIZE / 2 {
        skip_on_this_machine("a sparse file", "the file system keeps no holes");
        return;
    }

    let source = world.text("source");
    let published = world.ok("anna", &["publish", &source, "team/disk", "--public"]);
    assert_eq!(count(&published, "bytes_total"), SIZE);
    assert!(count(&published, "bytes_sent") < 2_000_000, "{published}");
    let got = world.ok("ben", &["get", "team/disk", "--to", &world.text("copy")]);
    assert_eq!(count(&got, "bytes_total"), SIZE);
    assert!(count(&got, "bytes_received") < 2_000_000, "{got}");

    let copy = fs::File::open(world.path("copy/disk.img")).expect("there");
    let facts = copy.metadata().expect("there");
    assert_eq!(facts.len(), SIZE);
    assert!(facts.blocks() * 512 < 8_000_000, "{} blocks", facts.blocks());
    let read = |at: u64, length: usize| {
        let mut bytes = vec![0xff; length];
        copy.read_exact_at(&mut bytes, at).expect("readable");
        bytes
    };
    for (at, seed) in places {
        assert!(read(at, DATA) == noise(seed, DATA), "at {at}");
    }
    // Beside the data, at once and far away, there is nothing.
    for at in [DATA as u64, EDGE - half - 70_000, EDGE + half, SIZE - DATA as u64 - 70_000, 1 << 30]
    {
        assert!(read(at, 70_000).iter().all(|byte| *byte == 0), "at {at}");
    }

    let middle = DATA / 2;
    let range = format!("{}-{}", EDGE - 10, EDGE + 9);
    let cat = world.run("ben", &["cat", "team/disk", "disk.img", "--range", &range]);
    assert_eq!(cat.stdout, noise(52, DATA)[middle - 10..middle + 10], "{cat:?}");
    // From a hole into data, and the last bytes there are.
    let range = format!("{}-{}", EDGE - half - 5, EDGE - half + 4);
    let cat = world.run("ben", &["cat", "team/disk", "disk.img", "--range", &range]);
    assert_eq!(cat.stdout, [&[0; 5][..], &noise(52, DATA)[..5]].concat(), "{cat:?}");
    let range = format!("{}-", SIZE - 7);
    let cat = world.run("ben", &["cat", "team/disk", "disk.img", "--range", &range]);
    assert_eq!(cat.stdout, noise(53, DATA)[DATA - 7..], "{cat:?}");
}

#[test]
fn what_is_put_can_be_listed_verified_and_got_without_a_hub() {
    let world = World::new();
    make_tree(&world.path("source"));
    let put = world.ok("solo", &["put", &world.text("source")]);
    let tree = put["tree"].as_str().expect("an id").to_owned();
    let listed = world.run("solo", &["ls", &tree, "docs"]);
    assert_eq!(String::from_utf8_lossy(&listed.stdout).lines().count(), 202);
    world.ok("solo", &["get", &tree, "--to", &world.text("copy")]);
    assert_same(&world.path("source"), &world.path("copy"));
    assert_eq!(world.ok("solo", &["verify"])["damaged"], 0);
    assert!(world.ok("solo", &["stats"])["chunks"].as_u64().is_some_and(|count| count > 50));
    world.ok("solo", &["gc", "--grace", "0"]);
    world.ok("solo", &["get", &tree, "--to", &world.text("after-gc")]);
    assert_same(&world.path("source"), &world.path("after-gc"));
}

#[test]
fn errors_name_the_thing_and_the_remedy() {
    let world = World::new();
    let none = world.fails("nobody", &["get", "team/none", "--to", &world.text("x")], 1);
    assert!(none["hint"].as_str().is_some_and(|hint| hint.contains("register")), "{none}");
    world.join("anna", &[]);
    let missing = world.fails("anna", &["get", "team/none", "--to", &world.text("x")], 4);
    assert!(
        missing["message"].as_str().is_some_and(|text| text.contains("team/none")),
        "{missing}"
    );
    world.fails("anna", &["get", "no-such-form", "--to", &world.text("x")], 2);
    world.fails("anna", &["register", "nonsense"], 2);
    let absent = world.fails("anna", &["publish", &world.text("absent"), "team/x"], 4);
    assert!(absent["message"].as_str().is_some_and(|text| text.contains("absent")), "{absent}");
}

#[test]
fn a_folder_and_a_store_serve_beside_the_hub() {
    let world = World::new();
    world.join("anna", &[]);
    world.join("ben", &["--reader"]);
    let source = world.path("source");
    make_tree(&source);
    world.ok("anna", &["publish", &world.text("source"), "team/site", "--public"]);

    // A folder with most of the files, one of them altered: it is checked like any source.
    let folder = world.path("usb/some/where");
    fs::create_dir_all(&folder).expect("made");
    fs::copy(source.join("large.bin"), folder.join("renamed.bin")).expect("copied");
    let args = ["get", "team/site", "--to", &world.text("copy"), "--source", &world.text("usb")];
    let got = world.ok("ben", &args);
    assert_same(&source, &world.path("copy"));
    let received = got["bytes_received"].as_u64().expect("a number");
    assert!(received < 3_000_000, "large.bin came from the folder, at least in part: {got}");

    // A store that has everything, named by its directory.
    world.ok("solo", &["put", &world.text("source")]);
    let store = format!("{}/store", world.text("solo"));
    world.ok("ben", &["get", "team/site", "--to", &world.text("again"), "--source", &store]);
    assert_same(&source, &world.path("again"));
}

/// A tree that takes a fetch long enough to be killed in its middle.
fn make_tree_to_kill_in(root: &Path) {
    make_tree(root);
    for index in 0..20 {
        fs::write(root.join(format!("large-{index}.bin")), noise(30 + index, 20_000_000))
            .expect("written");
    }
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
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
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
    let began = Instant::now();
    while hub.runs() {
        assert!(began.elapsed() < PATIENCE, "process {number} does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_hub_runs_with_a_certificate_of_ones_own() {
    let world = World::new();
    // A certificate and key as files: those the first hub made serve as well as any.
    let pem = |want: &[u8]| {
        let found = fs::read_dir(world.path("hub/tls")).expect("there").flatten().find(|entry| {
            fs::read(entry.path())
                .is_ok_and(|bytes| bytes.windows(want.len()).any(|window| window == want))
        });
        found.expect("a PEM file").path().to_str().expect("UTF-8").to_owned()
    };
    let tls = format!("{},{}", pem(b"BEGIN CERTIFICATE"), pem(b"PRIVATE KEY"));
    let mut hub = consign()
        .args(["hub", "--json", "--listen", "127.0.0.1:0", "--tls", &tls, "--data"])
        .arg(world.path("second"))
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut line = String::new();
    BufReader::new(hub.stdout.take().expect("piped")).read_line(&mut line).expect("readable");
    let invitation = world.ok("admin", &["invite", "--data", &world.text("second")]);
    let text = invitation["invitation"].as_str().expect("a string").to_owned();
    let registered = world.run("anna", &["register", &text]);
    hub.kill().expect("killed");
    hub.wait().expect("ended");
    assert!(registered.status.success(), "{line}{registered:?}");
}
