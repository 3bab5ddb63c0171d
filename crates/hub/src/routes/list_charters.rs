//! `GET /v1/communities/{community}/charters?after=`: who manages a community, and who did.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use hub_api::limits::CHARTERS_PAGE_MAX;
use hub_api::{Base64Bytes, ChartersPage};
use serde::Deserialize;

use crate::app::App;
use crate::caller::Segments;
use crate::communities::Community;
use crate::conditional;
use crate::refusal::Refusal;

#[derive(Deserialize)]
pub(crate) struct Page {
    after: Option<u64>,
}

/// For everybody who knows the id: a machine that has not joined needs them to know its managers.
pub(crate) async fn list_charters(
    State(app): State<Arc<App>>,
    segments: Segments,
    page: Result<Query<Page>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let Query(page) = page?;
    let community = Community::find(&app, &segments).await?;
    let after = page.after.unwrap_or(0);
    let charters = app.db.charters(&community.key, after, CHARTERS_PAGE_MAX).await?;
    let charters = charters.into_iter().map(Base64Bytes).collect();
    Ok(conditional::json(&headers, &ChartersPage { charters }))
}
