//! `GET /v1/names/{team}/{name}/releases/{sequence}`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use super::list_releases::release_info;
use crate::app::App;
use crate::caller::{Segments, Visitor};
use crate::conditional;
use crate::refusal::Refusal;

pub(crate) async fn one_release(
    State(app): State<Arc<App>>,
    Visitor(caller): Visitor,
    segments: Segments,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let name = segments.visible(&app, &caller).await?;
    let sequence: u64 = segments.parse("sequence")?;
    let release = app.db.release(name.id, sequence).await?.ok_or_else(Refusal::not_found)?;
    Ok(conditional::json(&headers, &release_info(release)))
}
