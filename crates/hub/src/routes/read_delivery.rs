//! `GET /v1/deliveries/{delivery}?after=`: how a delivery stands.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use hub_api::Hex;
use hub_api::limits::DELIVERY_WAIT_MAX;
use serde::Deserialize;

use crate::app::App;
use crate::caller::Segments;
use crate::deliveries::{Participant, Waiting};
use crate::lockers::Download;
use crate::refusal::Refusal;

#[derive(Deserialize)]
pub(crate) struct Known {
    after: Option<u64>,
}

/// For both sides. With `after` it waits for the next change, if there is a place to wait in.
pub(crate) async fn read_delivery(
    State(app): State<Arc<App>>,
    Participant(asker): Participant,
    segments: Segments,
    download: Download,
    known: Result<Query<Known>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(known) = known?;
    let id = segments.parse::<Hex<16>>("delivery")?.0;
    let waiting = || Waiting::new(&app, DELIVERY_WAIT_MAX);
    let status = if let Some(mut locker) = app.lockers.find(id, asker, download) {
        match known.after {
            None => locker.status()?,
            Some(after) => locker.status_after(after, waiting()).await?,
        }
    } else {
        let mut delivery = app.deliveries.open(id, asker).ok_or_else(Refusal::not_found)?;
        match known.after {
            None => delivery.status()?,
            Some(after) => delivery.status_after(after, waiting()).await?,
        }
    };
    Ok(([(header::CACHE_CONTROL, "no-store")], axum::Json(status)).into_response())
}
