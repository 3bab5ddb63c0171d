//! `consign diff`

use std::collections::BTreeMap;

use content::{BlobId, Entry, Kind};
use node::tree::FoundTree;
use serde_json::json;

use super::Session;
use super::ls::find;
use crate::args::DiffArgs;
use crate::exit::Ended;
use crate::output::{bytes, number, path};

/// What is compared of an entry: a moved file keeps all of it.
#[derive(Clone, PartialEq, Eq)]
enum Facts {
    File { blob: BlobId, size: u64, mode: u32 },
    Symlink(Vec<u8>),
    Directory(u32),
}

pub(super) async fn run(session: &Session, args: DiffArgs) -> anyhow::Result<Ended> {
    let before = flatten(&find(session, &args.before, &args.sealed).await?).await?;
    let after = flatten(&find(session, &args.after, &args.sealed).await?).await?;
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

async fn flatten(tree: &FoundTree) -> anyhow::Result<BTreeMap<Vec<u8>, Facts>> {
    let mut all = BTreeMap::new();
    tree.walk(|name, entry: &Entry| {
        let facts = match &entry.kind {
            Kind::File { blob, size, .. } => {
                Facts::File { blob: *blob, size: *size, mode: entry.mode }
            }
            Kind::Symlink { target } => Facts::Symlink(target.clone()),
            Kind::Directory { .. } => Facts::Directory(entry.mode),
        };
        all.insert(name.to_vec(), facts);
        true
    })
    .await?;
    Ok(all)
}
