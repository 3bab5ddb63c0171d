//! `GET /v1/names/{team}/{name}`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use super::list_names::name_info;
use crate::app::App;
use crate::caller::{Segments, Visitor};
use crate::conditional;
use crate::refusal::Refusal;

pub(crate) async fn one_name(
    State(app): State<Arc<App>>,
    Visitor(caller): Visitor,
    segments: Segments,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let name = segments.visible(&app, &caller).await?;
    Ok(conditional::json(&headers, &name_info(name)))
}
