//! Targets for what a request says to the hub beside its body, and for the console's forms.

use std::net::IpAddr;

use documents::ReleaseName;
use hub::fuzzing;

use crate::Verdict;

/// What it was asked for is there.
fn is_there<T>(found: Option<T>) -> Verdict {
    if found.is_some() { Verdict::Accepted } else { Verdict::Refused }
}

/// A header that was sent once for each line.
fn lines(bytes: &[u8]) -> Vec<&[u8]> {
    bytes.split(|byte| *byte == b'\n').collect()
}

/// A `Range` header; the first eight bytes say of how many bytes a part is asked for.
#[must_use]
pub fn range_header(bytes: &[u8]) -> Verdict {
    let Some((length, value)) = bytes.split_first_chunk() else { return Verdict::Refused };
    let length = u64::from_le_bytes(*length);
    let range = fuzzing::range(value, length);
    if let Some(range) = &range {
        assert!(range.start < range.end && range.end <= length, "{range:?} of {length}");
        let strange = value[b"bytes=".len()..]
            .iter()
            .find(|byte| !(byte.is_ascii_digit() || byte.is_ascii_whitespace() || **byte == b'-'));
        assert_eq!(strange, None, "no range of the standard");
        let (first, last) = (range.start, range.end - 1);
        let plain = format!("bytes={first}-{last}");
        assert_eq!(fuzzing::range(plain.as_bytes(), length).as_ref(), Some(range));
        let told = format!("bytes {first}-{last}/{length}");
        assert_eq!(fuzzing::content_range(range, length), told.as_bytes());
    }
    is_there(range)
}

/// `If-None-Match` headers, one on a line.
#[must_use]
pub fn if_none_match(bytes: &[u8]) -> Verdict {
    const DIGITS: &str = "0123456789abcdef";
    let tag = format!("\"{DIGITS}\"");
    let headers = lines(bytes);
    let Some(is_named) = fuzzing::names_etag(&headers, DIGITS) else { return Verdict::Refused };
    if is_named {
        let is_in = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
        assert!(is_in(tag.as_bytes()) || is_in(b"*"), "named out of nothing");
    }
    let more = [&headers[..], &[tag.as_bytes()]].concat();
    assert_eq!(fuzzing::names_etag(&more, DIGITS), Some(true), "found behind all others");
    is_there(is_named.then_some(()))
}

/// `X-Forwarded-For` headers, one on a line, of which only what trusted proxies wrote counts.
#[must_use]
pub fn forwarded_for(bytes: &[u8]) -> Verdict {
    let [proxy, next, stranger, client] = ["10.0.0.1", "10.0.0.2", "203.0.113.9", "2001:db8::7"]
        .map(|text| text.parse::<IpAddr>().expect("an address"));
    let trusted = [proxy, next];
    let headers = lines(bytes);
    let Some(found) = fuzzing::client(proxy, &headers, &trusted) else {
        return Verdict::Refused;
    };
    assert_eq!(found, found.to_canonical());
    assert_eq!(fuzzing::client(stranger, &headers, &trusted), Some(stranger));
    // Whatever the client wrote, what the proxies append to it decides.
    let noted = format!("{client}, {next}");
    let behind = [&headers[..], &[noted.as_bytes()]].concat();
    assert_eq!(fuzzing::client(proxy, &behind, &trusted), Some(client));
    let mut appended = headers.clone();
    let last = [appended.pop().unwrap_or_default(), b", ", noted.as_bytes()].concat();
    appended.push(&last);
    assert_eq!(fuzzing::client(proxy, &appended, &trusted), Some(client));
    is_there((found != proxy).then_some(()))
}

/// The query for a page of a list; the first byte says how many rows the list has.
#[must_use]
pub fn page_query(bytes: &[u8]) -> Verdict {
    let Some((rows, query)) = bytes.split_first() else { return Verdict::Refused };
    let rows = u64::from(*rows);
    let Some((shown, next)) = fuzzing::page(query, rows) else {
        return is_there(fuzzing::is_page_query(query).then_some(()));
    };
    assert!(shown.len() <= 10 && shown.is_sorted());
    match next {
        Some(next) => assert_eq!((shown.last(), next < rows), (Some(&(next - 1)), true)),
        None => assert!(shown.last().is_none_or(|last| *last == rows - 1), "the list goes on"),
    }
    Verdict::Accepted
}

/// The form of the console for an invitation; any form means the same after it is sent again.
#[must_use]
pub fn console_form(bytes: &[u8]) -> Verdict {
    let Some(pairs) = fuzzing::form(bytes) else { return Verdict::Refused };
    let again = fuzzing::form_body(&pairs).expect("what was read can be sent");
    assert_eq!(fuzzing::form(again.as_bytes()).as_ref(), Some(&pairs));
    let invitation = fuzzing::invitation(&pairs);
    if let Some((names, hours)) = &invitation {
        assert!(names.len() <= 500 && (1..=8_760).contains(hours));
        assert!(names.iter().all(|name| name.parse::<ReleaseName>().is_ok()), "{names:?}");
    }
    is_there(invitation)
}

/// The query of a page of the console that names a path, which may be any bytes.
#[must_use]
pub fn console_query(bytes: &[u8]) -> Verdict {
    let Ok(text) = std::str::from_utf8(bytes) else { return Verdict::Refused };
    let path = fuzzing::query_bytes(text, "path");
    let again = format!("path={}", fuzzing::escape(&path));
    assert_eq!(fuzzing::query_bytes(&again, "path"), path);
    is_there((!path.is_empty()).then_some(()))
}
