//! Waiting for releases.

use std::collections::VecDeque;

use documents::ReleaseName;
use hub_api::{EVENT_RELEASE, MEDIA_EVENTS, ReleaseEvent, routes};
use hyper::Method;
use hyper::header::{ACCEPT, HeaderName, HeaderValue};

use crate::client::HubClient;
use crate::error::ClientError;
use crate::event_stream::EventParser;
use crate::exchange::Call;
use crate::incoming::Incoming;
use crate::session::Need;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Releases as the hub announces them.
///
/// The hub's word alone: read the head and verify it. When the stream ends or fails, ask again
/// with [`ReleaseEvents::last_event_id`]; whether and when is for the caller to say.
pub struct ReleaseEvents {
    body: Incoming,
    parser: EventParser,
    ready: VecDeque<(String, ReleaseEvent)>,
    last_event_id: Option<String>,
}

impl ReleaseEvents {
    /// The next release; `None` when the hub ended the stream.
    ///
    /// # Errors
    /// [`ClientError::TimedOut`] when not even a heart-beat came, otherwise see [`ClientError`].
    pub async fn next(&mut self) -> Result<Option<ReleaseEvent>, ClientError> {
        loop {
            if let Some((id, event)) = self.ready.pop_front() {
                self.last_event_id = (!id.is_empty()).then_some(id);
                return Ok(Some(event));
            }
            let Some(bytes) = self.body.next().await? else { return Ok(None) };
            let mut malformed = None;
            let (ready, parser) = (&mut self.ready, &mut self.parser);
            let pushed = parser.push(&bytes, |event| {
                // Events of other kinds are for later clients.
                if event.kind != EVENT_RELEASE {
                    return;
                }
                match serde_json::from_str(&event.data) {
                    Ok(release) => ready.push_back((event.id, release)),
                    Err(error) => malformed = Some(error),
                }
            });
            if pushed.is_err() {
                return Err(self.body.protocol("an event longer than any"));
            }
            if let Some(error) = malformed {
                return Err(self.body.protocol(format!("a malformed event: {error}")));
            }
        }
    }

    /// Where to go on with a new stream: the id of the last release that was returned.
    #[must_use]
    pub fn last_event_id(&self) -> Option<&str> {
        self.last_event_id.as_deref()
    }
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
        let mut call = Call::new(Method::GET, routes::events(name), "wait for releases")
            .header(ACCEPT, HeaderValue::from_static(MEDIA_EVENTS));
        if let Some(id) = last_event_id.and_then(|id| HeaderValue::from_str(id).ok()) {
            call = call.header(LAST_EVENT_ID, id);
        }
        let response = self.sessions.call(&self.exchange, &call, Need::Wanted).await?;
        let body = response.into_body().with_idle(self.exchange.timeouts.idle_events);
        Ok(ReleaseEvents {
            body,
            parser: EventParser::default(),
            ready: VecDeque::new(),
            last_event_id: last_event_id.map(str::to_owned),
        })
    }
}
