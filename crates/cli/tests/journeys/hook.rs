//! The commands of a watch that run after a switch.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use rustix::process::Signal;
use serde_json::Value;

use crate::process::{Process, until};
use crate::world::World;

#[test]
fn a_hook_runs_with_few_rights_and_its_failure_rolls_back() {
    let world = World::with_reader();
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
fn a_release_asked_for_while_a_hook_runs_is_gone_back_to() {
    let world = World::with_reader();
    let node = world.serve("ben");
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
    let world = World::with_reader();
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
    let watch = Process(world.command("ben", &args).stdout(Stdio::null()).spawn().expect("starts"));
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
