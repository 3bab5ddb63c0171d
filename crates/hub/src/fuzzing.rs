//! The parsers of what a request says beside its body, of the console's forms, and of what lies beside the
//! database, for `fuzz-targets`.

use std::net::IpAddr;
use std::ops::Range;

use axum::extract::Query;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use hub_api::Hex;
use serde::de::DeserializeOwned;

use crate::console::invitations::Form;
use crate::console::{tree, write};
use crate::pages::{PageAfter, Rows};
use crate::peer::{FORWARDED_FOR, Peer};
use crate::routes::{audit, list_accounts, list_changes, list_releases};
use crate::{cluster, conditional, escape, lockers};

/// A header that was sent once for each of `values`; `None` when it could not be.
fn headers(name: HeaderName, values: &[&[u8]]) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(&name, HeaderValue::from_bytes(value).ok()?);
    }
    Some(headers)
}

/// The part of `length` bytes that a `Range` header asks for, if it is answered with a part.
#[must_use]
pub fn range(value: &[u8], length: u64) -> Option<Range<u64>> {
    conditional::range(&headers(header::RANGE, &[value])?, length).ok()?
}

/// The `Content-Range` of a part that is not empty.
#[must_use]
pub fn content_range(range: &Range<u64>, length: u64) -> Vec<u8> {
    conditional::content_range(range, length).as_bytes().to_vec()
}

/// Whether an `If-None-Match` names the tag of what is called `digits`.
#[must_use]
pub fn names_etag(values: &[&[u8]], digits: &str) -> Option<bool> {
    let headers = headers(header::IF_NONE_MATCH, values)?;
    Some(conditional::names_etag(&headers, &conditional::etag(digits)))
}

/// Where a request of `peer` with these `X-Forwarded-For` came from.
#[must_use]
pub fn client(peer: IpAddr, values: &[&[u8]], trusted: &[IpAddr]) -> Option<IpAddr> {
    Some(Peer(peer).client(&headers(FORWARDED_FOR, values)?, trusted))
}

fn query<T: DeserializeOwned>(text: &[u8]) -> Option<T> {
    let uri = Uri::try_from([b"/?", text].concat()).ok()?;
    Query::try_from_uri(&uri).ok().map(|Query(query)| query)
}

/// The facts of a locker as they are written, when these bytes are some.
#[must_use]
pub fn locker_facts(bytes: &[u8]) -> Option<Vec<u8>> {
    lockers::facts_again(bytes)
}

/// What one front-end tells the others through the database, as it is written, when this text is one.
#[must_use]
pub fn told(bytes: &[u8]) -> Option<String> {
    cluster::text_again(std::str::from_utf8(bytes).ok()?)
}

/// The numbers of the rows, out of `rows`, on the page a query asks for, and where the next begins.
#[must_use]
pub fn page(text: &[u8], rows: u64) -> Option<(Vec<u64>, Option<u64>)> {
    let page: list_accounts::Page = query(text)?;
    let all: Vec<u64> = (0..rows).collect();
    let cut = Rows::new(page.limit, 3, 10);
    let (shown, next) = cut.slice(&all, page.after.unwrap_or(0));
    Some((shown.to_vec(), next))
}

/// Whether some list takes this as the query for one of its pages.
#[must_use]
pub fn is_page_query(text: &[u8]) -> bool {
    query::<PageAfter<String>>(text).is_some()
        || query::<PageAfter<u64>>(text).is_some()
        || query::<PageAfter<Hex<32>>>(text).is_some()
        || query::<list_changes::Page>(text).is_some()
        || query::<list_releases::Page>(text).is_some()
        || query::<audit::Page>(text).is_some()
}

/// The pairs of a form of the console.
#[must_use]
pub fn form(body: &[u8]) -> Option<Vec<(String, String)>> {
    write::pairs(body)
}

/// Pairs as a browser sends them.
#[must_use]
pub fn form_body(pairs: &[(String, String)]) -> Option<String> {
    serde_urlencoded::to_string(pairs).ok()
}

/// What the form for an invitation asks for: names that may be read, and for how many hours.
#[must_use]
pub fn invitation(pairs: &[(String, String)]) -> Option<(Vec<String>, u64)> {
    let asked = write::form::<Form>(pairs)?.asked().ok()?;
    Some((asked.grants.iter().map(ToString::to_string).collect(), asked.hours))
}

/// A value of a query that may be any bytes: the first of this name.
#[must_use]
pub fn query_bytes(text: &str, name: &str) -> Vec<u8> {
    tree::query_bytes(Some(text), name)
}

/// Bytes as such a query has them.
#[must_use]
pub fn escape(bytes: &[u8]) -> String {
    escape::escape(bytes)
}
