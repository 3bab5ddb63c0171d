//! `GET /v1/names/{team}/{name}/releases/{sequence}/receipts/{key}`: a target's receipt.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use hub_api::MEDIA_BYTES;
use hub_api::limits::RECEIPT_BYTES_MAX;
use hub_db::Caller;

use crate::app::App;
use crate::body;
use crate::caller::{Member, Segments};
use crate::communities::Feed;
use crate::peer::Peer;
use crate::refusal::Refusal;

/// The bytes that the target signed, until the publisher has taken them.
pub(crate) async fn read_receipt(
    State(app): State<Arc<App>>,
    Member(account): Member,
    peer: Peer,
    segments: Segments,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let (sequence, target) = (segments.parse::<u64>("sequence")?, segments.key()?);
    let feed = Feed::collected(&app, &segments, &account).await?;
    let sharer = app.sharer(&Caller::from(&account), peer, &headers);
    let place = app.room(RECEIPT_BYTES_MAX, sharer).await?;
    let receipt = app.db.receipt((feed.name.id, sequence), &target).await?;
    let receipt = place.hold(receipt.ok_or_else(Refusal::not_found)?.into());
    let headers = [(header::CONTENT_TYPE, MEDIA_BYTES), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, body::bytes(receipt)).into_response())
}
