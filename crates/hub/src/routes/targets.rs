//! `GET /v1/names/{team}/{name}/releases/{sequence}/targets?after=&limit=`: how a release stands with
//! its targets.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use hub_api::limits::{PAGE_DEFAULT, PAGE_MAX};
use hub_api::{Hex, QueuedTargetInfo, QueuedTargetsPage};
use hub_db::{AccountKey, QueuedTarget};

use crate::app::App;
use crate::caller::{Member, Segments};
use crate::communities::Feed;
use crate::conditional;
use crate::pages::{PageAfter, Rows};
use crate::refusal::Refusal;

/// For the publisher alone: no target learns that another exists.
pub(crate) async fn targets(
    State(app): State<Arc<App>>,
    Member(account): Member,
    segments: Segments,
    page: Result<Query<PageAfter<Hex<32>>>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let Query(page) = page?;
    let sequence: u64 = segments.parse("sequence")?;
    let feed = Feed::own(&app, &segments, &account).await?;
    let rows = Rows::new(page.limit, PAGE_DEFAULT, PAGE_MAX);
    let (entry, after) = ((feed.name.id, sequence), page.after.map(|after| AccountKey(after.0)));
    let targets = app.db.queued_targets(entry, after.as_ref(), rows.to_read()).await?;
    let mut targets: Vec<QueuedTargetInfo> = targets.into_iter().map(target_info).collect();
    let next = rows.cut(&mut targets, |last| last.target);
    Ok(conditional::json(&headers, &QueuedTargetsPage { targets, next }))
}

fn target_info(target: QueuedTarget) -> QueuedTargetInfo {
    let QueuedTarget { target, queued, begun, answered, taken } = target;
    QueuedTargetInfo { target: Hex(target.0), queued, begun, answered, taken }
}
