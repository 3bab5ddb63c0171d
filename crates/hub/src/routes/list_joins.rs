//! `GET /v1/communities/{community}/joins`: the machines that ask to join.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use hub_api::JoiningsPage;
use hub_api::limits::JOININGS_PAGE_MAX;
use hub_db::Caller;

use super::read_join::joining;
use crate::app::App;
use crate::caller::{Member, Segments};
use crate::communities::Community;
use crate::conditional;
use crate::peer::Peer;
use crate::refusal::Refusal;

pub(crate) async fn list_joins(
    State(app): State<Arc<App>>,
    Member(account): Member,
    peer: Peer,
    segments: Segments,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let community = Community::answering(&app, &segments, &account).await?;
    let joins = app.db.joins(&community.key, JOININGS_PAGE_MAX).await?;
    let page = JoiningsPage { joinings: joins.into_iter().map(joining).collect() };
    let sharer = app.sharer(&Caller::from(&account), peer, &headers);
    conditional::long_json(&app, sharer, &headers, &page).await
}
