//! `GET /v1/names/{team}/{name}/delegation`: who may publish, signed by the owner.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use hub_api::{Base64Bytes, DelegationDocument};

use crate::app::App;
use crate::caller::{Segments, Visitor};
use crate::conditional;
use crate::refusal::Refusal;

pub(crate) async fn read_delegation(
    State(app): State<Arc<App>>,
    Visitor(caller): Visitor,
    segments: Segments,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let name = segments.visible(&app, &caller).await?;
    let document = app.db.delegation(name.id).await?.ok_or_else(Refusal::not_found)?;
    Ok(conditional::json(&headers, &DelegationDocument { delegation: Base64Bytes(document) }))
}
