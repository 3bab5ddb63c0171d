//! One request and its response: retries, timeouts, and errors with names.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use documents::NodeKey;
use hub_api::limits::{HEARTBEAT_INTERVAL, HEARTBEATS_MISSED};
use hub_api::{MEDIA_BYTES, MEDIA_JSON};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::timeout;

use crate::activity::{Activity, UnderWay};
use crate::busy::{ASKED_AGAIN_MAX, asked_pause};
use crate::connect::Connector;
use crate::counting::WireCounters;
use crate::error::{ClientError, WaitingFor};
use crate::failure::failure;
use crate::incoming::Incoming;
use crate::outgoing::Outgoing;
use crate::pin::{Pin, tls_config, web_tls_config};
use crate::proxy::{Proxies, ProxyError};
use crate::versions::ToldVersions;

/// Most bytes hyper reads at once. Large reads are what keeps one connection at wire speed;
/// it begins with 8 KiB and grows only where that pays.
const READ_BYTES_MAX: usize = 1 << 20;

/// Pauses before the second and the third try: enough for a process to be started again behind
/// a proxy, and no longer than a user takes for a hiccup.
const RETRY_PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(400)];

/// Idle connections kept: as many as fetches and uploads overlap.
const IDLE_CONNECTIONS_MAX: usize = 8;
/// How long one is kept: below the time after which servers commonly close it.
const IDLE_CONNECTION_LIFETIME: Duration = Duration::from_secs(20);

/// How long a client waits for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection, resolving and TLS included.
    pub connect: Duration,
    /// For the head of a response, from when the last byte of the request was taken.
    pub response_head: Duration,
    /// For the next byte of a body.
    pub idle_body: Duration,
    /// For the whole of a JSON body, so that one sent byte by byte ends too.
    pub document: Duration,
    /// For the next byte of an event stream until the hub has told how often it has a heart-beat.
    pub idle_events: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            response_head: Duration::from_secs(30),
            idle_body: Duration::from_secs(30),
            document: Duration::from_mins(2),
            idle_events: HEARTBEAT_INTERVAL * HEARTBEATS_MISSED,
        }
    }
}

/// Whether a request that may have arrived can be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// The second arrival changes nothing.
    Harmless,
    /// Only while it is certain that nothing was sent.
    UnlessSent,
}

/// A request to be made.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) doing: &'static str,
    pub(crate) repeat: Repeat,
    pub(crate) body: Outgoing,
    pub(crate) headers: HeaderMap,
}

impl Call {
    pub(crate) fn new(method: Method, path: impl Into<String>, doing: &'static str) -> Self {
        // Every route but those that say otherwise comes to the same when asked twice.
        let (repeat, body, headers) = (Repeat::Harmless, Outgoing::default(), HeaderMap::new());
        Self { method, path: path.into(), doing, repeat, body, headers }
    }

    pub(crate) fn json(self, message: &impl serde::Serialize) -> Self {
        let body = serde_json::to_vec(message).expect("messages have text keys and no failing map");
        self.bytes(MEDIA_JSON, [body.into()])
    }

    pub(crate) fn octets(self, parts: impl IntoIterator<Item = Bytes>) -> Self {
        self.bytes(MEDIA_BYTES, parts)
    }

    fn bytes(self, media: &'static str, parts: impl IntoIterator<Item = Bytes>) -> Self {
        let call = Self { body: Outgoing::new(parts), ..self };
        call.header(header::CONTENT_TYPE, HeaderValue::from_static(media))
    }

    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    pub(crate) fn once(self) -> Self {
        Self { repeat: Repeat::UnlessSent, ..self }
    }
}

/// The way to one hub: its address, its connections, and how long to wait. Knows no sessions.
#[derive(Clone)]
pub(crate) struct Exchange {
    base: String,
    pub(crate) pin: Pin,
    pub(crate) key: Option<Arc<NodeKey>>,
    pub(crate) timeouts: Timeouts,
    pub(crate) counters: Arc<WireCounters>,
    /// Where calls say what they wait for.
    pub(crate) activity: Arc<Activity>,
    connector: Connector,
    /// Where it is noted what the hub wants of its clients.
    pub(crate) versions: Arc<ToldVersions>,
    http: legacy::Client<Connector, Outgoing>,
}

impl Exchange {
    pub(crate) fn new(
        url: &str,
        pin: Pin,
        key: Option<NodeKey>,
        timeouts: Timeouts,
    ) -> Result<Self, ClientError> {
        let unusable = |reason| ClientError::Url { url: url.chars().take(200).collect(), reason };
        let base = checked_base(url, pin).map_err(unusable)?;
        let counters = Arc::new(WireCounters::default());
        let tls = match pin {
            Pin::Fingerprint(fingerprint) => Some(Arc::new(tls_config(Some(fingerprint)))),
            Pin::Unknown => Some(Arc::new(tls_config(None))),
            Pin::WebPki => Some(Arc::new(web_tls_config().map_err(unusable)?)),
            Pin::None => None,
        };
        let connector = Connector {
            tls,
            counters: Arc::clone(&counters),
            timeout: timeouts.connect,
            proxies: Proxies::default(),
        };
        let http = pooled(connector.clone());
        Ok(Self {
            base,
            pin,
            key: key.map(Arc::new),
            timeouts,
            counters,
            activity: Arc::default(),
            connector,
            versions: Arc::default(),
            http,
        })
    }

    /// The same way, with these proxies on it.
    pub(crate) fn through(self, proxies: Proxies) -> Self {
        let connector = Connector { proxies, ..self.connector };
        Self { http: pooled(connector.clone()), connector, ..self }
    }

    /// See [`Connector::own_address`].
    pub(crate) async fn own_address(&self) -> io::Result<Option<IpAddr>> {
        let uri = self.base.parse().map_err(io::Error::other)?;
        self.connector.own_address(&uri).await
    }

    /// What proofs name the hub by.
    pub(crate) fn hub_identity(&self) -> [u8; 32] {
        self.pin.hub_identity(&self.base)
    }

    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    pub(crate) fn url(&self, call: &Call) -> String {
        format!("{}{}", self.base, call.path)
    }

    /// Sends the request and waits for the head of the response, whatever its status.
    ///
    /// Tries up to three times when the connection fails before any byte of a response, and
    /// comes again up to [`ASKED_AGAIN_MAX`] times to a busy hub that says when.
    pub(crate) async fn send(&self, call: &Call) -> Result<Response<Incoming>, ClientError> {
        let mut pauses = RETRY_PAUSES.iter();
        let mut again_left = if call.repeat == Repeat::Harmless { ASKED_AGAIN_MAX } else { 0 };
        let patience = self.timeouts.connect + self.timeouts.response_head;
        let now = Instant::now();
        let entry = self.activity.enter(UnderWay {
            doing: call.doing,
            hub: self.base.clone(),
            since: now,
            waiting_for: "an answer",
            next: "gives up",
            next_at: now + patience,
        });
        loop {
            entry.waits("an answer", "gives up", Instant::now() + patience);
            let error = match self.send_once(call).await {
                Ok(response) => match asked_pause(&response) {
                    Some(pause) if again_left > 0 => {
                        again_left -= 1;
                        drop(response);
                        // For a user who wonders why nothing moves.
                        let (hub, pause_s) = (&self.base, pause.as_secs());
                        tracing::warn!(hub, pause_s, "the hub is busy: waiting to {}", call.doing);
                        entry.waits("a turn at a busy hub", "asks again", Instant::now() + pause);
                        tokio::time::sleep(pause).await;
                        continue;
                    }
                    Some(_) | None => return Ok(response.map(|body| body.entered(entry))),
                },
                Err(error) => error,
            };
            let again = match &error {
                ClientError::Unreachable { .. } => true,
                ClientError::Proxy { source: ProxyError::TimedOut { .. }, .. } => false,
                ClientError::Proxy { source, .. } => source.is_retryable(),
                ClientError::Interrupted { .. } => call.repeat == Repeat::Harmless,
                ClientError::Url { .. }
                | ClientError::Tls { .. }
                | ClientError::WrongFingerprint { .. }
                | ClientError::TimedOut { .. }
                | ClientError::Problem { .. }
                | ClientError::Protocol { .. }
                | ClientError::Abandoned { .. } => false,
            };
            match pauses.next() {
                Some(pause) if again => {
                    tracing::debug!(%error, pause_ms = pause.as_millis(), "asking a hub again");
                    entry.waits("a new connection", "asks again", Instant::now() + *pause);
                    tokio::time::sleep(*pause).await;
                }
                _ => return Err(error),
            }
        }
    }

    async fn send_once(&self, call: &Call) -> Result<Response<Incoming>, ClientError> {
        let body = call.body.again();
        let progress = body.progress();
        let url = self.url(call);
        let mut request = Request::new(body);
        *request.method_mut() = call.method.clone();
        *request.uri_mut() = url.parse::<Uri>().map_err(|_| ClientError::Url {
            url: url.clone(),
            reason: "it is too long or holds characters that are not allowed",
        })?;
        *request.headers_mut() = call.headers.clone();
        request.headers_mut().insert(
            header::USER_AGENT,
            HeaderValue::from_static(concat!("consign/", env!("CARGO_PKG_VERSION"))),
        );
        let mut answer = std::pin::pin!(self.http.request(request));
        // Connecting has its own limit, so the first wait allows for it.
        let mut patience = self.timeouts.connect + self.timeouts.response_head;
        let mut taken_bytes = 0;
        loop {
            match timeout(patience, answer.as_mut()).await {
                Ok(Ok(response)) => {
                    let idle = self.timeouts.idle_body;
                    return Ok(response.map(|body| Incoming::new(body, url, call.doing, idle)));
                }
                Ok(Err(error)) => {
                    return Err(failure(url, call.doing, self.timeouts.connect, &error));
                }
                Err(_) if progress.taken_bytes() > taken_bytes => {
                    taken_bytes = progress.taken_bytes();
                    patience = self.timeouts.response_head;
                }
                Err(_) => {
                    let (waiting_for, after) = (WaitingFor::ResponseHead, patience);
                    return Err(ClientError::TimedOut {
                        url,
                        doing: call.doing,
                        waiting_for,
                        after,
                    });
                }
            }
        }
    }
}

/// A client that keeps connections.
fn pooled(connector: Connector) -> legacy::Client<Connector, Outgoing> {
    legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_CONNECTION_LIFETIME)
        .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
        .http1_max_buf_size(READ_BYTES_MAX)
        .build(connector)
}

/// The URL without its last slash, if it can be the base of all routes.
fn checked_base(url: &str, pin: Pin) -> Result<String, &'static str> {
    let uri: Uri = url.parse().map_err(|_| "it is no URL")?;
    let authority = uri.authority().ok_or("it names no host")?;
    match (uri.scheme_str(), pin) {
        (Some("https"), Pin::Fingerprint(_) | Pin::WebPki | Pin::Unknown)
        | (Some("http"), Pin::None) => {}
        (Some("https"), Pin::None) => return Err("its certificate's fingerprint is not known"),
        (Some("http"), Pin::WebPki | Pin::Unknown) => {
            return Err("its certificate shall be checked, so it must begin with https://");
        }
        (Some("http"), Pin::Fingerprint(_)) => {
            return Err("a fingerprint is known, so it must begin with https://");
        }
        _ => return Err("it begins with neither https:// nor http://"),
    }
    if authority.as_str().contains('@') {
        return Err("it holds a user name");
    }
    if uri.query().is_some() || url.contains('#') {
        return Err("it holds more than scheme, host, port and path");
    }
    Ok(url.trim_end_matches('/').to_owned())
}

/// Whether this is a status of an answer; a problem or a redirect is an error.
pub(crate) fn is_answer(call: &Call, status: StatusCode) -> bool {
    let conditional = call.headers.contains_key(header::IF_NONE_MATCH);
    status.is_success() || conditional && status == StatusCode::NOT_MODIFIED
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_hubs_are_taken() {
        let pinned = Pin::Fingerprint([1; 32]);
        for (url, pin, base) in [
            ("http://localhost:80", Pin::None, "http://localhost:80"),
            ("https://[::1]:7400/", pinned, "https://[::1]:7400"),
            ("https://example.org/hub/", pinned, "https://example.org/hub"),
        ] {
            assert_eq!(checked_base(url, pin).as_deref(), Ok(base));
        }
        for (url, pin) in [
            ("", pinned),
            ("localhost", pinned),
            ("/v1", pinned),
            ("ftp://localhost", pinned),
            ("https://localhost", Pin::None),
            ("http://localhost", Pin::Unknown),
            ("http://localhost", pinned),
            ("https://me:secret@localhost", pinned),
            ("https://localhost/?x=1", pinned),
            ("https://local host", pinned),
        ] {
            assert!(checked_base(url, pin).is_err(), "{url}");
        }
    }
}
