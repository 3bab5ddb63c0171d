//! `GET /v1/names/{team}/{name}/grants?after=&limit=`: who may do what with a name.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use hub_api::limits::{PAGE_DEFAULT, PAGE_MAX};
use hub_api::{Grant, GrantInfo, GrantsPage, Hex};
use hub_db::GrantRecord;

use crate::app::App;
use crate::caller::{Member, Segments};
use crate::conditional;
use crate::pages::{PageAfter, Rows};
use crate::refusal::Refusal;

/// The owner first, so a page may begin behind the owner's key.
pub(crate) async fn list_grants(
    State(app): State<Arc<App>>,
    Member(account): Member,
    segments: Segments,
    page: Result<Query<PageAfter<Hex<32>>>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let Query(page) = page?;
    let name = segments.administered(&app, &account).await?;
    let all: Vec<GrantInfo> =
        app.db.grants(&name.name).await?.into_iter().map(grant_info).collect();
    // A grant that is gone since the page before has left its place in the order.
    let is_behind = |grant: &GrantInfo, after: &Hex<32>| {
        grant.grant != Grant::Owner && (after.0 == name.owner_key.0 || grant.key > *after)
    };
    let behind: Vec<GrantInfo> = match &page.after {
        None => all,
        Some(after) => all.into_iter().filter(|grant| is_behind(grant, after)).collect(),
    };
    let rows = Rows::new(page.limit, PAGE_DEFAULT, PAGE_MAX);
    let (grants, next) = rows.slice(&behind, 0);
    let next = next.and_then(|_| grants.last().map(|last| last.key));
    Ok(conditional::json(&headers, &GrantsPage { grants: grants.to_vec(), next }))
}

fn grant_info(record: GrantRecord) -> GrantInfo {
    let grant = match record.grant {
        hub_db::Grant::Owner => Grant::Owner,
        hub_db::Grant::Publisher => Grant::Publisher,
        hub_db::Grant::Reader => Grant::Reader,
    };
    GrantInfo { key: Hex(record.key.0), grant }
}
