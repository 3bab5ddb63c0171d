//! `GET /v1/communities/{community}/waiting?after=&limit=`: what waits for all targets, for whoever
//! passes it on.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use hub_api::limits::{ENVELOPE_BYTES_MAX, PAGE_DEFAULT, PAGE_MAX};
use hub_api::{Base64Bytes, Hex, WaitingEntryInfo, WaitingPage};
use hub_db::{Caller, WaitingEntry};

use super::queue::number;
use crate::app::App;
use crate::caller::{Member, Segments};
use crate::communities::{Community, forbidden};
use crate::conditional;
use crate::pages::{PageAfter, Rows};
use crate::peer::Peer;
use crate::refusal::Refusal;

/// What is told of an entry beside its envelope, and that in base64.
const ENTRY_BYTES_MAX: usize = 512 + 2 * ENVELOPE_BYTES_MAX;

/// Envelopes are sealed, and keys of targets a relay may list.
pub(crate) async fn waiting(
    State(app): State<Arc<App>>,
    Member(account): Member,
    peer: Peer,
    segments: Segments,
    page: Result<Query<PageAfter<u64>>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let Query(page) = page?;
    let belonging = Community::of(&app, &segments, &account).await?;
    if !belonging.passes_on() {
        return Err(forbidden("relays of the community only"));
    }
    let rows = Rows::new(page.limit, PAGE_DEFAULT, PAGE_MAX);
    let longest = rows.to_read() as usize * ENTRY_BYTES_MAX;
    let place = app.room(longest, app.sharer(&Caller::from(&account), peer, &headers)).await?;
    let (community, after) = (belonging.community.key, number(page.after.unwrap_or(0)));
    let mut entries = app.db.waiting(&community, after, rows.to_read()).await?;
    let next = rows.cut(&mut entries, |last| last.id.unsigned_abs());
    let entries = entries.into_iter().map(entry_info).collect();
    Ok(conditional::json_in(place, &headers, &WaitingPage { entries, next }))
}

fn entry_info(entry: WaitingEntry) -> WaitingEntryInfo {
    let WaitingEntry { id, name, sequence, target, envelope } = entry;
    let (target, envelope) = (Hex(target.0), Base64Bytes(envelope));
    WaitingEntryInfo { id: id.unsigned_abs(), name, sequence, target, envelope }
}
