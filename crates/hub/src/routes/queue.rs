//! `GET /v1/communities/{community}/queue?after=&limit=`: what waits for the calling target.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use hub_api::limits::{
    DOCUMENT_BYTES_MAX, ENVELOPE_BYTES_MAX, RELEASES_PAGE_DEFAULT, RELEASES_PAGE_MAX,
};
use hub_api::{Base64Bytes, QueueEntryInfo, QueuePage};
use hub_db::{Caller, QueueEntry};

use crate::app::App;
use crate::caller::{Member, Segments};
use crate::communities::Community;
use crate::conditional;
use crate::pages::{PageAfter, Rows};
use crate::peer::Peer;
use crate::refusal::Refusal;

/// What is told of an entry apart from its manifest.
const REST_BYTES_MAX: usize = 1024 + 2 * ENVELOPE_BYTES_MAX;

/// Each sees its own.
pub(crate) async fn queue(
    State(app): State<Arc<App>>,
    Member(account): Member,
    peer: Peer,
    segments: Segments,
    page: Result<Query<PageAfter<u64>>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let Query(page) = page?;
    let belonging = Community::of(&app, &segments, &account).await?;
    let rows = Rows::new(page.limit, RELEASES_PAGE_DEFAULT, RELEASES_PAGE_MAX);
    // Each carries its manifest.
    let longest = rows.to_read() as usize * (DOCUMENT_BYTES_MAX.div_ceil(3) * 4 + REST_BYTES_MAX);
    let place = app.room(longest, app.sharer(&Caller::from(&account), peer, &headers)).await?;
    let (community, after) = (belonging.community.key, number(page.after.unwrap_or(0)));
    let mut entries = app.db.queue(&community, &account.key, after, rows.to_read()).await?;
    let next = rows.cut(&mut entries, |last| last.id.unsigned_abs());
    let entries = entries.into_iter().map(entry_info).collect();
    Ok(conditional::json_in(place, &headers, &QueuePage { entries, next }))
}

/// A number as the database has it; what is beyond its range is behind everything.
pub(super) fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn entry_info(entry: QueueEntry) -> QueueEntryInfo {
    QueueEntryInfo {
        id: entry.id.unsigned_abs(),
        name: entry.name,
        sequence: entry.sequence,
        manifest: Base64Bytes(entry.manifest),
        envelope: Base64Bytes(entry.envelope),
        queued: entry.queued,
    }
}
