//! `GET /v1/me/outbox?before=&limit=`: what the calling person addressed, the newest first.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use hub_api::limits::{DELIVERIES_PAGE_MAX, PAGE_DEFAULT};
use hub_api::{DeliveriesPage, DeliveryParty};
use hub_db::DeliveryState;

use super::list_inbox::Page;
use crate::app::App;
use crate::cluster::standings;
use crate::pages::Rows;
use crate::people::{PersonCaller, delivery_info, online};
use crate::refusal::Refusal;

pub(crate) async fn list_outbox(
    State(app): State<Arc<App>>,
    caller: PersonCaller,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(page) = page?;
    let rows = Rows::new(page.limit, PAGE_DEFAULT, DELIVERIES_PAGE_MAX);
    let found = app.db.outbox(caller.person, page.before, rows.to_read()).await?;
    let online = online(&app, found.iter().map(|record| record.recipient)).await?;
    let standings = standings(&app, found.iter()).await;
    let found = found.into_iter().map(|record| {
        let standing = standings.of(&record.delivery);
        // Whoever was not let in, or is no more, does not learn when somebody is there.
        let may_know = matches!(record.state, DeliveryState::Waiting | DeliveryState::Running);
        // Whoever receives is there, also without a node that listens.
        let is_online =
            online.contains_key(&record.recipient) || standing.is_here(DeliveryParty::Recipient);
        delivery_info(record, None, may_know && is_online, standing.locker)
    });
    let mut deliveries = found.collect();
    let next = rows.cut(&mut deliveries, |last| last.number);
    let page = axum::Json(DeliveriesPage { deliveries, next });
    Ok(([(header::CACHE_CONTROL, "no-store")], page).into_response())
}
