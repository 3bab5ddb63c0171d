//! `GET /console/transfers`: what moves, every second, as server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use askama::Template;
use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use hub_api::MEDIA_EVENTS;
use tokio::sync::OwnedSemaphorePermit;

use super::page::{Failure, State};
use super::session::Operator;
use crate::app::App;
use crate::files::unix_now;
use crate::transfers::{Direction, Transfer, Who};
use pages::format;

/// How often it is looked.
const TICK: Duration = Duration::from_secs(1);

/// Ticks after which the session is asked for again, and something is said in any case.
const TICKS_PER_CHECK: u32 = 10;

/// Transfers shown; a hub has more only when it is very busy, and then the fastest matter.
const SHOWN_MAX: usize = 50;

/// The table of transfers, on the overview and in every event.
#[derive(Template)]
#[template(path = "transfers.html")]
pub(super) struct TransfersView {
    rows: Vec<Row>,
    hidden: usize,
    upload_rate: String,
    fetch_rate: String,
}

struct Row {
    icon: &'static str,
    what: &'static str,
    who: String,
    full_key: String,
    is_token: bool,
    rate: String,
    bytes: String,
    since: String,
}

impl Row {
    fn new(transfer: &Transfer) -> Self {
        let (icon, what) = match transfer.direction {
            Direction::Upload => ("up", "Upload"),
            Direction::Fetch => ("down", "Fetch"),
        };
        let (who, full_key, is_token) = match transfer.who {
            Who::Anonymous => ("without account".to_owned(), String::new(), false),
            Who::Account(key) => (format::handle(&key.0), hex::encode(key.0), false),
            Who::Token(key) => (format::handle(&key.0), hex::encode(key.0), true),
        };
        Self {
            icon,
            what,
            who,
            full_key,
            is_token,
            rate: format!("{}/s", format::bytes(transfer.rate)),
            bytes: format::bytes(transfer.bytes),
            since: format::duration(transfer.age.as_secs()),
        }
    }
}

impl TransfersView {
    pub(super) fn now(app: &App) -> Self {
        let transfers = app.transfers.list(Instant::now());
        let rate = |direction| {
            let of = transfers.iter().filter(|transfer| transfer.direction == direction);
            format!("{}/s", format::bytes(of.map(|transfer| transfer.rate).sum()))
        };
        Self {
            rows: transfers.iter().take(SHOWN_MAX).map(Row::new).collect(),
            hidden: transfers.len().saturating_sub(SHOWN_MAX),
            upload_rate: rate(Direction::Upload),
            fetch_rate: rate(Direction::Fetch),
        }
    }
}

/// Ends with the session, and when the hub stops.
pub(super) async fn live(state: State, operator: Operator) -> Result<Response, Failure> {
    let place = Arc::clone(&state.console.watchers).try_acquire_owned();
    let place = place.map_err(|_| Failure::busy("Too many pages watch transfers."))?;
    let feed = Feed { app: state.0, operator, said: None, ticks: 0, _place: place };
    let body = stream::unfold(feed, async |mut feed| {
        let text = feed.next().await?;
        Some((Ok::<_, Infallible>(text), feed))
    });
    let headers = [
        (header::CONTENT_TYPE.as_str(), MEDIA_EVENTS),
        // Or nginx would hold events back to fill a buffer.
        ("x-accel-buffering", "no"),
    ];
    Ok((headers, Body::from_stream(body)).into_response())
}

struct Feed {
    app: Arc<App>,
    operator: Operator,
    said: Option<String>,
    ticks: u32,
    _place: OwnedSemaphorePermit,
}

impl Feed {
    async fn next(&mut self) -> Option<String> {
        let mut stopping = self.app.stopping.clone();
        loop {
            if *stopping.borrow() {
                return None;
            }
            if self.ticks.is_multiple_of(TICKS_PER_CHECK) && !self.is_signed_in().await {
                return None;
            }
            let event = self.event();
            self.ticks = self.ticks.wrapping_add(1);
            if let Some(event) = event {
                return Some(event);
            }
            tokio::select! {
                () = tokio::time::sleep(TICK) => {}
                _ = stopping.changed() => return None,
            }
            if self.ticks.is_multiple_of(TICKS_PER_CHECK) {
                return Some(":\n\n".to_owned());
            }
        }
    }

    /// The table as an event, if it is not as it was.
    fn event(&mut self) -> Option<String> {
        let table = TransfersView::now(&self.app).render().ok()?;
        if self.said.as_ref() == Some(&table) {
            return None;
        }
        let mut event = "event: transfers\n".to_owned();
        for line in table.lines().filter(|line| !line.is_empty()) {
            event.push_str("data: ");
            event.push_str(line);
            event.push('\n');
        }
        event.push('\n');
        self.said = Some(table);
        Some(event)
    }

    async fn is_signed_in(&self) -> bool {
        let session = self.app.db.console_session(&self.operator.session, unix_now()).await;
        matches!(session, Ok(true))
    }
}
