//! `GET /v1/communities/{community}/joins/{id}?wait=`: how far a joining is.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use hub_api::limits::JOIN_WAIT_MAX;
use hub_api::{Base64Bytes, Hex, JoinEnd, Joining};
use hub_db::{JoinOutcome, JoinRecord};
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};

use crate::app::App;
use crate::caller::Segments;
use crate::communities::key_of;
use crate::refusal::Refusal;

#[derive(Deserialize)]
pub(crate) struct Patience {
    wait: Option<u64>,
}

/// For whoever knows the id, which is the hash of a signed request. Waits while there is nothing to do
/// for the machine, if there is a place to wait in.
pub(crate) async fn read_join(
    State(app): State<Arc<App>>,
    segments: Segments,
    patience: Result<Query<Patience>, QueryRejection>,
) -> Result<axum::Json<Joining>, Refusal> {
    let Query(patience) = patience?;
    let (community, id) = (key_of(&segments.community()?), segments.parse::<Hex<32>>("id")?);
    let wait = Duration::from_secs(patience.wait.unwrap_or(0)).min(JOIN_WAIT_MAX);
    let until = Instant::now() + wait;
    // Before looking: what comes in between wakes.
    let mut listener = app.bus.join_listener(community);
    let mut stopping = app.leaving.clone();
    let mut place = None;
    loop {
        let record = app.db.join(&community, &id.0).await?.ok_or_else(Refusal::not_found)?;
        if place.is_none() && !wait.is_zero() {
            place = Arc::clone(&app.event_streams).try_acquire_owned().ok();
        }
        let is_stopping = *stopping.borrow();
        if is_machines_turn(&record) || place.is_none() || is_stopping || Instant::now() >= until {
            return Ok(axum::Json(joining(record)));
        }
        tokio::select! {
            _ = timeout_at(until, listener.news()) => {}
            _ = stopping.changed() => {}
        }
    }
}

/// Whether it is over, or a challenge wants an answer.
fn is_machines_turn(record: &JoinRecord) -> bool {
    record.end.is_some() || (record.challenge.is_some() && record.answer.is_none())
}

pub(super) fn joining(record: JoinRecord) -> Joining {
    Joining {
        id: Hex(record.id),
        request: Base64Bytes(record.request),
        came: record.came,
        challenge: record.challenge.map(Base64Bytes),
        answer: record.answer.map(Base64Bytes),
        end: record.end.map(|end| match end {
            JoinOutcome::Admitted => JoinEnd::Admitted,
            JoinOutcome::Refused(reason) => JoinEnd::Refused { reason },
            JoinOutcome::Aborted(reason) => JoinEnd::Aborted { reason },
        }),
    }
}
