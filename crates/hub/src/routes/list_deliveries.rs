//! `GET /v1/deliveries?before=&limit=&over=`: what is addressed to people, the newest first, for administrators.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use hub_api::DeliveriesPage;
use hub_api::limits::{DELIVERIES_PAGE_MAX, PAGE_DEFAULT};
use serde::Deserialize;

use crate::app::App;
use crate::caller::Administrator;
use crate::cluster::standings;
use crate::pages::Rows;
use crate::people::{delivery_info, online};
use crate::refusal::Refusal;

#[derive(Deserialize)]
pub(crate) struct Page {
    before: Option<u64>,
    limit: Option<u32>,
    #[serde(default)]
    over: bool,
}

pub(crate) async fn list_deliveries(
    State(app): State<Arc<App>>,
    Administrator(_): Administrator,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(page) = page?;
    let rows = Rows::new(page.limit, PAGE_DEFAULT, DELIVERIES_PAGE_MAX);
    let found = app.db.all_addressed(page.before, page.over, rows.to_read()).await?;
    let online = online(&app, found.iter().map(|record| record.recipient)).await?;
    let standings = standings(&app, found.iter()).await;
    let found = found.into_iter().map(|record| {
        let locker = standings.of(&record.delivery).locker;
        let is_online = online.contains_key(&record.recipient);
        delivery_info(record, None, is_online, locker)
    });
    let mut deliveries = found.collect();
    let next = rows.cut(&mut deliveries, |last| last.number);
    let page = axum::Json(DeliveriesPage { deliveries, next });
    Ok(([(header::CACHE_CONTROL, "no-store")], page).into_response())
}
