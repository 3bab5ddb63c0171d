//! `GET /v1/names/{team}/{name}/releases/{sequence}/changes?since=&after=&limit=`: what changed
//! between two plain releases.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use hub_api::limits::{PAGE_DEFAULT, PAGE_MAX};
use hub_api::{ChangeInfo, ChangeKind, ChangesPage};
use serde::Deserialize;

use crate::app::App;
use crate::browse::{self, Browser, Change, Reading};
use crate::caller::{Segments, Visitor};
use crate::conditional;
use crate::pages::Rows;
use crate::peer::Peer;
use crate::refusal::Refusal;

#[derive(Deserialize)]
pub(crate) struct Page {
    since: Option<u64>,
    after: Option<u64>,
    limit: Option<u32>,
}

pub(crate) async fn list_changes(
    State(app): State<Arc<App>>,
    Visitor(caller): Visitor,
    peer: Peer,
    segments: Segments,
    page: Result<Query<Page>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let Query(page) = page?;
    let name = segments.visible(&app, &caller).await?;
    let sequence: u64 = segments.parse("sequence")?;
    let after = app.db.release(name.id, sequence).await?.ok_or_else(Refusal::not_found)?;
    let before = match page.since {
        Some(since) => app.db.release(name.id, since).await?,
        // The one before that is still kept.
        None => app.db.releases(name.id, Some(sequence), 1).await?.pop(),
    };
    let before = before.ok_or_else(Refusal::not_found)?;
    let _turn = app.turn(&app.browses).await?;
    let browser = Browser::new(Arc::clone(&app), Reading::Caller(caller));
    let found =
        browse::changes(&browser.open(&before).await?, &browser.open(&after).await?).await?;
    let rows = Rows::new(page.limit, PAGE_DEFAULT, PAGE_MAX);
    let (list, next) = rows.slice(&found.list, page.after.unwrap_or(0));
    let answer = ChangesPage {
        changes: list.iter().map(change_info).collect(),
        added: found.added,
        changed: found.changed,
        removed: found.removed,
        moved: found.moved,
        fresh_bytes: found.fresh_bytes,
        complete: found.is_complete,
        next,
    };
    let sharer = app.sharer(&caller, peer, &headers);
    conditional::long_json(&app, sharer, &headers, &answer).await
}

fn change_info(change: &Change) -> ChangeInfo {
    let text = |path: &[u8]| String::from_utf8_lossy(path).into_owned();
    let (kind, from) = match &change.kind {
        browse::ChangeKind::Added => (ChangeKind::Added, None),
        browse::ChangeKind::Changed => (ChangeKind::Changed, None),
        browse::ChangeKind::Removed => (ChangeKind::Removed, None),
        browse::ChangeKind::Moved { from } => (ChangeKind::Moved, Some(text(from))),
    };
    ChangeInfo { path: text(&change.path), kind, from, bytes: change.bytes }
}
