//! Whole checkouts, from real folders to real folders.

mod hostile;
mod random;
mod versions;
mod world;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::sync::atomic::Ordering::SeqCst;

use content::reference::{ListSegment, PieceList};
use content::{
    BlobId, ChunkId, ChunkRef, Contents, ConvergenceSecret, Entry, Kind, Mtime, Name, Node, Piece,
    Sealer, Totals, TreeRef, TreeRoot,
};
use globset::{Glob, GlobSetBuilder};
use snapshot::{ChunkKind, ChunkSink};
use world::{World, noise, write};

use crate::{CheckoutError, CheckoutOptions};

/// Something of everything.
fn furnish(world: &World) {
    world.write("empty", b"");
    world.write("inline", b"few bytes");
    for number in 0..300u64 {
        world.write(
            &format!("small/{}/{number}", number % 7),
            &noise(number, 700 + number as usize),
        );
    }
    world.write("large", &noise(1000, 3 << 20));
    world.write("copy of large", &noise(1000, 3 << 20));
    world.write("dir/deep/er/file", &noise(1001, 50_000));
    fs::create_dir_all(world.from.join("empty dir")).expect("makes");
    symlink("../outside/\u{e9}", world.from.join("dir/link")).expect("makes");
    let odd = world.from.join(OsStr::from_bytes(b"not utf-8 \xff\xfe"));
    write(&odd, &noise(1002, 5000));
    fs::hard_link(world.from.join("large"), world.from.join("z second name")).expect("links");
    fs::hard_link(&odd, world.from.join("dir/third name")).expect("links");
    for (path, mode) in [("inline", 0o600), ("large", 0o755), ("dir/deep", 0o500), ("empty", 0o444)]
    {
        let mode = fs::Permissions::from_mode(mode);
        fs::set_permissions(world.from.join(path), mode).expect("sets");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_arrives_once_and_a_second_time_nothing_moves() {
    let world = World::new();
    furnish(&world);
    let report = world.transfer().await;
    assert_eq!((report.bytes_reused, report.repaired, report.removed), (3 << 20 | 5000, 0, 0));
    let unique = report.bytes_written - (3 << 20) - 9;
    assert_eq!(report.fetch.bytes, unique, "the copy was not fetched again");

    let served = world.shelf.content_bytes.load(SeqCst);
    let report = world.transfer().await;
    assert_eq!(report.bytes_reused, report.bytes_total);
    assert_eq!(world.shelf.content_bytes.load(SeqCst), served);
    let index = fs::metadata(world.state.join("index")).expect("there");
    world.transfer().await;
    let again = fs::metadata(world.state.join("index")).expect("there");
    assert_eq!(again.ino(), index.ino(), "nothing was even written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_tree_arrives_and_its_next_version_reuses_chunks() {
    let mut world = World::new();
    world.sealer = Some(Sealer::new(ConvergenceSecret::from_bytes([3; 32])));
    furnish(&world);
    world.transfer().await;
    let mut large = noise(1000, 3 << 20);
    large[1 << 20] ^= 1;
    world.write("copy of large", &large);
    let report = world.transfer().await;
    assert!(report.bytes_written < 300_000, "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn holes_stay_holes() {
    let world = World::new();
    let path = world.from.join("sparse");
    let file = fs::File::create(&path).expect("makes");
    file.set_len(64 << 20).expect("lengthens");
    file.write_all_at(&noise(5, 100_000), 20 << 20).expect("writes");
    file.write_all_at(b"end", (64 << 20) - 3).expect("writes");
    let report = world.transfer().await;
    assert!(report.bytes_in_holes > 60 << 20, "{report:?}");
    let made = fs::metadata(world.to.join("sparse")).expect("there");
    assert!(made.blocks() * 512 < 1 << 20, "{} blocks", made.blocks());
    // Moved, it is copied or linked with its holes.
    fs::rename(&path, world.from.join("moved")).expect("moves");
    let report = world.transfer().await;
    assert_eq!((report.bytes_written, report.removed), (0, 1));
    let made = fs::metadata(world.to.join("moved")).expect("there");
    assert!(made.blocks() * 512 < 1 << 20, "{} blocks", made.blocks());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_matches_is_made_and_nothing_is_removed() {
    let world = World::new();
    furnish(&world);
    let tree = world.publish();
    let only = |pattern: &str| {
        let glob = Glob::new(pattern).expect("a pattern");
        let only = Some(GlobSetBuilder::new().add(glob).build().expect("a set"));
        CheckoutOptions { only, ..CheckoutOptions::default() }
    };
    let report = world.get_with(tree, only("small/3")).await.expect("works");
    assert_eq!(report.files, 43);
    let names = |path: &str| fs::read_dir(world.to.join(path)).expect("there").count();
    assert_eq!((names(""), names("small"), names("small/3")), (1, 1, 43));
    let report = world.get_with(tree, only("**/*third*")).await.expect("works");
    assert_eq!(report.files, 1, "a link whose other name is left out is a file");
    assert_eq!((names(""), names("dir"), names("small/3")), (2, 1, 43));
    let report = world.get(tree).await.expect("works");
    assert!(report.bytes_reused > 43 * 700);
    world.assert_equal();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_folder_is_adopted_without_fetching() {
    let world = World::new();
    furnish(&world);
    let tree = world.publish();
    world.get(tree).await.expect("works");
    let served = world.shelf.content_bytes.load(SeqCst);
    fs::remove_dir_all(&world.state).expect("removes");
    fs::write(world.to.join("large"), noise(1, 3 << 20)).expect("writes");
    fs::write(world.to.join("mine"), b"mine").expect("writes");
    fs::create_dir(world.to.join("my folder")).expect("makes");
    let report = world.get(tree).await.expect("works");
    assert_eq!(report.unmanaged_paths, [&b"mine"[..], b"my folder"]);
    let fetched = world.shelf.content_bytes.load(SeqCst) - served;
    assert!(fetched <= 3 << 20, "{fetched} bytes");
    fs::remove_file(world.to.join("mine")).expect("stayed");
    fs::remove_dir(world.to.join("my folder")).expect("stayed");
    world.assert_equal();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reserved_name_and_a_bad_destination_are_refused() {
    let world = World::new();
    let name = Name::new(b".consign.tmp").expect("valid");
    let kind = Kind::Symlink { target: b"x".to_vec() };
    let mtime = Mtime { seconds: 0, nanos: 0 };
    let entry = Entry { name, mode: 0, mtime, owner: None, xattrs: Vec::new(), kind };
    let node = Node { entries: vec![entry] }.encode();
    let (size, id) = (node.len() as u64, BlobId::of(&node));
    let contents = Contents::Inline(node);
    let totals = Totals { symlinks: 1, ..Totals::default() };
    let root = TreeRoot { parameters: 1, size, node: id, contents, totals }.encode();
    let chunk = ChunkRef::plain(ChunkId::of(&root), u32::try_from(root.len()).expect("short"));
    world.shelf.offer(&chunk, root.into(), ChunkKind::Metadata).expect("takes");
    let refused = world.get(TreeRef(chunk)).await;
    assert!(matches!(refused, Err(CheckoutError::Reserved { .. })), "{refused:?}");
    fs::remove_dir_all(&world.to).expect("removes");
    fs::write(&world.to, b"a file").expect("writes");
    let refused = world.get(world.publish()).await;
    assert!(matches!(refused, Err(CheckoutError::Destination { .. })), "{refused:?}");
}

/// A tree whose root directory has `size` bytes in `contents`, offered to the shelf.
fn tree_of(world: &World, size: u64, contents: Contents) -> TreeRef {
    let node = BlobId::of(b"nobody looks at it");
    let totals = Totals { files: 1, bytes: i64::MAX as u64, ..Totals::default() };
    let root = TreeRoot { parameters: 1, size, node, contents, totals };
    TreeRef(offer(world, root.encode()))
}

fn offer(world: &World, bytes: Vec<u8>) -> ChunkRef {
    let length = u32::try_from(bytes.len()).expect("short");
    let chunk = ChunkRef::plain(ChunkId::of(&bytes), length);
    world.shelf.offer(&chunk, bytes.into(), ChunkKind::Metadata).expect("takes");
    chunk
}

/// A tree with one file of `repeats` times the same list of `pieces`.
fn repeating(world: &World, piece: Piece, repeats: usize) -> TreeRef {
    let list = PieceList(vec![piece; PieceList::PIECES_MAX]);
    let span = piece.length() * PieceList::PIECES_MAX as u64;
    let segment = ListSegment { chunk: offer(world, list.encode()), span };
    let contents = Contents::List(vec![segment; repeats]);
    let size = span * repeats as u64;
    let kind = Kind::File { size, blob: BlobId::of(b"unknown"), contents, link: None };
    let (name, mtime) = (Name::new(b"file").expect("valid"), Mtime { seconds: 0, nanos: 0 });
    let entry = Entry { name, mode: 0o644, mtime, owner: None, xattrs: Vec::new(), kind };
    let node = offer(world, Node { entries: vec![entry] }.encode());
    tree_of(world, node.length.into(), Contents::Pieces(vec![Piece::Chunk(node)]))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_tree_cannot_fill_the_memory() {
    let world = World::new();
    let refused = async |tree: TreeRef| match world.get(tree).await {
        Err(CheckoutError::Contradiction { reason, .. }) => reason,
        other => panic!("{other:?}"),
    };
    let byte = Piece::Chunk(offer(&world, b"1".to_vec()));
    let too_many = "a file of more pieces than its size allows";
    assert_eq!(refused(repeating(&world, byte, 3)).await, too_many);
    // Its size allows them, but not the memory.
    let hole = Piece::Hole(1 << 30);
    assert_eq!(refused(repeating(&world, hole, 8193)).await, too_many);

    let size = (1 << 30) + 1;
    let tree = tree_of(&world, size, Contents::Pieces(vec![Piece::Hole(size)]));
    assert_eq!(refused(tree).await, "a directory larger than any");
    let ChunkRef { id, length, .. } = offer(&world, Node::default().encode());
    let pieces = [length, 1].map(|length| Piece::Chunk(ChunkRef::plain(id, length)));
    let tree = tree_of(&world, u64::from(length) + 1, Contents::Pieces(pieces.into()));
    assert_eq!(refused(tree).await, "one chunk has two lengths");
}
