//! `GET /v1/communities/{community}/events`: that something of a community is new, as it comes.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use hub_api::limits::HEARTBEAT_INTERVAL;
use hub_api::{CommunityEvent, CommunityNews, EVENT_COMMUNITY, MEDIA_EVENTS};
use hub_db::{Account, Caller};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;

use crate::app::App;
use crate::bus::Listener;
use crate::caller::{Member, Segments, is_in_force};
use crate::communities::{Belonging, Community, key_of};
use crate::heartbeat::Beats;
use crate::line::LineOf;
use crate::refusal::Refusal;

/// Tells what comes from now on; for what was before, the caller asks after this has begun.
pub(crate) async fn community_events(
    State(app): State<Arc<App>>,
    Member(account): Member,
    segments: Segments,
    line: LineOf,
) -> Result<Response, Refusal> {
    if *app.leaving.borrow() {
        return Err(Refusal::stopping());
    }
    // Before looking: whatever is taken away or new from here on is noticed.
    let taken_away = app.access.taken_away();
    let listener = app.bus.listener(key_of(&segments.community()?), account.key);
    let looked = Instant::now();
    let belonging = Community::of(&app, &segments, &account).await?;
    note(&listener, &belonging);
    let place = Arc::clone(&app.event_streams).try_acquire_owned();
    let place = place.map_err(|_| Refusal::busy("too many event streams at once"))?;
    let beats = Beats::new(&app, line);
    let has_begun = false;
    let stream = News {
        app,
        account,
        segments,
        listener,
        taken_away,
        looked,
        beats,
        has_begun,
        _place: place,
    };
    let body = stream::unfold(stream, async |mut stream| {
        let text = stream.next().await?;
        Some((Ok::<_, Infallible>(text), stream))
    });
    let headers = [
        (header::CONTENT_TYPE.as_str(), MEDIA_EVENTS),
        (header::CACHE_CONTROL.as_str(), "no-store"),
        // Or nginx would hold events back to fill a buffer.
        ("x-accel-buffering", "no"),
    ];
    Ok((headers, Body::from_stream(body)).into_response())
}

/// What is told beside what is for the caller's key.
fn note(listener: &Listener, belonging: &Belonging) {
    // Whoever mirrors the community carries those on who ask to join here.
    listener.set_manager(belonging.is_manager || belonging.is_mirror);
    listener.set_carrier(belonging.roles().relay, belonging.is_mirror);
}

struct News {
    app: Arc<App>,
    account: Account,
    segments: Segments,
    listener: Listener,
    taken_away: watch::Receiver<()>,
    /// When it was looked at last whether the caller belongs to the community.
    looked: Instant,
    beats: Beats,
    has_begun: bool,
    _place: OwnedSemaphorePermit,
}

impl News {
    /// The next events or a heart-beat; `None` ends the stream: the hub stops or failed, or the
    /// caller does not belong to the community any more.
    async fn next(&mut self) -> Option<String> {
        let mut stopping = self.app.leaving.clone();
        if *stopping.borrow() {
            return None;
        }
        if !self.has_begun {
            // At once, so that the caller knows that nothing is missed from here on.
            self.has_begun = true;
            return Some(self.beats.text());
        }
        let news = tokio::select! {
            news = self.listener.news() => news,
            _ = self.taken_away.changed() => Vec::new(),
            () = self.beats.due() => Vec::new(),
            _ = stopping.changed() => return None,
        };
        // There may be nobody to tell any more. That something came for this key says no more than that,
        // and a release wakes thousands at once: while nothing was taken away here, what was found
        // within a quarter of a minute is enough.
        let is_own =
            |news: &CommunityNews| matches!(news, CommunityNews::Queue | CommunityNews::Receipts);
        let is_known = !news.is_empty() && news.iter().all(is_own) && !self.may_have_lost();
        if !is_known && !self.is_allowed().await {
            return None;
        }
        if news.is_empty() {
            return Some(self.beats.text());
        }
        let event = |news| {
            let data = serde_json::to_string(&CommunityEvent { news });
            let data = data.expect("an event is plain data");
            format!("event: {EVENT_COMMUNITY}\ndata: {data}\n\n")
        };
        Some(news.into_iter().map(event).collect())
    }

    /// Whether somebody lost a right since that was looked at.
    fn may_have_lost(&self) -> bool {
        self.looked.elapsed() >= HEARTBEAT_INTERVAL || self.taken_away.has_changed().unwrap_or(true)
    }

    /// Whether the caller still belongs to it; who has become a manager hears what managers do.
    async fn is_allowed(&mut self) -> bool {
        // Before looking: what is taken away meanwhile is looked at once more.
        self.taken_away.mark_unchanged();
        self.looked = Instant::now();
        let in_force = is_in_force(&self.app, &Caller::from(&self.account)).await;
        if !matches!(in_force, Ok(true)) {
            return false;
        }
        let found = Community::of(&self.app, &self.segments, &self.account).await;
        found.is_ok_and(|belonging| {
            note(&self.listener, &belonging);
            true
        })
    }
}
