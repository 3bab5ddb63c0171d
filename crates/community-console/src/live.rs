//! `GET /live/…`: parts of pages as server-sent events, anew when they changed.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use askama::Template;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use futures_util::future::BoxFuture;
use futures_util::stream;
use tokio::sync::OwnedSemaphorePermit;

use crate::app::App;
use crate::doors::Session;
use crate::page::{Failure, Person};
use crate::{overview, release, releases};

/// How often it is looked at most.
const TICK: Duration = Duration::from_secs(1);
/// So many times as long as a look took nothing is looked at: large communities take longer.
const REST: u32 = 10;
/// Ticks after which something is said in any case, so that a browser that left is noticed.
const TICKS_PER_SIGN: u32 = 15;

/// Makes the part of a page.
type Look = Box<dyn Fn(Arc<App>) -> BoxFuture<'static, Option<String>> + Send + Sync>;

pub(crate) async fn overview(
    State(app): State<Arc<App>>,
    Person(session): Person,
    Query(wanted): Query<overview::Wanted>,
) -> Result<Response, Failure> {
    let wanted = Arc::new(wanted);
    follow(
        app,
        session,
        Box::new(move |app| {
            let wanted = Arc::clone(&wanted);
            Box::pin(async move { overview::View::now(&app, &wanted.by).await.ok()?.render().ok() })
        }),
    )
}

pub(crate) async fn releases(
    State(app): State<Arc<App>>,
    Person(session): Person,
    Query(wanted): Query<releases::Wanted>,
) -> Result<Response, Failure> {
    let wanted = Arc::new(wanted);
    follow(
        app,
        session,
        Box::new(move |app| {
            let wanted = Arc::clone(&wanted);
            Box::pin(async move { releases::View::now(&app, &wanted).await.ok()?.render().ok() })
        }),
    )
}

pub(crate) async fn release(
    State(app): State<Arc<App>>,
    Person(session): Person,
    Path(package): Path<i64>,
    Query(wanted): Query<release::Wanted>,
) -> Result<Response, Failure> {
    release::find(&app, package).await?;
    follow(
        app,
        session,
        Box::new(move |app| {
            let wanted = wanted.clone();
            Box::pin(
                async move { release::View::now(&app, package, &wanted).await.ok()?.render().ok() },
            )
        }),
    )
}

/// Ends with the session, and with the console.
fn follow(app: Arc<App>, session: Session, look: Look) -> Result<Response, Failure> {
    let place = Arc::clone(&app.watchers).try_acquire_owned().map_err(|_| Failure::busy())?;
    let feed = Feed { app, session, look, said: None, ticks: 0, rest: TICK, _place: place };
    let body = stream::unfold(feed, async |mut feed| {
        let text = feed.next().await?;
        Some((Ok::<_, Infallible>(text), feed))
    });
    let headers = [(header::CONTENT_TYPE, "text/event-stream")];
    Ok((headers, Body::from_stream(body)).into_response())
}

struct Feed {
    app: Arc<App>,
    session: Session,
    look: Look,
    said: Option<String>,
    ticks: u32,
    rest: Duration,
    _place: OwnedSemaphorePermit,
}

impl Feed {
    async fn next(&mut self) -> Option<String> {
        let mut stopping = self.app.stopping.clone();
        loop {
            if self.ticks > 0 {
                tokio::select! {
                    () = tokio::time::sleep(self.rest) => {}
                    _ = stopping.changed() => return None,
                }
            }
            if *stopping.borrow() || !self.app.doors.is_open(&self.session) {
                return None;
            }
            self.ticks = self.ticks.wrapping_add(1);
            if let Some(event) = self.event().await {
                return Some(event);
            }
            if self.ticks.is_multiple_of(TICKS_PER_SIGN) {
                return Some(":\n\n".to_owned());
            }
        }
    }

    /// The part as an event, if it is not as it was.
    async fn event(&mut self) -> Option<String> {
        let began = Instant::now();
        let text = (self.look)(Arc::clone(&self.app)).await?;
        self.rest = TICK.max(began.elapsed() * REST);
        if self.said.as_ref() == Some(&text) {
            return None;
        }
        let mut event = "event: part\n".to_owned();
        // What a script wrote may hold line ends of every kind; each begins a line of the event.
        for line in text.split(['\n', '\r']) {
            event.push_str("data: ");
            event.push_str(line);
            event.push('\n');
        }
        event.push('\n');
        self.said = Some(text);
        Some(event)
    }
}
