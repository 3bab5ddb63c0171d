//! `GET /v1/me/senders`: who wants to send something and is no contact.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use hub_api::PendingSenders;

use crate::app::App;
use crate::people::{PersonCaller, pending_sender};
use crate::refusal::Refusal;

pub(crate) async fn list_senders(
    State(app): State<Arc<App>>,
    caller: PersonCaller,
) -> Result<Response, Refusal> {
    let senders = app.db.pending_senders(caller.person).await?;
    let senders = PendingSenders { senders: senders.into_iter().map(pending_sender).collect() };
    Ok(([(header::CACHE_CONTROL, "no-store")], axum::Json(senders)).into_response())
}
