//! Commands and hubs that end in the middle of a transfer, and what the next run still has to move.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use testkit::noise;

use crate::files::{assert_same, listing, make_tree};
use crate::gate::{Counted, Gate};
use crate::process::{Process, count, last_line, start_hub};
use crate::world::World;

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
    let text = world.text("source");
    let args = ["publish", &text, "team/big", "--public"];
    kill_in_the_middle(&world, "anna", &gate, &args);
    gate.open();
    world.ok("anna", &args);

    // The hub is killed and comes back under the same address; what it acknowledged is there.
    world.hub.kill();
    let copy = world.text("copy");
    let args = ["get", "team/big", "--to", &copy];
    let unreachable = world.fails("ben", &args, 7);
    assert!(unreachable["hint"].as_str().is_some_and(|hint| hint.contains("again")));
    world.hub = start_hub(&world.path("hub"), &["--listen", world.address()]).0;

    // The reader is killed again and again, each time after more came.
    let gate = Gate::before(&world, "ben", Counted::FromTheHub, 0);
    for bytes in [5_000_000, 10_000_000, 20_000_000, 30_000_000] {
        gate.let_through(bytes);
        kill_in_the_middle(&world, "ben", &gate, &args);
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
    world.ok("ben", &args);
    assert_same(&source, &world.path("copy"));
}

/// Starts a command, waits until the gate has let its bytes through, kills it.
fn kill_in_the_middle(world: &World, node: &str, gate: &Gate, args: &[&str]) {
    let mut command = world.command(node, args);
    let mut process = Process::start(command.stdout(Stdio::null()).stderr(Stdio::null()));
    gate.wait_until_shut();
    process.kill();
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
    let command = world.command(node, args).stdout(Stdio::piped()).spawn().expect("starts");
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
/// had in its hands (of a publish three batches of 8 MiB), never all of it.
fn assert_only_the_rest(line: &Value, field: &str) {
    let moved = count(line, field);
    assert!((29_000_000..56_000_000).contains(&moved), "{field}: {line}");
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
