//! `GET /v1/chunks/{id}`: one chunk, immutable, for any proxy or CDN to keep.

use std::ops::Range;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use content::ChunkId;
use hub_api::{Hex, MEDIA_BYTES, ProblemCode};
use hub_db::Caller;

use crate::app::App;
use crate::body;
use crate::caller::{Segments, Visitor};
use crate::refusal::Refusal;

const PUBLIC: &str = "public, max-age=31536000, immutable";
const PRIVATE: &str = "private, max-age=31536000, immutable";

pub(crate) async fn one_chunk(
    State(app): State<Arc<App>>,
    Visitor(caller): Visitor,
    segments: Segments,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let id: Hex<32> = segments.parse("id")?;
    let etag = format!("\"{id}\"");
    let id = ChunkId::from_bytes(id.0);
    let public = app.access.readable(&Caller::Anonymous, &[id]).await?.contains(&id);
    if !public && !app.access.readable(&caller, &[id]).await?.contains(&id) {
        return Err(Refusal::not_found());
    }
    let common = [
        (header::CACHE_CONTROL, HeaderValue::from_static(if public { PUBLIC } else { PRIVATE })),
        (header::ETAG, HeaderValue::from_str(&etag).expect("hexadecimal digits in quotes")),
        (header::VARY, HeaderValue::from_static("authorization")),
    ];
    if names_etag(&headers, &etag) {
        return Ok((StatusCode::NOT_MODIFIED, common).into_response());
    }
    let bytes = app.store.read(&id).await?.ok_or_else(Refusal::not_found)?;
    let common = (
        common,
        [
            (header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_BYTES)),
            (header::ACCEPT_RANGES, HeaderValue::from_static("bytes")),
        ],
    );
    // A range of another version cannot be asked for: an id has one version.
    let range = headers.get(header::RANGE).and_then(|range| range.to_str().ok());
    match range.map_or(Ok(None), |range| parse_range(range, bytes.len()))? {
        None => Ok((common.0, common.1, body::bytes(bytes)).into_response()),
        Some(range) => {
            let (first, last) = (range.start, range.end - 1);
            let place = [(header::CONTENT_RANGE, format!("bytes {first}-{last}/{}", bytes.len()))];
            let part = body::bytes(bytes.slice(range));
            Ok((StatusCode::PARTIAL_CONTENT, common.0, common.1, place, part).into_response())
        }
    }
}

/// Whether `If-None-Match` names the tag.
pub(super) fn names_etag(headers: &HeaderMap, etag: &str) -> bool {
    headers.get_all(header::IF_NONE_MATCH).iter().any(|value| {
        value.to_str().is_ok_and(|value| {
            value
                .split(',')
                .map(str::trim)
                .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
        })
    })
}

/// One range of bytes out of `length`; `None` for what RFC 9110 says to ignore: other units,
/// several ranges, a malformed one.
fn parse_range(text: &str, length: usize) -> Result<Option<Range<usize>>, Refusal> {
    let Some((first, last)) = text.strip_prefix("bytes=").and_then(|text| text.split_once('-'))
    else {
        return Ok(None);
    };
    let (first, last) = (first.trim(), last.trim());
    let range = match (first.parse::<usize>(), last.parse::<usize>()) {
        (Ok(first), Ok(last)) if first <= last => first..last.saturating_add(1).min(length),
        (Ok(first), Err(_)) if last.is_empty() => first..length,
        (Err(_), Ok(last)) if first.is_empty() => length.saturating_sub(last)..length,
        (Ok(_) | Err(_), Ok(_) | Err(_)) => return Ok(None),
    };
    if range.is_empty() {
        return Err(Refusal::new(ProblemCode::RangeNotSatisfiable, format!("of {length} bytes")));
    }
    Ok(Some(range))
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
        for ignored in ["bytes=4-3", "bytes=0-1,3-4", "items=0-1", "bytes=a-b", "bytes=-", "0-1"] {
            assert_eq!(parsed(ignored), Ok(None), "{ignored}");
        }
    }

    #[test]
    fn tags_are_found_among_others() {
        let mut headers = HeaderMap::new();
        assert!(!names_etag(&headers, "\"a\""));
        headers.insert(header::IF_NONE_MATCH, HeaderValue::from_static("\"b\", W/\"a\""));
        assert!(names_etag(&headers, "\"a\""));
        assert!(!names_etag(&headers, "\"c\""));
    }
}
