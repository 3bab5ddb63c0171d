//! `GET /v1/names/{team}/{name}/receipts?after=&limit=`: receipts that wait for the publisher.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use hub_api::limits::{PAGE_DEFAULT, PAGE_MAX};
use hub_api::{Hex, ReceiptInfo, ReceiptsPage};
use hub_db::ReceiptRecord;

use super::queue::number;
use crate::app::App;
use crate::caller::{Member, Segments};
use crate::communities::Feed;
use crate::conditional;
use crate::pages::{PageAfter, Rows};
use crate::refusal::Refusal;

pub(crate) async fn list_receipts(
    State(app): State<Arc<App>>,
    Member(account): Member,
    segments: Segments,
    page: Result<Query<PageAfter<u64>>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let Query(page) = page?;
    let feed = Feed::collected(&app, &segments, &account).await?;
    let rows = Rows::new(page.limit, PAGE_DEFAULT, PAGE_MAX);
    let receipts =
        app.db.receipts(feed.name.id, number(page.after.unwrap_or(0)), rows.to_read()).await?;
    let mut receipts: Vec<ReceiptInfo> = receipts.into_iter().map(receipt_info).collect();
    let next = rows.cut(&mut receipts, |last| last.id);
    Ok(conditional::json(&headers, &ReceiptsPage { receipts, next }))
}

fn receipt_info(record: ReceiptRecord) -> ReceiptInfo {
    let ReceiptRecord { id, sequence, target, bytes, answered } = record;
    ReceiptInfo { id: id.unsigned_abs(), sequence, target: Hex(target.0), answered, bytes }
}
