//! Waiting for releases and other news.

use std::collections::VecDeque;
use std::time::Duration;

use documents::ReleaseName;
use hub_api::limits::{HEARTBEAT_INTERVAL_MAX, HEARTBEAT_INTERVAL_MIN, HEARTBEATS_MISSED};
use hub_api::{EVENT_HEARTBEAT, EVENT_RELEASE, HeartbeatEvent, MEDIA_EVENTS, ReleaseEvent, routes};
use hyper::Method;
use hyper::header::{ACCEPT, HeaderName, HeaderValue};
use serde::de::DeserializeOwned;

use crate::client::HubClient;
use crate::error::ClientError;
use crate::event_stream::EventParser;
use crate::exchange::Call;
use crate::incoming::Incoming;
use crate::session::Need;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// What the hub announces on a stream.
///
/// The hub's word alone: ask for what it speaks of and verify that. When the stream ends or fails,
/// ask again with [`Events::last_event_id`]; whether and when is for the caller to say.
pub struct Events<T> {
    body: Incoming,
    parser: EventParser,
    kind: &'static str,
    ready: VecDeque<(String, T)>,
    last_event_id: Option<String>,
}

/// Releases as the hub announces them: read the head and verify it.
pub type ReleaseEvents = Events<ReleaseEvent>;

impl<T: DeserializeOwned> Events<T> {
    /// The next event; `None` when the hub ended the stream.
    ///
    /// # Errors
    /// [`ClientError::TimedOut`] when three heart-beats in a row did not come, otherwise see [`ClientError`].
    pub async fn next(&mut self) -> Result<Option<T>, ClientError> {
        loop {
            if let Some((id, event)) = self.ready.pop_front() {
                self.last_event_id = (!id.is_empty()).then_some(id);
                return Ok(Some(event));
            }
            let Some(bytes) = self.body.next().await? else { return Ok(None) };
            let (mut malformed, mut told) = (None, None);
            let (ready, parser) = (&mut self.ready, &mut self.parser);
            let pushed = parser.push(&bytes, |event| {
                if event.kind == EVENT_HEARTBEAT {
                    match serde_json::from_str::<HeartbeatEvent>(&event.data) {
                        Ok(heartbeat) => told = Some(heartbeat),
                        Err(error) => malformed = Some(error),
                    }
                    return;
                }
                // Events of other kinds are for later clients.
                if event.kind != self.kind {
                    return;
                }
                match serde_json::from_str(&event.data) {
                    Ok(event_data) => ready.push_back((event.id, event_data)),
                    Err(error) => malformed = Some(error),
                }
            });
            if pushed.is_err() {
                return Err(self.body.protocol("an event longer than any"));
            }
            if let Some(error) = malformed {
                return Err(self.body.protocol(format!("a malformed event: {error}")));
            }
            if let Some(told) = told {
                self.body.set_idle(silence(told));
            }
        }
    }

    /// Where to go on with a new stream: the id of the last event that was returned.
    #[must_use]
    pub fn last_event_id(&self) -> Option<&str> {
        self.last_event_id.as_deref()
    }
}

/// How long such a stream may be silent: whatever the hub tells, a line is not called broken for a moment's silence,
/// nor waited for without end.
fn silence(told: HeartbeatEvent) -> Duration {
    let interval = Duration::from_secs(told.interval_s);
    interval.clamp(HEARTBEAT_INTERVAL_MIN, HEARTBEAT_INTERVAL_MAX) * HEARTBEATS_MISSED
}

impl HubClient {
    /// Waits for new releases of a name: those after the event `last_event_id`, else those from
    /// now on.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn events(
        &self,
        name: &ReleaseName,
        last_event_id: Option<&str>,
    ) -> Result<ReleaseEvents, ClientError> {
        let call = Call::new(Method::GET, routes::events(name), "wait for releases");
        self.stream(call, EVENT_RELEASE, last_event_id, Need::Wanted).await
    }

    /// Opens a stream and takes its events of one kind.
    pub(crate) async fn stream<T>(
        &self,
        call: Call,
        kind: &'static str,
        last_event_id: Option<&str>,
        need: Need,
    ) -> Result<Events<T>, ClientError> {
        let mut call = call.header(ACCEPT, HeaderValue::from_static(MEDIA_EVENTS));
        if let Some(id) = last_event_id.and_then(|id| HeaderValue::from_str(id).ok()) {
            call = call.header(LAST_EVENT_ID, id);
        }
        let response = self.sessions.call(&self.exchange, &call, need).await?;
        let body = response.into_body().with_idle(self.exchange.timeouts.idle_events);
        Ok(Events {
            body,
            parser: EventParser::default(),
            kind,
            ready: VecDeque::new(),
            last_event_id: last_event_id.map(str::to_owned),
        })
    }
}
