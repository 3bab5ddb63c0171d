//! `GET /v1/names/{team}/{name}/receipts?after=&limit=&signed=`: receipts that wait for the publisher.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use hub_api::limits::{
    LISTED_RECEIPT_BYTES_MAX, LISTED_RECEIPTS_BYTES_MAX, PAGE_DEFAULT, PAGE_MAX,
};
use hub_api::{Base64Bytes, Hex, ReceiptInfo, ReceiptsPage};
use hub_db::{Caller, ReceiptRecord};
use serde::Deserialize;

use super::queue::number;
use crate::app::App;
use crate::caller::{Member, Segments};
use crate::communities::Feed;
use crate::conditional;
use crate::pages::Rows;
use crate::peer::Peer;
use crate::refusal::Refusal;

/// What is told of a receipt beside its bytes.
const INFO_BYTES_MAX: usize = 300;

/// What a request for a page says.
#[derive(Debug, Deserialize)]
pub(crate) struct ReceiptsAfter {
    after: Option<u64>,
    limit: Option<u32>,
    /// Whether short receipts come along.
    #[serde(default)]
    signed: bool,
}

pub(crate) async fn list_receipts(
    State(app): State<Arc<App>>,
    Member(account): Member,
    peer: Peer,
    segments: Segments,
    page: Result<Query<ReceiptsAfter>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let Query(page) = page?;
    let feed = Feed::collected(&app, &segments, &account).await?;
    let rows = Rows::new(page.limit, PAGE_DEFAULT, PAGE_MAX);
    let name = feed.name.id;
    let mut records =
        app.db.receipts(name, number(page.after.unwrap_or(0)), rows.to_read()).await?;
    let next = rows.cut(&mut records, |last| last.id.unsigned_abs());
    if !page.signed {
        let receipts = records.into_iter().map(|record| receipt_info(record, None)).collect();
        return Ok(conditional::json(&headers, &ReceiptsPage { receipts, next }));
    }
    let (listed, cut) = Listed::of(&mut records);
    // As they are stored, and in base64.
    let longest = records.len() * INFO_BYTES_MAX + listed.bytes * 7 / 3;
    let place = app.room(longest, app.sharer(&Caller::from(&account), peer, &headers)).await?;
    let mut signed: HashMap<i64, Vec<u8>> =
        app.db.signed_receipts(name, &listed.ids).await?.into_iter().collect();
    let told = |record: ReceiptRecord| receipt_info(record, signed.remove(&record.id));
    let receipts = records.into_iter().map(told).collect();
    Ok(conditional::json_in(place, &headers, &ReceiptsPage { receipts, next: cut.or(next) }))
}

/// Receipts that come along with their list.
#[derive(Debug, Default, PartialEq, Eq)]
struct Listed {
    ids: Vec<i64>,
    bytes: usize,
}

impl Listed {
    /// The short ones of a page, which ends before there are too many of them; with it where the next
    /// begins then.
    fn of(records: &mut Vec<ReceiptRecord>) -> (Self, Option<u64>) {
        let (mut listed, mut next) = (Self::default(), None);
        for (place, record) in records.iter().enumerate() {
            let bytes = usize::try_from(record.bytes).unwrap_or(usize::MAX);
            if bytes > LISTED_RECEIPT_BYTES_MAX {
                continue;
            }
            if listed.bytes + bytes > LISTED_RECEIPTS_BYTES_MAX {
                // Each is far shorter than all may be, so there are some before this one.
                next = place.checked_sub(1).map(|last| records[last].id.unsigned_abs());
                records.truncate(place);
                break;
            }
            listed.ids.push(record.id);
            listed.bytes += bytes;
        }
        (listed, next)
    }
}

fn receipt_info(record: ReceiptRecord, signed: Option<Vec<u8>>) -> ReceiptInfo {
    let ReceiptRecord { id, sequence, target, bytes, answered } = record;
    let (id, target, signed) = (id.unsigned_abs(), Hex(target.0), signed.map(Base64Bytes));
    ReceiptInfo { id, sequence, target, answered, bytes, signed }
}

#[cfg(test)]
mod tests {
    use hub_db::AccountKey;

    use super::*;

    fn record(id: i64, bytes: usize) -> ReceiptRecord {
        let target = AccountKey([7; 32]);
        ReceiptRecord { id, sequence: 1, target, bytes: bytes as u64, answered: 9 }
    }

    #[test]
    fn short_receipts_come_along_and_a_page_ends_before_they_are_too_many() {
        let most = LISTED_RECEIPT_BYTES_MAX;
        let mut page =
            vec![record(1, 700), record(2, most + 1), record(3, most), record(4, 8 << 20)];
        let (listed, next) = Listed::of(&mut page);
        assert_eq!(listed, Listed { ids: vec![1, 3], bytes: 700 + most });
        assert_eq!((page.len(), next), (4, None));
        let fit = LISTED_RECEIPTS_BYTES_MAX / most;
        let mut page: Vec<_> = (1..=100).map(|id| record(id, most)).collect();
        let (listed, next) = Listed::of(&mut page);
        assert_eq!((listed.ids.len(), page.len(), next), (fit, fit, Some(fit as u64)));
        assert_eq!(Listed::of(&mut Vec::new()), (Listed::default(), None));
    }

    #[test]
    fn the_largest_page_is_inside_what_clients_take() {
        let record = ReceiptRecord {
            id: i64::MIN,
            sequence: u64::MAX,
            target: AccountKey([0xff; 32]),
            bytes: u64::MAX,
            answered: u64::MAX,
        };
        let rows = PAGE_MAX as usize;
        let each = LISTED_RECEIPTS_BYTES_MAX / rows;
        let info = |_| receipt_info(record, Some(vec![0xff; each + 2]));
        let page = ReceiptsPage { receipts: (0..rows).map(info).collect(), next: Some(u64::MAX) };
        let bytes = serde_json::to_vec(&page).expect("plain data").len();
        assert!(bytes <= hub_api::limits::RESPONSE_BYTES_MAX, "{bytes}");
        let alone = serde_json::to_vec(&receipt_info(record, Some(vec![]))).expect("plain data");
        assert!(alone.len() <= INFO_BYTES_MAX, "{}", alone.len());
    }
}
