//! Everything a file system can hold.

use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;

use content::bounds::DEPTH_MAX;
use content::{Contents, ConvergenceSecret, Kind, Mtime, Piece, Sealer};
use rustix::fs::{CWD, FileType, Mode, OFlags, XattrFlags, mkdirat, mknodat, openat, setxattr};
use testkit::parts::skip_on_this_machine;

use super::*;

fn filled() -> Bench {
    let bench = Bench::new();
    for size in [0, 1, 512, 513, 5_000, 32_768, 32_769, 300_000] {
        bench.write(&format!("sizes/{size}"), noise(size, size as u64));
    }
    bench.write("large", noise(6_000_000, 1));
    fs::create_dir_all(bench.at("empty/nested")).expect("makes");
    symlink("../outside/nowhere", bench.at("sizes/link")).expect("links");
    fs::create_dir(bench.folder.path().join("outside")).expect("makes");
    fs::write(bench.folder.path().join("outside/secret"), "secret").expect("writable");
    symlink("../outside", bench.at("way-out")).expect("links");
    fs::write(bench.root().join(std::ffi::OsStr::from_bytes(b"caf\xe9")), "latin").expect("writes");
    bench.write("script", "#!/bin/sh\n");
    fs::set_permissions(bench.at("script"), fs::Permissions::from_mode(0o4751)).expect("sets");
    let times = fs::FileTimes::new()
        .set_modified(std::time::UNIX_EPOCH - std::time::Duration::new(5, 999_999_990));
    fs::File::options()
        .write(true)
        .open(bench.at("script"))
        .expect("opens")
        .set_times(times)
        .expect("sets");
    bench
}

fn check(bench: &Bench) -> (Snapshot, MemorySink) {
    let (shot, sink) = bench.fresh();
    let restored = sink.restore(&shot);
    for (path, found) in &restored {
        let path = bench.root().join(std::ffi::OsStr::from_bytes(path));
        let meta = fs::symlink_metadata(&path).expect("there");
        assert_eq!(found.entry.mode, meta.mode() & 0o7777);
        let mtime = Mtime { seconds: meta.mtime(), nanos: meta.mtime_nsec() as u32 };
        assert_eq!(found.entry.mtime, mtime);
        match &found.entry.kind {
            Kind::File { .. } => assert_eq!(found.bytes, fs::read(&path).expect("readable")),
            Kind::Symlink { target } => {
                assert_eq!(target, fs::read_link(&path).expect("a link").as_os_str().as_bytes());
            }
            Kind::Directory { .. } => assert!(meta.is_dir()),
        }
    }
    (shot, sink)
}

#[test]
fn a_plain_tree_holds_what_the_folder_holds() {
    let bench = filled();
    let (shot, sink) = check(&bench);
    assert_eq!(shot.totals.files, 11);
    assert_eq!((shot.totals.directories, shot.totals.symlinks), (3, 2));
    let restored = sink.restore(&shot);
    assert_eq!(restored.len(), 16);
    assert!(matches!(
        &restored[&b"large"[..]].entry.kind,
        Kind::File { contents: Contents::List(_), .. }
    ));
    let script = &restored[&b"script"[..]].entry;
    assert_eq!((script.mode, script.mtime), (0o4751, Mtime { seconds: -6, nanos: 10 }));
    assert!(script.owner.is_none());
    assert!(!sink.holds(b"secret"), "symbolic links are not followed");
    assert_eq!(shot.skipped, []);
}

#[test]
fn a_sealed_tree_shows_nothing_and_holds_the_same() {
    let mut bench = filled();
    bench.write("note", "words in the clear ".repeat(100));
    let (plain, plain_sink) = check(&bench);
    assert!(plain_sink.holds(b"words in the clear") && plain_sink.holds(b"script"));
    bench.options.sealer = Some(Sealer::new(ConvergenceSecret::from_bytes([1; 32])));
    let (shot, sink) = check(&bench);
    assert!(shot.tree.0.sealing.is_some() && shot.tree.id() != plain.tree.id());
    assert!(!sink.holds(b"words in the clear") && !sink.holds(b"script"));
    bench.let_settle();
    let shot = bench.again(&sink);
    assert!(shot.files_read > 0 || bench.again(&sink).tree == shot.tree);
    assert_eq!(bench.again(&sink).files_read, 0);

    // What a sealed tree remembered does not serve a plain one, nor one of another secret.
    let files = shot.totals.files;
    bench.options.sealer = Some(Sealer::new(ConvergenceSecret::from_bytes([2; 32])));
    assert_eq!(bench.again(&sink).files_read, files);
    bench.options.sealer = None;
    let shot = bench.again(&sink);
    assert_eq!((shot.files_read, shot.tree), (files, plain.tree));
}

#[test]
fn owners_are_recorded_only_when_asked() {
    let mut bench = Bench::new();
    bench.write("a", "x");
    bench.options.owners = true;
    let (shot, sink) = bench.fresh();
    let meta = fs::metadata(bench.at("a")).expect("there");
    let owner = content::Owner { user: meta.uid(), group: meta.gid() };
    assert_eq!(sink.restore(&shot)[&b"a"[..]].entry.owner, Some(owner));
}

#[test]
fn pipes_sockets_and_devices_are_reported_and_left_out() {
    let bench = Bench::new();
    bench.write("kept", "x");
    let mode = Mode::RUSR | Mode::WUSR;
    mknodat(CWD, bench.at("pipe"), FileType::Fifo, mode, 0).expect("makes");
    let _socket = std::os::unix::net::UnixListener::bind(bench.at("socket")).expect("binds");
    let device = mknodat(CWD, bench.at("device"), FileType::CharacterDevice, mode, 0x103);
    if device.is_err() {
        skip_on_this_machine("a device", "making one takes root");
    }
    let (shot, sink) = bench.fresh();
    let skipped: Vec<_> = shot.skipped.iter().map(|skipped| &skipped.reason).collect();
    let expected = [FileKind::Device, FileKind::Fifo, FileKind::Socket].map(SkipReason::Special);
    assert!(skipped.iter().copied().eq(&expected[usize::from(device.is_err())..]));
    assert_eq!(sink.restore(&shot).len(), 1);
}

/// Runs a test of this program again as a user who is not root, where files can be closed.
fn again_as_nobody(test: &str) {
    const NOBODY: u32 = 65_534;
    let folder = tempfile::tempdir().expect("temporary directory");
    let program = folder.path().join("tests");
    fs::copy(std::env::current_exe().expect("known"), &program).expect("copies");
    // Nobody must reach the program and have room for folders of its own.
    for (path, mode) in [(folder.path(), 0o777), (&program, 0o755)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("sets");
    }
    let output = std::process::Command::new(&program)
        .args(["--exact", test, "--test-threads", "1"])
        .env("TMPDIR", folder.path())
        .current_dir(folder.path())
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .expect("root may be anybody");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
fn unreadable_things_are_reported_and_the_rest_is_read() {
    if rustix::process::geteuid().is_root() {
        // Root may read everything.
        again_as_nobody("tests::kinds::unreadable_things_are_reported_and_the_rest_is_read");
        return;
    }
    let bench = Bench::new();
    bench.write("closed", "x");
    bench.write("folder/inside", "x");
    bench.write("open", "x");
    for path in ["closed", "folder"] {
        fs::set_permissions(bench.at(path), fs::Permissions::from_mode(0o000)).expect("sets");
    }
    let (shot, sink) = bench.fresh();
    let paths: Vec<&[u8]> = shot.skipped.iter().map(|skipped| &*skipped.path).collect();
    assert_eq!(paths, [&b"closed"[..], b"folder"]);
    assert!(shot.skipped.iter().all(|s| matches!(s.reason, SkipReason::Unreadable(_))));
    assert_eq!(sink.restore(&shot).into_keys().collect::<Vec<_>>(), [b"open".to_vec()]);
    fs::set_permissions(bench.at("folder"), fs::Permissions::from_mode(0o700)).expect("sets");
}

#[test]
fn hard_links_repeat_the_first_name_in_walk_order() {
    let bench = Bench::new();
    // Files come before directories, so z/... is met after both "b" and "y".
    bench.write("y", noise(2_000, 1));
    bench.write("large", noise(200_000, 2));
    fs::create_dir(bench.at("a")).expect("makes");
    fs::hard_link(bench.at("y"), bench.at("a/again")).expect("links");
    fs::hard_link(bench.at("y"), bench.at("z")).expect("links");
    fs::hard_link(bench.at("large"), bench.at("a/large")).expect("links");
    fs::hard_link(bench.at("large"), bench.folder.path().join("elsewhere")).expect("links");
    let (shot, sink) = check(&bench);
    let restored = sink.restore(&shot);
    let link = |path: &[u8]| match &restored[path].entry.kind {
        Kind::File { link, .. } => link.clone(),
        Kind::Directory { .. } | Kind::Symlink { .. } => panic!("a file"),
    };
    assert_eq!(link(b"y"), None);
    assert_eq!(link(b"z"), Some(b"y".to_vec()));
    assert_eq!(link(b"a/again"), Some(b"y".to_vec()));
    assert_eq!(link(b"large"), None);
    assert_eq!(link(b"a/large"), Some(b"large".to_vec()));
    assert_eq!((shot.totals.files, shot.files_read), (5, 2), "each file is read once");
    bench.let_settle();
    bench.again(&sink);
    let again = bench.again(&sink);
    assert_eq!((again.tree, again.files_read), (shot.tree, 0));
}

#[test]
fn extended_attributes_are_part_of_the_tree() {
    let bench = Bench::new();
    bench.write("a/file", "x");
    let (before, sink) = bench.fresh();
    for (path, name) in [("a/file", "user.b"), ("a/file", "user.a"), ("a", "user.c")] {
        if setxattr(bench.at(path), name, b"\0value", XattrFlags::empty()).is_err() {
            skip_on_this_machine("extended attributes", "the file system keeps none");
            return;
        }
    }
    let shot = bench.again(&sink);
    assert_ne!(shot.tree, before.tree);
    let restored = sink.restore(&shot);
    let value = b"\0value".to_vec();
    let expected = vec![(b"user.a".to_vec(), value.clone()), (b"user.b".to_vec(), value)];
    assert_eq!(restored[&b"a/file"[..]].entry.xattrs, expected);
    assert_eq!(restored[&b"a"[..]].entry.xattrs.len(), 1);
    bench.let_settle();
    bench.again(&sink);
    assert_eq!(bench.again(&sink).tree, shot.tree, "attributes of unread files are remembered");
}

#[test]
fn holes_stay_holes_and_zeros_that_were_written_make_the_same_tree() {
    let bench = Bench::new();
    let file = fs::File::create(bench.at("file")).expect("makes");
    file.write_all_at(&noise(70_000, 1), 0).expect("writes");
    file.write_all_at(&noise(70_000, 2), 1_000_001).expect("writes");
    file.set_len(2_000_003).expect("sets");
    let (sparse, sink) = bench.fresh();
    let read = sink.restore(&sparse)[&b"file"[..]].clone();
    assert_eq!(read.bytes, fs::read(bench.at("file")).expect("readable"));
    let Kind::File { contents: Contents::Pieces(pieces), .. } = &read.entry.kind else {
        panic!("a few pieces")
    };
    assert_eq!(pieces.iter().filter(|piece| matches!(piece, Piece::Hole(_))).count(), 2);
    if file.metadata().expect("there").blocks() * 512 < 2_000_003 {
        assert!(sparse.bytes_read < 1_000_000, "holes are not read");
    } else {
        skip_on_this_machine("holes are not read", "the file system keeps none");
    }
    let mtime = file.metadata().expect("there").modified().expect("known");
    fs::write(bench.at("file"), &read.bytes).expect("writable");
    fs::File::options()
        .write(true)
        .open(bench.at("file"))
        .expect("opens")
        .set_modified(mtime)
        .expect("sets");
    assert_eq!(bench.fresh().0.tree, sparse.tree);
}

/// Notes how far a file is said to be whenever a chunk of it comes.
struct Watching<'a> {
    progress: &'a SnapshotProgress,
    looks: std::sync::Mutex<Vec<u64>>,
}

impl ChunkSink for Watching<'_> {
    fn offer(
        &self,
        _: &content::ChunkRef,
        _: bytes::Bytes,
        kind: ChunkKind,
    ) -> Result<(), SinkError> {
        if kind == ChunkKind::Content {
            let look = self.progress.bytes_under_way.load(std::sync::atomic::Ordering::Relaxed);
            self.looks.lock().expect("no panic").push(look);
        }
        Ok(())
    }
}

#[test]
fn progress_is_seen_within_a_large_file() {
    let bench = Bench::new();
    bench.write("large", noise(8 << 20, 1));
    let progress = SnapshotProgress::default();
    let sink = Watching { progress: &progress, looks: std::sync::Mutex::default() };
    snapshot(&bench.root(), &bench.options, None, &bench.index(), &sink, &progress).expect("reads");
    let looks = sink.looks.into_inner().expect("no panic");
    assert!(looks.is_sorted() && looks.iter().any(|look| (1..8 << 20).contains(look)), "{looks:?}");
    assert_eq!(progress.bytes_under_way.into_inner(), 0);
    assert_eq!(progress.bytes_done.into_inner(), 8 << 20);
}

#[test]
fn a_sparse_file_over_4_gib_is_cut() {
    let bench = Bench::new();
    let file = fs::File::create(bench.at("huge")).expect("makes");
    let size = (4 << 30) + 1_000_000;
    file.set_len(size).expect("sets");
    file.write_all_at(&noise(300_000, 3), (4 << 30) + 5).expect("writes");
    let (shot, sink) = bench.fresh();
    assert_eq!(shot.totals.bytes, size);
    let restored = sink.restore(&shot);
    let found = &restored[&b"huge"[..]];
    let Kind::File { size: found_size, contents: Contents::Pieces(pieces), .. } = &found.entry.kind
    else {
        panic!("a few pieces")
    };
    assert_eq!((*found_size, pieces.iter().map(Piece::length).sum()), (size, size));
    assert_eq!(pieces[0], Piece::Hole(4 << 30));
    assert_eq!(found.bytes[5..300_005], noise(300_000, 3));
}

#[test]
fn a_directory_of_200_000_entries() {
    let bench = Bench::new();
    for number in 0..200_000 {
        fs::File::create(bench.at(&format!("{number:06}"))).expect("makes");
    }
    let (shot, sink) = bench.fresh();
    assert_eq!(shot.totals.files, 200_000);
    assert!(matches!(sink.root(&shot).contents, Contents::List(_)));
    bench.let_settle();
    bench.again(&sink);
    let before = sink.root(&shot);
    fs::write(bench.at("100000"), "x").expect("writable");
    let changed = bench.again(&sink);
    assert_eq!(changed.files_read, 1);
    assert_ne!(sink.root(&changed).node, before.node);
}

#[test]
fn a_deep_tree_needs_few_open_directories() {
    let bench = Bench::new();
    let mut path = String::new();
    for level in 0..700 {
        path.push_str("d/");
        bench.write(&format!("{path}f"), noise(600, level));
        fs::create_dir(bench.at(&format!("{path}z"))).expect("makes");
    }
    let (shot, sink) = check(&bench);
    assert_eq!((shot.totals.files, shot.totals.directories, shot.skipped.len()), (700, 1_400, 0));
    assert_eq!(sink.restore(&shot).len(), 2_100);
}

#[test]
fn what_is_deeper_than_any_tree_is_left_out_and_named() {
    let bench = Bench::new();
    let (flags, mode) = (OFlags::DIRECTORY | OFlags::RDONLY, Mode::from(0o755));
    let mut at = rustix::fs::open(bench.root(), flags, Mode::empty()).expect("there");
    for _ in 0..DEPTH_MAX + 500 {
        mkdirat(&at, "d", mode).expect("makes");
        at = openat(&at, "d", flags, Mode::empty()).expect("there");
    }
    let (shot, _) = bench.fresh();
    assert_eq!(shot.totals.directories, DEPTH_MAX);
    let [skipped] = &shot.skipped[..] else { panic!("{} left out", shot.skipped.len()) };
    assert_eq!(skipped.path.len() as u64, 2 * DEPTH_MAX + 1);
    assert_eq!(skipped.reason, SkipReason::Unrecordable("path"));
    // Deeper than the temporary directory can remove with the descriptors it has.
    let top = bench.at("d");
    let removed = std::process::Command::new("rm").arg("-rf").arg(top).status().expect("runs");
    assert!(removed.success());
}

#[test]
fn the_temporary_directory_of_a_checkout_is_left_out() {
    let bench = Bench::new();
    bench.write("a", "x");
    let (before, _) = bench.fresh();
    bench.write(".consign.tmp/half", "half");
    assert_eq!(bench.fresh().0.tree, before.tree);
}

#[test]
fn mount_points_are_crossed() {
    let bench = Bench::new();
    fs::create_dir(bench.at("mount")).expect("makes");
    let mount = |program: &str, args: &[&str]| {
        let status = std::process::Command::new(program).args(args).arg(bench.at("mount")).status();
        status.is_ok_and(|status| status.success())
    };
    if testkit::parts::require("mount").is_none() {
        return;
    }
    if !mount("mount", &["-t", "tmpfs", "none"]) {
        skip_on_this_machine("mount points", "mounting takes root");
        return;
    }
    bench.write("mount/inside", "x");
    let (shot, sink) = bench.fresh();
    let found = sink.restore(&shot).contains_key(&b"mount/inside"[..]);
    assert!(mount("umount", &[]));
    assert!(found);
}
