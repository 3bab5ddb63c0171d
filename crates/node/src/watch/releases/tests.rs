//! Switches, cut off at every point.

use std::fs;

use super::*;

/// A directory with complete releases, each with its number in a file.
struct World {
    directory: tempfile::TempDir,
    switch: Switch,
}

impl World {
    fn new(switch: Switch) -> Self {
        let world = Self { directory: tempfile::tempdir().expect("temporary directory"), switch };
        for name in ["to", "memory"] {
            fs::create_dir(world.directory.path().join(name)).expect("made");
        }
        world
    }

    fn open(&self) -> Result<Releases, ReleasesError> {
        let base = self.directory.path();
        self.open_as(base, "team/site")
    }

    fn open_as(&self, base: &Path, name: &str) -> Result<Releases, ReleasesError> {
        let name = name.parse().expect("valid");
        Releases::open_at(base.join("to"), base.join("memory"), self.switch, &name)
    }

    fn fetch(&self, releases: &mut Releases, sequence: u64) {
        let path = releases.path_of(sequence);
        fs::create_dir(&path).expect("made");
        fs::write(path.join("number"), sequence.to_string()).expect("written");
        releases.completed(sequence, origin("tree", sequence)).expect("remembered");
    }

    /// What programs read under `current`.
    fn seen(&self) -> Option<u64> {
        let text = fs::read_to_string(self.directory.path().join("to/current/number")).ok()?;
        text.parse().ok()
    }
}

/// Every release that is kept is where it says, whole, and `current` is what it says.
fn check(world: &World, releases: &Releases) {
    assert_eq!(releases.current().expect("readable"), world.seen());
    for sequence in releases.kept() {
        let number = fs::read_to_string(releases.path_of(sequence).join("number"));
        assert_eq!(number.expect("kept releases are whole"), sequence.to_string());
    }
}

fn origin(tree: &str, sequence: u64) -> Origin {
    Origin { tree: format!("{tree} {sequence}"), owner: "anna".into() }
}

const BOTH: [Switch; 2] = [Switch::Link, Switch::Exchange];

#[test]
fn releases_become_current_and_go_back() {
    for switch in BOTH {
        let world = World::new(switch);
        let mut releases = world.open().expect("opens");
        assert_eq!(releases.current().expect("readable"), None);
        for sequence in [1, 2, 3] {
            world.fetch(&mut releases, sequence);
            releases.switch(sequence).expect("switches");
            check(&world, &releases);
            assert_eq!(world.seen(), Some(sequence));
        }
        assert_eq!(releases.hook_due(), Some(HookDue { release: 3, previous: Some(2) }));
        releases.switch(1).expect("switches back");
        assert_eq!((world.seen(), releases.kept()), (Some(1), vec![1, 2, 3]));
        check(&world, &releases);
        let missing = releases.switch(9);
        assert!(matches!(missing, Err(ReleasesError::NotKept { sequence: 9, .. })), "{missing:?}");
        drop(releases);
        assert_eq!(world.open().expect("opens again").current().expect("readable"), Some(1));
        let plain = fs::symlink_metadata(world.directory.path().join("to/current")).expect("there");
        assert_eq!(plain.is_symlink(), switch == Switch::Link);
    }
}

#[test]
fn a_kill_at_any_point_leaves_the_old_or_the_new_release() {
    for switch in BOTH {
        for stop in [Step::Prepared, Step::Switched, Step::Named] {
            for from in [None, Some(1)] {
                let world = World::new(switch);
                let mut releases = world.open().expect("opens");
                world.fetch(&mut releases, 1);
                world.fetch(&mut releases, 2);
                if let Some(from) = from {
                    releases.switch(from).expect("switches");
                    releases.hook_done().expect("remembered");
                }
                releases.switch_until(2, Some(stop)).expect("cut off");
                let whole = world.seen() == Some(2) || world.seen() == from;
                assert!(whole, "{switch:?} {stop:?}: {:?}", world.seen());
                // The process is gone: only what is on disk counts.
                drop(releases);
                let mut releases = world.open().expect("recovers");
                check(&world, &releases);
                assert_eq!(releases.kept(), [1, 2], "{switch:?} {stop:?} {from:?}");
                let due =
                    (world.seen() == Some(2)).then_some(HookDue { release: 2, previous: from });
                assert_eq!(releases.hook_due(), due, "a hook is due for a switch that happened");
                releases.switch(2).expect("goes on");
                check(&world, &releases);
                assert_eq!(world.seen(), Some(2));
                assert!(!world.directory.path().join("to/.current.next").exists());
            }
        }
    }
}

#[test]
fn the_oldest_go_and_the_current_and_the_held_stay() {
    for switch in BOTH {
        let world = World::new(switch);
        let mut releases = world.open().expect("opens");
        for sequence in 1..=6 {
            world.fetch(&mut releases, sequence);
        }
        releases.switch(6).expect("switches");
        releases.switch(2).expect("switches back");
        releases.set_hold(Some(2)).expect("remembered");
        // Half a release, and something of somebody else.
        fs::create_dir(world.directory.path().join("to/releases/7")).expect("made");
        fs::create_dir(world.directory.path().join("to/releases/mine")).expect("made");
        assert_eq!(releases.prune(3, Some(7)).expect("prunes"), [1, 3, 4]);
        assert_eq!(releases.kept(), [2, 5, 6]);
        assert!(world.directory.path().join("to/releases/7").exists(), "it is being fetched");
        assert_eq!(releases.prune(3, None).expect("prunes"), [7]);
        assert!(world.directory.path().join("to/releases/mine").exists());
        check(&world, &releases);
    }
}

#[test]
fn what_is_not_writable_is_removed_too() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::new(Switch::Link);
    let mut releases = world.open().expect("opens");
    for sequence in 1..=2 {
        world.fetch(&mut releases, sequence);
    }
    releases.switch(2).expect("switches");
    let locked = releases.path_of(1).join("locked");
    fs::create_dir(&locked).expect("made");
    fs::write(locked.join("file"), "x").expect("written");
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o500)).expect("set");
    assert_eq!(releases.prune(1, None).expect("prunes"), [1]);
    assert!(!locked.exists());
    assert_eq!(fs::read_dir(world.directory.path().join("to/releases")).expect("there").count(), 1);
}

#[test]
fn what_no_watch_made_is_left_alone_and_named() {
    for switch in BOTH {
        let world = World::new(switch);
        let current = world.directory.path().join("to/current");
        fs::create_dir(&current).expect("made");
        fs::write(current.join("mine"), "mine").expect("written");
        let refused = world.open();
        assert!(matches!(refused, Err(ReleasesError::InTheWay { .. })), "{refused:?}");
        assert_eq!(fs::read_to_string(current.join("mine")).expect("there"), "mine");
    }
    let world = World::new(Switch::Link);
    std::os::unix::fs::symlink("/etc", world.directory.path().join("to/current")).expect("made");
    let refused = world.open();
    assert!(matches!(refused, Err(ReleasesError::InTheWay { .. })), "{refused:?}");
}

#[test]
fn one_process_watches_into_a_directory() {
    let world = World::new(Switch::Link);
    let first = world.open().expect("opens");
    assert!(matches!(world.open(), Err(ReleasesError::Busy { .. })));
    drop(first);
    world.open().expect("free again");
}

#[test]
fn a_rollback_that_is_cut_off_is_finished() {
    for switch in BOTH {
        for stop in [Step::Refused, Step::Prepared, Step::Switched, Step::Named] {
            let world = World::new(switch);
            let mut releases = world.open().expect("opens");
            world.fetch(&mut releases, 1);
            world.fetch(&mut releases, 2);
            releases.switch(1).expect("switches");
            releases.set_hold(Some(2)).expect("remembered");
            releases.switch(2).expect("switches");
            let due = releases.hook_due().expect("due");
            releases.roll_back_until(due, 1, Some(stop)).expect("cut off");
            drop(releases);
            let releases = world.open().expect("recovers");
            check(&world, &releases);
            assert_eq!(world.seen(), Some(1), "{switch:?} {stop:?}");
            assert_eq!((releases.refused(), releases.hold()), (Some(2), Some(1)));
            let due = HookDue { release: 1, previous: Some(2) };
            assert_eq!(releases.hook_due(), Some(due), "the old files' hook is due");
        }
    }
}

#[test]
fn releases_of_another_history_are_not_served() {
    for switch in BOTH {
        let world = World::new(switch);
        let base = world.directory.path();
        let mut releases = world.open().expect("opens");
        world.fetch(&mut releases, 1);
        releases.check_origin(1, &origin("tree", 1)).expect("the same");
        releases.check_origin(2, &origin("tree", 2)).expect("not kept");
        let other = releases.check_origin(1, &origin("other", 1));
        assert!(matches!(other, Err(ReleasesError::OtherHistory { .. })), "{other:?}");
        let publisher = documents::NodeKey::from_secret_bytes([7; 32]).public();
        assert!(releases.keeps(1, None) && !releases.keeps(1, Some(&publisher)));
        releases.switch(1).expect("switches");
        drop(releases);
        let other = world.open_as(base, "team/other");
        assert!(matches!(other, Err(ReleasesError::OtherHistory { .. })), "{other:?}");
        assert_eq!(world.open().expect("still its own").kept(), [1]);

        // Somebody makes room for the other name.
        fs::remove_dir_all(base.join("to")).expect("removed");
        fs::create_dir(base.join("to")).expect("made");
        let releases = world.open_as(base, "team/other").expect("opens");
        assert_eq!((releases.current().expect("readable"), releases.kept()), (None, vec![]));
        assert_eq!(releases.hook_due(), None);
    }
}

#[test]
fn a_release_that_somebody_removed_is_fetched_again() {
    let world = World::new(Switch::Link);
    let mut releases = world.open().expect("opens");
    world.fetch(&mut releases, 1);
    releases.switch(1).expect("switches");
    drop(releases);
    fs::remove_dir_all(world.directory.path().join("to/releases")).expect("removed");
    let releases = world.open().expect("opens");
    assert_eq!((releases.current().expect("readable"), releases.kept()), (None, vec![]));
}

#[test]
fn the_memory_of_an_older_version_is_read() {
    let world = World::new(Switch::Link);
    let mut releases = world.open().expect("opens");
    world.fetch(&mut releases, 1);
    drop(releases);
    let old = r#"{"current":null,"complete":[1],"hold":null,"refused":null,"hook_due":null,"exchange":null}"#;
    fs::write(world.directory.path().join("memory/state.json"), old).expect("written");
    let releases = world.open().expect("opens");
    assert_eq!(releases.kept(), [1]);
    releases.check_origin(1, &origin("any", 1)).expect("nothing is known of it");
}
