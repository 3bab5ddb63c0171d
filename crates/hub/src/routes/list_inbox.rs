//! `GET /v1/me/inbox?before=&limit=`: what is addressed to the calling person, the newest first.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use hub_api::limits::{DELIVERIES_PAGE_MAX, PAGE_DEFAULT};
use hub_api::{DeliveriesPage, DeliveryParty};
use serde::Deserialize;

use crate::app::App;
use crate::cluster::standings;
use crate::pages::Rows;
use crate::people::{PersonCaller, delivery_info, online};
use crate::refusal::Refusal;

#[derive(Deserialize)]
pub(crate) struct Page {
    pub(super) before: Option<u64>,
    pub(super) limit: Option<u32>,
}

pub(crate) async fn list_inbox(
    State(app): State<Arc<App>>,
    caller: PersonCaller,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(page) = page?;
    let rows = Rows::new(page.limit, PAGE_DEFAULT, DELIVERIES_PAGE_MAX);
    let found =
        app.db.inbox(caller.person, &caller.account.key, page.before, rows.to_read()).await?;
    let online = online(&app, found.iter().map(|(record, _)| record.sender)).await?;
    let standings = standings(&app, found.iter().map(|(record, _)| record)).await;
    let found = found.into_iter().map(|(record, letter)| {
        let standing = standings.of(&record.delivery);
        // Whoever sends is there, also without a node that listens.
        let is_online =
            online.contains_key(&record.sender) || standing.is_here(DeliveryParty::Sender);
        delivery_info(record, letter, is_online, standing.locker)
    });
    let mut deliveries = found.collect();
    let next = rows.cut(&mut deliveries, |last| last.number);
    let page = axum::Json(DeliveriesPage { deliveries, next });
    Ok(([(header::CACHE_CONTROL, "no-store")], page).into_response())
}
