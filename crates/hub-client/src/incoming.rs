//! The body of a response: bounded in size and in time.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use content::ChunkId;
use http_body_util::BodyExt as _;
use hub_api::{Hex, MEDIA_PROBLEM, Problem, ProblemCode};
use hyper::Response;
use hyper::header::{CONTENT_TYPE, LOCATION};
use tokio::time::timeout;

use crate::activity::Entry;
use crate::error::{ClientError, WaitingFor};
use crate::failure::broken;

/// Longest detail of a problem that is kept, in characters; a paragraph.
const DETAIL_CHARS_MAX: usize = 500;

/// How much has to come in [`PACE_WINDOW`] of waiting, where a pace is kept: what the slowest of links
/// carries, far below any that chunks are fetched over. Whoever sends less holds the connection on purpose.
const PACE_BYTES: u64 = 1024;
const PACE_WINDOW: Duration = Duration::from_mins(5);

/// A body as it arrives, and what it is the answer to.
pub(crate) struct Incoming {
    body: hyper::body::Incoming,
    url: String,
    doing: &'static str,
    idle: Duration,
    entry: Option<Entry>,
    pace: Option<Pace>,
}

/// What came since the window began, and how long was waited for it.
#[derive(Default)]
struct Pace {
    came_bytes: u64,
    waited: Duration,
}

impl Pace {
    /// Whether it is kept after this.
    fn is_kept(&mut self, came: &Bytes, waited: Duration) -> bool {
        self.came_bytes += came.len() as u64;
        self.waited += waited;
        if self.came_bytes >= PACE_BYTES {
            *self = Self::default();
        }
        self.waited < PACE_WINDOW
    }
}

impl Incoming {
    pub(crate) fn new(
        body: hyper::body::Incoming,
        url: String,
        doing: &'static str,
        idle: Duration,
    ) -> Self {
        Self { body, url, doing, idle, entry: None, pace: None }
    }

    /// Ends with an error when it comes slower than any link is, however regularly.
    pub(crate) fn with_pace(self) -> Self {
        Self { pace: Some(Pace::default()), ..self }
    }

    /// Keeps the call in the list of those under way until the body was read or dropped.
    pub(crate) fn entered(self, entry: Entry) -> Self {
        Self { entry: Some(entry), ..self }
    }

    /// Waits so long for the next byte instead.
    pub(crate) fn with_idle(self, idle: Duration) -> Self {
        Self { idle, ..self }
    }

    /// Waits so long for the next byte from now on.
    pub(crate) fn set_idle(&mut self, idle: Duration) {
        self.idle = idle;
    }

    /// The next bytes; `None` at the end of a body that was not cut short.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        loop {
            if let Some(entry) = &self.entry {
                entry.waits("more of the answer", "gives up", Instant::now() + self.idle);
            }
            let began = tokio::time::Instant::now();
            let frame = match timeout(self.idle, self.body.frame()).await {
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(error))) => return Err(broken(self.url.clone(), self.doing, &error)),
                Ok(None) => return Ok(None),
                Err(_) => return Err(self.timed_out(self.idle)),
            };
            match frame.into_data() {
                Ok(bytes) if bytes.is_empty() => {}
                Ok(bytes) => {
                    let pace = self.pace.as_mut();
                    if pace.is_none_or(|pace| pace.is_kept(&bytes, began.elapsed())) {
                        return Ok(Some(bytes));
                    }
                    return Err(self.timed_out(PACE_WINDOW));
                }
                // Trailers: nothing in them is for us.
                Err(_) => {}
            }
        }
    }

    /// The whole body if it is no longer than `bytes_max` and complete within `whole`.
    pub(crate) async fn collect(
        mut self,
        bytes_max: usize,
        whole: Duration,
    ) -> Result<Bytes, ClientError> {
        let collecting = async {
            let mut all = BytesMut::new();
            while let Some(bytes) = self.next().await? {
                if all.len() + bytes.len() > bytes_max {
                    return Err(self.protocol(format!("it is longer than {bytes_max} bytes")));
                }
                all.extend_from_slice(&bytes);
            }
            Ok(all.freeze())
        };
        match timeout(whole, collecting).await {
            Ok(collected) => collected,
            Err(_) => Err(self.timed_out(whole)),
        }
    }

    pub(crate) fn protocol(&self, reason: impl Into<String>) -> ClientError {
        ClientError::Protocol { url: self.url.clone(), doing: self.doing, reason: reason.into() }
    }

    pub(crate) fn abandoned(&self) -> ClientError {
        ClientError::Abandoned { url: self.url.clone(), doing: self.doing }
    }

    fn timed_out(&self, after: Duration) -> ClientError {
        let (url, doing) = (self.url.clone(), self.doing);
        ClientError::TimedOut { url, doing, waiting_for: WaitingFor::Body, after }
    }
}

/// Reads why the request was refused.
pub(crate) async fn refusal(response: Response<Incoming>, whole: Duration) -> ClientError {
    let status = response.status();
    let (head, body) = response.into_parts();
    if status.is_redirection() {
        let target = head.headers.get(LOCATION).and_then(|target| target.to_str().ok());
        let target = printable(target.unwrap_or("nowhere"));
        return body.protocol(format!("a redirect to {target}, which is not followed"));
    }
    let media = head.headers.get(CONTENT_TYPE).and_then(|media| media.to_str().ok());
    let is_problem = media.is_some_and(|media| media.starts_with(MEDIA_PROBLEM));
    let (url, doing) = (body.url.clone(), body.doing);
    let problem = if is_problem {
        let bytes = match body.collect(hub_api::limits::RESPONSE_BYTES_MAX, whole).await {
            Ok(bytes) => bytes,
            Err(error) => return error,
        };
        match serde_json::from_slice::<Problem>(&bytes) {
            Ok(problem) => problem,
            Err(error) => {
                let reason = format!("a malformed problem document: {error}");
                return ClientError::Protocol { url, doing, reason };
            }
        }
    } else {
        let detail = status.canonical_reason().unwrap_or("no reason given");
        Problem::new(ProblemCode::Unknown, detail)
    };
    let ids = problem.missing.iter().take(hub_api::limits::MISSING_IDS_MAX);
    ClientError::Problem {
        url,
        doing,
        code: problem.code,
        status: status.as_u16(),
        detail: printable(&problem.detail),
        missing: ids.map(|Hex(id)| ChunkId::from_bytes(*id)).collect(),
    }
}

/// What may be shown on a terminal of a text from outside.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(DETAIL_CHARS_MAX).collect()
}
