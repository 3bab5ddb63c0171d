//! `GET /readyz`: whether the hub can do its work, part by part.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;

use crate::app::App;
use crate::refusal::Refusal;

#[derive(Deserialize)]
pub(crate) struct Wanted {
    /// `reading` for a balancer that shall go on sending readers to a hub that is full.
    #[serde(rename = "for")]
    purpose: Option<Purpose>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Purpose {
    Reading,
}

/// 200 when everything asked for works, 503 otherwise.
pub(crate) async fn ready(
    State(app): State<Arc<App>>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(wanted) = wanted?;
    let readiness = app.readiness.check(&app).await;
    let is_ready = match wanted.purpose {
        Some(Purpose::Reading) => readiness.reads(),
        None => readiness.writes(),
    };
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok((status, [(header::CACHE_CONTROL, "no-store")], Json(readiness)).into_response())
}
