//! `GET /console/names/{team}/{name}/{sequence}/tree?path=&from=`: what is in a release.

use askama::Template;
use axum::extract::{Path, RawQuery};
use content::{Entry, Kind};
use hub_db::{NameRecord, Release};

use super::name::{accepted, manifest, named};
use super::page::{Failure, Layout, Page, Section, Shown, State};
use super::session::Operator;
use crate::app::App;
use crate::browse::{Browser, Reading, Tree};
use crate::escape::{escape, unescape};
use crate::files::unix_now;
use pages::format::{self, Moment, counted, shown};

/// Entries on a page.
const PAGE: usize = 500;

#[derive(Template)]
#[template(path = "tree.html")]
pub(super) struct TreePage {
    layout: Layout,
    name: String,
    sequence: u64,
    accepted: Moment,
    facts: String,
    tree_id: String,
    /// None when the release is sealed.
    listing: Option<Listing>,
}

struct Listing {
    crumbs: Vec<Crumb>,
    up: Option<String>,
    entries: Vec<EntryRow>,
    total: usize,
    next: Option<String>,
}

/// A directory on the way.
struct Crumb {
    label: String,
    link: String,
}

struct EntryRow {
    icon: &'static str,
    name: String,
    link: Option<String>,
    is_file: bool,
    target: Option<String>,
    size: String,
    modified: Option<Moment>,
    mode: String,
}

/// A release as a path names it.
pub(super) type ReleasePath = (String, String, u64);

/// The name and the release.
pub(super) async fn release(
    app: &App,
    (team, name, sequence): ReleasePath,
) -> Result<(NameRecord, Release), Failure> {
    let record = named(app, &(team, name)).await?;
    let release = app.db.release(record.id, sequence).await?;
    let release = release.ok_or_else(|| {
        Failure::not_found("The hub does not keep this release: it was never made, or has expired.")
    })?;
    Ok((record, release))
}

/// The bytes of one value in a query: paths need not be UTF-8.
pub(crate) fn query_bytes(query: Option<&str>, wanted: &str) -> Vec<u8> {
    let pairs = query.unwrap_or("").split('&').filter_map(|pair| pair.split_once('='));
    let mut values = pairs.filter(|(name, _)| *name == wanted).map(|(_, value)| value);
    values.next().and_then(unescape).unwrap_or_default()
}

/// The tree of a plain release, for whoever runs the hub.
pub(super) async fn open(state: &State, release: &Release) -> Result<Tree, Failure> {
    Ok(Browser::new(state.0.clone(), Reading::Operator).open(release).await?)
}

pub(super) async fn tree(
    state: State,
    operator: Operator,
    Path(path): Path<ReleasePath>,
    RawQuery(query): RawQuery,
) -> Shown<TreePage> {
    let app = &state.0;
    let (record, release) = release(app, path).await?;
    let totals = manifest(&release)?.totals;
    let facts = match totals {
        Some(totals) => format!(
            "{}, {}, {}",
            counted(totals.files, "file"),
            if totals.directories == 1 {
                "1 directory".to_owned()
            } else {
                format!("{}\u{a0}directories", format::count(totals.directories))
            },
            format::bytes(totals.bytes)
        ),
        None => format!("{} of ciphertext", format::bytes(release.stored_bytes)),
    };
    let listing = match totals {
        None => None,
        Some(_) => {
            let at = query_bytes(query.as_deref(), "path");
            let from = String::from_utf8(query_bytes(query.as_deref(), "from"));
            let from = from.ok().and_then(|from| from.parse().ok()).unwrap_or(0);
            let _turn = app.turn(&app.browses).await?;
            let tree = open(&state, &release).await?;
            Some(listing(&tree, &record.name, release.sequence, &at, from).await?)
        }
    };
    let title = format!("{} release {}", record.name, release.sequence);
    let page = TreePage {
        layout: Layout::new(app, &operator, Section::Names, title),
        sequence: release.sequence,
        accepted: Moment::new(accepted(&release), unix_now()),
        facts,
        tree_id: release.tree.to_string(),
        listing,
        name: record.name,
    };
    Ok(Page(page))
}

async fn listing(
    tree: &Tree,
    name: &str,
    sequence: u64,
    at: &[u8],
    from: usize,
) -> Result<Listing, Failure> {
    let base = format!("/console/names/{name}/{sequence}");
    let mut directory = tree.directory(at).await?.entries;
    // Stable: each half stays sorted by name.
    directory.sort_by_key(|entry| !matches!(entry.kind, Kind::Directory { .. }));
    let total = directory.len();
    let parts: Vec<&[u8]> =
        at.split(|byte| *byte == b'/').filter(|part| !part.is_empty()).collect();
    let link = |parts: &[&[u8]]| format!("{base}/tree?path={}", escape(&parts.join(&b'/')));
    let crumbs = (0..parts.len())
        .map(|index| Crumb { label: shown(parts[index]), link: link(&parts[..=index]) })
        .collect();
    let up = parts.split_last().map(|(_, above)| link(above));
    let behind = from.saturating_add(PAGE);
    let next = (behind < total).then(|| format!("{}&from={behind}", link(&parts)));
    let now = unix_now();
    let row = |entry: &Entry| {
        let path = [&parts[..], &[entry.name.as_bytes()]].concat();
        let modified = u64::try_from(entry.mtime.seconds).ok();
        let common = EntryRow {
            icon: "file",
            name: shown(entry.name.as_bytes()),
            link: None,
            is_file: false,
            target: None,
            size: String::new(),
            modified: modified.map(|time| Moment::new(time, now)),
            mode: format::mode(entry.mode),
        };
        match &entry.kind {
            Kind::Directory { .. } => {
                EntryRow { icon: "folder", link: Some(link(&path)), ..common }
            }
            Kind::File { size, .. } => EntryRow {
                link: Some(format!("{base}/file?path={}", escape(&path.join(&b'/')))),
                is_file: true,
                size: format::bytes(*size),
                ..common
            },
            Kind::Symlink { target } => {
                EntryRow { icon: "link", target: Some(shown(target)), ..common }
            }
        }
    };
    let entries = directory.iter().skip(from).take(PAGE).map(row).collect();
    Ok(Listing { crumbs, up, entries, total, next })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_in_a_query_may_be_any_bytes() {
        let query = "from=3&path=a%2Fb%FF%20c&path=second";
        assert_eq!(query_bytes(Some(query), "path"), b"a/b\xff c");
        assert_eq!(query_bytes(Some(query), "from"), b"3");
        assert_eq!(query_bytes(None, "path"), b"");
    }
}
