//! Second versions, edited destinations, interruptions, traps.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use content::{ConvergenceSecret, Sealer};

use super::furnish;
use super::world::{World, noise, write};
use crate::CheckoutError;

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_destination_is_repaired() {
    let world = World::new();
    furnish(&world);
    world.transfer().await;
    let to = |path: &str| world.to.join(path);
    fs::write(to("inline"), b"many bytes").expect("writes");
    fs::write(to("small/2/2"), noise(9, 702)).expect("writes");
    fs::remove_file(to("small/1/1")).expect("removes");
    fs::remove_dir_all(to("small/5")).expect("removes");
    fs::set_permissions(to("small/4/4"), fs::Permissions::from_mode(0o777)).expect("sets");
    fs::remove_file(to("dir/link")).expect("removes");
    symlink("/etc/passwd", to("dir/link")).expect("makes");
    fs::remove_file(to("z second name")).expect("removes");
    let report = world.transfer().await;
    assert_eq!(report.repaired, 4 + 43, "{report:?}");
    assert_eq!(world.transfer().await.repaired, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_did_in_directories_that_did_not_change_is_undone() {
    let world = World::new();
    let directory = |number: u64| format!("same/{:02}/in {:02}", number / 10, number % 10);
    for number in 0..60 {
        for file in 0..5 {
            world.write(
                &format!("{}/{file}", directory(number)),
                &noise(number * 10 + file, 100 + file as usize),
            );
        }
    }
    world.write("other/file", b"first");
    world.transfer().await;
    world.write("other/file", b"second version");
    let to = |number, name: &str| world.to.join(directory(number)).join(name);
    fs::write(to(12, "3"), b"edited").expect("writes");
    fs::remove_file(to(23, "0")).expect("removes");
    fs::remove_dir_all(world.to.join("same/03")).expect("removes");
    fs::set_permissions(world.to.join(directory(41)), fs::Permissions::from_mode(0o500))
        .expect("sets");
    fs::write(to(55, "not ours"), b"stays").expect("writes");
    let kept = fs::metadata(to(59, "4")).expect("there").ino();

    let report = world.get(world.publish()).await.expect("works");
    assert_eq!(report.unmanaged, 1, "{report:?}");
    // Two files, a directory's mode, and ten directories with their 50 files.
    assert!(report.repaired >= 2 + 50, "{report:?}");
    assert_eq!(fs::metadata(to(59, "4")).expect("there").ino(), kept, "was not touched");
    fs::remove_file(to(55, "not ours")).expect("removes");
    let (from, there) = (world.from.join(directory(55)), world.to.join(directory(55)));
    let time = fs::metadata(from).expect("there").modified().expect("has one");
    fs::File::open(there).expect("opens").set_modified(time).expect("sets");
    world.assert_equal();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_version_costs_only_its_changes() {
    let world = World::new();
    furnish(&world);
    world.write("swap a", &noise(50, 90_000));
    world.write("swap b", &noise(51, 80_000));
    world.transfer().await;
    let from = |path: &str| world.from.join(path);
    fs::rename(from("small"), from("moved")).expect("moves");
    fs::rename(from("dir/deep/er/file"), from("file")).expect("moves");
    fs::set_permissions(from("dir/deep"), fs::Permissions::from_mode(0o700)).expect("sets");
    fs::remove_dir_all(from("dir/deep")).expect("removes");
    fs::rename(from("swap a"), from("swap")).expect("moves");
    fs::rename(from("swap b"), from("swap a")).expect("moves");
    fs::rename(from("swap"), from("swap b")).expect("moves");
    fs::remove_file(from("inline")).expect("removes");
    world.write("inline/is now/a directory", &noise(53, 900));
    fs::remove_dir(from("empty dir")).expect("removes");
    world.write("empty dir", b"is now a file");
    let mut large = noise(1000, 3 << 20);
    large.splice(700_000..700_000, *b"inserted");
    world.write("copy of large", &large);
    let inode = fs::metadata(world.to.join("small/3/3")).expect("there").ino();

    let report = world.transfer().await;
    assert!(report.bytes_written < 200_000 + 900, "{report:?}");
    // Groups come whole, also for one new member.
    assert!(report.fetch.bytes < 100_000, "{report:?}");
    // 300 small files, 7 directories and theirs, three of dir/deep, and the two replaced.
    assert_eq!(report.removed, 300 + 8 + 3 + 2, "{report:?}");
    let moved = fs::metadata(world.to.join("moved/3/3")).expect("there").ino();
    assert_eq!(moved, inode, "moved, not copied");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_only_what_was_under_way_is_fetched_again() {
    for sync in [false, true] {
        let world = World::new();
        furnish(&world);
        world.write("huge", &noise(77, 40 << 20));
        let tree = world.publish();
        for round in 1..6 {
            world.shelf.allowance.store(50, SeqCst);
            let stopped = tokio::time::timeout(Duration::from_millis(700), world.get(tree)).await;
            assert!(stopped.is_err(), "round {round} finished: {stopped:?}");
        }
        world.shelf.allowance.store(1 << 40, SeqCst);
        let options = crate::CheckoutOptions { durable: sync, ..Default::default() };
        let report = world.get_with(tree, options).await.expect("works");
        world.assert_equal();
        assert!(report.bytes_reused > 10 << 20, "{report:?}");
        // What was sent and never reached the destination is at most a request each time.
        let total = world.shelf.content_bytes.load(SeqCst);
        let unique = (43 << 20) + 300 * 850 + 100_000;
        assert!(total < unique + 6 * (1 << 20), "{total} bytes for {unique}");
    }
}

/// The bytes that are taken on the disk beneath a directory.
fn room(directory: &std::path::Path) -> u64 {
    let entries = fs::read_dir(directory).expect("there").map(|entry| entry.expect("readable"));
    let one = |entry: fs::DirEntry| match entry.file_type().expect("readable").is_dir() {
        true => room(&entry.path()),
        false => entry.metadata().map_or(0, |facts| facts.blocks() * 512),
    };
    entries.map(one).sum()
}

/// Leaves a checkout half done, and other bytes in it than its journal says.
async fn half_done_and_altered(is_sealed: bool) -> (World, content::TreeRef) {
    let mut world = World::new();
    if is_sealed {
        world.sealer = Some(Sealer::new(ConvergenceSecret::from_bytes([3; 32])));
    }
    world.write("huge", &noise(77, 20 << 20));
    let tree = world.publish();
    world.shelf.allowance.store(80, SeqCst);
    let stopped = tokio::time::timeout(Duration::from_millis(700), world.get(tree)).await;
    assert!(stopped.is_err());
    let temp = fs::read_dir(world.to.join(".consign.tmp")).expect("there");
    let temp = temp.map(|entry| entry.expect("readable").path());
    let temp = temp.filter(|path| path.file_name().is_some_and(|name| name.len() == 32));
    let mut altered = 0;
    for path in temp {
        use std::os::unix::fs::FileExt as _;
        let file = fs::File::options().write(true).open(path).expect("opens");
        file.write_all_at(&[0; 5000], 100_000).expect("writes");
        altered += 1;
    }
    assert!(altered > 0, "something was begun");
    let room = room(&world.to) + room(&world.state);
    assert!(room < 21 << 20, "a file takes its room once: {room} bytes for 20 MiB");
    world.shelf.allowance.store(1 << 40, SeqCst);
    (world, tree)
}

/// On one boot, where a journal is believed unless somebody wants to know.
#[tokio::test(flavor = "multi_thread")]
async fn who_wants_it_checked_keeps_of_an_interrupted_run_what_still_is_what_it_was() {
    for is_sealed in [false, true] {
        let (world, tree) = half_done_and_altered(is_sealed).await;
        let before = world.shelf.content_bytes.load(SeqCst);
        let options = crate::CheckoutOptions { recheck: true, ..Default::default() };
        let report = world.get_with(tree, options).await.expect("works");
        world.assert_equal();
        assert!(report.bytes_reused > 1 << 20, "what is right is not fetched again: {report:?}");
        let fetched = world.shelf.content_bytes.load(SeqCst) - before;
        assert!(fetched < 20 << 20, "{fetched} bytes came");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_journal_of_an_earlier_boot_says_is_checked() {
    for is_sealed in [false, true] {
        let (world, tree) = half_done_and_altered(is_sealed).await;
        // Another boot: the header says so and checks.
        let path = world.state.join("journal");
        let mut journal = fs::read(&path).expect("there");
        journal[36..52].fill(9);
        let check = *blake3::hash(&journal[..52]).as_bytes();
        journal[52..60].copy_from_slice(&check[..8]);
        fs::write(&path, journal).expect("writes");
        // The power failure lost a stretch that the journal says is there.
        let report = world.get(tree).await.expect("works");
        world.assert_equal();
        assert!(report.bytes_reused > 1 << 20, "{report:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_symbolic_link_on_the_way_is_not_followed() {
    let world = World::new();
    furnish(&world);
    let tree = world.publish();
    world.get(tree).await.expect("works");
    let outside = world.state.with_extension("outside");
    fs::create_dir(&outside).expect("makes");
    fs::remove_dir_all(world.to.join("small")).expect("removes");
    symlink(&outside, world.to.join("small")).expect("makes");
    let refused = world.get(tree).await;
    assert!(
        matches!(&refused, Err(CheckoutError::InTheWay { path }) if path == "small"),
        "{refused:?}"
    );
    assert_eq!(fs::read_dir(&outside).expect("there").count(), 0);
    fs::remove_file(world.to.join("small")).expect("removes");
    // In place of a file it is replaced, and what it points to stays.
    write(&outside.join("victim"), b"untouched");
    fs::remove_file(world.to.join("large")).expect("removes");
    symlink(outside.join("victim"), world.to.join("large")).expect("makes");
    world.get(tree).await.expect("works");
    world.assert_equal();
    assert_eq!(fs::read(outside.join("victim")).expect("there"), b"untouched");
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_in_the_way_are_named_and_kept() {
    let world = World::new();
    world.write("dir/file", &noise(1, 2000));
    world.write("file", &noise(2, 2000));
    let tree = world.publish();
    fs::create_dir_all(world.to.join("file")).expect("makes");
    let refused = world.get(tree).await;
    assert!(
        matches!(&refused, Err(CheckoutError::InTheWay { path }) if path == "file"),
        "{refused:?}"
    );
    fs::remove_dir(world.to.join("file")).expect("still there");
    fs::write(world.to.join("dir"), b"mine").expect("writes");
    let refused = world.get(tree).await;
    assert!(
        matches!(&refused, Err(CheckoutError::InTheWay { path }) if path == "dir"),
        "{refused:?}"
    );
    fs::remove_file(world.to.join("dir")).expect("still there");
    world.get(tree).await.expect("works");
    // Ours would go, but something else is in it.
    fs::write(world.to.join("dir/mine"), b"mine").expect("writes");
    fs::remove_dir_all(world.from.join("dir")).expect("removes");
    world.write("dir", b"a file now");
    let refused = world.get(world.publish()).await;
    assert!(
        matches!(&refused, Err(CheckoutError::InTheWay { path }) if path == "dir"),
        "{refused:?}"
    );
    assert_eq!(fs::read(world.to.join("dir/mine")).expect("there"), b"mine");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkout_abandoned_for_another_version_leaves_that_version() {
    let world = World::new();
    furnish(&world);
    let first = world.publish();
    world.get(first).await.expect("works");
    world.write("second only", &noise(88, 5 << 20));
    world.write("aa early", &noise(89, 600));
    let second = world.publish();
    world.shelf.allowance.store(20, SeqCst);
    let stopped = tokio::time::timeout(Duration::from_millis(700), world.get(second)).await;
    assert!(stopped.is_err());
    world.shelf.allowance.store(1 << 40, SeqCst);
    fs::remove_file(world.from.join("second only")).expect("removes");
    fs::remove_file(world.from.join("aa early")).expect("removes");
    write(&world.from.join("third"), b"third");
    let report = world.transfer().await;
    assert_eq!(report.bytes_written, 5);
}

/// More files than are named in one go, so that a run that is cut off has named some.
const MANY: usize = 4200;

#[tokio::test(flavor = "multi_thread")]
async fn what_an_abandoned_version_had_named_is_not_left_behind() {
    let world = World::new();
    world.write("first", b"first");
    let first = world.publish();
    world.get(first).await.expect("works");
    for number in 0..MANY {
        world.write(&format!("many/{number:04}"), number.to_string().as_bytes());
    }
    world.write("zz huge", &noise(90, 5 << 20));
    let second = world.publish();
    world.shelf.allowance.store(0, SeqCst);
    let named = || fs::read_dir(world.to.join("many")).map_or(0, Iterator::count);
    let cut_off = async {
        while named() < 4000 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        ended = world.get(second) => panic!("{ended:?}"),
        () = cut_off => {}
    }
    world.shelf.allowance.store(1 << 40, SeqCst);
    // Somebody's own file, where the abandoned version would have had one as well.
    fs::write(world.to.join("many/mine"), b"mine").expect("writes");
    fs::remove_dir_all(world.from.join("many")).expect("removes");
    fs::remove_file(world.from.join("zz huge")).expect("removes");
    world.write("third", b"third");
    let report = world.get(world.publish()).await.expect("works");
    assert!(report.removed > 4000 && report.unmanaged == 0, "{report:?}");
    let left = fs::read_dir(world.to.join("many")).expect("what is not ours stays");
    let left: Vec<_> = left.map(|entry| entry.expect("readable").file_name()).collect();
    assert_eq!(left, ["mine"]);
    fs::remove_dir_all(world.to.join("many")).expect("removes");
    world.get(world.publish()).await.expect("works");
    world.assert_equal();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_checkout_gives_what_both_have_and_is_not_touched() {
    let mut world = World::new();
    furnish(&world);
    world.transfer().await;
    let before = super::world::describe(&world.to);
    let base = crate::Base { directory: world.to.clone(), state: world.state.clone() };
    let mut large = noise(1000, 3 << 20);
    large[1 << 20] ^= 1;
    world.write("copy of large", &large);
    world.write("new", &noise(91, 10_000));
    let tree = world.publish();
    let served = world.shelf.content_bytes.load(SeqCst);
    let old = world.to.clone();
    world.to = world.to.with_extension("2");
    world.state = world.state.with_extension("2");
    let options = crate::CheckoutOptions { base: Some(base), ..Default::default() };
    world.get_with(tree, options).await.expect("works");
    world.assert_equal();
    let fetched = world.shelf.content_bytes.load(SeqCst) - served;
    assert!(fetched < 300_000, "{fetched} bytes fetched");
    assert_eq!(super::world::describe(&old), before, "the same files, links and times");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_checkouts_into_one_directory_take_turns() {
    let world = World::new();
    furnish(&world);
    let tree = world.publish();
    let other =
        fs::create_dir_all(&world.state).and_then(|()| fs::File::create(world.state.join("lock")));
    let other = other.expect("made");
    rustix::fs::flock(&other, rustix::fs::FlockOperation::LockExclusive).expect("free");
    let mut waiting = std::pin::pin!(world.get(tree));
    tokio::select! {
        ended = &mut waiting => panic!("two at once: {ended:?}"),
        () = tokio::time::sleep(Duration::from_millis(200)) => {}
    }
    assert!(!world.to.exists(), "nothing is touched before its turn");
    drop(other);
    waiting.await.expect("works");
    world.assert_equal();
}

/// A destination with `old`, and a second version that has it as `new` beside much to fetch;
/// getting that was interrupted when `new` was finished and nothing had its name.
async fn interrupted_move(bytes: &[u8]) -> (World, content::TreeRef) {
    let world = World::new();
    world.write("old", bytes);
    world.transfer().await;
    fs::rename(world.from.join("old"), world.from.join("new")).expect("moves");
    world.write("new huge", &noise(92, 5 << 20));
    let second = world.publish();
    world.shelf.allowance.store(0, SeqCst);
    let begun = || fs::metadata(world.to.join("old")).is_ok_and(|facts| facts.nlink() == 2);
    let cut_off = async {
        while !begun() || !world.state.join("journal").exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    tokio::select! {
        ended = world.get(second) => panic!("{ended:?}"),
        () = cut_off => {}
    }
    assert!(begun() && !world.to.join("new").exists(), "linked and not yet named");
    world.shelf.allowance.store(1 << 40, SeqCst);
    (world, second)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_edited_under_its_old_name_meanwhile_is_not_taken() {
    let old = noise(93, 100_000);
    for keeps_time in [false, true] {
        let (world, second) = interrupted_move(&old).await;
        let path = world.to.join("old");
        let time = fs::metadata(&path).and_then(|facts| facts.modified()).expect("there");
        {
            use std::os::unix::fs::FileExt as _;
            let file = fs::File::options().write(true).open(&path).expect("opens");
            file.write_all_at(b"edited", 50_000).expect("writes");
            if keeps_time {
                file.set_modified(time).expect("sets");
            }
        }
        world.get(second).await.expect("works");
        world.assert_equal();
    }
    // Without an edit it is moved.
    let (world, second) = interrupted_move(&old).await;
    let inode = fs::metadata(world.to.join("old")).expect("there").ino();
    world.get(second).await.expect("works");
    world.assert_equal();
    assert_eq!(fs::metadata(world.to.join("new")).expect("there").ino(), inode);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moved_file_has_the_attributes_of_its_new_version() {
    use rustix::fs::{XattrFlags, getxattr, removexattr, setxattr};
    let world = World::new();
    let set = |path: &str, name: &str| {
        setxattr(world.from.join(path), name, b"value", XattrFlags::empty()).expect("kept here");
    };
    for name in ["loses all", "loses one", "gains", "read only"] {
        world.write(name, &noise(name.len() as u64 + 100, 50_000 + name.len()));
    }
    set("loses all", "user.one");
    set("loses one", "user.one");
    set("loses one", "user.two");
    set("read only", "user.one");
    let mode = fs::Permissions::from_mode(0o444);
    fs::set_permissions(world.from.join("read only"), mode).expect("sets");
    world.transfer().await;
    let there = |path: &str, name: &str| {
        getxattr(world.to.join(path), name, &mut [0; 16][..]).is_ok_and(|length| length == 5)
    };
    assert!(there("loses all", "user.one") && there("loses one", "user.two"));

    let moved = |name: &str| format!("moved {name}");
    for name in ["loses all", "loses one", "gains", "read only"] {
        fs::rename(world.from.join(name), world.from.join(moved(name))).expect("moves");
    }
    for name in ["loses all", "loses one", "read only"] {
        removexattr(world.from.join(moved(name)), "user.one").expect("had it");
    }
    set("moved gains", "user.three");
    let report = world.transfer().await;
    assert_eq!((report.bytes_written, report.removed), (0, 4), "moved, not fetched");
    assert!(there("moved loses one", "user.two") && there("moved gains", "user.three"));
    for name in ["loses all", "loses one", "read only"] {
        assert!(!there(&moved(name), "user.one"), "{name}");
    }
}
