//! Reading in plain releases: what is there, what changed, and what nobody may read.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Mutex;

use bytes::Bytes;
use content::closure::{ClosureBuilder, ClosureEntry};
use content::{
    BlobId, ChunkId, ChunkRef, Contents, Entry, Kind, Mtime, Name, Node, Piece, TreeRoot,
};
use documents::{DocumentHash, Manifest, ReleaseName};
use hub::{Role, Tls};
use serde_json::{Value, json};
use snapshot::{ChunkKind, ChunkSink, SinkError, SnapshotOptions, SnapshotProgress, snapshot};

use crate::ask::Ask;
use crate::raw::token;
use crate::scene::{Person, Scene, Tree, frames, head, name, now};

#[derive(Default)]
struct Collected(Mutex<Vec<Bytes>>);

impl ChunkSink for Collected {
    fn offer(&self, _: &ChunkRef, bytes: Bytes, _: ChunkKind) -> Result<(), SinkError> {
        self.0.lock().expect("not poisoned").push(bytes);
        Ok(())
    }
}

/// Publishes a directory as `consign publish` does.
pub(crate) async fn publish(
    person: &Person,
    tools: &ReleaseName,
    directory: &Path,
    previous: Option<(u64, DocumentHash)>,
) -> (u64, DocumentHash) {
    let collected = Collected::default();
    let index = directory.with_extension("index");
    let (options, progress) = (SnapshotOptions::default(), SnapshotProgress::default());
    let shot = snapshot(directory, &options, None, &index, &collected, &progress).expect("reads");
    let chunks = collected.0.into_inner().expect("not poisoned");
    person.client.upload(frames(&chunks)).await.expect("uploads");
    let root = shot.tree.0;
    let root = ClosureEntry { id: root.id, stored_length: root.length };
    post(person, tools, root, shot.closure, previous).await
}

async fn post(
    person: &Person,
    tools: &ReleaseName,
    tree: ClosureEntry,
    closure: ClosureEntry,
    previous: Option<(u64, DocumentHash)>,
) -> (u64, DocumentHash) {
    let manifest = Manifest {
        publisher: person.key.public(),
        name: tools.clone(),
        sequence: previous.map_or(1, |(sequence, _)| sequence + 1),
        previous: previous.map(|(_, hash)| hash),
        issued: now(),
        expires: now() + 1000,
        tree,
        closure,
        totals: Some(content::Totals::default()),
        parameters: 1,
        sealed_root: None,
    };
    let signed = manifest.sign(&person.key);
    let its_head = head(person, &manifest, &signed);
    person.client.post_release(tools, &signed, &its_head).await.expect("publishes");
    (manifest.sequence, DocumentHash::of(&signed))
}

/// Bytes that do not compress and whose every stretch is different.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn files_and_directories_of_a_plain_release_are_read() {
    let scene = Scene::start(Tls::Off).await;
    let owner = scene.person(1, Role::Publisher, &[]).await;
    let tools = name("team/tools");
    owner.client.put_name(&tools, false).await.expect("puts");
    let place = tempfile::tempdir().expect("a directory");
    let site = place.path().join("site");
    fs::create_dir_all(site.join("docs/deep")).expect("makes");
    let large = noise(5 << 20);
    fs::write(site.join("large"), &large).expect("writes");
    fs::write(site.join("docs/a b.txt"), "inline").expect("writes");
    fs::write(site.join("docs/small"), noise(3000)).expect("writes");
    fs::write(site.join("docs/empty"), "").expect("writes");
    fs::write(site.join("docs/deep").join(OsStr::from_bytes(b"\xff%")), "odd").expect("writes");
    std::os::unix::fs::symlink("../large", site.join("docs/link")).expect("links");
    let hole = fs::File::create(site.join("sparse")).expect("makes");
    hole.set_len(3 << 20).expect("a hole");
    drop(hole);
    publish(&owner, &tools, &site, None).await;

    let own = token(&scene, &owner);
    let release = "/v1/names/team/tools/releases/1";
    let get =
        async |path: &str| Ask::get(&format!("{release}/{path}")).token(&own).send(&scene).await;
    let listed = get("entries/docs").await.json();
    let names: Vec<_> =
        listed["entries"].as_array().expect("rows").iter().map(|row| row["name"].clone()).collect();
    assert_eq!(names, ["a b.txt", "deep", "empty", "link", "small"]);
    assert_eq!(listed["entries"][0]["escaped"], "a%20b.txt");
    assert_eq!(listed["entries"][3]["target"], "../large");
    assert_eq!(listed["entries"][4]["blob"], BlobId::of(&noise(3000)).to_string());
    let page = get("entries/docs?limit=2&after=1").await.json();
    assert_eq!((&page["entries"][0]["name"], &page["next"]), (&json!("deep"), &json!(3)));
    assert_eq!(get("entries").await.json()["entries"].as_array().map(Vec::len), Some(3));

    let whole = get("files/large").await;
    assert_eq!((whole.status, whole.body.len()), (200, large.len()));
    assert!(whole.body == large, "the bytes of the file");
    assert_eq!(whole.header("etag"), format!("\"{}\"", BlobId::of(&large)));
    assert_eq!(whole.header("content-disposition"), "attachment");
    assert!(whole.header("content-security-policy").contains("sandbox"));
    assert_eq!(get("files/docs/a%20b.txt").await.body, b"inline");
    assert_eq!(get("files/docs%2Fsmall").await.body, noise(3000));
    assert_eq!(get("files/docs/deep/%FF%25").await.body, b"odd");
    let empty = get("files/docs/empty").await;
    assert_eq!((empty.status, empty.body.len()), (200, 0));
    let sparse = get("files/sparse").await;
    assert!(sparse.body.len() == 3 << 20 && sparse.body.iter().all(|byte| *byte == 0));

    let file = |range: &str| {
        let path = format!("{release}/files/large");
        Ask::get(&path).token(&own).header("Range", range)
    };
    let part = file("bytes=1000000-3000000").send(&scene).await;
    assert_eq!(part.status, 206);
    assert_eq!(part.header("content-range"), format!("bytes 1000000-3000000/{}", large.len()));
    assert!(part.body == large[1_000_000..=3_000_000], "the bytes of the range");
    let tail = file("bytes=-5").send(&scene).await;
    assert_eq!(tail.body, large[large.len() - 5..]);
    let behind = file("bytes=9999999-").send(&scene).await;
    assert_eq!(behind.problem(), (416, "range-not-satisfiable".to_owned()));
    for absent in
        ["files/nothing", "files/docs/a", "files/large/x", "files/docs/../large", "files/docs/%zz"]
    {
        assert_eq!(get(absent).await.problem(), (404, "not-found".to_owned()), "{absent}");
    }
    for other_kind in ["files/docs", "files/docs/link", "entries/large"] {
        assert_eq!(get(other_kind).await.status, 404, "{other_kind}");
    }
    // Nobody else, by no path.
    for path in ["entries", "files/large", "changes"] {
        let refused = Ask::get(&format!("{release}/{path}")).send(&scene).await;
        assert_eq!(refused.problem(), (404, "not-found".to_owned()), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_between_releases_are_told_page_by_page() {
    let scene = Scene::start(Tls::Off).await;
    let owner = scene.person(1, Role::Publisher, &[]).await;
    let tools = name("team/tools");
    owner.client.put_name(&tools, true).await.expect("puts");
    let place = tempfile::tempdir().expect("a directory");
    let site = place.path().join("site");
    fs::create_dir_all(site.join("same/deep")).expect("makes");
    fs::create_dir_all(site.join("old")).expect("makes");
    for (path, bytes) in
        [("same/deep/x", "x"), ("old/gone", "gone"), ("old/moves", "moves"), ("edit", "1")]
    {
        fs::write(site.join(path), bytes).expect("writes");
    }
    let first = publish(&owner, &tools, &site, None).await;
    fs::create_dir(site.join("new")).expect("makes");
    fs::rename(site.join("old/moves"), site.join("new/moved")).expect("moves");
    fs::remove_dir_all(site.join("old")).expect("removes");
    fs::write(site.join("edit"), "22").expect("writes");
    fs::write(site.join("new/fresh"), "fresh").expect("writes");
    let second = publish(&owner, &tools, &site, Some(first)).await;
    publish(&owner, &tools, &site, Some(second)).await;

    let get = async |query: &str| {
        let path = format!("/v1/names/team/tools/releases/{query}");
        Ask::get(&path).send(&scene).await.json()
    };
    let all = get("2/changes").await;
    let rows: Vec<(String, String, u64)> = all["changes"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| {
            let text = |member: &str| row[member].as_str().unwrap_or_default().to_owned();
            (text("path"), text("kind"), row["bytes"].as_u64().expect("a size"))
        })
        .collect();
    let row = |path: &str, kind: &str, bytes| (path.to_owned(), kind.to_owned(), bytes);
    let expected = [
        row("edit", "changed", 2),
        row("new", "added", 0),
        row("new/fresh", "added", 5),
        row("new/moved", "moved", 5),
        row("old", "removed", 0),
        row("old/gone", "removed", 4),
    ];
    assert_eq!(rows, expected);
    assert_eq!(all["changes"][3]["from"], "old/moves");
    let count = |member: &str| all[member].as_u64();
    assert_eq!(
        ["added", "changed", "removed", "moved", "fresh_bytes"].map(count),
        [2, 1, 2, 1, 7].map(Some)
    );
    assert_eq!((&all["complete"], &all["next"]), (&json!(true), &Value::Null));

    let mut paged = Vec::new();
    let mut next = json!(0);
    while !next.is_null() {
        let page = get(&format!("2/changes?limit=4&after={next}")).await;
        paged.extend(page["changes"].as_array().expect("rows").clone());
        next = page["next"].clone();
    }
    assert_eq!(&paged, all["changes"].as_array().expect("rows"));
    assert_eq!(get("3/changes").await["changes"], json!([]));
    assert_eq!(get("3/changes?since=1").await["changes"], all["changes"]);
    assert_eq!(get("1/changes?since=2").await["added"], json!(2));
    assert_eq!(get("1/changes").await["code"], "not-found", "nothing came before");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_release_stays_closed() {
    let scene = Scene::start(Tls::Off).await;
    let owner = scene.person(1, Role::Publisher, &[]).await;
    owner.publish(&name("team/sealed"), true, &Tree::new(1, 3)).await;
    for path in ["entries", "entries/a", "files/a", "changes?since=1"] {
        let path = format!("/v1/names/team/sealed/releases/1/{path}");
        let refused = Ask::get(&path).send(&scene).await;
        assert_eq!(refused.problem(), (409, "sealed-release".to_owned()), "{path}");
    }
}

/// Publishes a tree of one directory with these entries, and a closure of what was made here.
async fn publish_crafted(person: &Person, tools: &ReleaseName, entries: Vec<Entry>) {
    publish_crafted_after(person, tools, entries, None).await;
}

async fn publish_crafted_after(
    person: &Person,
    tools: &ReleaseName,
    entries: Vec<Entry>,
    previous: Option<(u64, DocumentHash)>,
) -> (u64, DocumentHash) {
    let node = Bytes::from(Node { entries }.encode());
    let node_ref = ChunkRef::plain(ChunkId::of(&node), u32::try_from(node.len()).expect("small"));
    let root = TreeRoot {
        parameters: 1,
        size: node.len() as u64,
        node: BlobId::of(&node),
        contents: Contents::Pieces(vec![Piece::Chunk(node_ref)]),
        totals: content::Totals::default(),
    };
    let root = Bytes::from(root.encode());
    let mut chunks = vec![root.clone(), node];
    let entry = |bytes: &Bytes| ClosureEntry {
        id: ChunkId::of(bytes),
        stored_length: u32::try_from(bytes.len()).expect("small"),
    };
    let mut builder = ClosureBuilder::default();
    let segments: Vec<Bytes> =
        chunks.iter().filter_map(|chunk| builder.push(entry(chunk))).map(Bytes::from).collect();
    let (last, closure) = builder.finish(ChunkId::of(&root));
    chunks.extend(segments);
    chunks.extend(last.map(Bytes::from));
    let closure = Bytes::from(closure.encode());
    chunks.push(closure.clone());
    person.client.upload(frames(&chunks)).await.expect("uploads");
    person.client.put_name(tools, true).await.expect("puts");
    post(person, tools, entry(&root), entry(&closure), previous).await
}

fn file(name: &str, size: u64, contents: Contents) -> Entry {
    Entry {
        name: Name::new(name.as_bytes()).expect("a name"),
        mode: 0o644,
        mtime: Mtime { seconds: 0, nanos: 0 },
        owner: None,
        xattrs: Vec::new(),
        kind: Kind::File { size, blob: BlobId::of(name.as_bytes()), contents, link: None },
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_that_names_a_strangers_chunk_opens_nothing() {
    let scene = Scene::start(Tls::Off).await;
    let owner = scene.person(1, Role::Publisher, &[]).await;
    let thief = scene.person(2, Role::Publisher, &[]).await;
    let secret = Tree::new(1, 2);
    owner.publish(&name("team/secret"), false, &secret).await;
    let id = secret.ids()[0];
    let bytes = &secret.chunks[0];
    let length = u32::try_from(bytes.len()).expect("small");
    let stolen = ChunkRef::plain(id, length);
    // In a piece, in a slice, and behind something of the thief's own.
    let own = ChunkRef::plain(ChunkId::of(b"own"), 3);
    thief.client.upload(frames(&[Bytes::from_static(b"own")])).await.expect("uploads");
    publish_crafted(
        &thief,
        &name("thief/loot"),
        vec![
            file(
                "behind",
                3 + u64::from(length),
                Contents::Pieces(vec![Piece::Chunk(own), Piece::Chunk(stolen)]),
            ),
            file("slice", 100, Contents::Slice { chunk: stolen, offset: 0 }),
        ],
    )
    .await;
    let wanted = &bytes[..100];
    for path in ["files/slice", "files/behind"] {
        let token = token(&scene, &thief);
        let path = format!("/v1/names/thief/loot/releases/1/{path}");
        let answer = Ask::get(&path).token(&token).send(&scene).await;
        let leaked = answer.body.windows(wanted.len()).any(|window| window == wanted);
        assert!(!leaked, "{path} gives a stranger's bytes away");
        assert!(answer.status == 404 || answer.body.len() <= 3, "{path}: {answer:?}");
    }
    // The owner of the secret may read it anywhere.
    let own = token(&scene, &owner);
    let path = "/v1/names/thief/loot/releases/1/files/slice";
    assert_eq!(Ask::get(path).token(&own).send(&scene).await.body, wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_that_lies_is_refused_and_costs_little() {
    let scene = Scene::start(Tls::Off).await;
    let liar = scene.person(1, Role::Publisher, &[]).await;
    let mut directory = file("huge", 0, Contents::Inline(Vec::new()));
    directory.kind = Kind::Directory {
        size: 1 << 40,
        node: BlobId::of(b"huge"),
        contents: Contents::Pieces(vec![Piece::Hole(1 << 40)]),
    };
    let chunk = Bytes::from_static(b"no list of pieces");
    let chunk_ref = ChunkRef::plain(ChunkId::of(&chunk), 17);
    liar.client.upload(frames(&[chunk])).await.expect("uploads");
    let list = content::ListSegment { chunk: chunk_ref, span: 1 << 40 };
    publish_crafted(
        &liar,
        &name("liar/tree"),
        vec![
            directory,
            file("list", 1 << 40, Contents::List(vec![list])),
            file(
                "long",
                18,
                Contents::Pieces(vec![Piece::Chunk(ChunkRef { length: 18, ..chunk_ref })]),
            ),
        ],
    )
    .await;
    for path in ["entries/huge", "files/huge/x", "files/list", "files/long"] {
        let path = format!("/v1/names/liar/tree/releases/1/{path}");
        let own = token(&scene, &liar);
        let refused = Ask::get(&path).token(&own).send(&scene).await;
        assert_eq!(refused.problem(), (422, "tree-refused".to_owned()), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comparison_of_trees_without_measure_is_cut_short() {
    let scene = Scene::start(Tls::Off).await;
    let hoarder = scene.person(1, Role::Publisher, &[]).await;
    // Fifteen files whose attributes take a megabyte.
    let entries = (10..25)
        .map(|number| {
            let plain = file(&number.to_string(), 0, Contents::Inline(Vec::new()));
            Entry { xattrs: vec![(b"user.x".to_vec(), vec![number; 60 << 10])], ..plain }
        })
        .collect();
    let node = Bytes::from(Node { entries }.encode());
    hoarder.client.upload(frames(std::slice::from_ref(&node))).await.expect("uploads");
    let length = u32::try_from(node.len()).expect("small");
    let directory = |number: u32| {
        let plain = file(&format!("{number:04}"), 0, Contents::Inline(Vec::new()));
        let chunk = Piece::Chunk(ChunkRef::plain(ChunkId::of(&node), length));
        let contents = Contents::Pieces(vec![chunk]);
        let kind = Kind::Directory { size: node.len() as u64, node: BlobId::of(&node), contents };
        Entry { kind, ..plain }
    };
    let tools = name("hoarder/tree");
    let first = publish_crafted_after(&hoarder, &tools, Vec::new(), None).await;
    let few = (0..20).map(directory).collect();
    let second = publish_crafted_after(&hoarder, &tools, few, Some(first)).await;
    let many = (0..200).map(directory).collect();
    publish_crafted_after(&hoarder, &tools, many, Some(second)).await;
    let own = token(&scene, &hoarder);
    let compare = async |query: &str| {
        let path = format!("/v1/names/hoarder/tree/releases/{query}");
        Ask::get(&path).token(&own).send(&scene).await.json()
    };
    let all = compare("2/changes?since=1").await;
    assert_eq!((&all["complete"], &all["added"]), (&json!(true), &json!(20 * 16)), "{all}");
    let cut = compare("3/changes?since=1").await;
    assert_eq!(cut["complete"], json!(false), "{cut}");
}

#[tokio::test(flavor = "multi_thread")]
async fn directories_without_end_cost_little() {
    let scene = Scene::start(Tls::Off).await;
    let hostile = scene.person(1, Role::Publisher, &[]).await;
    let own = token(&scene, &hostile);
    let get = async |path: &str| {
        let path = format!("/v1/names/hostile/{path}");
        Ask::get(&path).token(&own).send(&scene).await
    };
    // `depth` directories, each naming the next `width` times; returns the entries of the first.
    let nested = async |depth: u32, width: u32| {
        let (mut entries, mut chunks) =
            (vec![file("end", 0, Contents::Inline(Vec::new()))], vec![]);
        for _ in 0..depth {
            let node = Bytes::from(Node { entries }.encode());
            let length = u32::try_from(node.len()).expect("small");
            let chunk = Piece::Chunk(ChunkRef::plain(ChunkId::of(&node), length));
            let kind = Kind::Directory {
                size: node.len() as u64,
                node: BlobId::of(&node),
                contents: Contents::Pieces(vec![chunk]),
            };
            let plain = |number: u32| file(&number.to_string(), 0, Contents::Inline(Vec::new()));
            entries =
                (0..width).map(|number| Entry { kind: kind.clone(), ..plain(number) }).collect();
            chunks.push(node);
        }
        for part in chunks.chunks(2000) {
            hostile.client.upload(frames(part)).await.expect("uploads");
        }
        entries
    };
    for (tools, depth, width) in [("wide", 60, 10), ("deep", 10_000, 1)] {
        let entries = nested(depth, width).await;
        let tools = name(&format!("hostile/{tools}"));
        let empty = publish_crafted_after(&hostile, &tools, Vec::new(), None).await;
        publish_crafted_after(&hostile, &tools, entries, Some(empty)).await;
    }
    for tools in ["wide", "deep"] {
        let cut = get(&format!("{tools}/releases/2/changes?since=1")).await.json();
        assert_eq!(cut["complete"], json!(false), "{tools}");
        let down = get(&format!("{tools}/releases/2/entries/0/0/0")).await;
        assert_eq!(down.status, 200, "{tools}: {down:?}");
    }
    let deep = |levels: usize| format!("deep/releases/2/entries/{}", vec!["0"; levels].join("/"));
    assert_eq!(get(&deep(2000)).await.status, 200);
    let refused = get(&deep(2100)).await;
    assert_eq!(refused.problem(), (422, "tree-refused".to_owned()));
}
