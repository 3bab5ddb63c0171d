//! The model tells a program that relies on luck from one that does not.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use random::Random;

use super::{Recorder, Survivors};
use crate::tracer::{Program, Tracing};

/// What is in `in/a`, which was `old`, after a script and a power cut at its end.
fn after(script: &str, survivors: Survivors) -> Option<String> {
    let directory = tempfile::tempdir().expect("a directory");
    let world = directory.path().canonicalize().expect("there");
    fs::create_dir(world.join("in")).expect("made");
    fs::write(world.join("in/a"), "old").expect("written");
    let roots = vec![world.join("in")];
    let recorder = Recorder::new(&world, &roots).expect("read");
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(script).current_dir(&world);
    let program =
        Program { command, output: world.join("output"), roots, reads: false, boot: None };
    let tracing = Tracing::start(program, recorder.clone()).expect("traced");
    tracing.wait(Duration::from_secs(60)).expect("ends");
    let (log, calls) = recorder.finish().expect("known calls");
    let left = tempfile::tempdir().expect("a directory");
    let remains = log.cut(calls + 1, survivors, &mut Random::new(1));
    remains.write_to(left.path()).expect("written");
    read(&left.path().join("in/a"))
}

fn read(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok()
}

fn can_trace() -> bool {
    let mut command = Command::new("/bin/true");
    command.current_dir("/");
    let output = tempfile::NamedTempFile::new().expect("a file");
    let program = Program {
        command,
        output: output.path().to_owned(),
        roots: Vec::new(),
        reads: false,
        boot: None,
    };
    let traced = Tracing::start(program, crate::fault::Injector::default());
    if let Err(error) = &traced {
        testkit::parts::skip("ptrace", &format!("{error:#}"));
    }
    traced.is_ok()
}

#[test]
fn what_was_not_synced_may_be_there_or_not() {
    if !can_trace() {
        return;
    }
    let careless = "echo new > in/a.new; mv in/a.new in/a";
    assert_eq!(after(careless, Survivors::Nothing).as_deref(), Some("old"));
    assert_eq!(after(careless, Survivors::Names).as_deref(), Some("\0\0\0\0"), "a long empty file");
    assert_eq!(after(careless, Survivors::Bytes).as_deref(), Some("old"));
    let half = "echo new > in/a.new; sync in/a.new; mv in/a.new in/a";
    assert_eq!(after(half, Survivors::Nothing).as_deref(), Some("old"), "the name is not synced");
    assert_eq!(after(half, Survivors::Names).as_deref(), Some("new\n"));
}

#[test]
fn what_was_synced_stays() {
    if !can_trace() {
        return;
    }
    let careful = "echo new > in/a.new; sync in/a.new; mv in/a.new in/a; sync in";
    for survivors in [Survivors::Nothing, Survivors::Names, Survivors::Bytes] {
        assert_eq!(after(careful, survivors).as_deref(), Some("new\n"), "{survivors:?}");
    }
    // A removal is a change of the directory like any other.
    assert_eq!(after("rm in/a", Survivors::Nothing).as_deref(), Some("old"));
    assert_eq!(after("rm in/a; sync in", Survivors::Nothing), None);
}

/// A cut after a script, arranged where the script ran; what an inode was, it is again.
#[test]
fn what_is_arranged_keeps_its_inodes() {
    if !can_trace() {
        return;
    }
    for (script, survivors, is_moved) in [
        ("mv in/d in/e; echo more > in/e/x; rm in/a", Survivors::Nothing, false),
        ("mv in/d in/e; sync in; echo more > in/e/x; rm in/a", Survivors::Nothing, true),
        ("ln in/d/x in/y; mv in/d in/e; rm in/e/x", Survivors::Nothing, false),
    ] {
        let directory = tempfile::tempdir().expect("a directory");
        let world = directory.path().canonicalize().expect("there").join("world");
        fs::create_dir_all(world.join("in/d")).expect("made");
        fs::write(world.join("in/a"), "a").expect("written");
        fs::write(world.join("in/d/x"), "old").expect("written");
        let inode = fs::metadata(world.join("in/d")).expect("there").ino();
        let roots = vec![world.join("in")];
        let recorder = Recorder::new(&world, &roots).expect("read");
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(script).current_dir(&world);
        let output = directory.path().join("output");
        let program = Program { command, output, roots: roots.clone(), reads: false, boot: None };
        let tracing = Tracing::start(program, recorder.clone()).expect("traced");
        tracing.wait(Duration::from_secs(60)).expect("ends");
        let inodes = recorder.inodes();
        let (log, calls) = recorder.finish().expect("known calls");
        let aside = directory.path().join("aside");
        fs::create_dir(&aside).expect("made");
        let remains = log.cut(calls + 1, survivors, &mut Random::new(1));
        remains.arrange(&world, &roots, &inodes, &aside).expect("arranged");
        let (there, gone) = if is_moved { ("in/e", "in/d") } else { ("in/d", "in/e") };
        assert_eq!(fs::metadata(world.join(there)).expect("there").ino(), inode, "{script}");
        assert!(!world.join(gone).exists(), "{script}");
        assert_eq!(read(&world.join(there).join("x")).as_deref(), Some("old"), "{script}");
        assert_eq!(read(&world.join("in/a")).as_deref(), Some("a"), "{script}");
        assert!(!world.join("in/y").exists(), "{script}");
        assert_eq!(fs::read_dir(&aside).expect("there").count(), 0, "{script}");
    }
}
