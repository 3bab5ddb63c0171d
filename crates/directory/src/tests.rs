use std::fs;
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use content::Mtime;
use rustix::fs::OFlags;

use super::*;

fn folder() -> (tempfile::TempDir, Root) {
    let folder = tempfile::tempdir().expect("temporary directory");
    let root = Root::create(&folder.path().join("root")).expect("creates");
    (folder, root)
}

fn at(folder: &tempfile::TempDir, path: &str) -> std::path::PathBuf {
    folder.path().join("root").join(path)
}

#[test]
fn paths_that_could_lead_out_never_reach_the_kernel() {
    let (folder, root) = folder();
    fs::write(folder.path().join("outside"), "secret").expect("writable");
    for path in ["../outside", "/etc/passwd", "a/../../outside", "", ".", "a//b", "a/", "./a"] {
        let refused = root.open_file(path.as_bytes());
        assert!(matches!(refused, Err(AccessError::Outside { .. })), "{path:?}");
        assert!(matches!(root.mkdir(path.as_bytes()), Err(AccessError::Outside { .. })));
    }
    assert!(matches!(root.stat(b"nul\0"), Err(AccessError::Outside { .. })));
}

#[test]
fn no_symbolic_link_is_followed_on_the_way_or_at_the_end() {
    let (folder, root) = folder();
    fs::create_dir(folder.path().join("elsewhere")).expect("makes");
    fs::write(folder.path().join("elsewhere/file"), "secret").expect("writable");
    symlink("../elsewhere", at(&folder, "way")).expect("links");
    symlink("../elsewhere/file", at(&folder, "end")).expect("links");
    for path in [&b"way/file"[..], b"way", b"end"] {
        let blocked = root.open_file(path);
        let refused = match &blocked {
            Err(AccessError::Blocked { .. }) => true,
            Err(AccessError::System { .. } | AccessError::Outside { .. }) | Ok(_) => false,
        };
        assert!(refused, "{blocked:?}");
    }
    assert!(root.open_dir(b"way").is_err());
    assert!(root.unlink(b"way/file").is_err());
    assert!(root.mkdir(b"way/new").is_err());
    assert!(root.set_mode(b"end", 0o600).is_err());
    let temp = root.temp().expect("creates");
    assert!(temp.persist(&root, b"way/file").is_err());
    assert!(root.rename(b"end", b"way/end").is_err());
    assert_eq!(fs::read(folder.path().join("elsewhere/file")).expect("there"), b"secret");
    assert_eq!(root.stat(b"end").expect("itself").kind, FileKind::Symlink);

    // The way without openat2 refuses the same.
    for path in [&b"way/file"[..], b"end"] {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW;
        assert!(resolve::walk(root.as_fd(), path, flags).is_err());
    }
    fs::create_dir_all(at(&folder, "a/b")).expect("makes");
    fs::write(at(&folder, "a/b/c"), "here").expect("writable");
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW;
    let file = resolve::walk(root.as_fd(), b"a/b/c", flags).expect("opens");
    assert_eq!(FileFacts::of(&file).expect("looks").size, 4);
}

#[test]
fn a_persisted_link_replaces_a_link_and_does_not_write_through_it() {
    let (folder, root) = folder();
    fs::write(folder.path().join("target"), "untouched").expect("writable");
    symlink("../target", at(&folder, "name")).expect("links");
    let temp = root.temp().expect("creates");
    io::Write::write_all(&mut temp.file(), b"new").expect("writes");
    temp.set_mode(0o640).expect("sets");
    temp.set_mtime(Mtime { seconds: 12, nanos: 345 }).expect("sets");
    temp.sync().expect("syncs");
    temp.persist(&root, b"name").expect("persists");
    assert_eq!(fs::read(folder.path().join("target")).expect("there"), b"untouched");
    let found = fs::symlink_metadata(at(&folder, "name")).expect("there");
    assert!(found.is_file());
    assert_eq!(found.permissions().mode() & 0o7777, 0o640);
    assert_eq!((found.mtime(), found.mtime_nsec()), (12, 345));
    assert!(root.temp_dir().expect("opens").list().expect("lists").is_empty());
}

#[test]
fn a_dropped_temp_leaves_nothing_and_a_resumed_one_stays() {
    let (folder, root) = folder();
    drop(root.temp().expect("creates"));
    assert!(root.temp_dir().expect("opens").list().expect("lists").is_empty());
    let temp = Temp::resume(&root, b"half").expect("creates");
    io::Write::write_all(&mut temp.file(), b"half").expect("writes");
    drop(temp);
    let again = Temp::resume(&root, b"half").expect("opens");
    assert_eq!(FileFacts::of(again.file()).expect("looks").size, 4);
    again.persist(&root, b"whole").expect("persists");
    assert_eq!(fs::read(at(&folder, "whole")).expect("there"), b"half");
}

#[test]
fn links_replace_what_is_there_in_one_step() {
    let (folder, root) = folder();
    root.mkdir(b"sub").expect("makes");
    fs::write(at(&folder, "sub/file"), "one").expect("writable");
    fs::write(at(&folder, "other"), "two").expect("writable");
    for _ in 0..2 {
        root.link(b"sub/file", b"other").expect("links");
        assert_eq!(root.stat(b"other").expect("there").links, 2);
    }
    root.symlink(b"any where", b"other").expect("links");
    assert_eq!(root.read_link(b"other").expect("a link"), b"any where");
    assert!(root.symlink(b"x", b"sub").is_err(), "a directory is not replaced");
    root.rename(b"other", b"sub/moved").expect("moves");
    root.unlink(b"sub/moved").expect("removes");
    assert!(root.rmdir(b"sub").is_err(), "not empty");
    assert!(root.temp_dir().expect("opens").list().expect("lists").is_empty());
}

#[test]
fn a_listing_is_sorted_by_bytes_and_keeps_names_that_are_not_utf_8() {
    let (folder, root) = folder();
    let odd = std::ffi::OsStr::from_bytes(b"\xff\xfe");
    fs::write(at(&folder, "").join(odd), "").expect("writable");
    fs::write(at(&folder, "B"), "").expect("writable");
    fs::create_dir(at(&folder, "a")).expect("makes");
    symlink("nowhere", at(&folder, "é")).expect("links");
    let top = root.top().expect("opens");
    for _ in 0..2 {
        let listed = top.list().expect("lists");
        let names: Vec<&[u8]> = listed.iter().map(|entry| &*entry.name).collect();
        assert_eq!(names, [&b"B"[..], b"a", "é".as_bytes(), b"\xff\xfe"]);
        assert_eq!(listed[1].kind, FileKind::Directory);
        assert_eq!(listed[2].kind, FileKind::Symlink);
    }
}

#[test]
fn anything_but_a_regular_file_is_not_opened_as_one() {
    let (folder, root) = folder();
    let fifo = at(&folder, "fifo");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0)
        .expect("makes");
    // Without a writer a plain open would wait for ever.
    assert!(root.open_file(b"fifo").is_err());
    fs::create_dir(at(&folder, "folder")).expect("makes");
    assert!(root.open_file(b"folder").is_err());
    assert!(root.open_file(b"missing").is_err_and(|error| error.is_not_found()));
}

#[test]
fn mode_time_and_attributes_can_be_set_on_what_may_not_be_read() {
    let (folder, root) = folder();
    fs::write(at(&folder, "closed"), "x").expect("writable");
    root.set_mode(b"closed", 0o200).expect("sets");
    root.set_mtime(b"closed", Mtime { seconds: -5, nanos: 7 }).expect("sets");
    let facts = root.stat(b"closed").expect("there");
    assert_eq!((facts.mode, facts.mtime), (0o200, Mtime { seconds: -5, nanos: 7 }));
    let wanted = vec![(b"user.a".to_vec(), b"1".to_vec()), (b"user.b".to_vec(), vec![b'x'; 900])];
    match root.set_xattrs(b"closed", &wanted, XattrScope::User) {
        Err(AccessError::System { source, .. })
            if source.raw_os_error() == Some(rustix::io::Errno::OPNOTSUPP.raw_os_error()) =>
        {
            testkit::parts::skip_on_this_machine(
                "extended attributes",
                "the file system keeps none",
            );
        }
        result => {
            result.expect("sets");
            let (dir, name) = root.parent(b"closed").expect("there");
            assert_eq!(dir.xattrs(name, XattrScope::User).expect("reads"), wanted);
            let fewer = wanted[1..].to_vec();
            root.set_xattrs(b"closed", &fewer, XattrScope::User).expect("sets");
            assert_eq!(dir.xattrs(name, XattrScope::User).expect("reads"), fewer);
            root.set_mode(b"closed", 0o600).expect("sets");
            let file = root.open_file(b"closed").expect("opens");
            assert_eq!(xattr::read(file.as_fd(), XattrScope::User).expect("reads"), fewer);
        }
    }
}

#[test]
fn a_path_longer_than_one_call_takes_is_walked() {
    let (_folder, root) = folder();
    let name = [b'n'; 200];
    let mut path = Vec::new();
    for _ in 0..30 {
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(&name);
        root.mkdir(&path).expect("makes");
    }
    assert!(path.len() > 4096);
    assert_eq!(root.stat(&path).expect("there").kind, FileKind::Directory);
    while let Some(slash) = path.iter().rposition(|byte| *byte == b'/') {
        root.rmdir(&path).expect("removes");
        path.truncate(slash);
    }
}

#[test]
fn facts_are_trusted_only_when_older_than_the_clock_can_tell() {
    let facts = |time: Mtime| FileFacts {
        mtime: time,
        ctime: time,
        ..FileFacts::of(fs::File::open(Path::new("/")).expect("opens")).expect("looks")
    };
    let fine = facts(Mtime { seconds: 100, nanos: 1 });
    assert!(!fine.settled(Mtime { seconds: 100, nanos: 20_000_001 }));
    assert!(fine.settled(Mtime { seconds: 100, nanos: 20_000_002 }));
    let coarse = facts(Mtime { seconds: 100, nanos: 0 });
    assert!(!coarse.settled(Mtime { seconds: 102, nanos: 0 }));
    assert!(coarse.settled(Mtime { seconds: 102, nanos: 1 }));
    assert!(!fine.settled(Mtime { seconds: 50, nanos: 0 }), "a clock that ran back");
}

#[test]
fn every_change_of_contents_changes_the_facts() {
    let (folder, root) = folder();
    fs::write(at(&folder, "file"), "one").expect("writable");
    let before = root.stat(b"file").expect("there");
    assert!(before.unchanged(&root.stat(b"file").expect("there")));
    std::thread::sleep(std::time::Duration::from_millis(30));
    fs::write(at(&folder, "file"), "two").expect("writable");
    root.set_mtime(b"file", before.mtime).expect("sets");
    let after = root.stat(b"file").expect("there");
    assert_eq!((after.size, after.mtime, after.inode), (before.size, before.mtime, before.inode));
    assert!(!before.unchanged(&after), "the time of change cannot be set back");
    assert!(boot_id().is_none_or(|id| id.len() == 36));
}
