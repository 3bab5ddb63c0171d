//! The same `POST` under the same idempotency key is done once.
//!
//! The answer is kept for a day and repeated. It may hold a secret that is told once, a token or
//! an invitation, so it is kept encrypted under the idempotency key itself, of which the database
//! has a hash: whoever reads the database reads no secret, and whoever repeats the request has
//! shown the key.
//!
//! What failed so late that it may have been done is not done again under the key before
//! [`hub_db::CLAIM_RUNNING`] has passed or the hub was started anew: until then the answer is that
//! it is running.

use std::future::Future;
use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use hub_api::limits::{IDEMPOTENCY_KEY_CHARS_MAX, IDEMPOTENCY_KEY_CHARS_MIN, REQUEST_BYTES_MAX};
use hub_api::{IDEMPOTENCY_KEY, MEDIA_JSON, ProblemCode};
use hub_db::{AccountId, Claim};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::acts::to_its_end;
use crate::app::App;
use crate::body::{BoundedBody, expect_json, parse_json};
use crate::files::unix_now;
use crate::refusal::Refusal;

/// A JSON body and the key it was sent under, if any.
pub(crate) struct Once<T> {
    pub(crate) message: T,
    key: Option<Key>,
}

/// A key with what it was used for.
struct Key {
    text: String,
    request_hash: [u8; 32],
}

impl<T: DeserializeOwned> FromRequest<Arc<App>> for Once<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Refusal> {
        let text = key_text(request.headers()).map_err(Refusal::closing)?;
        expect_json(&request)?;
        let mut hasher = blake3::Hasher::new();
        for part in [request.method().as_str(), request.uri().path()] {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
        }
        let body = BoundedBody::new(request, REQUEST_BYTES_MAX, app.limits.idle_time)?;
        let body = body.whole().await?;
        let request_hash = *hasher.update(&body).finalize().as_bytes();
        let key = text.map(|text| Key { text, request_hash });
        Ok(Self { message: parse_json(&body)?, key })
    }
}

fn key_text(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let fits = |text: &&str| {
        (IDEMPOTENCY_KEY_CHARS_MIN..=IDEMPOTENCY_KEY_CHARS_MAX).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_graphic())
    };
    let text = value.to_str().ok().filter(fits).ok_or_else(|| {
        Refusal::malformed(format!(
            "an idempotency key has {IDEMPOTENCY_KEY_CHARS_MIN} to {IDEMPOTENCY_KEY_CHARS_MAX} \
             visible characters"
        ))
    })?;
    Ok(Some(text.to_owned()))
}

impl<T> Once<T> {
    /// The message, and what to run what it asks for with.
    pub(crate) fn split(self) -> (T, Done) {
        (self.message, Done(self.key))
    }
}

/// Sees to it that what a request asks for is done once.
pub(crate) struct Done(Option<Key>);

impl Done {
    /// Runs `work` to its end, or answers as before.
    pub(crate) async fn once<T, Work>(
        self,
        app: &Arc<App>,
        account: AccountId,
        work: Work,
    ) -> Result<Response, Refusal>
    where
        T: Serialize + Send + 'static,
        Work: Future<Output = Result<(StatusCode, T), Refusal>> + Send + 'static,
    {
        let Some(Key { text, request_hash }) = self.0 else {
            let (status, answer) = to_its_end(work).await?;
            return Ok(answered(status, plain(&answer)));
        };
        let name = blake3::hash(text.as_bytes()).to_hex().to_string();
        match app.db.claim(account, &name, &request_hash, unix_now()).await? {
            Claim::New => {}
            Claim::Running => return Err(Refusal::new(ProblemCode::IdempotencyRunning, "")),
            Claim::OtherRequest => {
                return Err(Refusal::new(ProblemCode::IdempotencyMismatch, ""));
            }
            Claim::Answered { status, mut body } => {
                mask(&text, &request_hash, &mut body);
                let status = StatusCode::from_u16(status);
                let status = status.map_err(|error| Refusal::internal(&error))?;
                return Ok(answered(status, body));
            }
        }
        let app = Arc::clone(app);
        to_its_end(async move {
            match work.await {
                Ok((status, answer)) => {
                    let body = plain(&answer);
                    let mut masked = body.clone();
                    mask(&text, &request_hash, &mut masked);
                    app.db.answer(account, &name, status.as_u16(), &masked).await?;
                    Ok(answered(status, body))
                }
                Err(refusal) if refusal.is_maybe_done() => Err(refusal),
                Err(refusal) => {
                    // What was refused changed nothing, and may be right the next time.
                    app.db.unclaim(account, &name).await?;
                    Err(refusal)
                }
            }
        })
        .await
    }
}

fn plain(answer: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(answer).expect("an answer is plain data")
}

fn answered(status: StatusCode, body: Vec<u8>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_JSON)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (status, headers, body).into_response()
}

/// Encrypts or decrypts: a stream that depends on key and request, so that none is used twice.
fn mask(key: &str, request_hash: &[u8; 32], body: &mut [u8]) {
    let mut hasher = blake3::Hasher::new_derive_key("consign hub 1 answer under idempotency key");
    hasher.update(request_hash).update(key.as_bytes());
    let mut stream = vec![0; body.len()];
    hasher.finalize_xof().fill(&mut stream);
    body.iter_mut().zip(stream).for_each(|(byte, mask)| *byte ^= mask);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_visible_and_long_enough() {
        let parsed = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(IDEMPOTENCY_KEY, HeaderValue::from_static(text));
            key_text(&headers).is_ok()
        };
        assert!(parsed("0123456789abcdef"));
        assert!(!parsed("0123456789abcde"));
        assert!(!parsed("0123456789 abcdef"));
        assert!(key_text(&HeaderMap::new()).is_ok_and(|key| key.is_none()));
    }

    #[test]
    fn an_answer_is_hidden_and_comes_back() {
        let mut body = b"a secret token".to_vec();
        mask("0123456789abcdef", &[1; 32], &mut body);
        assert_ne!(body, b"a secret token");
        mask("0123456789abcdef", &[1; 32], &mut body);
        assert_eq!(body, b"a secret token");
        mask("0123456789abcdeg", &[1; 32], &mut body);
        assert_ne!(body, b"a secret token");
    }
}
