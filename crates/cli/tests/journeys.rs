//! Journeys through the real binary: a hub and its nodes as processes on loopback.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

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

    fn join(&self, node: &str, more: &[&str]) -> String {
        let data = self.text("hub");
        let args = [&["invite", "--data", &data], more].concat();
        let invitation = self.ok("admin", &args);
        self.ok(node, &["register", invitation["invitation"].as_str().expect("a string")]);
        self.ok(node, &["id"])["key"].as_str().expect("a string").to_owned()
    }
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
    std::thread::sleep(std::time::Duration::from_millis(100));
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
    // The publisher is killed at some point, then finishes.
    let mut publish = consign()
        .args(["--state", &world.text("anna"), "publish", "--public", &world.text("source")])
        .arg("team/big")
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("starts");
    std::thread::sleep(std::time::Duration::from_millis(200));
    publish.kill().expect("killed");
    publish.wait().expect("ended");
    world.ok("anna", &["publish", &world.text("source"), "team/big", "--public"]);

    // The hub is killed and comes back under the same address; what it acknowledged is there.
    world.hub.kill().expect("killed");
    world.hub.wait().expect("ended");
    let address = world.url.split("//").nth(1).expect("a URL").to_owned();
    let unreachable = world.fails("ben", &["get", "team/big", "--to", &world.text("copy")], 7);
    assert!(unreachable["hint"].as_str().is_some_and(|hint| hint.contains("again")));
    world.hub = start_hub(&world.path("hub"), &address).0;

    // The reader is killed again and again, each time a little later.
    for delay_ms in [20, 60, 120, 200] {
        let mut get = consign()
            .args(["--state", &world.text("ben"), "get", "team/big", "--to"])
            .arg(world.path("copy"))
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("starts");
        std::thread::sleep(std::time::Duration::from_millis(delay_ms));
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

#[test]
fn the_demonstration_runs() {
    let world = World::new();
    make_tree(&world.path("source"));
    let output = consign()
        .args(["--json", "demo", &world.text("source")])
        .env("TMPDIR", world.directory.path())
        .output()
        .expect("consign runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let done = last_line(&output);
    assert_eq!((&done["event"], &done["equal"]), (&Value::from("done"), &Value::Bool(true)));
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
