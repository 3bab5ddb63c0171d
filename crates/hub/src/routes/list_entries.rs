//! `GET /v1/names/{team}/{name}/releases/{sequence}/entries/{*path}?after=&limit=`: a directory of
//! a plain release.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use content::{Entry, Kind};
use hub_api::limits::{PAGE_DEFAULT, PAGE_MAX};
use hub_api::{EntriesPage, EntryInfo, EntryKind, Hex};

use super::list_accounts::Page;
use super::read_file::TreePath;
use crate::app::App;
use crate::caller::Visitor;
use crate::conditional;
use crate::escape::escape;
use crate::pages::Rows;
use crate::peer::Peer;
use crate::refusal::Refusal;

/// The place of an entry in its directory is its cursor: a release does not change.
pub(crate) async fn list_entries(
    State(app): State<Arc<App>>,
    Visitor(caller): Visitor,
    peer: Peer,
    path: TreePath,
    page: Result<Query<Page>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let Query(page) = page?;
    let tree = path.tree(&app, &caller).await?;
    let _turn = app.turn(&app.browses).await?;
    let directory = tree.directory(&path.path).await?;
    let rows = Rows::new(page.limit, PAGE_DEFAULT, PAGE_MAX);
    let (entries, next) = rows.slice(&directory.entries, page.after.unwrap_or(0));
    let entries = entries.iter().map(entry_info).collect();
    let sharer = app.sharer(&caller, peer, &headers);
    conditional::long_json(&app, sharer, &headers, &EntriesPage { entries, next }).await
}

fn entry_info(entry: &Entry) -> EntryInfo {
    let (kind, size, blob, target) = match &entry.kind {
        Kind::File { size, blob, .. } => {
            (EntryKind::File, Some(*size), Some(Hex(*blob.as_bytes())), None)
        }
        Kind::Directory { .. } => (EntryKind::Directory, None, None, None),
        Kind::Symlink { target } => {
            let target = String::from_utf8_lossy(target).into_owned();
            (EntryKind::Symlink, None, None, Some(target))
        }
    };
    let name = entry.name.as_bytes();
    EntryInfo {
        name: String::from_utf8_lossy(name).into_owned(),
        escaped: escape(name),
        kind,
        mode: entry.mode,
        mtime: entry.mtime.seconds,
        size,
        blob,
        target,
    }
}
