//! Conditional requests and ranges (RFC 9110, sections 13 and 14).

use std::ops::Range;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use hub_api::{MEDIA_JSON, ProblemCode};
use serde::Serialize;

use crate::app::App;
use crate::body;
use crate::places::{Place, SMALL_BYTES_MAX, Sharer};
use crate::refusal::Refusal;

/// A JSON answer with a tag of its bytes; without a body when the caller has it.
pub(crate) fn json(headers: &HeaderMap, answer: &impl Serialize) -> Response {
    Tagged::json(answer).response(headers)
}

/// The same for an answer that may be long, within `place`.
pub(crate) fn json_in(place: Place, headers: &HeaderMap, answer: &impl Serialize) -> Response {
    let Tagged { body, etag } = Tagged::json(answer);
    Tagged { body: place.hold(body), etag }.response(headers)
}

/// The same for an answer whose length nobody knows before; waits for room for it.
pub(crate) async fn long_json(
    app: &App,
    sharer: Sharer,
    headers: &HeaderMap,
    answer: &impl Serialize,
) -> Result<Response, Refusal> {
    let Tagged { body, etag } = Tagged::json(answer);
    let is_sent = !names_etag(headers, &etag);
    let body = if is_sent && body.len() > SMALL_BYTES_MAX {
        app.room(body.len(), sharer).await?.hold(body)
    } else {
        body
    };
    Ok(Tagged { body, etag }.response(headers))
}

/// An answer and what it is recognised by.
struct Tagged {
    body: Bytes,
    etag: HeaderValue,
}

impl Tagged {
    fn json(answer: &impl Serialize) -> Self {
        let body = serde_json::to_vec(answer).expect("an answer is plain data");
        let etag = etag(&blake3::hash(&body).to_hex()[..32]);
        // What was set aside while it grew is not kept while it is sent.
        Self { body: body.into_boxed_slice().into(), etag }
    }

    fn response(self, headers: &HeaderMap) -> Response {
        let Self { body, etag } = self;
        let common = [
            // Revalidated each time, by the one caller it was for.
            (header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache")),
            (header::VARY, HeaderValue::from_static("authorization")),
            (header::ETAG, etag.clone()),
        ];
        if names_etag(headers, &etag) {
            return (StatusCode::NOT_MODIFIED, common).into_response();
        }
        let media = [(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_JSON))];
        (common, media, body::bytes(body)).into_response()
    }
}

/// The tag of what is called `digits`.
pub(crate) fn etag(digits: impl std::fmt::Display) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{digits}\"")).expect("hexadecimal digits in quotes")
}

/// Whether `If-None-Match` names the tag.
pub(crate) fn names_etag(headers: &HeaderMap, etag: &HeaderValue) -> bool {
    headers.get_all(header::IF_NONE_MATCH).iter().any(|value| {
        value.to_str().is_ok_and(|value| {
            value
                .split(',')
                .map(str::trim)
                .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
        })
    })
}

/// The range that a request asks for out of `length` bytes; `None` for all of them and for what
/// the standard says to ignore: other units, several ranges, a malformed one.
pub(crate) fn range(headers: &HeaderMap, length: u64) -> Result<Option<Range<u64>>, Refusal> {
    let range = headers.get(header::RANGE).and_then(|range| range.to_str().ok());
    range.map_or(Ok(None), |range| parse_range(range, length))
}

fn parse_range(text: &str, length: u64) -> Result<Option<Range<u64>>, Refusal> {
    let Some((first, last)) = text.strip_prefix("bytes=").and_then(|text| text.split_once('-'))
    else {
        return Ok(None);
    };
    let (first, last) = (first.trim(), last.trim());
    let range = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(length),
        (Some(first), None) if last.is_empty() => first..length,
        (None, Some(last)) if first.is_empty() => length.saturating_sub(last)..length,
        (Some(_) | None, Some(_) | None) => return Ok(None),
    };
    if range.is_empty() {
        return Err(Refusal::new(ProblemCode::RangeNotSatisfiable, format!("of {length} bytes")));
    }
    Ok(Some(range))
}

/// A number as the standard writes it: digits alone, for `parse` takes a sign too.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// `Content-Range` of a part.
pub(crate) fn content_range(range: &Range<u64>, length: u64) -> HeaderValue {
    let (first, last) = (range.start, range.end - 1);
    HeaderValue::from_str(&format!("bytes {first}-{last}/{length}")).expect("digits and signs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_the_standard() {
        let parsed = |text| parse_range(text, 10).map_err(|_| "not satisfiable");
        assert_eq!(parsed("bytes=0-3"), Ok(Some(0..4)));
        assert_eq!(parsed("bytes=3-3"), Ok(Some(3..4)));
        assert_eq!(parsed("bytes=8-"), Ok(Some(8..10)));
        assert_eq!(parsed("bytes=-3"), Ok(Some(7..10)));
        assert_eq!(parsed("bytes=-30"), Ok(Some(0..10)));
        assert_eq!(parsed("bytes=5-18446744073709551615"), Ok(Some(5..10)));
        assert_eq!(parsed("bytes=10-"), Err("not satisfiable"));
        assert_eq!(parsed("bytes=-0"), Err("not satisfiable"));
        for ignored in [
            "bytes=4-3",
            "bytes=0-1,3-4",
            "items=0-1",
            "bytes=a-b",
            "bytes=-",
            "0-1",
            "bytes=+1-3",
            "bytes=-+3",
        ] {
            assert_eq!(parsed(ignored), Ok(None), "{ignored}");
        }
    }

    #[test]
    fn tags_are_found_among_others() {
        let mut headers = HeaderMap::new();
        assert!(!names_etag(&headers, &etag("a")));
        headers.insert(header::IF_NONE_MATCH, HeaderValue::from_static("\"b\", W/\"a\""));
        assert!(names_etag(&headers, &etag("a")));
        assert!(!names_etag(&headers, &etag("c")));
    }
}
