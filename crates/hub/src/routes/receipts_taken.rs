//! `POST /v1/names/{team}/{name}/receipts/taken`: the publisher keeps these receipts.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use hub_api::TakenReceipts;
use hub_api::limits::ENVELOPES_MAX;

use super::queue::number;
use crate::app::App;
use crate::body::Json;
use crate::caller::{Member, Segments};
use crate::communities::Feed;
use crate::files::unix_now;
use crate::refusal::Refusal;

/// The hub drops their bytes. Those that were taken before are no failure.
pub(crate) async fn receipts_taken(
    State(app): State<Arc<App>>,
    Member(account): Member,
    segments: Segments,
    Json(taken): Json<TakenReceipts>,
) -> Result<StatusCode, Refusal> {
    let feed = Feed::collected(&app, &segments, &account).await?;
    if taken.ids.len() > ENVELOPES_MAX {
        return Err(Refusal::malformed(format!("more receipts than {ENVELOPES_MAX}")));
    }
    let ids: Vec<i64> = taken.ids.into_iter().map(number).collect();
    app.db.take_receipts(feed.name.id, &ids, unix_now()).await?;
    Ok(StatusCode::NO_CONTENT)
}
