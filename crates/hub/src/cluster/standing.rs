//! How deliveries stand that are at several front-ends: what is in the memory of one, or in its lockers, is asked of
//! it, so that every front-end tells people the same.

use std::collections::HashMap;
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{Method, Request, StatusCode, header};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::future::join_all;
use hub_api::limits::DELIVERIES_PAGE_MAX;
use hub_api::{DeliveryParty, Hex, LockerStatus};
use hub_db::{AddressedRecord, DeliveryState, FrontEnd};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use crate::app::App;
use crate::refusal::Chain;

/// Between front-ends alone: how these deliveries stand.
const STANDINGS: &str = "/front-end/deliveries";
/// The same: how long lockers keep what lies in them.
const LOCKER_TIME: &str = "/front-end/locker-time";

/// How long another front-end is waited for. A list without what it knows is better than none.
const PATIENCE: Duration = Duration::from_secs(2);
/// Bytes of an answer at most: some 200 for each delivery of a page.
const ANSWER_BYTES_MAX: usize = 1024 * DELIVERIES_PAGE_MAX as usize;

/// What one front-end has of a delivery.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Standing {
    /// What of it lies in a locker.
    pub(crate) locker: Option<LockerStatus>,
    /// Whether its sender is connected.
    sender: bool,
    /// Whether its recipient is.
    recipient: bool,
}

impl Standing {
    pub(crate) fn is_here(&self, party: DeliveryParty) -> bool {
        match party {
            DeliveryParty::Sender => self.sender,
            DeliveryParty::Recipient => self.recipient,
            DeliveryParty::Hub => false,
        }
    }
}

/// How deliveries stand, at whichever front-end they are.
#[derive(Debug, Default)]
pub(crate) struct Standings(HashMap<[u8; 16], Standing>);

impl Standings {
    pub(crate) fn of(&self, delivery: &[u8; 16]) -> Standing {
        self.0.get(delivery).copied().unwrap_or_default()
    }
}

/// How the deliveries on a page of a list stand. What another front-end does not tell in time is left out.
pub(crate) async fn standings(
    app: &App,
    records: impl Iterator<Item = &AddressedRecord>,
) -> Standings {
    let is_open = |state| {
        use DeliveryState::{PendingApproval, Received, Removed, Running, Terminated, Waiting};
        match state {
            PendingApproval | Waiting | Running => true,
            Received | Terminated | Removed => false,
        }
    };
    let open = records.filter(|record| is_open(record.state)).map(|record| record.delivery);
    let (here, rest): (Vec<_>, Vec<_>) =
        open.partition(|id| app.deliveries.has(id) || app.lockers.has(id));
    let mut standings: HashMap<_, _> =
        here.into_iter().map(|id| (id, standing(app, &id))).collect();
    let homes = match app.cluster.has_others() && !rest.is_empty() {
        true => app.db.homes(&rest).await.unwrap_or_else(|error| {
            tracing::warn!(error = %Chain(&error), "who has a delivery in memory is not known");
            Vec::new()
        }),
        false => Vec::new(),
    };
    let mut by_home: HashMap<_, (FrontEnd, Vec<Hex<16>>)> = HashMap::new();
    for (delivery, home) in homes.into_iter().filter(|(_, home)| home.id != app.cluster.id()) {
        by_home.entry(home.id).or_insert_with(|| (home, Vec::new())).1.push(Hex(delivery));
    }
    let asking = by_home.values().map(async |(home, deliveries)| {
        let told: Option<Vec<Standing>> = ask(app, home, STANDINGS, Some(deliveries)).await;
        let told = told.filter(|told| told.len() == deliveries.len()).unwrap_or_default();
        deliveries.iter().map(|delivery| delivery.0).zip(told).collect::<Vec<_>>()
    });
    standings.extend(join_all(asking).await.into_iter().flatten());
    Standings(standings)
}

/// The longest that a delivery is kept in a locker of this hub; `None` where it keeps none.
pub(crate) async fn locker_time_max(app: &App) -> Option<Duration> {
    if app.cluster.keeps_chunks() {
        return app.lockers.time_max();
    }
    let keeper = app.cluster.chunk_keeper(&*app.db).await.ok().flatten()?;
    let seconds: Option<u64> = ask(app, &keeper, LOCKER_TIME, None::<&()>).await.flatten();
    seconds.map(Duration::from_secs)
}

fn standing(app: &App, delivery: &[u8; 16]) -> Standing {
    let is_here = |party| app.deliveries.is_here(delivery, party);
    Standing {
        locker: app.lockers.shown(delivery),
        sender: is_here(DeliveryParty::Sender),
        recipient: is_here(DeliveryParty::Recipient),
    }
}

/// Asks another front-end; `None` when it does not answer in time, or is of a version that does not know the question.
async fn ask<T: DeserializeOwned>(
    app: &App,
    other: &FrontEnd,
    path: &str,
    question: Option<&impl Serialize>,
) -> Option<T> {
    let between = app.cluster.between()?;
    let address = other.address.as_deref()?;
    let body = question.map(|it| serde_json::to_vec(it).expect("ids are JSON"));
    let request = Request::builder()
        .method(if body.is_some() { Method::POST } else { Method::GET })
        .uri(path)
        .header(header::CONTENT_TYPE, "application/json")
        .body(body.map_or_else(Body::empty, Body::from))
        .expect("a request of constants");
    let answer = async {
        let answer = between.pass(address, Ipv6Addr::UNSPECIFIED.into(), request).await;
        let answer = answer.map_err(|error| Chain(&error).to_string())?;
        if answer.status() != StatusCode::OK {
            return Err(format!("it answered {}", answer.status()));
        }
        let bytes = to_bytes(answer.into_body(), ANSWER_BYTES_MAX).await;
        let bytes = bytes.map_err(|error| Chain(&error).to_string())?;
        serde_json::from_slice(&bytes).map_err(|error| error.to_string())
    };
    let told = timeout(PATIENCE, answer).await;
    let told = told.unwrap_or_else(|_| Err(format!("it was silent for {} s", PATIENCE.as_secs())));
    told.inspect_err(|error| {
        tracing::warn!(front_end = %address, %error, "a front-end did not tell what it has");
    })
    .ok()
}

/// The routes for other front-ends.
pub(super) fn router(app: &Arc<App>) -> Router {
    Router::new()
        .route(STANDINGS, post(tell_standings))
        .route(LOCKER_TIME, get(tell_locker_time))
        .with_state(Arc::clone(app))
}

async fn tell_standings(
    State(app): State<Arc<App>>,
    Json(deliveries): Json<Vec<Hex<16>>>,
) -> Json<Vec<Standing>> {
    Json(deliveries.iter().map(|delivery| standing(&app, &delivery.0)).collect())
}

async fn tell_locker_time(State(app): State<Arc<App>>) -> Json<Option<u64>> {
    Json(app.lockers.time_max().map(|most| most.as_secs()))
}
