//! `GET /v1/names?after=&limit=`: the names the caller may read.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use hub_api::limits::NAMES_PAGE_MAX;
use hub_api::{Hex, NameInfo, NamesPage};
use hub_db::NameRecord;

use crate::app::App;
use crate::caller::Visitor;
use crate::conditional;
use crate::pages::{PageAfter, Rows};
use crate::refusal::Refusal;

pub(crate) async fn list_names(
    State(app): State<Arc<App>>,
    Visitor(caller): Visitor,
    page: Result<Query<PageAfter<String>>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let Query(page) = page?;
    let after = page.after.unwrap_or_default();
    if after.contains('\0') {
        return Err(Refusal::malformed("no name holds a NUL"));
    }
    let rows = Rows::new(page.limit, NAMES_PAGE_MAX, NAMES_PAGE_MAX);
    let names = app.db.names(&caller, &after, rows.to_read()).await?;
    let mut names: Vec<NameInfo> = names.into_iter().map(name_info).collect();
    let next = rows.cut(&mut names, |last| last.name.clone());
    Ok(conditional::json(&headers, &NamesPage { names, next }))
}

pub(super) fn name_info(name: NameRecord) -> NameInfo {
    NameInfo {
        name: name.name,
        public: name.public,
        publisher: Hex(name.owner_key.0),
        latest: name.latest,
    }
}
