//! `GET /v1/names?after=&limit=`: the names the caller may read.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use hub_api::limits::NAMES_PAGE_MAX;
use hub_api::{Hex, NameInfo, NamesPage};
use hub_db::NameRecord;
use serde::Deserialize;

use crate::app::App;
use crate::caller::Visitor;
use crate::refusal::Refusal;

#[derive(Deserialize)]
pub(crate) struct Page {
    #[serde(default)]
    after: String,
    limit: Option<u32>,
}

pub(crate) async fn list_names(
    State(app): State<Arc<App>>,
    Visitor(caller): Visitor,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Json<NamesPage>, Refusal> {
    let Query(page) = page?;
    let limit = page.limit.unwrap_or(NAMES_PAGE_MAX).min(NAMES_PAGE_MAX);
    let names = app.db.names(&caller, &page.after, limit).await?;
    Ok(Json(NamesPage { names: names.into_iter().map(name_info).collect() }))
}

pub(super) fn name_info(name: NameRecord) -> NameInfo {
    NameInfo {
        name: name.name,
        public: name.public,
        publisher: Hex(name.owner_key.0),
        latest: name.latest,
    }
}
