//! T3 to T6: a tree of 50,000 files, fetched, updated, published and left alone.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::consign::{Hub, Node};
use super::measure::{self, Sample};
use super::peers;
use super::row::{Row, Runner, WALL, WIRE};
use super::same::{self, Depth};
use super::session::{Published, Session};
use super::{data, update::update as update_tree};

const NAME: &str = "bench/tree";
const SEALED: &str = "bench/sealed";
/// The goals are set against the quicker of the two ways to use desync, although it does less.
const EXTRACT: &str =
    "desync extract makes one archive and no files; desync untar makes the files.";

/// TREE as release 1 and TREE2 as release 2.
fn published(session: &Session) -> Result<&Published> {
    let published = session.published()?;
    published.has(NAME, &[session.data.tree()?, session.data.tree2()?], None)?;
    Ok(published)
}

fn state(session: &Session) -> PathBuf {
    session.data.root().join("scratch/state")
}

/// T3: the first fetch, nothing there.
pub(super) fn first_fetch(session: &Session) -> Result<Row> {
    let tree = session.data.tree()?;
    let consign = || {
        let out = session.tree_scratch("out")?;
        let sample = published(session)?.first_get(&format!("{NAME}@1"), &out, state(session))?;
        same::check(&tree, &out, Depth::Attributes)?;
        Ok(sample)
    };
    let extract = || {
        chunk_store(session)?;
        desync_extract(session, "v1", None)
    };
    let untar = || {
        chunk_store(session)?;
        desync_untar(session, "v1", &tree, None)
    };
    let rsync = || {
        let out = session.tree_scratch("out")?;
        let sample = rsync_get(session, &["-aW"], "tree", &out)?;
        same::check(&tree, &out, Depth::Attributes)?;
        Ok(sample)
    };
    let contenders = session.alternate(
        vec![("consign", Box::new(consign))],
        vec![
            ("desync extract", Box::new(extract)),
            ("desync untar", Box::new(untar)),
            ("rsync daemon", Box::new(rsync)),
        ],
    );
    Ok(Row::new("T3", "TREE, first fetch, nothing there", contenders)
        .ratio("wall", "consign", "desync extract", WALL, 1.0)
        .ratio("wire", "consign", "desync extract", WIRE, 0.95)
        .ratio("wall", "consign", "desync extract", WALL, 0.8)
        .beyond()
        .note(EXTRACT)
        .note("desync and rsync: plain HTTP and plain TCP; consign: TLS.")
        .note(session.place_of_trees()))
}

/// T4: the update at a machine that has the version before.
pub(super) fn update(session: &Session) -> Result<Row> {
    let (tree, tree2) = (session.data.tree()?, session.data.tree2()?);
    let capability = session.data.root().join("scratch/capability");
    let sealed = || {
        let published = session.published()?;
        published.has(SEALED, &[tree.clone(), tree2.clone()], Some(&capability))?;
        updated_get(session, published, SEALED, Some(&capability), &tree2)
    };
    let plain = || updated_get(session, published(session)?, NAME, None, &tree2);
    let extract = || {
        chunk_store(session)?;
        let index = session.data.root().join("desync/v1.caidx");
        let seed = session.tree_scratch("seed")?.join("v1.catar");
        let mut fill = session.desync()?;
        fill.arg("extract").arg("-s").arg(session.data.root().join("desync/store"));
        measure::run(fill.arg(&index).arg(&seed), "", &[])?;
        let sample = desync_extract(session, "v2", Some((&index, &seed)));
        data::clear(&seed)?;
        sample
    };
    let untar = || {
        chunk_store(session)?;
        let root = session.data.root();
        let cache = session.data.scratch("cache")?;
        let mut fill = session.desync()?;
        fill.arg("cache").arg("-s").arg(root.join("desync/store")).arg("-c").arg(&cache);
        measure::run(fill.arg(root.join("desync/v1.caidx")), "", &[])?;
        desync_untar(session, "v2", &tree2, Some(&cache))
    };
    let rsync = || {
        let out = session.tree_scratch("out")?;
        data::copy(&tree, &out)?;
        let sample = rsync_get(session, &["-a", "--delete"], "tree2", &out)?;
        same::check(&tree2, &out, Depth::Attributes)?;
        Ok(sample)
    };
    let ours: Vec<(&str, Runner<'_>)> =
        vec![("consign", Box::new(plain)), ("consign sealed", Box::new(sealed))];
    let peers: Vec<(&str, Runner<'_>)> = vec![
        ("desync extract", Box::new(extract)),
        ("desync untar", Box::new(untar)),
        ("rsync daemon", Box::new(rsync)),
    ];
    let contenders = session.alternate(ours, peers);
    Ok(Row::new("T4", "TREE2 at a machine that has TREE", contenders)
        .ratio("wire", "consign", "desync extract", WIRE, 0.8)
        .ratio("wall", "consign", "desync extract", WALL, 1.0)
        .ratio("wire", "consign sealed", "desync extract", WIRE, 0.8)
        .ratio("wall", "consign sealed", "desync extract", WALL, 1.0)
        .ratio("wire", "consign sealed", "consign", WIRE, 1.05)
        .note("consign updates the directory in place; desync extract has the archive of TREE as its seed; desync untar writes a new directory from a local store that holds the chunks of TREE.")
        .note(EXTRACT)
        .note(session.place_of_trees()))
}

/// Gets release 1, unmeasured, then the newest over it.
fn updated_get(
    session: &Session,
    published: &Published,
    name: &str,
    sealed: Option<&Path>,
    expected: &Path,
) -> Result<Sample> {
    let out = session.tree_scratch("out")?;
    let reader = published.fresh_reader(state(session))?;
    reader.get(&format!("{name}@1"), &out, sealed, &published.hub)?;
    let sample = reader.get(name, &out, sealed, &published.hub)?;
    same::check(expected, &out, Depth::Attributes)?;
    Ok(sample)
}

/// A publisher at a hub that knows nothing, and the directory it publishes.
struct Publisher {
    hub: Hub,
    node: Node,
    tree: PathBuf,
}

/// T5: publish TREE, then TREE2 after it from the same directory.
pub(super) fn publish(session: &Session) -> Result<Row> {
    let (tree, tree2) = (session.data.tree()?, session.data.tree2()?);
    let current: RefCell<Option<Publisher>> = RefCell::new(None);
    let first = || {
        // The hub of the run before has to be gone before its directory is.
        drop(current.take());
        let scratch = session.data.scratch("publish")?;
        let hub = session.consign()?.hub(&scratch)?;
        let node = hub.node(scratch.join("publisher"))?;
        let path = scratch.join("tree");
        fs::create_dir(&path)?;
        data::copy(&tree, &path)?;
        let sample = node.publish(&path, NAME, None, &hub)?;
        *current.borrow_mut() = Some(Publisher { hub, node, tree: path });
        Ok(sample)
    };
    let second = || {
        let current = current.borrow();
        let publisher = current.as_ref().context("the first release was not published")?;
        update_tree(&publisher.tree)?;
        publisher.node.publish(&publisher.tree, NAME, None, &publisher.hub)
    };
    let store = session.data.root().join("scratch/desync");
    let desync_first = || {
        data::clear(&store)?;
        fs::create_dir_all(store.join("store"))?;
        desync_tar(session, &store, "v1", &tree)
    };
    let desync_second = || desync_tar(session, &store, "v2", &tree2);
    let contenders = session.alternate(
        vec![("consign, TREE", Box::new(first)), ("consign, TREE2", Box::new(second))],
        vec![("desync, TREE", Box::new(desync_first)), ("desync, TREE2", Box::new(desync_second))],
    );
    Ok(Row::new("T5", "publish TREE, then TREE2 after it", contenders)
        .ratio("wall", "consign, TREE", "desync, TREE", WALL, 0.8)
        .ratio("wall", "consign, TREE2", "desync, TREE2", WALL, 0.25)
        .ratio("wall", "consign, TREE", "desync, TREE", WALL, 0.6)
        .beyond()
        .ratio("wall", "consign, TREE2", "desync, TREE2", WALL, 0.15)
        .beyond()
        .note("consign: over TLS to a hub that has made everything durable; desync: into a local directory."))
}

/// T6: nothing changed since the last fetch.
pub(super) fn nothing_changed(session: &Session) -> Result<Row> {
    let tree2 = session.data.tree2()?;
    let ours = RefCell::new(None);
    let consign = || {
        let published = published(session)?;
        if ours.borrow().is_none() {
            let out = session.tree_scratch("same-ours")?;
            let reader = published.fresh_reader(state(session))?;
            reader.get(NAME, &out, None, &published.hub)?;
            *ours.borrow_mut() = Some((reader, out));
        }
        let ours = ours.borrow();
        let (reader, out) = ours.as_ref().context("fetched above")?;
        reader.get(NAME, out, None, &published.hub)
    };
    let theirs = RefCell::new(None);
    let rsync = || {
        if theirs.borrow().is_none() {
            let out = session.tree_scratch("same-theirs")?;
            data::copy(&tree2, &out)?;
            *theirs.borrow_mut() = Some(out);
        }
        let theirs = theirs.borrow();
        rsync_get(session, &["-a"], "tree2", theirs.as_ref().context("copied above")?)
    };
    let contenders = session
        .alternate(vec![("consign", Box::new(consign))], vec![("rsync daemon", Box::new(rsync))]);
    if let Some((_, out)) = ours.borrow().as_ref() {
        same::check(&tree2, out, Depth::Attributes)?;
    }
    Ok(Row::new("T6", "get when nothing changed (TREE2)", contenders)
        .ratio("wall", "consign", "rsync daemon", WALL, 0.5)
        .at_most("wire", "consign", WIRE, 4_096.0, "B")
        .at_most("wall", "consign", WALL, 0.1, "s")
        .beyond()
        .note(session.place_of_trees()))
}

fn rsync_get(session: &Session, flags: &[&str], name: &str, out: &Path) -> Result<Sample> {
    let rsync = session.rsync()?;
    let mut command = Command::new("rsync");
    command.args(flags).args(["--stats", &rsync.url(&format!("{name}/"))]).arg(out);
    let (mut sample, said) = measure::run(&mut command, "", &[&rsync.server])?;
    sample.wire_bytes = peers::rsync_received_bytes(&said);
    Ok(sample)
}

/// Makes the chunk store that nginx serves, once for every run of the benchmark.
fn chunk_store(session: &Session) -> Result<()> {
    session.desync()?;
    let root = session.data.root();
    let store = root.join("desync");
    if !store.join("v2.caidx").is_file() {
        data::clear(&store)?;
        fs::create_dir_all(store.join("store"))?;
        desync_tar(session, &store, "v1", &session.data.tree()?)?;
        desync_tar(session, &store, "v2", &session.data.tree2()?)?;
    }
    Ok(())
}

fn desync_tar(session: &Session, store: &Path, version: &str, tree: &Path) -> Result<Sample> {
    let mut command = session.desync()?;
    command.args(["tar", "-i", "-s"]).arg(store.join("store"));
    command.arg(store.join(format!("{version}.caidx"))).arg(tree);
    Ok(measure::run(&mut command, "", &[])?.0)
}

/// Fetches a version over HTTP; with a cache, only what is not in it.
fn desync_untar(
    session: &Session,
    version: &str,
    expected: &Path,
    cache: Option<&Path>,
) -> Result<Sample> {
    let nginx = session.nginx()?;
    let out = session.tree_scratch("out")?;
    let mut command = session.desync()?;
    command.args(["untar", "-i", "-s", &nginx.plain_url("desync/store")]);
    if let Some(cache) = cache {
        command.arg("-c").arg(cache);
    }
    command.arg(nginx.plain_url(&format!("desync/{version}.caidx"))).arg(&out);
    let sent_before = nginx.sent_bytes();
    let (mut sample, _) = measure::run(&mut command, "", &[&nginx.server])?;
    sample.wire_bytes = Some(nginx.sent_bytes() - sent_before);
    same::check(expected, &out, Depth::Contents)?;
    Ok(sample)
}

/// Fetches a version as one archive, which is not unpacked; with an archive of another version and
/// its index, only what is not in there.
fn desync_extract(
    session: &Session,
    version: &str,
    seed: Option<(&Path, &Path)>,
) -> Result<Sample> {
    let nginx = session.nginx()?;
    let archive = session.tree_scratch("out")?.join("tree.catar");
    let mut command = session.desync()?;
    command.args(["extract", "-s", &nginx.plain_url("desync/store")]);
    if let Some((index, blob)) = seed {
        command.arg("--seed").arg(format!("{}:{}", index.display(), blob.display()));
    }
    command.arg(nginx.plain_url(&format!("desync/{version}.caidx"))).arg(&archive);
    let sent_before = nginx.sent_bytes();
    let (mut sample, _) = measure::run(&mut command, "", &[&nginx.server])?;
    sample.wire_bytes = Some(nginx.sent_bytes() - sent_before);
    let mut verify = session.desync()?;
    verify.arg("verify-index");
    verify.arg(session.data.root().join(format!("desync/{version}.caidx"))).arg(&archive);
    measure::run(&mut verify, "", &[])?;
    data::clear(&archive)?;
    Ok(sample)
}
