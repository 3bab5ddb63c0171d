//! `consign ls`

use std::os::unix::ffi::OsStrExt as _;

use content::{Entry, Kind};
use documents::ReleaseName;
use hub_api::limits;
use node::tree::{FoundTree, TreeSpec};
use serde_json::json;

use super::{Session, capability, parse};
use crate::args::{LsArgs, SealedArgs};
use crate::exit::Ended;
use crate::output::{number, path};

pub(super) async fn run(session: &Session, args: LsArgs) -> anyhow::Result<Ended> {
    let Some(tree) = &args.tree else { return names(session).await };
    let found = find(session, tree, &args.sealed).await?;
    let wanted = args.path.as_deref().map(|path| path.as_os_str().as_bytes()).unwrap_or_default();
    let start = found.entry_at(wanted).await?;
    if args.recursive {
        let prefix = trim(wanted);
        let mut failed = Ok(());
        found
            .walk(|below, entry| {
                if failed.is_err() {
                    return false;
                }
                if is_under(below, prefix) {
                    failed = show(session, below, entry);
                    return failed.is_ok();
                }
                is_under(prefix, below)
            })
            .await?;
        failed?;
        return Ok(Ended::Done);
    }
    let directory = match &start {
        None => found.root_directory().await?,
        Some(entry) if matches!(entry.kind, Kind::Directory { .. }) => {
            found.directory(entry).await?
        }
        Some(entry) => {
            show(session, wanted, entry)?;
            return Ok(Ended::Done);
        }
    };
    for entry in &directory.entries {
        show(session, entry.name.as_bytes(), entry)?;
    }
    Ok(Ended::Done)
}

/// Finds a tree, asking for its capability when it is sealed and somebody is there to answer.
pub(super) async fn find(
    session: &Session,
    tree: &str,
    sealed: &SealedArgs,
) -> anyhow::Result<FoundTree> {
    let spec: TreeSpec = parse(tree)?;
    let publisher = sealed.publisher.as_deref().map(parse).transpose()?;
    let mut key = capability(sealed.capability.as_ref(), false).await?;
    let node = session.node()?;
    let hub = session.hub.as_deref();
    loop {
        match node.find_tree(&spec, hub, key.as_ref(), publisher.as_ref(), &[]).await {
            Err(node::tree::TreeError::NeedsCapability(name)) if key.is_none() => {
                key = capability(None, true).await?;
                if key.is_none() {
                    return Err(node::tree::TreeError::NeedsCapability(name).into());
                }
            }
            other => return Ok(other?),
        }
    }
}

fn trim(path: &[u8]) -> &[u8] {
    path.strip_suffix(b"/").unwrap_or(path)
}

/// Whether `path` is `prefix` or below it.
fn is_under(path: &[u8], prefix: &[u8]) -> bool {
    prefix.is_empty()
        || path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
}

fn show(session: &Session, name: &[u8], entry: &Entry) -> anyhow::Result<()> {
    let shown = path(name);
    let (letter, size, tail) = match &entry.kind {
        Kind::File { size, .. } => ('-', Some(*size), String::new()),
        Kind::Directory { .. } => ('d', None, "/".to_owned()),
        Kind::Symlink { target } => ('l', None, format!(" -> {}", path(target))),
    };
    let blob = match &entry.kind {
        Kind::File { blob, .. } => Some(blob.to_string()),
        Kind::Directory { .. } | Kind::Symlink { .. } => None,
    };
    let count = size.map(number).unwrap_or_default();
    session.output.fact(
        format!("{letter}{:04o} {count:>15}  {shown}{tail}", entry.mode),
        &json!({
            "event": "entry",
            "path": String::from_utf8_lossy(name),
            "kind": match letter { '-' => "file", 'd' => "directory", _ => "symlink" },
            "mode": format!("{:04o}", entry.mode),
            "size": size,
            "blob": blob,
            "mtime": entry.mtime.seconds,
        }),
    )
}

async fn names(session: &Session) -> anyhow::Result<Ended> {
    let link = session.link()?;
    let mut after: Option<ReleaseName> = None;
    let mut any = false;
    loop {
        let names = link.client.names(after.as_ref(), limits::NAMES_PAGE_MAX).await?;
        any |= !names.is_empty();
        for info in &names {
            let access = if info.public { "public" } else { "granted" };
            let latest = info.latest.map_or_else(|| "-".into(), |number| format!("@{number}"));
            session.output.fact(
                format!("{access:<8} {latest:>6}  {}", info.name),
                &json!({"event": "name", "name": info.name, "public": info.public, "latest": info.latest, "publisher": info.publisher}),
            )?;
        }
        let last = names.last().map(|info| parse::<ReleaseName>(&info.name)).transpose()?;
        // A hub that repeats a page must not keep us here.
        if names.len() < limits::NAMES_PAGE_MAX as usize || last <= after {
            break;
        }
        after = last;
    }
    if !any {
        session.output.remark(format!("{} shows this node no names", link.url));
    }
    Ok(Ended::Done)
}

#[cfg(test)]
mod tests {
    use super::is_under;

    #[test]
    fn a_prefix_ends_at_a_slash() {
        assert!(is_under(b"a/b", b"a") && is_under(b"a", b"a") && is_under(b"x", b""));
        assert!(!is_under(b"ab", b"a") && !is_under(b"a", b"a/b"));
    }
}
