//! Commands whose work a running node does, and those that wait for one another.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};

use rustix::fs::{FlockOperation, flock};
use rustix::process::Signal;
use testkit::noise;
use testkit::parts::{require, skip_on_this_machine};

use crate::process::{Process, closed, last_line, until};
use crate::users::{NOBODY, is_root, program_for_everybody, set_mode};
use crate::world::World;

#[test]
fn commands_do_their_work_in_the_node_and_say_the_same() {
    let world = World::with_reader();
    let node = world.serve("ben");

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
    let world = World::with_publisher();
    for name in ["one", "two"] {
        fs::create_dir(world.path(name)).expect("made");
        for index in 0..40u8 {
            let bytes = noise(u64::from(index) + name.len() as u64 * 100, 300_000);
            fs::write(world.path(name).join(index.to_string()), bytes).expect("written");
        }
    }
    for with_node in [false, true] {
        let state = if with_node { "with" } else { "without" };
        let node = with_node.then(|| world.serve(state));
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
            trees.push(last_line(&output)["tree"].clone());
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
    let world = World::with_publisher();
    world.ok("solo", &["stats"]);
    let lock = fs::File::open(world.path("solo/store/lock")).expect("there");
    flock(&lock, FlockOperation::NonBlockingLockExclusive).expect("free");
    let mut put = world
        .node("solo")
        .plain(&["put", &world.text("hub/tls")])
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

/// Starts a command of `ben` that becomes a job of its node and lasts, for the hub answers nothing.
fn start_held_up(world: &World, args: &[&str], stdout: Stdio) -> Child {
    world.hub.signal(Signal::STOP);
    let command = world.command("ben", args).stdout(stdout).spawn().expect("starts");
    until("the job", || world.jobs("ben").len() == 1);
    command
}

#[test]
fn a_node_that_dies_is_named_and_the_command_goes_on_when_it_is_run_again() {
    let world = World::with_reader();
    let node = world.serve("ben");
    let args = ["get", "team/site", "--to", &world.text("copy")];
    let get = start_held_up(&world, &args, Stdio::piped());
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
    let node = world.serve("ben");
    world.ok("ben", &args);
    drop(node);
}

#[test]
fn ctrl_c_in_the_command_cancels_the_job_in_the_node() {
    let world = World::with_reader();
    let _node = world.serve("ben");
    let args = ["get", "team/site", "--to", &world.text("copy")];
    let mut get = Process(start_held_up(&world, &args, Stdio::null()));
    get.signal(Signal::INT);
    assert_eq!(get.0.wait().expect("ends").code(), Some(130));
    until("the end of the job", || world.jobs("ben").is_empty());
    world.hub.signal(Signal::CONT);
    world.ok("ben", &args);
}

#[test]
fn another_user_is_refused() {
    if !is_root() {
        skip_on_this_machine("another user", "only root can act as one");
        return;
    }
    let Some(setpriv) = require("setpriv") else { return };
    let world = World::with_reader();
    let _node = world.serve("ben");
    // As open as it can be made, so that only the check of the peer is left.
    let program = program_for_everybody(world.directory.path());
    set_mode(&world.path("ben"), 0o755);
    set_mode(&world.path("ben/node.sock"), 0o666);
    let nobody = NOBODY.to_string();
    let as_nobody = |args: &[&str]| {
        closed(&mut Command::new(&setpriv))
            .args(["--reuid", &nobody, "--regid", &nobody, "--clear-groups"])
            .arg(&program)
            .args(["--json", "--state", &world.text("ben")])
            .args(args)
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
    let world = World::with_publisher();
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
fn a_long_listing_comes_through_the_node() {
    let world = World::with_publisher();
    fs::create_dir(world.path("source")).expect("made");
    for index in 0..1000 {
        fs::write(world.path("source").join(index.to_string()), "x").expect("written");
    }
    world.ok("anna", &["publish", &world.text("source"), "team/many", "--public"]);
    world.join("ben", &["--reader"]);
    let _node = world.serve("ben");
    assert_eq!(world.lines("ben", &["ls", "team/many"], 0).len(), 1000);
}

#[test]
fn a_capability_reaches_the_node_and_nobody_else() {
    let world = World::with_publisher();
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
    let node = world.serve("ben");
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
