//! `GET /v1/status`: how the front-ends of the hub are, for administrators.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};

use crate::app::App;
use crate::caller::Administrator;
use crate::cluster;
use crate::files::unix_now;
use crate::refusal::Refusal;

pub(crate) async fn status(
    State(app): State<Arc<App>>,
    Administrator(_): Administrator,
) -> Result<Response, Refusal> {
    let status = cluster::status(&app, unix_now()).await?;
    Ok(([(header::CACHE_CONTROL, "no-store")], axum::Json(status)).into_response())
}
