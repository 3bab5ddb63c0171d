//! The chunk store, from outside: who has it open, and whether its files begin as they should.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::{Finding, Fix, Surroundings};

/// How a redb database begins.
const INDEX_MAGIC: [u8; 9] = *b"redb\x1a\x0a\xa9\x0d\x0a";
/// How a pack begins.
const PACK_MAGIC: [u8; 5] = *b"CnPk\x01";
/// Packs are named and looked at up to here; `consign verify` reads all of all.
const PACKS_LOOKED_AT_MAX: usize = 10_000;

pub(super) fn locked(around: &Surroundings) -> Finding {
    let Some(state) = around.existing_state() else { return Finding::skipped("there is no store") };
    if !state.store_path().is_dir() {
        return Finding::skipped("there is no store yet");
    }
    let Some(process) = state.store_user() else { return Finding::ok("nobody has it open") };
    let name = std::fs::read_to_string(format!("/proc/{process}/comm")).unwrap_or_default();
    let who = format!("process {process} ({})", crate::output::path(name.trim().as_bytes()));
    // A node that answers is how it should be: it owns the store and commands ask it.
    let is_node = around.node_look.as_ref().is_some_and(|look| look.process() == Some(process));
    if is_node {
        return Finding::ok(format!("the running node, {who}"));
    }
    Finding::warn(
        format!("{who} has it open; commands that need it wait or do without"),
        format!("wait for it, or see what it does: ps -fp {process}"),
    )
}

pub(super) fn index_damaged(around: &Surroundings) -> Finding {
    let Some(state) = around.existing_state() else { return Finding::skipped("there is no store") };
    let index = state.store_path().join("index.redb");
    let shown = around.path(&index);
    match begins_with(&index, &INDEX_MAGIC) {
        Ok(true) => Finding::ok(format!("{shown} begins as it should")),
        Ok(false) => Finding::fail(
            format!("{shown} is not an index"),
            format!("mv {shown} {shown}.old (it is rebuilt from the packs)"),
        )
        .or_fix(Fix::MoveAside(index)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Finding::skipped("there is no index yet")
        }
        Err(error) => {
            Finding::fail(format!("cannot read {shown}: {error}"), format!("ls -l {shown}"))
        }
    }
}

pub(super) fn pack_damaged(around: &Surroundings) -> Finding {
    let Some(state) = around.existing_state() else { return Finding::skipped("there is no store") };
    let Ok(entries) = std::fs::read_dir(state.store_path().join("packs")) else {
        return Finding::skipped("there are no packs");
    };
    let packs = entries.flatten().map(|entry| entry.path());
    let mut packs: Vec<_> =
        packs.filter(|path| path.extension().is_some_and(|end| end == "pack")).collect();
    packs.sort();
    // The last one may have been begun by a process that was killed.
    let settled = packs.len().saturating_sub(1);
    let damaged = packs[..settled.min(PACKS_LOOKED_AT_MAX)]
        .iter()
        .find(|path| !begins_with(path, &PACK_MAGIC).unwrap_or(false));
    match damaged {
        None => Finding::ok(format!("{} packs begin as they should", packs.len())),
        Some(path) => Finding::fail(
            format!("{} does not begin as a pack", around.path(path)),
            "consign verify (what is damaged is fetched again when it is needed)",
        ),
    }
}

fn begins_with(path: &Path, magic: &[u8]) -> std::io::Result<bool> {
    let mut begin = Vec::new();
    File::open(path)?.take(magic.len() as u64).read_to_end(&mut begin)?;
    Ok(begin == magic)
}
