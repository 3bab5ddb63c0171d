//! Journeys through the real binary with a running node: commands in it, watches of it.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use testkit::parts::{require, skip_on_this_machine};

/// Far longer than anything here takes; a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

fn consign() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_consign"));
    command
        .env_remove("CONSIGN_HUB")
        .env_remove("CONSIGN_STATE")
        .env_remove("XDG_RUNTIME_DIR")
        .stdin(Stdio::null());
    command
}

/// A process that ends with the test.
struct Running(Child);

impl Running {
    /// Starts a command that says in one line of JSON when it is ready.
    fn start(command: &mut Command) -> (Self, Value) {
        let mut child = Self(command.stdout(Stdio::piped()).spawn().expect("starts"));
        let mut line = String::new();
        let out = child.0.stdout.take().expect("piped");
        BufReader::new(out).read_line(&mut line).expect("readable");
        (child, serde_json::from_str(&line).expect("the first line is JSON"))
    }

    fn signal(&self, signal: Signal) {
        let id = Pid::from_raw(i32::try_from(self.0.id()).expect("small")).expect("not 0");
        kill_process(id, signal).expect("it runs");
    }

    fn end(mut self, signal: Signal) {
        self.signal(signal);
        self.0.wait().expect("ends");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A hub, a publisher `anna` and a place for nodes.
struct World {
    directory: tempfile::TempDir,
    hub: Running,
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("temporary directory");
        let data = directory.path().join("hub");
        let listen = ["hub", "--json", "--listen", "127.0.0.1:0", "--data"];
        let (hub, hello) = Running::start(consign().args(listen).arg(data));
        assert_eq!(hello["event"], "listening");
        let world = Self { directory, hub };
        world.join("anna", &[]);
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().expect("UTF-8").to_owned()
    }

    fn command(&self, node: &str, args: &[&str]) -> Command {
        let mut command = consign();
        command.args(["--json", "--state", &self.text(node)]).args(args);
        command
    }

    fn run(&self, node: &str, args: &[&str]) -> Output {
        self.command(node, args).output().expect("consign runs")
    }

    fn lines(&self, node: &str, args: &[&str], code: i32) -> Vec<Value> {
        let output = self.run(node, args);
        let said = String::from_utf8_lossy(&output.stdout);
        let complained = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}{complained}");
        said.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    fn ok(&self, node: &str, args: &[&str]) -> Value {
        self.lines(node, args, 0).pop().expect("a line")
    }

    fn fails(&self, node: &str, args: &[&str], code: i32) -> Value {
        self.lines(node, args, code).pop().expect("a line")
    }

    fn join(&self, node: &str, more: &[&str]) {
        let data = self.text("hub");
        let invitation = self.ok("admin", &[&["invite", "--data", &data], more].concat());
        self.ok(node, &["register", invitation["invitation"].as_str().expect("a string")]);
    }

    fn node(&self, name: &str) -> Running {
        let (node, hello) = Running::start(&mut self.command(name, &["node"]));
        assert_eq!(hello["event"], "serving");
        node
    }

    /// Publishes one more release of `team/site`, whose file `number` says which one it is.
    fn release(&self, number: u64) {
        let source = self.path("source");
        fs::create_dir_all(source.join("deep")).expect("made");
        if number == 1 {
            fs::write(source.join("large.bin"), noise(1, 3_000_000)).expect("written");
            fs::write(source.join("deep/page"), "page\n".repeat(500)).expect("written");
        }
        fs::write(source.join("number"), number.to_string()).expect("written");
        let text = self.text("source");
        let done = self.ok("anna", &["publish", &text, "team/site", "--public"]);
        assert_eq!(done["sequence"], number);
    }

    /// What the node tells of its only watch.
    fn watched(&self, node: &str) -> Value {
        self.ok(node, &["watch", "--list"])
    }

    fn current(&self, to: &str) -> Option<u64> {
        fs::read_to_string(self.path(to).join("current/number")).ok()?.parse().ok()
    }

    /// The jobs of a node, as `status` tells.
    fn jobs(&self, node: &str) -> Vec<Value> {
        let mut lines = self.lines(node, &["status"], 0);
        lines.retain(|line| line["event"] == "job" && line["state"] == "running");
        lines
    }
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < PATIENCE, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(50));
    }
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

#[test]
fn commands_do_their_work_in_the_node_and_say_the_same() {
    let world = World::new();
    world.release(1);
    world.join("ben", &["--reader"]);
    let node = world.node("ben");

    // Relative paths start where the command is, not where the node is.
    fs::create_dir(world.path("somewhere")).expect("made");
    let got = world
        .command("ben", &["get", "team/site", "--to", "copy"])
        .current_dir(world.path("somewhere"))
        .output()
        .expect("runs");
    assert!(got.status.success(), "{}", String::from_utf8_lossy(&got.stdout));
    let large = fs::read(world.path("source/large.bin")).expect("there");
    assert!(fs::read(world.path("somewhere/copy/large.bin")).expect("there") == large);

    assert_eq!(world.run("ben", &["cat", "team/site", "large.bin"]).stdout, large);
    assert_eq!(world.lines("ben", &["ls", "team/site", "-R"], 0).len(), 4);
    assert_eq!(world.ok("ben", &["log", "team/site"])["release"], "team/site@1");
    let put = world.ok("ben", &["put", &world.text("source")]);
    let tree = put["tree"].as_str().expect("an id").to_owned();
    assert_eq!(world.ok("ben", &["verify"])["damaged"], 0);
    let chunks = world.ok("ben", &["stats"])["chunks"].as_u64().expect("a number");
    assert!(chunks > 10, "the node's store has what was put and the metadata of what was got");
    world.ok("ben", &["gc", "--grace", "0"]);

    // What fails there fails here, with its code, its cause and its remedy.
    let missing = world.fails("ben", &["get", "team/none", "--to", &world.text("x")], 4);
    assert!(missing["hint"].as_str().is_some_and(|hint| hint.contains("consign ls")), "{missing}");
    let same = world.fails("ben", &["get", "no-such-form", "--to", &world.text("x")], 2);
    assert_eq!(same["event"], "error");
    // One at a time is the node of a state directory.
    world.fails("ben", &["node"], 8);

    // Without it everything is still there.
    node.end(Signal::TERM);
    assert!(!world.path("ben/node.sock").exists());
    world.ok("ben", &["get", &tree, "--to", &world.text("again")]);
    assert_eq!(fs::read(world.path("again/large.bin")).expect("there"), large);
}

#[test]
fn two_commands_at_once_work_with_a_node_and_without() {
    let world = World::new();
    for name in ["one", "two"] {
        fs::create_dir(world.path(name)).expect("made");
        for index in 0..40u8 {
            let bytes = noise(u64::from(index) + name.len() as u64 * 100, 300_000);
            fs::write(world.path(name).join(index.to_string()), bytes).expect("written");
        }
    }
    for with_node in [false, true] {
        let state = if with_node { "with" } else { "without" };
        let node = with_node.then(|| world.node(state));
        let both: Vec<Child> = ["one", "two", "one"]
            .iter()
            .map(|name| {
                let mut command = world.command(state, &["put", &world.text(name)]);
                command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts")
            })
            .collect();
        let mut trees = Vec::new();
        for child in both {
            let output = child.wait_with_output().expect("ends");
            assert!(output.status.success(), "{output:?}");
            let text = String::from_utf8_lossy(&output.stdout);
            let done: Value =
                serde_json::from_str(text.lines().last().expect("a line")).expect("JSON");
            trees.push(done["tree"].clone());
        }
        assert_eq!(trees[0], trees[2]);
        assert_ne!(trees[0], trees[1]);
        assert_eq!(world.ok(state, &["verify"])["damaged"], 0);
        drop(node);
        let index = fs::read_dir(world.path(state).join("put")).expect("there");
        for memory in index.flatten() {
            let names: Vec<_> = fs::read_dir(memory.path()).expect("there").flatten().collect();
            let drafts =
                names.iter().any(|name| name.file_name().to_string_lossy().contains("new"));
            assert!(!drafts, "{names:?}");
        }
    }
}

#[test]
fn a_command_that_waits_for_the_store_says_for_whom() {
    let world = World::new();
    world.ok("solo", &["stats"]);
    let lock = fs::File::open(world.path("solo/store/lock")).expect("there");
    flock(&lock, FlockOperation::NonBlockingLockExclusive).expect("free");
    let mut put = consign()
        .args(["--state", &world.text("solo"), "put", &world.text("hub/tls")])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut talk = BufReader::new(put.stderr.take().expect("piped"));
    let mut said = String::new();
    while !said.contains("the store") {
        assert_ne!(talk.read_line(&mut said).expect("readable"), 0, "it ended: {said}");
    }
    assert!(said.contains(&format!("process {}", std::process::id())), "{said}");
    drop(lock);
    talk.read_to_string(&mut said).expect("readable");
    assert!(put.wait().expect("ends").success(), "{said}");
}

#[test]
fn a_node_that_dies_is_named_and_the_command_goes_on_when_it_is_run_again() {
    let world = World::new();
    world.release(1);
    world.join("ben", &["--reader"]);
    let node = world.node("ben");
    // A hub that answers nothing makes the job last.
    world.hub.signal(Signal::STOP);
    let args = ["get", "team/site", "--to", &world.text("copy")];
    let get = world.command("ben", &args).stdout(Stdio::piped()).spawn().expect("starts");
    until("the job", || world.jobs("ben").len() == 1);
    let job = world.jobs("ben").remove(0);
    assert!(job["what"].as_str().is_some_and(|what| what.starts_with("get team/site")), "{job}");
    node.end(Signal::KILL);
    let output = get.wait_with_output().expect("ends");
    assert_eq!(output.status.code(), Some(7));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("went away") && said.contains("again"), "{said}");

    // The dead one's socket is in nobody's way.
    world.hub.signal(Signal::CONT);
    world.ok("ben", &args);
    let node = world.node("ben");
    world.ok("ben", &args);
    drop(node);
}

#[test]
fn ctrl_c_in_the_command_cancels_the_job_in_the_node() {
    let world = World::new();
    world.release(1);
    world.join("ben", &["--reader"]);
    let _node = world.node("ben");
    world.hub.signal(Signal::STOP);
    let args = ["get", "team/site", "--to", &world.text("copy")];
    let get = Running(world.command("ben", &args).stdout(Stdio::null()).spawn().expect("starts"));
    until("the job", || world.jobs("ben").len() == 1);
    get.signal(Signal::INT);
    let mut get = get;
    assert_eq!(get.0.wait().expect("ends").code(), Some(130));
    until("the end of the job", || world.jobs("ben").is_empty());
    world.hub.signal(Signal::CONT);
    world.ok("ben", &args);
}

#[test]
fn another_user_is_refused() {
    if !rustix::process::geteuid().is_root() {
        skip_on_this_machine("another user", "only root can act as one");
        return;
    }
    let Some(setpriv) = require("setpriv") else { return };
    let world = World::new();
    world.release(1);
    world.join("ben", &["--reader"]);
    let _node = world.node("ben");
    // As open as it can be made, so that only the check of the peer is left.
    let open = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set");
    };
    open(world.directory.path(), 0o755);
    open(&world.path("ben"), 0o755);
    open(&world.path("ben/node.sock"), 0o666);
    let program = world.path("consign");
    fs::copy(env!("CARGO_BIN_EXE_consign"), &program).expect("copied");
    open(&program, 0o755);
    let as_nobody = |args: &[&str]| {
        Command::new(&setpriv)
            .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
            .arg(&program)
            .args(["--json", "--state", &world.text("ben")])
            .args(args)
            .stdin(Stdio::null())
            .env_remove("XDG_RUNTIME_DIR")
            .env("HOME", "/nonexistent")
            .output()
            .expect("setpriv runs")
    };
    let to = world.text("stolen");
    for args in [&["get", "team/site", "--to", &to][..], &["stats"]] {
        let refused = as_nobody(args);
        let said = String::from_utf8_lossy(&refused.stdout);
        assert_eq!(refused.status.code(), Some(5), "{said}{refused:?}");
        assert!(said.contains("another user"), "{said}");
    }
    assert!(!world.path("stolen").exists());
}

#[test]
fn a_node_of_another_version_is_named() {
    use std::io::Write as _;
    let world = World::new();
    fs::create_dir(world.path("old")).expect("made");
    let socket = world.path("old/node.sock");
    let listener = std::os::unix::net::UnixListener::bind(socket).expect("binds");
    let node = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a command");
        let hello = br#"{"protocol":0,"version":"0.0.9","process":77}"#;
        let mut frame = vec![0];
        frame.extend_from_slice(&u32::try_from(hello.len()).expect("short").to_le_bytes());
        frame.extend_from_slice(hello);
        stream.write_all(&frame).expect("sent");
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).expect("read");
    });
    let refused = world.fails("old", &["stats"], 8);
    let said = refused["message"].as_str().expect("a text");
    assert!(said.contains("0.0.9") && said.contains("process 77"), "{said}");
    assert!(refused["hint"].as_str().is_some_and(|hint| hint.contains("restart")), "{refused}");
    node.join().expect("no panic");
}

#[test]
fn a_capability_reaches_the_node_and_nobody_else() {
    let world = World::new();
    fs::create_dir(world.path("source")).expect("made");
    fs::write(world.path("source/secret"), "sealed words").expect("written");
    let capability = world.text("capability");
    let source = world.text("source");
    world.ok(
        "anna",
        &[
            "publish",
            "--sealed",
            &source,
            "team/sealed",
            "--public",
            "--capability-file",
            &capability,
        ],
    );
    world.join("ben", &["--reader"]);
    let node = world.node("ben");
    let to = world.text("copy");
    let denied = world.fails("ben", &["get", "team/sealed", "--to", &to], 5);
    assert!(denied["hint"].as_str().is_some_and(|hint| hint.contains("--capability")), "{denied}");
    world.hub.signal(Signal::STOP);
    let args = ["get", "team/sealed", "--to", &to, "--capability", &capability];
    let get = world.command("ben", &args).stdout(Stdio::piped()).spawn().expect("starts");
    until("the job", || world.jobs("ben").len() == 1);
    let secret = fs::read_to_string(&capability).expect("there");
    let status = world.run("ben", &["status"]).stdout;
    let own = fs::read(format!("/proc/{}/cmdline", node.0.id())).expect("there");
    for told in [status, own] {
        assert!(!String::from_utf8_lossy(&told).contains(secret.trim()));
    }
    world.hub.signal(Signal::CONT);
    assert!(get.wait_with_output().expect("ends").status.success());
    assert_eq!(fs::read_to_string(world.path("copy/secret")).expect("there"), "sealed words");
}

#[test]
fn a_watch_of_the_node_follows_rolls_back_and_survives_restarts() {
    let world = World::new();
    world.release(1);
    world.join("ben", &["--reader"]);
    let node = world.node("ben");
    let to = world.text("site");
    let watch = world.ok("ben", &["watch", "team/site", "--to", &to, "--keep", "2"]);
    assert_eq!((&watch["current"], &watch["name"]), (&Value::from(1), &Value::from("team/site")));
    assert_eq!(world.current("site"), Some(1));

    // The next release comes by itself, and costs what changed.
    world.release(2);
    until("release 2", || world.current("site") == Some(2));
    let large = fs::read(world.path("source/large.bin")).expect("there");
    assert!(fs::read(world.path("site/current/large.bin")).expect("there") == large);
    world.release(3);
    until("release 3", || world.current("site") == Some(3));
    until("two kept", || world.watched("ben")["kept"] == serde_json::json!([2, 3]));
    assert!(!world.path("site/releases/1").exists());

    // Back to the release before, which stays until it is let go, whatever is published.
    let held = world.ok("ben", &["watch", "team/site", "--to", &to, "--to-release", "2"]);
    assert_eq!((&held["current"], &held["hold"]), (&Value::from(2), &Value::from(2)));
    assert_eq!(world.current("site"), Some(2));
    world.release(4);
    node.end(Signal::KILL);
    let node = world.node("ben");
    until("the watch after the restart", || world.watched("ben")["state"] == "holding");
    assert_eq!(world.current("site"), Some(2));
    let free = world.ok("ben", &["watch", "team/site", "--to", &to, "--follow"]);
    assert_eq!(free["hold"], Value::Null);
    until("release 4", || world.current("site") == Some(4));

    // A hub that restarts is found again.
    node.end(Signal::TERM);
    let _node = world.node("ben");
    world.release(5);
    until("release 5", || world.current("site") == Some(5));
    world.ok("ben", &["watch", "--remove", &to]);
    assert!(world.run("ben", &["watch", "--list"]).stdout.is_empty());
    assert_eq!(world.current("site"), Some(5));
}

#[test]
fn a_watch_without_a_node_switches_once_and_as_a_plain_directory() {
    let world = World::new();
    world.release(1);
    world.join("ben", &["--reader"]);
    let to = world.text("site");
    for number in 1..=3 {
        if number > 1 {
            world.release(number);
        }
        let done = world.ok("ben", &["watch", "team/site", "--to", &to, "--exchange", "--once"]);
        assert_eq!(done["current"], number);
        let current = fs::symlink_metadata(world.path("site/current")).expect("there");
        assert!(current.is_dir(), "a plain directory");
        assert_eq!(world.current("site"), Some(number));
    }
    // Going back needs no hub.
    world.hub.signal(Signal::STOP);
    let args = ["watch", "team/site", "--to", &to, "--exchange", "--to-release", "1"];
    assert_eq!(world.ok("ben", &args)["current"], 1);
    assert_eq!(world.current("site"), Some(1));
    world.hub.signal(Signal::CONT);
    assert_eq!(
        world.ok("ben", &["watch", "team/site", "--to", &to, "--exchange", "--follow"])["current"],
        3
    );
    assert_eq!(world.fails("ben", &["watch", "--list"], 1)["event"], "error");
}

#[test]
fn a_hook_runs_with_few_rights_and_its_failure_rolls_back() {
    let world = World::new();
    world.release(1);
    world.join("ben", &["--reader"]);
    let (to, log) = (world.text("site"), world.text("log"));
    // What a hook may tell of itself: its rights, its session, its environment.
    let hook = format!(
        "{{ grep NoNewPrivs /proc/self/status; cut -d' ' -f6 /proc/self/stat; echo $$; env; pwd; }} > {log}"
    );
    let once = ["watch", "team/site", "--to", &to, "--once", "--hook"];
    world.ok("ben", &[&once[..], &[&hook]].concat());
    let told = fs::read_to_string(world.path("log")).expect("the hook ran");
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines[0].split_whitespace().last(), Some("1"), "no new privileges: {told}");
    assert_eq!(lines[1], lines[2], "it leads a session of its own: {told}");
    for wanted in
        ["CONSIGN_NAME=team/site", "CONSIGN_RELEASE=1", "CONSIGN_PREVIOUS=", "CONSIGN_ROLLBACK=0"]
    {
        assert!(lines.contains(&wanted), "{wanted}: {told}");
    }
    // The shell adds three of its own.
    let known = |name: &str| {
        name.starts_with("CONSIGN_") || ["PATH", "PWD", "OLDPWD", "SHLVL", "_"].contains(&name)
    };
    let names = lines[3..lines.len() - 1].iter().filter_map(|line| line.split_once('='));
    let strangers: Vec<_> = names.filter(|(name, _)| !known(name)).collect();
    assert!(strangers.is_empty(), "{strangers:?}");
    assert_eq!(lines.last(), Some(&&*to));

    // A hook that does not like release 2.
    world.release(2);
    let picky = "echo no good >&2; test $CONSIGN_RELEASE != 2";
    let failed = world.fails("ben", &[&once[..], &[picky, "--rollback"]].concat(), 1);
    let message = failed["message"].as_str().expect("a text");
    assert!(message.contains("rolled back") && message.contains("no good"), "{message}");
    assert_eq!(world.current("site"), Some(1));
    // It is not tried again, the next release is.
    assert_eq!(world.ok("ben", &[&once[..], &[picky, "--rollback"]].concat())["current"], 1);
    world.release(3);
    assert_eq!(world.ok("ben", &[&once[..], &[picky, "--rollback"]].concat())["current"], 3);

    // One that does not end is ended, with all it started.
    world.release(4);
    let slow = format!("sleep 1000 & echo $! > {log}; wait");
    let args = [&once[..], &[&slow, "--hook-timeout", "1"]].concat();
    let failed = world.fails("ben", &args, 1);
    assert!(failed["message"].as_str().is_some_and(|text| text.contains("longer than 1 s")));
    let child = fs::read_to_string(world.path("log")).expect("written");
    let child = Path::new("/proc").join(child.trim());
    until("the end of what the hook started", || {
        // What was killed and not yet reaped by its new parent is dead as well.
        fs::read_to_string(child.join("stat")).map_or(true, |stat| stat.contains(") Z "))
    });
    assert_eq!(world.current("site"), Some(4), "without --rollback the release stays");
}

#[test]
fn kills_during_a_watch_leave_one_whole_release_or_another() {
    for more in [&[][..], &["--exchange"]] {
        let world = World::new();
        world.join("ben", &["--reader"]);
        let to = world.text("site");
        let args =
            [&["watch", "team/site", "--to", &to, "--once", "--keep", "2"][..], more].concat();
        let mut before = None;
        for number in 1..=6u64 {
            world.release(number);
            for delay_ms in [10, 25, 50, 90, 140] {
                let watch = world.command("ben", &args).stdout(Stdio::null()).spawn();
                let watch = Running(watch.expect("starts"));
                std::thread::sleep(Duration::from_millis(delay_ms + number * 5));
                drop(watch);
                let seen = world.current("site");
                assert!(seen == before || seen == Some(number), "{seen:?} after {before:?}");
                if seen.is_some() {
                    let large = fs::read(world.path("site/current/large.bin")).expect("whole");
                    assert!(large == fs::read(world.path("source/large.bin")).expect("there"));
                }
            }
            let done = world.ok("ben", &args);
            assert_eq!(
                (&done["current"], world.current("site")),
                (&Value::from(number), Some(number))
            );
            assert!(done["kept"].as_array().is_some_and(|kept| kept.len() <= 2), "{done}");
            before = Some(number);
        }
    }
}

#[test]
fn a_release_asked_for_while_a_hook_runs_is_gone_back_to() {
    let world = World::new();
    world.release(1);
    world.join("ben", &["--reader"]);
    let node = world.node("ben");
    let (to, log) = (world.text("site"), world.text("log"));
    let slow = format!("echo $CONSIGN_RELEASE >> {log}; test $CONSIGN_RELEASE != 2 || sleep 1000");
    world.ok("ben", &["watch", "team/site", "--to", &to, "--hook", &slow]);
    world.release(2);
    until("the hook of release 2", || world.watched("ben")["state"] == "hook");
    assert_eq!(world.current("site"), Some(2));
    let held = world.ok("ben", &["watch", "team/site", "--to", &to, "--to-release", "1"]);
    assert_eq!((&held["current"], &held["hold"]), (&Value::from(1), &Value::from(1)));
    until("the old files' hook", || {
        fs::read_to_string(world.path("log")).is_ok_and(|log| log == "1\n2\n1\n")
    });
    assert_eq!(world.current("site"), Some(1));

    // A release that is not there is an error now, and was none of an order that works.
    let args = ["watch", "team/site", "--to", &to, "--to-release", "99"];
    let failed = world.lines("ben", &args, 3).pop().expect("a line");
    assert!(failed["last_error"].is_string(), "{failed}");
    let again = world.lines("ben", &args, 3).pop().expect("a line");
    assert!(again["last_error"].is_string(), "{again}");
    let held = world.ok("ben", &["watch", "team/site", "--to", &to, "--to-release", "1"]);
    assert_eq!((&held["current"], &held["last_error"]), (&Value::from(1), &Value::Null));
    drop(node);
}

#[test]
fn a_rollback_that_is_cut_off_does_not_come_back_as_the_bad_release() {
    let world = World::new();
    world.release(1);
    world.join("ben", &["--reader"]);
    let (to, log, bad, gate) =
        (world.text("site"), world.text("log"), world.text("bad"), world.text("gate"));
    let hook = format!(
        "echo $CONSIGN_RELEASE $CONSIGN_ROLLBACK >> {log}; test ! -e {bad} || \
         {{ test $CONSIGN_RELEASE = 2 || test -e {gate} || sleep 20; exit 1; }}"
    );
    let args = ["watch", "team/site", "--to", &to, "--once", "--rollback", "--hook", &hook];
    world.ok("ben", &args);
    world.release(2);
    fs::write(&bad, "").expect("written");
    let watch = Running(world.command("ben", &args).stdout(Stdio::null()).spawn().expect("starts"));
    let told = || fs::read_to_string(&log).expect("there");
    until("the hook of the rollback", || told() == "1 0\n2 0\n1 1\n");
    watch.end(Signal::KILL);
    assert_eq!(world.current("site"), Some(1));
    // The next run goes on with it, and does not go back to where it came from.
    fs::write(&gate, "").expect("written");
    world.fails("ben", &args, 1);
    assert_eq!((told(), world.current("site")), ("1 0\n2 0\n1 1\n1 1\n".into(), Some(1)));
    assert_eq!(world.ok("ben", &args)["current"], 1);
}

#[test]
fn releases_of_another_name_are_not_served() {
    let world = World::new();
    world.release(1);
    let source = world.text("source");
    fs::write(world.path("source/number"), "7").expect("written");
    world.ok("anna", &["publish", &source, "team/other", "--public"]);
    world.join("ben", &["--reader"]);
    let to = world.text("site");
    world.ok("ben", &["watch", "team/site", "--to", &to, "--once"]);
    for more in [&[][..], &["--to-release", "1"]] {
        let args = [&["watch", "team/other", "--to", &to, "--once"][..], more].concat();
        let refused = world.fails("ben", &args, 6);
        let said = refused["message"].as_str().expect("a text");
        assert!(said.contains("another history"), "{said}");
    }
    assert_eq!(world.current("site"), Some(1));
    fs::remove_dir_all(world.path("site")).expect("removed");
    world.ok("ben", &["watch", "team/other", "--to", &to, "--once"]);
    assert_eq!(world.current("site"), Some(7));
}

#[test]
fn a_hub_that_was_away_is_no_failure_of_the_watch_any_more() {
    let mut world = World::new();
    world.release(1);
    world.join("ben", &["--reader"]);
    let _node = world.node("ben");
    let to = world.text("site");
    let watch = world.ok("ben", &["watch", "team/site", "--to", &to]);
    assert_eq!(watch["last_error"], Value::Null);
    let (data, url) = (world.text("hub"), hub_url(&world.path("ben")));
    world.hub.signal(Signal::KILL);
    until("the failure", || world.watched("ben")["last_error"].is_string());
    let listen = url.trim_start_matches("http://").trim_start_matches("https://").to_owned();
    let args = ["hub", "--json", "--listen", &listen, "--data", &data];
    (world.hub, _) = Running::start(consign().args(args));
    until("the end of it", || {
        let watch = world.watched("ben");
        watch["last_error"].is_null() && watch["state"] == "listening"
    });
    assert_eq!(world.current("site"), Some(1));
}

#[test]
fn a_long_listing_comes_through_the_node() {
    let world = World::new();
    fs::create_dir(world.path("source")).expect("made");
    for index in 0..1000 {
        fs::write(world.path("source").join(index.to_string()), "x").expect("written");
    }
    world.ok("anna", &["publish", &world.text("source"), "team/many", "--public"]);
    world.join("ben", &["--reader"]);
    let _node = world.node("ben");
    assert_eq!(world.lines("ben", &["ls", "team/many"], 0).len(), 1000);
}

/// The address of the hub a node is registered with.
fn hub_url(state: &Path) -> String {
    let hubs = fs::read(state.join("hubs.json")).expect("there");
    let hubs: Value = serde_json::from_slice(&hubs).expect("JSON");
    hubs[0]["url"].as_str().expect("a text").trim_end_matches('/').to_owned()
}
