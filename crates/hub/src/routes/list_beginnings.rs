//! `GET /v1/names/{team}/{name}/beginnings?after=&limit=`: what targets work on.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use hub_api::limits::{PAGE_DEFAULT, PAGE_MAX};
use hub_api::{BeginningInfo, BeginningsPage, Hex};
use hub_db::BeginningRecord;

use super::queue::number;
use crate::app::App;
use crate::caller::{Member, Segments};
use crate::communities::Feed;
use crate::conditional;
use crate::pages::{PageAfter, Rows};
use crate::refusal::Refusal;

/// For who takes the receipts, too: no target learns what another does.
pub(crate) async fn list_beginnings(
    State(app): State<Arc<App>>,
    Member(account): Member,
    segments: Segments,
    page: Result<Query<PageAfter<u64>>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let Query(page) = page?;
    let feed = Feed::collected(&app, &segments, &account).await?;
    let rows = Rows::new(page.limit, PAGE_DEFAULT, PAGE_MAX);
    let after = number(page.after.unwrap_or(0));
    let mut records = app.db.beginnings(feed.name.id, after, rows.to_read()).await?;
    let next = rows.cut(&mut records, |last| last.id.unsigned_abs());
    let beginnings = records.into_iter().map(beginning_info).collect();
    Ok(conditional::json(&headers, &BeginningsPage { beginnings, next }))
}

fn beginning_info(record: BeginningRecord) -> BeginningInfo {
    let BeginningRecord { id, sequence, target, signed } = record;
    let (id, target) = (id.unsigned_abs(), Hex(target.0));
    BeginningInfo { id, sequence, target, beginning: signed.into() }
}

#[cfg(test)]
mod tests {
    use hub_api::limits::{BEGINNING_BYTES_MAX, RESPONSE_BYTES_MAX};
    use hub_db::AccountKey;

    use super::*;

    #[test]
    fn the_largest_page_is_inside_what_clients_take() {
        assert_eq!(BEGINNING_BYTES_MAX, community::beginning::SIGNED_BYTES_MAX);
        let largest = BeginningRecord {
            id: i64::MIN,
            sequence: u64::MAX,
            target: AccountKey([0xff; 32]),
            signed: vec![0xff; BEGINNING_BYTES_MAX],
        };
        let beginnings = vec![beginning_info(largest); PAGE_MAX as usize];
        let page = BeginningsPage { beginnings, next: Some(u64::MAX) };
        let bytes = serde_json::to_vec(&page).expect("plain data").len();
        assert!(bytes <= RESPONSE_BYTES_MAX, "{bytes}");
    }
}
