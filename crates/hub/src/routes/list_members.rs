//! `GET /v1/communities/{community}/members?after=&limit=`: who belongs to a community.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use hub_api::limits::{PAGE_DEFAULT, PAGE_MAX};
use hub_api::{Base64Bytes, MembersPage};

use crate::app::App;
use crate::caller::{Member, Segments};
use crate::communities::{Belonging, Community, forbidden};
use crate::conditional;
use crate::pages::{PageAfter, Rows};
use crate::refusal::Refusal;

/// Not for targets: none of them learns that another exists.
pub(crate) async fn list_members(
    State(app): State<Arc<App>>,
    Member(account): Member,
    segments: Segments,
    page: Result<Query<PageAfter<String>>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let Query(page) = page?;
    let belonging = Community::of(&app, &segments, &account).await?;
    let roles = belonging.roles();
    if !(belonging.is_manager || roles.publisher || belonging.passes_on()) {
        return Err(forbidden("managers, publishers and relays of the community only"));
    }
    let Belonging { community, .. } = belonging;
    let rows = Rows::new(page.limit, PAGE_DEFAULT, PAGE_MAX);
    let mut members =
        app.db.members(&community.key, &page.after.unwrap_or_default(), rows.to_read()).await?;
    let next = rows.cut(&mut members, |last| last.peer.clone());
    let members = members.into_iter().map(|member| Base64Bytes(member.payload)).collect();
    Ok(conditional::json(&headers, &MembersPage { members, next }))
}
