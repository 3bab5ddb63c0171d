//! Reading bodies: bounded in length, and in silence.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::extract::{FromRequest, Request};
use axum::http::header;
use bytes::Bytes;
use futures_util::StreamExt as _;
use hub_api::limits::REQUEST_BYTES_MAX;
use hub_api::{MEDIA_JSON, ProblemCode};
use serde::de::DeserializeOwned;

use crate::app::App;
use crate::refusal::Refusal;

/// A body that is read piece by piece.
pub(crate) struct BoundedBody {
    stream: BodyDataStream,
    left_bytes: usize,
    expected_bytes: usize,
    idle_time: Duration,
}

impl BoundedBody {
    /// Wraps the body of a request that may have at most `bytes_max`.
    pub(crate) fn new(
        request: Request,
        bytes_max: usize,
        idle_time: Duration,
    ) -> Result<Self, Refusal> {
        let declared = request.headers().get(header::CONTENT_LENGTH);
        let declared = declared.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if declared.is_some_and(|declared| declared > bytes_max as u64) {
            return Err(too_large(bytes_max));
        }
        let stream = request.into_body().into_data_stream();
        let declared = declared.and_then(|declared| usize::try_from(declared).ok());
        let expected_bytes = declared.unwrap_or(bytes_max);
        Ok(Self { stream, left_bytes: bytes_max, expected_bytes, idle_time })
    }

    /// How many bytes it is said to have, or may have when nothing is said.
    pub(crate) fn bytes_expected(&self) -> usize {
        self.expected_bytes
    }

    /// The next piece; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        let Ok(next) = tokio::time::timeout(self.idle_time, self.stream.next()).await else {
            let silence = format!("no bytes for {} s", self.idle_time.as_secs());
            return Err(Refusal::new(ProblemCode::RequestTimeout, silence).closing());
        };
        match next {
            None => Ok(None),
            Some(Ok(bytes)) => {
                self.left_bytes = self
                    .left_bytes
                    .checked_sub(bytes.len())
                    .ok_or_else(|| too_large("this route takes"))?;
                Ok(Some(bytes))
            }
            Some(Err(_)) => Err(Refusal::malformed("the body was cut short").closing()),
        }
    }

    /// All of it.
    pub(crate) async fn whole(mut self) -> Result<Vec<u8>, Refusal> {
        let mut whole = Vec::new();
        while let Some(bytes) = self.next().await? {
            whole.extend_from_slice(&bytes);
        }
        Ok(whole)
    }
}

fn too_large(limit: impl std::fmt::Display) -> Refusal {
    Refusal::new(ProblemCode::BodyTooLarge, format!("more bytes than {limit}")).closing()
}

/// A JSON body of at most so many bytes, usually [`REQUEST_BYTES_MAX`].
pub(crate) struct Json<T, const BYTES_MAX: usize = REQUEST_BYTES_MAX>(pub(crate) T);

impl<T: DeserializeOwned, const BYTES_MAX: usize> FromRequest<Arc<App>> for Json<T, BYTES_MAX> {
    type Rejection = Refusal;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Refusal> {
        expect_json(&request)?;
        let body = BoundedBody::new(request, BYTES_MAX, app.limits.idle_time)?;
        parse_json(&body.whole().await?).map(Self)
    }
}

/// Refuses a request whose body is of another media type.
pub(crate) fn expect_json(request: &Request) -> Result<(), Refusal> {
    let media = request.headers().get(header::CONTENT_TYPE);
    let media = media.and_then(|media| media.to_str().ok()?.split(';').next());
    if media.map(str::trim) == Some(MEDIA_JSON) {
        return Ok(());
    }
    let expected = format!("expected {MEDIA_JSON}");
    Err(Refusal::new(ProblemCode::UnsupportedMediaType, expected).closing())
}

/// Reads a message; where it is malformed is told, and no more.
pub(crate) fn parse_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    // The message of the parser may quote the body, which may hold a secret.
    serde_json::from_slice(body).map_err(|error| {
        Refusal::malformed(format!("line {} column {}", error.line(), error.column()))
    })
}

/// A response body of bytes that are at hand.
pub(crate) fn bytes(bytes: impl Into<Bytes>) -> Body {
    Body::from(bytes.into())
}
