use super::*;
use crate::{BlobId, ChunkRef, Entry, Mtime, Name, Piece};

fn entry(name: &str, kind: Kind) -> Entry {
    let (name, mtime) =
        (Name::new(name.as_bytes()).expect("a name"), Mtime { seconds: 0, nanos: 0 });
    Entry { name, mode: 0o755, mtime, owner: None, xattrs: Vec::new(), kind }
}

fn link(name: &str) -> Entry {
    entry(name, Kind::Symlink { target: b"x".to_vec() })
}

fn file(name: &str, size: u64) -> Entry {
    let (blob, contents) = (BlobId::of(b"?"), Contents::Pieces(Vec::new()));
    entry(name, Kind::File { size, blob, contents, link: None })
}

/// A directory in a chunk of its own: its size and contents.
fn stored(node: &Node) -> (u64, Contents) {
    let bytes = node.encode();
    let length = u32::try_from(bytes.len()).expect("short");
    let chunk = ChunkRef::plain(ChunkId::of(&bytes), length);
    (length.into(), Contents::Pieces(vec![Piece::Chunk(chunk)]))
}

fn directory(name: &str, node: &Node) -> Entry {
    let (size, contents) = stored(node);
    entry(name, Kind::Directory { size, node: BlobId::of(&node.encode()), contents })
}

fn root(node: &Node, totals: Totals) -> TreeRoot {
    let (size, contents) = stored(node);
    TreeRoot { parameters: 1, size, node: BlobId::of(b"?"), contents, totals }
}

/// A tree of `depth` directories, each naming the next `width` times: from the top down.
fn nested(depth: usize, width: usize) -> Vec<Node> {
    let mut nodes = vec![Node { entries: vec![link("end")] }];
    for _ in 0..depth {
        let below = nodes.last().expect("not empty");
        let entries = (0..width).map(|number| directory(&format!("{number:03}"), below)).collect();
        nodes.push(Node { entries });
    }
    nodes.reverse();
    nodes
}

fn survey(nodes: &[Node], totals: Totals) -> Result<Extent, TreeBoundsError> {
    let mut survey = Survey::new(ChunkId::of(b"tree"), &root(&nodes[0], totals))?;
    let mut at = survey.root();
    for node in nodes {
        survey.read(at, node.encode().len() as u64, node)?;
        let parent = at;
        for entry in &node.entries {
            let Kind::Directory { size, contents, .. } = &entry.kind else { continue };
            if let Sighting::New(new) =
                survey.found(parent, true, entry.name.as_bytes(), *size, contents)
            {
                at = new;
            }
        }
    }
    survey.finish()
}

const MUCH: Totals = Totals {
    files: ENTRIES_MAX / 4,
    directories: DIRECTORIES_MAX,
    symlinks: ENTRIES_MAX / 4,
    bytes: CONTENT_BYTES_MAX,
};

#[test]
fn a_tree_is_counted_as_often_as_it_is_named() {
    let inner = Node { entries: vec![file("a", 5), link("bb")] };
    let outer = Node { entries: vec![directory("x", &inner), directory("yy", &inner)] };
    let totals = Totals { files: 2, directories: 2, symlinks: 2, bytes: 10 };
    let extent = survey(&[outer.clone(), inner.clone()], totals).expect("as stated");
    assert_eq!((extent.totals, extent.depth, extent.path_bytes), (totals, 1, 5));
    let nodes = outer.encode().len() + 2 * inner.encode().len();
    let paths = ["x", "x/a", "x/bb", "yy", "yy/a", "yy/bb"].iter().map(|path| path.len());
    assert_eq!(extent.listing_bytes, (nodes + paths.sum::<usize>()) as u64);

    // A walk comes to the same numbers.
    let mut tally = Tally::new(ChunkId::of(b"tree"), &root(&outer, totals)).expect("fine");
    for (path, node) in [("", &outer), ("x", &inner), ("yy", &inner)] {
        tally.count(path.as_bytes(), node.encode().len() as u64, node).expect("as stated");
    }
    assert_eq!(tally.found, extent);

    for (what, less) in [
        ("files", Totals { files: 1, ..totals }),
        ("directories", Totals { directories: 1, ..totals }),
        ("symbolic links", Totals { symlinks: 1, ..totals }),
        ("bytes", Totals { bytes: 9, ..totals }),
    ] {
        let refused = survey(&[outer.clone(), inner.clone()], less);
        let Err(TreeBoundsError::MoreThanStated { what: found, .. }) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(found, what);
    }
}

#[test]
fn directories_that_name_each_other_again_and_again_are_refused_at_once() {
    // 10^200 entries out of 200 directories.
    let refused = survey(&nested(200, 10), MUCH).expect_err("too large");
    let TreeBoundsError::TooLarge { path, what, max, .. } = &refused else { panic!("{refused:?}") };
    assert_eq!((*what, *max), ("entries", ENTRIES_MAX));
    assert!(path.starts_with("000/000/") && path.len() < 200, "{path}");
    let few = Totals { directories: 20, symlinks: 20, ..Totals::default() };
    let refused = survey(&nested(3, 10), few).expect_err("more than stated");
    assert!(refused.to_string().contains("more than the 20 directories"), "{refused}");
}

#[test]
fn a_tree_is_as_deep_as_its_deepest_directory() {
    let deepest = usize::try_from(DEPTH_MAX).expect("small");
    let extent = survey(&nested(deepest, 1), MUCH).expect("just fits");
    assert_eq!(extent.depth, DEPTH_MAX);
    let refused = survey(&nested(deepest + 1, 1), MUCH).expect_err("too deep");
    assert!(refused.to_string().contains("2048 directories one inside the other"), "{refused}");
}

#[test]
fn sums_do_not_wrap() {
    let huge = Node { entries: vec![file("a", u64::MAX), file("b", u64::MAX)] };
    let refused = survey(&[huge], MUCH);
    assert!(matches!(refused, Err(TreeBoundsError::TooLarge { .. })), "{refused:?}");
    let impossible = Totals { files: u64::MAX, directories: 1, ..Totals::default() };
    let refused = survey(&nested(0, 0), impossible);
    assert!(matches!(refused, Err(TreeBoundsError::TooLarge { .. })), "{refused:?}");
}
