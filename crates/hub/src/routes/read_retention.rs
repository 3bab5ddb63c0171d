//! `GET /v1/names/{team}/{name}/retention`: which releases are kept.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use hub_api::Retention;

use crate::app::App;
use crate::caller::{Member, Segments};
use crate::conditional;
use crate::refusal::Refusal;

pub(crate) async fn read_retention(
    State(app): State<Arc<App>>,
    Member(account): Member,
    segments: Segments,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let name = segments.administered(&app, &account).await?;
    let hub_db::Retention { last, days } = app.db.retention(name.id).await?;
    Ok(conditional::json(&headers, &Retention { last, days }))
}
