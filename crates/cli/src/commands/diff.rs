//! `consign diff`

use std::cmp::Ordering;
use std::collections::BTreeMap;

use anyhow::bail;
use content::{BlobId, Entry, Kind, Node};
use node::tree::{FoundTree, count, join};
use serde_json::json;

use super::Session;
use super::ls::find;
use crate::args::DiffArgs;
use crate::exit::Ended;
use crate::output::{bytes, number, path};

/// Most bytes that are kept of what differs: some millions of entries.
const KEPT_BYTES_MAX: usize = 1 << 30;

/// What is compared of an entry: a moved file keeps all of it.
#[derive(Clone, PartialEq, Eq)]
enum Facts {
    File { blob: BlobId, size: u64, mode: u32 },
    Symlink(Vec<u8>),
    Directory(u32),
}

pub(super) async fn run(session: &Session, args: DiffArgs) -> anyhow::Result<Ended> {
    let before = find(session, &args.before, &args.sealed).await?;
    let after = find(session, &args.after, &args.sealed).await?;
    let Differing { before, after, .. } = differing(&before, &after).await?;
    let mut gone: BTreeMap<&[u8], &Vec<u8>> = BTreeMap::new();
    for (name, facts) in &before {
        if let (Facts::File { blob, .. }, false) = (facts, after.contains_key(name)) {
            gone.insert(blob.as_bytes(), name);
        }
    }
    let (mut counts, mut fresh_bytes) = ([0u64; 4], 0);
    let mut moved_from = Vec::new();
    let mut say = |sign: char, word: &str, name: &[u8], from: Option<&[u8]>, index: usize| {
        counts[index] += 1;
        let (shown, was) = (path(name), from.map(path));
        let tail = was.as_ref().map(|was| format!(" (was {was})")).unwrap_or_default();
        session.output.fact(
            format!("{sign} {shown}{tail}"),
            &json!({"event": word, "path": String::from_utf8_lossy(name), "from": was}),
        )
    };
    for (name, facts) in &after {
        let (is_file, blob, size) = match facts {
            Facts::File { blob, size, .. } => (true, Some(blob), *size),
            Facts::Symlink(_) | Facts::Directory(_) => (false, None, 0),
        };
        match before.get(name) {
            Some(old) if old == facts => {}
            Some(_) => {
                fresh_bytes += size;
                say('~', "changed", name, None, 1)?;
            }
            None => match blob.and_then(|blob| gone.remove(&blob.as_bytes()[..])) {
                Some(from) if is_file => {
                    moved_from.push(from.clone());
                    say('>', "moved", name, Some(from), 3)?;
                }
                _ => {
                    fresh_bytes += size;
                    say('+', "added", name, None, 0)?;
                }
            },
        }
    }
    moved_from.sort();
    for name in before.keys() {
        if !after.contains_key(name) && moved_from.binary_search(name).is_err() {
            say('-', "removed", name, None, 2)?;
        }
    }
    let [added, changed, removed, moved] = counts;
    session.output.fact(
        format!(
            "{} added, {} changed, {} removed, {} moved; {} in added and changed files",
            number(added),
            number(changed),
            number(removed),
            number(moved),
            bytes(fresh_bytes)
        ),
        &json!({"event": "done", "added": added, "changed": changed, "removed": removed, "moved": moved, "bytes": fresh_bytes}),
    )?;
    Ok(Ended::Done)
}

/// What is not the same in both trees, by path.
#[derive(Default)]
struct Differing {
    before: BTreeMap<Vec<u8>, Facts>,
    after: BTreeMap<Vec<u8>, Facts>,
    bytes: usize,
}

impl Differing {
    /// Notes an entry of one or both trees; returns whether there may be more under it.
    fn note(
        &mut self,
        path: &[u8],
        before: Option<&Entry>,
        after: Option<&Entry>,
    ) -> anyhow::Result<bool> {
        let (old, new) = (before.map(facts), after.map(facts));
        if old != new {
            self.bytes += 2 * (path.len() + size_of::<Facts>());
            if self.bytes > KEPT_BYTES_MAX {
                bail!("the trees differ in too much to be compared; compare what `ls -R` prints");
            }
            self.before.extend(old.map(|old| (path.to_vec(), old)));
            self.after.extend(new.map(|new| (path.to_vec(), new)));
        }
        let node = |entry: &Entry| match &entry.kind {
            Kind::Directory { node, .. } => Some(*node),
            Kind::File { .. } | Kind::Symlink { .. } => None,
        };
        Ok(before.and_then(node) != after.and_then(node))
    }
}

/// Walks both trees side by side; directories that are the same in both are not entered.
async fn differing(before: &FoundTree, after: &FoundTree) -> anyhow::Result<Differing> {
    let mut found = Differing::default();
    let mut tallies = [before.tally().await?, after.tally().await?];
    let mut open: Vec<(Vec<u8>, [Option<Entry>; 2])> = Vec::new();
    let mut next = Some((Vec::new(), [None, None]));
    while let Some((path, entries)) = next.take().or_else(|| open.pop()) {
        let mut sides = Vec::new();
        for ((tree, entry), tally) in [before, after].into_iter().zip(&entries).zip(&mut tallies) {
            let node = match entry {
                None if path.is_empty() => tree.root_directory().await?,
                Some(entry) if matches!(entry.kind, Kind::Directory { .. }) => {
                    tree.directory(entry).await?
                }
                _ => Node::default(),
            };
            count(tally, &path, entry.as_ref(), &node)?;
            sides.push(node.entries.into_iter().peekable());
        }
        let [old, new] = &mut sides[..] else { unreachable!("two trees") };
        loop {
            let order = match (old.peek(), new.peek()) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(a), Some(b)) => a.name.cmp(&b.name),
            };
            let pair = match order {
                Ordering::Less => [old.next(), None],
                Ordering::Greater => [None, new.next()],
                Ordering::Equal => [old.next(), new.next()],
            };
            let Some(entry) = pair.iter().flatten().next() else { break };
            let path = join(&path, entry);
            if found.note(&path, pair[0].as_ref(), pair[1].as_ref())? {
                found.bytes += path.len() + size_of::<[Option<Entry>; 2]>();
                open.push((path, pair));
            }
        }
    }
    Ok(found)
}

fn facts(entry: &Entry) -> Facts {
    match &entry.kind {
        Kind::File { blob, size, .. } => Facts::File { blob: *blob, size: *size, mode: entry.mode },
        Kind::Symlink { target } => Facts::Symlink(target.clone()),
        Kind::Directory { .. } => Facts::Directory(entry.mode),
    }
}
