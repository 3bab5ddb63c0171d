//! `GET /v1/names/{team}/{name}/releases/{sequence}`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use hub_api::ReleaseInfo;

use super::list_releases::release_info;
use crate::app::App;
use crate::caller::{Segments, Visitor};
use crate::refusal::Refusal;

pub(crate) async fn one_release(
    State(app): State<Arc<App>>,
    Visitor(caller): Visitor,
    segments: Segments,
) -> Result<Json<ReleaseInfo>, Refusal> {
    let name = segments.visible(&app, &caller).await?;
    let sequence: u64 = segments.parse("sequence")?;
    let release = app.db.release(name.id, sequence).await?.ok_or_else(Refusal::not_found)?;
    Ok(Json(release_info(&name, release)))
}
