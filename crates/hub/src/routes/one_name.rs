//! `GET /v1/names/{team}/{name}`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use hub_api::NameInfo;

use super::list_names::name_info;
use crate::app::App;
use crate::caller::{Segments, Visitor};
use crate::refusal::Refusal;

pub(crate) async fn one_name(
    State(app): State<Arc<App>>,
    Visitor(caller): Visitor,
    segments: Segments,
) -> Result<Json<NameInfo>, Refusal> {
    Ok(Json(name_info(segments.visible(&app, &caller).await?)))
}
