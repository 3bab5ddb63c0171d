//! Names that are followed into a directory.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::process::{Process, start_hub, until};
use crate::world::World;

#[test]
fn a_watch_of_the_node_follows_rolls_back_and_survives_restarts() {
    let world = World::with_reader();
    let node = world.serve("ben");
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
    let node = world.serve("ben");
    until("the watch after the restart", || world.watched("ben")["state"] == "holding");
    assert_eq!(world.current("site"), Some(2));
    let free = world.ok("ben", &["watch", "team/site", "--to", &to, "--follow"]);
    assert_eq!(free["hold"], Value::Null);
    until("release 4", || world.current("site") == Some(4));

    // A hub that restarts is found again.
    node.end(Signal::TERM);
    let _node = world.serve("ben");
    world.release(5);
    until("release 5", || world.current("site") == Some(5));
    world.ok("ben", &["watch", "--remove", &to]);
    assert!(world.run("ben", &["watch", "--list"]).stdout.is_empty());
    assert_eq!(world.current("site"), Some(5));
}

#[test]
fn a_watch_without_a_node_switches_once_and_as_a_plain_directory() {
    let world = World::with_reader();
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
fn kills_during_a_watch_leave_one_whole_release_or_another() {
    for more in [&[][..], &["--exchange"]] {
        let world = World::with_publisher();
        world.join("ben", &["--reader"]);
        let to = world.text("site");
        let args =
            [&["watch", "team/site", "--to", &to, "--once", "--keep", "2"][..], more].concat();
        let mut before = None;
        for number in 1..=6u64 {
            world.release(number);
            for delay_ms in [10, 25, 50, 90, 140] {
                let watch = world.command("ben", &args).stdout(Stdio::null()).spawn();
                let watch = Process(watch.expect("starts"));
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
fn releases_of_another_name_are_not_served() {
    let world = World::with_publisher();
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
    let mut world = World::with_reader();
    let _node = world.serve("ben");
    let to = world.text("site");
    let watch = world.ok("ben", &["watch", "team/site", "--to", &to]);
    assert_eq!(watch["last_error"], Value::Null);
    world.hub.signal(Signal::KILL);
    until("the failure", || world.watched("ben")["last_error"].is_string());
    world.hub = start_hub(&world.path("hub"), &["--listen", world.address()]).0;
    until("the end of it", || {
        let watch = world.watched("ben");
        watch["last_error"].is_null() && watch["state"] == "listening"
    });
    assert_eq!(world.current("site"), Some(1));
}
