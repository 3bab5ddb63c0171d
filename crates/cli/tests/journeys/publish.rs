//! What is published of a directory: not what cannot be read, and nothing of its holes.

use std::fs;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use testkit::noise;
use testkit::parts::skip_on_this_machine;

use crate::files::listing;
use crate::process::{count, last_line, lines};
use crate::users::{NOBODY, is_root, program_for_everybody, set_mode};
use crate::world::World;

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

/// Gives a node's state to a user who may not read everything, and says how commands run as
/// that user: as nobody when this is root, else as who this is.
fn unprivileged(world: &World, node: &str) -> impl Fn(&[&str]) -> Output {
    let node = world.node(node);
    fs::create_dir(&node.state).expect("made");
    let program = is_root().then(|| {
        chown(&node.state, Some(NOBODY), Some(NOBODY)).expect("root may");
        program_for_everybody(world.directory.path())
    });
    move |args| {
        let mut command = node.command(args);
        if let Some(program) = &program {
            command = Command::new(program);
            command.env_clear().stdin(Stdio::null()).current_dir("/").uid(NOBODY).gid(NOBODY);
            command.args(["--json", "--state"]).arg(&node.state).args(args);
        }
        command.output().expect("consign runs")
    }
}

#[test]
fn files_that_may_not_be_read_are_named_and_the_rest_is_published() {
    let world = World::new();
    let source = world.path("source");
    fs::create_dir_all(source.join("folder")).expect("made");
    for name in ["fine.txt", "closed.txt", "folder/inside.txt"] {
        fs::write(source.join(name), name).expect("written");
    }
    let close = |name: &str, mode| set_mode(&source.join(name), mode);
    close("closed.txt", 0o000);
    close("folder", 0o000);
    let anna = unprivileged(&world, "anna");
    let registered = anna(&["register", &world.invitation(&[])]);
    assert!(registered.status.success(), "{registered:?}");

    let output = anna(&["publish", &world.text("source"), "team/part", "--public"]);
    close("folder", 0o700);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(3), "{text}{output:?}");
    let lines = lines(&output);
    let skipped: Vec<_> = lines.iter().filter(|line| line["event"] == "skipped").collect();
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
