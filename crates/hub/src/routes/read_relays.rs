//! `GET /v1/communities/{community}/relays`: what waits here, and what relays told of themselves.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use hub_api::limits::BACKLOG_MAX;
use hub_api::{RelayReportInfo, RelayStates};
use hub_db::Caller;

use crate::app::App;
use crate::caller::{Member, Segments};
use crate::communities::{Community, forbidden};
use crate::conditional;
use crate::peer::Peer;
use crate::refusal::Refusal;

/// Not for targets, nor for relays of others: how many there are is none of their business.
pub(crate) async fn read_relays(
    State(app): State<Arc<App>>,
    Member(account): Member,
    peer: Peer,
    segments: Segments,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let belonging = Community::of(&app, &segments, &account).await?;
    if !(belonging.is_manager || belonging.roles().publisher || belonging.is_mirror) {
        return Err(forbidden("managers and publishers of the community only"));
    }
    let community = belonging.community.key;
    let backlog = app.db.backlog(&community, BACKLOG_MAX).await?;
    let told = app.relay_reports.of(community).into_iter();
    let states = RelayStates {
        waiting: backlog.entries,
        oldest: backlog.oldest,
        reports: told
            .map(|told| RelayReportInfo { came: told.came, report: told.signed.into() })
            .collect(),
    };
    let sharer = app.sharer(&Caller::from(&account), peer, &headers);
    conditional::long_json(&app, sharer, &headers, &states).await
}
