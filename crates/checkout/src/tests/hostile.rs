//! Trees that are made to be endless.

use std::fs;
use std::path::Path;

use content::bounds::{
    CONTENT_BYTES_MAX, DEPTH_MAX, DIRECTORIES_MAX, ENTRIES_MAX, PATH_BYTES_MAX, TreeBoundsError,
};
use content::{BlobId, Contents, Entry, Kind, Mtime, Name, Node, Piece, Totals, TreeRef, TreeRoot};
use rustix::fs::{Mode, OFlags, mkdirat, openat};
use store::ChunkStore as _;

use super::offer;
use super::world::World;
use crate::CheckoutError;

/// As much as a root may state.
const MUCH: Totals = Totals {
    files: ENTRIES_MAX / 4,
    directories: DIRECTORIES_MAX,
    symlinks: ENTRIES_MAX / 4,
    bytes: CONTENT_BYTES_MAX,
};

fn entry(name: &[u8], kind: Kind) -> Entry {
    let (name, mtime) = (Name::new(name).expect("a name"), Mtime { seconds: 7, nanos: 0 });
    Entry { name, mode: 0o755, mtime, owner: None, xattrs: Vec::new(), kind }
}

fn link(name: &str) -> Entry {
    entry(name.as_bytes(), Kind::Symlink { target: b"x".to_vec() })
}

/// A directory in a chunk of its own.
fn stored(world: &World, entries: Vec<Entry>) -> Kind {
    let bytes = Node { entries }.encode();
    let (size, node) = (bytes.len() as u64, BlobId::of(&bytes));
    let contents = Contents::Pieces(vec![Piece::Chunk(offer(world, bytes))]);
    Kind::Directory { size, node, contents }
}

fn tree(world: &World, root: Kind, totals: Totals) -> TreeRef {
    let Kind::Directory { size, node, contents } = root else { panic!("{root:?}") };
    let root = TreeRoot { parameters: 1, size, node, contents, totals };
    TreeRef(offer(world, root.encode()))
}

/// `depth` directories, each naming the next `width` times.
fn nested(world: &World, depth: usize, width: usize, name_bytes: usize) -> Kind {
    (0..depth).fold(stored(world, vec![link("end")]), |below, _| {
        let name = |number| format!("{number:0name_bytes$}").into_bytes();
        let entries = (0..width).map(|number| entry(&name(number), below.clone()));
        stored(world, entries.collect())
    })
}

async fn refused(world: &World, tree: TreeRef) -> TreeBoundsError {
    let refused = match world.get(tree).await {
        Err(CheckoutError::Bounds(refused)) => refused,
        other => panic!("{other:?}"),
    };
    let made = fs::read_dir(&world.to).expect("there");
    let made: Vec<_> = made.map(|entry| entry.expect("readable").file_name()).collect();
    assert!(made.iter().all(|name| name == ".consign.tmp"), "{made:?}");
    let plan = fs::metadata(world.state.join("plan")).map_or(0, |facts| facts.len());
    assert!(plan < 1 << 20, "a plan of {plan} bytes");
    refused
}

#[tokio::test(flavor = "multi_thread")]
async fn directories_named_again_and_again_are_refused_before_anything_is_planned() {
    let world = World::new();
    // 10^50 entries out of 50 directories, and the root states as much as it may.
    let bomb = nested(&world, 50, 10, 3);
    let found = refused(&world, tree(&world, bomb.clone(), MUCH)).await;
    let TreeBoundsError::TooLarge { what, max, path, .. } = &found else { panic!("{found:?}") };
    assert_eq!((*what, *max), ("entries", ENTRIES_MAX));
    assert!(path.starts_with("000/000/"), "{path}");
    assert!(!world.state.join("plan").exists());
    // A root that states little is taken at its word.
    let little = Totals { directories: 50, symlinks: 1, ..Totals::default() };
    let found = refused(&world, tree(&world, bomb.clone(), little)).await;
    assert!(found.to_string().contains("more than the 50 directories"), "{found}");
    // And one that states too much is not read any further.
    let found = refused(&world, tree(&world, bomb, Totals { files: u64::MAX, ..MUCH })).await;
    assert!(matches!(found, TreeBoundsError::TooLarge { .. }), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_of_directories_ends_where_no_tree_is_deeper() {
    let world = World::new();
    let chain = nested(&world, 100_000, 1, 1);
    let found = refused(&world, tree(&world, chain, MUCH)).await;
    let TreeBoundsError::TooLarge { what, max, .. } = &found else { panic!("{found:?}") };
    assert_eq!((*what, *max), ("directories one inside the other", DEPTH_MAX));
    // Of 100,000 nodes few more than the limit were fetched.
    let chunks = world.metadata.stats().await.expect("counts").chunks;
    assert!(chunks <= DEPTH_MAX + 8, "{chunks} chunks");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_longer_than_any_is_refused() {
    let world = World::new();
    let chain = nested(&world, 100, 1, 200);
    let found = refused(&world, tree(&world, chain, MUCH)).await;
    let TreeBoundsError::TooLarge { what, max, path, .. } = &found else { panic!("{found:?}") };
    assert_eq!((*what, *max), ("bytes in one path", PATH_BYTES_MAX));
    assert!(path.len() < 1000, "the message is for people: {path}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_index_knows_is_counted_where_it_is_named_anew() {
    let world = World::new();
    let links = (0..10).map(|number| link(&number.to_string())).collect();
    let inner = entry(b"c", stored(&world, links));
    let totals = Totals { directories: 2, symlinks: 10, ..Totals::default() };
    let top = stored(&world, vec![entry(b"b", stored(&world, vec![inner.clone()]))]);
    world.get(tree(&world, top, totals)).await.expect("works");

    // `b/c` is known and not read; under the other names it is as new as they are.
    let outer = stored(&world, vec![inner, link("n")]);
    let names = ["b", "x", "y", "z"].map(|name| entry(name.as_bytes(), outer.clone()));
    let totals = Totals { directories: 8, symlinks: 44, ..totals };
    let top = stored(&world, names.to_vec());
    let less = tree(&world, top.clone(), Totals { symlinks: 20, ..totals });
    let found = world.get(less).await;
    let Err(CheckoutError::Bounds(found)) = found else { panic!("{found:?}") };
    assert!(found.to_string().contains("more than the 20 symbolic links"), "{found}");
    world.get(tree(&world, top, totals)).await.expect("works");
    assert!(fs::read_link(world.to.join("z/c/9")).is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn totals_of_a_release_are_those_of_its_tree() {
    let world = World::new();
    world.write("file", b"contents");
    let tree = world.publish();
    let totals = Totals { files: 1, bytes: 8, ..Totals::default() };
    let options = |totals| crate::CheckoutOptions { totals: Some(totals), ..Default::default() };
    let other = world.get_with(tree, options(Totals { files: 2, ..totals })).await;
    assert!(matches!(other, Err(CheckoutError::Contradiction { .. })), "{other:?}");
    world.get_with(tree, options(totals)).await.expect("works");
}

/// Directories down to `path`, which no system call takes in one piece.
fn make_deep(top: &Path, name: &str, depth: usize) {
    let (flags, mode) = (OFlags::DIRECTORY | OFlags::RDONLY, Mode::from(0o755));
    let mut at = rustix::fs::open(top, flags, Mode::empty()).expect("there");
    for _ in 0..depth {
        mkdirat(&at, name, mode).expect("makes");
        at = openat(&at, name, flags, Mode::empty()).expect("there");
    }
    let flags = OFlags::CREATE | OFlags::WRONLY;
    let file = openat(&at, "file", flags, Mode::from(0o644)).expect("makes");
    rustix::io::write(&file, b"far down").expect("writes");
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_longer_than_one_call_takes_arrive() {
    let world = World::new();
    let name = "d".repeat(200);
    make_deep(&world.from, &name, 40);
    let report = world.get(world.publish()).await.expect("works");
    assert_eq!(report.files, 1);
    let path = [name.as_str(); 40].join("/") + "/file";
    assert!(path.len() > 4096);
    let root = directory::Root::open(&world.to).expect("there");
    let file = root.open_file(path.as_bytes()).expect("there");
    assert_eq!(file.metadata().expect("there").len(), 8);
    // And away again.
    fs::remove_dir_all(world.from.join(&name)).expect("removes");
    let report = world.get(world.publish()).await.expect("works");
    assert_eq!((report.files, report.removed), (0, 41));
}
