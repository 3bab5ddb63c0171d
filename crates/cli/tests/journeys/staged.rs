//! What a package takes of a target's disk while it comes in.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use testkit::Meddling;

use crate::attacks::{Ways, before};
use crate::community::{Community, serve};
use crate::process::until;

/// A file that cannot be compressed: what it takes sealed and on its way is its size.
const LARGE_BYTES: usize = 12 << 20;
/// Names, journals and the nodes of the tree.
const ASIDE_BYTES: u64 = 1 << 20;

/// What is allocated beneath a folder, which is less than the lengths of files that have holes.
fn allocated_bytes(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let paths = entries.flatten().map(|entry| entry.path());
    paths
        .map(|path| match path.symlink_metadata() {
            Ok(facts) if facts.is_dir() => allocated_bytes(&path),
            Ok(facts) => facts.blocks() * 512,
            // It was moved into place meanwhile.
            Err(_) => 0,
        })
        .sum()
}

#[test]
fn an_interrupted_package_takes_the_space_of_what_arrived_and_only_the_rest_is_sent() {
    let community = Community::create();
    let world = &community.world;
    community.peer("ci", &["--role", "publisher"]);
    community.peer("press-1", &["--role", "target"]);
    let hub = before(world, "press-1", Ways::One);
    let large = community.large_package("1", LARGE_BYTES);
    community.send(&large.package, &[]);

    // Each answer stops after a third of it all.
    let third = LARGE_BYTES as u64 / 3;
    hub.set(
        move |what| {
            if what.contains("/chunks/fetch") { Meddling::Stall(third) } else { Meddling::Pass }
        },
    );
    let state = world.path("press-1/communities");
    let target = serve(world, "press-1");
    until("a third of it arrived", || hub.passed_bytes() > third);
    until("some of it is on disk", || allocated_bytes(&state) > third / 2);
    target.end(rustix::process::Signal::KILL);
    let (passed, held) = (hub.passed_bytes(), allocated_bytes(&state));
    assert!(held <= passed + ASIDE_BYTES, "{held} bytes are kept of {passed} that came");
    assert_eq!(community.ran(), 0, "nothing is run before all of it is here");

    hub.relent();
    let _target = serve(world, "press-1");
    until("it was carried out", || community.ran() == 1);
    large.assert_placed();
    // What was on its way when the machine died came twice, and nothing else.
    let whole = LARGE_BYTES as u64;
    let sent = hub.passed_bytes();
    assert!(sent < whole + (passed - held.min(passed)) + 2 * ASIDE_BYTES, "{sent} bytes were sent");
    // Its tree stays, so that the next version costs what changed; nothing else of it does.
    let kept = allocated_bytes(&state);
    assert!(kept <= whole + ASIDE_BYTES, "{kept} bytes are kept of {whole}");
}
