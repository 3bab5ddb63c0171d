//! `GET /v1/events?name=`: releases of a name, as they come.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use documents::ReleaseName;
use futures_util::stream;
use hub_api::{EVENT_RELEASE, MEDIA_EVENTS, ReleaseEvent};
use hub_db::{Caller, EventId, NameId};
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, watch};

use crate::app::App;
use crate::bus::Waiter;
use crate::caller::{Visitor, is_in_force};
use crate::heartbeat::Beats;
use crate::line::LineOf;
use crate::refusal::Refusal;

/// Releases read at once by a stream that catches up.
const CATCH_UP: u32 = 256;

#[derive(Deserialize)]
pub(crate) struct Wanted {
    name: String,
}

/// Begins behind `Last-Event-ID`, or without it with the next release.
pub(crate) async fn events(
    State(app): State<Arc<App>>,
    Visitor(caller): Visitor,
    line: LineOf,
    wanted: Result<Query<Wanted>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let Query(wanted) = wanted?;
    if *app.leaving.borrow() {
        return Err(Refusal::stopping());
    }
    let name: ReleaseName = wanted.name.parse().map_err(|_| Refusal::not_found())?;
    let record = app.db.name(name.as_str(), &caller).await?.ok_or_else(Refusal::not_found)?;
    let place = Arc::clone(&app.event_streams).try_acquire_owned();
    let place = place.map_err(|_| Refusal::busy("too many event streams at once"))?;
    // Before looking for the latest: what comes in between wakes the waiter.
    let waiter = app.bus.waiter(record.id);
    let taken_away = app.access.taken_away();
    let after = match headers.get("last-event-id") {
        Some(id) => {
            let id = id.to_str().ok().and_then(|id| id.parse().ok());
            EventId(id.ok_or_else(|| Refusal::malformed("Last-Event-ID is no number"))?)
        }
        None => app.db.latest_release(record.id).await?.map_or(EventId(0), |last| last.event),
    };
    let beats = Beats::new(&app, line);
    let feed = Feed {
        app,
        caller,
        id: record.id,
        name: record.name,
        after,
        waiter,
        taken_away,
        beats,
        has_begun: false,
        _place: place,
    };
    let body = stream::unfold(feed, async |mut feed| {
        let text = feed.next().await?;
        Some((Ok::<_, Infallible>(text), feed))
    });
    let headers = [
        (header::CONTENT_TYPE.as_str(), MEDIA_EVENTS),
        (header::CACHE_CONTROL.as_str(), "no-store"),
        // Or nginx would hold events back to fill a buffer.
        ("x-accel-buffering", "no"),
    ];
    Ok((headers, Body::from_stream(body)).into_response())
}

struct Feed {
    app: Arc<App>,
    caller: Caller,
    id: NameId,
    name: String,
    after: EventId,
    waiter: Waiter,
    taken_away: watch::Receiver<()>,
    beats: Beats,
    has_begun: bool,
    _place: OwnedSemaphorePermit,
}

impl Feed {
    /// The next events or a heart-beat; `None` ends the stream: the hub stops or failed, or the
    /// caller may no longer read the name.
    async fn next(&mut self) -> Option<String> {
        let mut stopping = self.app.leaving.clone();
        if *stopping.borrow() || !self.is_allowed().await {
            return None;
        }
        if !self.has_begun {
            // At once, so that the caller knows how long to wait for more.
            self.has_begun = true;
            return Some(self.beats.text());
        }
        let news = self.news().await?;
        if !news.is_empty() {
            return Some(news);
        }
        tokio::select! {
            () = self.waiter.woken() => {}
            _ = self.taken_away.changed() => {}
            () = self.beats.due() => return Some(self.beats.text()),
            _ = stopping.changed() => return None,
        }
        if !self.is_allowed().await {
            return None;
        }
        // Woken without news is possible: then this is a heart-beat before its time.
        let news = self.news().await?;
        Some(if news.is_empty() { self.beats.text() } else { news })
    }

    async fn news(&mut self) -> Option<String> {
        let news = self.app.db.releases_after(self.id, self.after, CATCH_UP).await;
        let news = news.map_err(|error| Refusal::internal(&error)).ok()?;
        let mut text = String::new();
        for (event, sequence) in news {
            self.after = event;
            let data = ReleaseEvent { name: self.name.clone(), sequence };
            let data = serde_json::to_string(&data).expect("an event is plain data");
            let id = event.0;
            text.push_str(&format!("id: {id}\nevent: {EVENT_RELEASE}\ndata: {data}\n\n"));
        }
        Some(text)
    }

    async fn is_allowed(&self) -> bool {
        if !matches!(is_in_force(&self.app, &self.caller).await, Ok(true)) {
            return false;
        }
        matches!(self.app.db.name(&self.name, &self.caller).await, Ok(Some(_)))
    }
}
