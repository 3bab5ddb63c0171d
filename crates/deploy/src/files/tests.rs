//! Sets that are placed and put back, stopped at every point.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use tempfile::TempDir;
use testkit::parts::skip_on_this_machine;

use super::*;

thread_local! {
    /// How many steps may still be taken; none once it was stopped, as after a kill.
    static LEFT: Cell<Option<u32>> = const { Cell::new(None) };
}

pub(super) fn stop_here() -> Result<(), String> {
    match LEFT.get() {
        None => Ok(()),
        Some(0) => Err("stopped".to_owned()),
        Some(left) => {
            LEFT.set(Some(left - 1));
            Ok(())
        }
    }
}

/// Runs something that is stopped after so many steps; says whether it came to its end.
fn stopped<T>(after: u32, run: impl FnOnce() -> T) -> (T, bool) {
    LEFT.set(Some(after));
    let result = run();
    let ended = LEFT.get().is_some_and(|left| left > 0);
    LEFT.set(None);
    (result, ended)
}

/// Kind, mode and contents of everything beneath a directory.
type Shown = BTreeMap<String, (char, u32, Vec<u8>)>;

struct World {
    directory: TempDir,
}

impl World {
    fn new() -> Self {
        // In memory, where it is there: hundreds of worlds wait for the disk each time otherwise.
        let directory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        let world = Self { directory: directory.expect("a directory") };
        for name in ["state", "tree", "tree/contents", "machine"] {
            fs::create_dir(world.path(name)).expect("made");
        }
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, contents: &str, mode: u32) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("not the top")).expect("made");
        fs::write(&path, contents).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("set");
    }

    fn tree(&self) -> Root {
        Root::open(&self.path("tree")).expect("there")
    }

    fn files(&self) -> FilesAt {
        FilesAt::new(&self.path("state"))
    }

    fn place(&self, set: &FileSet) -> Result<Placed, FilesError> {
        self.files().place(0, set, &self.tree())
    }

    fn set(&self, target: &str, placing: Placing) -> FileSet {
        FileSet {
            contents: "contents/0".into(),
            target: self.path(target).to_str().expect("UTF-8").into(),
            placing,
            owner: None,
            mode: None,
        }
    }

    /// All of the machine, without stages if that is asked for.
    fn shown(&self, with_stages: bool) -> Shown {
        let mut shown = Shown::new();
        show(&self.path("machine"), "", with_stages, &mut shown);
        shown
    }

    fn is_clean(&self) -> bool {
        self.shown(true) == self.shown(false)
            && fs::read_dir(self.path("state")).expect("there").count() == 0
    }
}

fn show(directory: &Path, prefix: &str, with_stages: bool, shown: &mut Shown) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let entry = entry.expect("an entry");
        let name = entry.file_name().into_string().expect("UTF-8");
        if name.starts_with(".consign-") && !with_stages {
            continue;
        }
        let (path, name) = (entry.path(), format!("{prefix}{name}"));
        let facts = fs::symlink_metadata(&path).expect("there");
        let mode = facts.mode() & 0o7777;
        if facts.is_dir() {
            shown.insert(name.clone(), ('d', mode, Vec::new()));
            show(&path, &format!("{name}/"), with_stages, shown);
        } else if facts.is_symlink() {
            let target = fs::read_link(&path).expect("a link");
            shown.insert(name, ('l', 0, target.into_os_string().into_encoded_bytes()));
        } else {
            shown.insert(name, ('f', mode, fs::read(&path).expect("readable")));
        }
    }
}

/// A machine with something at every place a set can meet, and a set for it.
fn cases() -> Vec<(&'static str, Placing)> {
    vec![
        ("machine/app", Placing::Replace),
        ("machine/app", Placing::Merge),
        ("machine/new/place/app", Placing::Replace),
        ("machine/new/place/app", Placing::Merge),
        ("machine/file", Placing::Replace),
        ("machine/link", Placing::Replace),
    ]
}

fn world() -> World {
    let world = World::new();
    world.write("machine/app/same", "same", 0o644);
    world.write("machine/app/changed", "before", 0o644);
    world.write("machine/app/mode", "mode", 0o600);
    world.write("machine/app/other", "other", 0o640);
    world.write("machine/app/below/deep", "old", 0o644);
    world.write("machine/app/below/other", "other", 0o644);
    world.write("machine/file", "a file", 0o600);
    symlink("app", world.path("machine/link")).expect("linked");
    world.write("tree/contents/0/same", "same", 0o644);
    world.write("tree/contents/0/changed", "after", 0o644);
    world.write("tree/contents/0/mode", "mode", 0o755);
    world.write("tree/contents/0/added", "added", 0o644);
    world.write("tree/contents/0/below/deep", "new", 0o644);
    world.write("tree/contents/0/fresh/one", "one", 0o644);
    world.write("tree/contents/0/fresh/two/three", "three", 0o644);
    symlink("/etc/passwd", world.path("tree/contents/0/link")).expect("linked");
    world
}

#[test]
fn a_stop_anywhere_is_gone_on_from_and_what_was_there_comes_back_exactly() {
    for (target, placing) in cases() {
        let first = world();
        let before = first.shown(true);
        let counts = first.place(&first.set(target, placing)).expect("placed");
        let after = first.shown(false);
        assert_ne!(before, after, "{target}");
        let mut points = 0;
        for stop in 0.. {
            let world = world();
            let set = world.set(target, placing);
            let (_, ended) = stopped(stop, || world.place(&set));
            let half = world.shown(false);
            for (name, is) in &half {
                let known = before.get(name) == Some(is) || after.get(name) == Some(is);
                assert!(known, "{target} {stop}: {name} is {is:?}");
            }
            // Either it is gone on with, or taken back.
            if stop % 2 == 0 {
                assert_eq!(world.place(&set).expect("placed"), counts, "{target} {stop}");
                assert_eq!(world.shown(false), after, "{target} {stop}");
            }
            world.files().put_back(0).expect("put back");
            assert_eq!(world.shown(true), before, "{target} {stop}");
            assert!(world.is_clean(), "{target} {stop}");
            points += 1;
            if ended {
                break;
            }
        }
        assert!(points > 5, "{target} had {points} points only");
        for stop in 0.. {
            let world = world();
            world.place(&world.set(target, placing)).expect("placed");
            let (_, ended) = stopped(stop, || world.files().put_back(0));
            world.files().put_back(0).expect("put back");
            assert_eq!(world.shown(true), before, "{target} {stop}");
            assert!(world.is_clean(), "{target} {stop}");
            if ended {
                break;
            }
        }
        for stop in 0.. {
            let world = world();
            world.place(&world.set(target, placing)).expect("placed");
            let (_, ended) = stopped(stop, || world.files().forget(0));
            world.files().forget(0).expect("forgotten");
            assert_eq!(world.shown(true), after, "{target} {stop}");
            assert!(world.is_clean(), "{target} {stop}");
            if ended {
                break;
            }
        }
    }
}

#[test]
fn what_is_counted_is_what_changed() {
    let counted = |target, placing| {
        let world = world();
        let counts = world.place(&world.set(target, placing)).expect("placed");
        world.files().forget(0).expect("forgotten");
        let again = world.place(&world.set(target, placing)).expect("placed");
        assert_eq!((again.added, again.changed, again.bytes), (0, 0, 0), "{target}");
        assert!(world.is_clean(), "nothing is kept of nothing");
        counts
    };
    let bytes =
        ["after", "mode", "added", "new", "one", "three", "/etc/passwd"].concat().len() as u64;
    let merged = Placed { added: 4, changed: 3, kept: 1, removed: 0, bytes };
    assert_eq!(counted("machine/app", Placing::Merge), merged);
    let replaced = Placed { removed: 2, ..merged };
    assert_eq!(counted("machine/app", Placing::Replace), replaced);
    let fresh = Placed { added: 8, changed: 0, kept: 0, removed: 0, bytes: bytes + 4 };
    assert_eq!(counted("machine/a/b", Placing::Merge), fresh);
}

#[test]
fn files_that_are_as_they_should_be_are_not_touched() {
    let world = world();
    let inode = |name: &str| fs::metadata(world.path(name)).expect("there").ino();
    let (same, other) = (inode("machine/app/same"), inode("machine/app/other"));
    world.place(&world.set("machine/app", Placing::Merge)).expect("placed");
    assert_eq!((inode("machine/app/same"), inode("machine/app/other")), (same, other));
}

#[test]
fn what_a_script_made_of_a_set_goes_with_it() {
    for (target, placing) in cases() {
        let world = world();
        let before = world.shown(true);
        world.place(&world.set(target, placing)).expect("placed");
        let app = world.path(target);
        fs::write(app.join("changed"), "by a script").expect("written");
        fs::write(world.path("moved"), "another file").expect("written");
        fs::rename(world.path("moved"), app.join("added")).expect("moved");
        fs::remove_dir_all(app.join("fresh")).expect("removed");
        world.files().put_back(0).expect("put back");
        assert_eq!(world.shown(true), before, "{target}");
    }
}

#[test]
fn one_that_cannot_go_back_does_not_keep_the_others() {
    let world = world();
    world.place(&world.set("machine/app", Placing::Merge)).expect("placed");
    // What was around one of them is gone; the others can go back.
    fs::remove_dir_all(world.path("machine/app/below")).expect("removed");
    let reason = world.files().put_back(0).expect_err("one is lost");
    assert!(reason.contains("what was there is kept in .consign-"), "{reason}");
    let text = |name: &str| fs::read_to_string(world.path(name));
    assert_eq!(text("machine/app/changed").expect("there"), "before");
    assert!(!world.path("machine/app/added").exists() && !world.path("machine/app/fresh").exists());
    let stages = fs::read_dir(world.path("machine/app")).expect("there").filter(|entry| {
        let name = entry.as_ref().expect("there").file_name();
        name.as_encoded_bytes().starts_with(b".consign-")
    });
    assert_eq!(stages.count(), 1, "what cannot go back is kept");
}

/// A file system may have another number after the machine was started anew.
#[test]
fn what_is_noted_says_nothing_of_the_device() {
    let world = world();
    world.place(&world.set("machine/app", Placing::Merge)).expect("placed");
    let note = fs::read_to_string(world.path("state/set-0")).expect("a note");
    let device = fs::metadata(world.path("machine/app")).expect("there").dev();
    let inode = fs::metadata(world.path("machine/app")).expect("there").ino();
    let note: serde_json::Value = serde_json::from_str(&note).expect("JSON");
    assert_eq!(note["base_inode"], inode);
    assert!(!note.to_string().contains(&format!("[{device},")), "{note}");
}

#[test]
fn a_stage_that_cannot_be_looked_at_is_not_forgotten() {
    let world = world();
    world.place(&world.set("machine/app", Placing::Merge)).expect("placed");
    // Another directory is there now, as when a file system is not mounted.
    fs::rename(world.path("machine/app"), world.path("machine/away")).expect("moved");
    fs::create_dir(world.path("machine/app")).expect("made");
    world.files().forget(0).expect_err("it is somewhere else");
    assert!(world.path("state/set-0").exists());
    fs::remove_dir(world.path("machine/app")).expect("removed");
    world.files().forget(0).expect("nothing is left there");
    assert!(!world.path("state/set-0").exists());
}

#[test]
fn a_single_file_replaces_what_is_there_and_gets_the_mode_of_the_step() {
    let world = world();
    fs::remove_dir_all(world.path("tree/contents/0")).expect("removed");
    world.write("tree/contents/0", "#!/bin/sh", 0o4755);
    let set = world.set("machine/app/changed", Placing::Merge);
    let counts = world.place(&set).expect("placed");
    assert_eq!(counts, Placed { changed: 1, bytes: 9, ..Placed::default() });
    let mode = || fs::metadata(world.path("machine/app/changed")).expect("there").mode() & 0o7777;
    assert_eq!(mode(), 0o755, "whoever owns it here need not be who did there");
    world.files().forget(0).expect("forgotten");
    world.place(&FileSet { mode: Some(0o4750), ..set }).expect("placed");
    assert_eq!(mode(), 0o4750, "the step says so");
}

#[test]
fn what_cannot_be_placed_changes_nothing() {
    let refused = |change: &dyn Fn(&World), target, placing, why: &str| {
        let world = world();
        change(&world);
        let before = world.shown(true);
        match world.place(&world.set(target, placing)) {
            Err(FilesError::NotPlaced(reason)) => assert!(reason.contains(why), "{reason}"),
            other => panic!("{why}: {other:?}"),
        }
        assert_eq!(world.shown(true), before, "{why}");
        assert!(world.is_clean(), "{why}");
    };
    let nothing = |_: &World| {};
    refused(&nothing, "machine/file/below", Placing::Replace, "no directory");
    refused(&nothing, "machine/file", Placing::Merge, "no directory");
    let fifo = |world: &World| {
        let path = world.path("tree/contents/0/fifo");
        let made = std::process::Command::new("mkfifo").arg(path).status().expect("runs");
        assert!(made.success());
    };
    refused(&fifo, "machine/app", Placing::Merge, "neither file nor directory");
    refused(&fifo, "machine/app", Placing::Replace, "neither file nor directory");
    let directory = |world: &World| {
        fs::remove_file(world.path("machine/app/changed")).expect("removed");
        fs::create_dir(world.path("machine/app/changed")).expect("made");
    };
    refused(&directory, "machine/app", Placing::Merge, "a directory is where");
    let gone = |world: &World| fs::remove_dir_all(world.path("tree/contents/0")).expect("removed");
    refused(&gone, "machine/app", Placing::Merge, "No such file");
    // The package's tree leads out of itself.
    let out = |world: &World| {
        fs::rename(world.path("tree/contents"), world.path("tree/elsewhere")).expect("moved");
        symlink("elsewhere", world.path("tree/contents")).expect("linked");
    };
    refused(&out, "machine/app", Placing::Merge, "symbolic link");
    // A link where files are merged would lead them elsewhere.
    let link = |world: &World| {
        fs::rename(world.path("machine/app/below"), world.path("machine/elsewhere"))
            .expect("moved");
        symlink("../elsewhere", world.path("machine/app/below")).expect("linked");
    };
    refused(&link, "machine/app", Placing::Merge, "a directory is where");
}

#[test]
fn a_link_of_the_package_is_placed_and_not_followed() {
    let world = world();
    fs::remove_file(world.path("tree/contents/0/link")).expect("removed");
    let outside = world.path("machine/file");
    symlink(&outside, world.path("tree/contents/0/link")).expect("linked");
    world.write("machine/app/link", "a file", 0o644);
    world.place(&world.set("machine/app", Placing::Merge)).expect("placed");
    assert_eq!(fs::read_link(world.path("machine/app/link")).expect("a link"), outside);
    assert_eq!(fs::read(&outside).expect("there"), b"a file");
    // And one that is at a name of the package is replaced, not written through.
    world.files().forget(0).expect("forgotten");
    fs::remove_file(world.path("machine/app/added")).expect("removed");
    symlink(&outside, world.path("machine/app/added")).expect("linked");
    world.place(&world.set("machine/app", Placing::Merge)).expect("placed");
    assert_eq!(fs::read(world.path("machine/app/added")).expect("there"), b"added");
    assert_eq!(fs::read(&outside).expect("there"), b"a file");
}

#[test]
fn owners_are_set_and_other_users_lead_nobody_astray() {
    if !rustix::process::geteuid().is_root() {
        return skip_on_this_machine("owners of placed files", "needs root");
    }
    let world = world();
    let owner = package::Owner { user: "65534".into(), group: Some("65533".into()) };
    let set = FileSet { owner: Some(owner), ..world.set("machine/app", Placing::Replace) };
    world.place(&set).expect("placed");
    for name in ["app", "app/below", "app/fresh/two/three", "app/same"] {
        let facts = fs::metadata(world.path("machine").join(name)).expect("there");
        assert_eq!((facts.uid(), facts.gid()), (65534, 65533), "{name}");
    }
    world.files().forget(0).expect("forgotten");
    let again = world.place(&set).expect("placed");
    assert_eq!((again.kept, again.changed), (8, 0));

    std::os::unix::fs::lchown(world.path("machine/link"), Some(65534), None).expect("given away");
    let astray = world.place(&world.set("machine/link/below", Placing::Replace));
    let Err(FilesError::NotPlaced(reason)) = astray else { panic!("{astray:?}") };
    assert!(reason.contains("symbolic link of another user"), "{reason}");
    let merged = world.place(&world.set("machine/link", Placing::Merge));
    assert!(matches!(merged, Err(FilesError::NotPlaced(_))), "{merged:?}");
}

#[test]
fn a_full_disk_changes_nothing() {
    let world = world();
    let Some(disk) = testkit::SmallDisk::mount(world.path("machine/small"), 4) else { return };
    world.write("machine/small/app/changed", "before", 0o644);
    world.write("tree/contents/0/large", &"x".repeat(8 << 20), 0o644);
    let before = world.shown(true);
    for placing in [Placing::Merge, Placing::Replace] {
        let full = world.place(&world.set("machine/small/app", placing));
        let Err(FilesError::NotPlaced(reason)) = full else { panic!("{full:?}") };
        assert!(reason.contains("No space left"), "{reason}");
        assert_eq!(world.shown(true), before);
    }
    drop(disk);
}
