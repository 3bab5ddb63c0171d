//! `GET /v1/me/events`: that something is new for a person, as it comes.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use hub_api::{EVENT_PERSON, MEDIA_EVENTS, PersonEvent, PersonNews};
use tokio::sync::{OwnedSemaphorePermit, watch};

use crate::app::App;
use crate::files::unix_now;
use crate::heartbeat::Beats;
use crate::line::LineOf;
use crate::people::{DeviceCaller, EVERYTHING, PersonListener};
use crate::refusal::Refusal;

/// The person is online while a device on their list listens. The first event names everything: the device asks
/// for it then, and misses nothing from there on.
pub(crate) async fn person_events(
    State(app): State<Arc<App>>,
    caller: DeviceCaller,
    line: LineOf,
) -> Result<Response, Refusal> {
    if *app.leaving.borrow() {
        return Err(Refusal::stopping());
    }
    let place = Arc::clone(&app.event_streams).try_acquire_owned();
    let place = place.map_err(|_| Refusal::busy("too many event streams at once"))?;
    let taken_away = app.access.taken_away();
    let (key, is_listed) = (caller.account.key, caller.is_listed);
    let listener = app.people.presence.listen(caller.person, key, is_listed, unix_now());
    let first = everything(is_listed);
    let beats = Beats::new(&app, line);
    let stream = News {
        app,
        caller,
        listener,
        taken_away,
        beats,
        first: Some(first),
        is_over: false,
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

fn everything(is_listed: bool) -> Vec<PersonNews> {
    if is_listed { EVERYTHING.to_vec() } else { vec![PersonNews::Devices] }
}

struct News {
    app: Arc<App>,
    caller: DeviceCaller,
    listener: PersonListener,
    taken_away: watch::Receiver<()>,
    beats: Beats,
    first: Option<Vec<PersonNews>>,
    is_over: bool,
    _place: OwnedSemaphorePermit,
}

impl News {
    /// The next event or a heart-beat; `None` ends the stream: the hub stops or failed, the device listens
    /// elsewhere, or is a device no more.
    async fn next(&mut self) -> Option<String> {
        let mut stopping = self.app.leaving.clone();
        if *stopping.borrow() || self.is_over {
            return None;
        }
        if let Some(first) = self.first.take() {
            return Some(self.beats.text() + &event(first));
        }
        let mut news = tokio::select! {
            news = self.listener.news() => news,
            _ = self.taken_away.changed() => Vec::new(),
            () = self.beats.due() => Vec::new(),
            _ = stopping.changed() => return None,
        };
        // Asked each time: there may be nobody to tell any more, by an act of another process.
        self.taken_away.mark_unchanged();
        let found = self.app.db.belonging(self.caller.account.id).await.ok()??;
        if found.is_listed != self.caller.is_listed {
            self.caller.is_listed = found.is_listed;
            self.listener.set_listed(found.is_listed, unix_now());
            news = everything(found.is_listed);
        }
        if news.contains(&PersonNews::Elsewhere) {
            self.is_over = true;
            news = vec![PersonNews::Elsewhere];
        }
        Some(if news.is_empty() { self.beats.text() } else { event(news) })
    }
}

fn event(news: Vec<PersonNews>) -> String {
    let data = serde_json::to_string(&PersonEvent { news }).expect("an event is plain data");
    format!("event: {EVENT_PERSON}\ndata: {data}\n\n")
}
