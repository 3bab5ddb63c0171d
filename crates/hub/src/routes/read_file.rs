//! `GET /v1/names/{team}/{name}/releases/{sequence}/files/{*path}`: one file of a plain release.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use content::Kind;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use hub_api::MEDIA_BYTES;
use hub_db::Caller;

use crate::app::App;
use crate::browse::{BrowseError, Browser, Found, Reading, Tree, kind_word};
use crate::caller::{Segments, Visitor};
use crate::conditional::{content_range, etag, names_etag, range};
use crate::escape::unescape;
use crate::peer::Peer;
use crate::refusal::{Chain, Refusal};

/// A release and a path in its tree. Names of files are any bytes, so the path is read from the
/// request as it stands, not from what the router makes of it.
pub(crate) struct TreePath {
    segments: Segments,
    pub(super) path: Vec<u8>,
}

impl FromRequestParts<Arc<App>> for TreePath {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Refusal> {
        // "", v1, names, team, name, releases, sequence, files or entries, and the rest.
        let mut segments = parts.uri.path().splitn(9, '/').skip(3);
        let mut next = || segments.next().ok_or_else(Refusal::not_found);
        let (team, name) = (next()?, next()?);
        let (_, sequence, _) = (next()?, next()?, next()?);
        let path = unescape(segments.next().unwrap_or_default()).ok_or_else(Refusal::not_found)?;
        let segments = Segments::new([("team", team), ("name", name), ("sequence", sequence)]);
        Ok(Self { segments, path })
    }
}

impl TreePath {
    /// The tree, if the caller may see the name.
    pub(super) async fn tree(&self, app: &Arc<App>, caller: &Caller) -> Result<Tree, Refusal> {
        let name = self.segments.visible(app, caller).await?;
        let sequence: u64 = self.segments.parse("sequence")?;
        let release = app.db.release(name.id, sequence).await?.ok_or_else(Refusal::not_found)?;
        let browser = Browser::new(Arc::clone(app), Reading::Caller(*caller));
        Ok(browser.open(&release).await?)
    }
}

pub(crate) async fn read_file(
    State(app): State<Arc<App>>,
    Visitor(caller): Visitor,
    peer: Peer,
    path: TreePath,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let tree = path.tree(&app, &caller).await?;
    let entry = {
        let _turn = app.turn(&app.browses).await?;
        match tree.find(&path.path).await? {
            Found::Entry(entry) => entry,
            Found::Root => return Err(BrowseError::Kind { is: "a directory" }.into()),
        }
    };
    let Kind::File { size, blob, .. } = &entry.kind else {
        return Err(BrowseError::Kind { is: kind_word(&entry) }.into());
    };
    let tag = etag(blob);
    let common = [
        (header::ETAG, tag.clone()),
        // A release does not change, and can be deleted.
        (header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache")),
        (header::VARY, HeaderValue::from_static("authorization")),
    ];
    if names_etag(&headers, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, common).into_response());
    }
    let asked = if *size == 0 { None } else { range(&headers, *size)? };
    let wanted = asked.clone().unwrap_or(0..*size);
    let turn = app.fetch_turn(app.sharer(&caller, peer, &headers)).await?;
    let length = wanted.end - wanted.start;
    let mut reader = tree.reader(&entry, wanted)?;
    // Before the status is sent: what cannot be read at all is not found.
    let first = stream::iter(reader.next().await?.map(Ok));
    let stream = first.chain(reader.into_stream()).map_err(move |error| {
        // Told by breaking off; the place is held as long as the stream.
        let _ = &turn;
        tracing::warn!(error = %Chain(&error), "a file was not sent to its end");
        std::io::Error::other("the hub could not read on")
    });
    // A reader that takes a byte now and then must not hold its place for ever. What was cut off
    // is short of its length, and a range asks for the rest.
    let stream = stream.take_until(tokio::time::sleep(app.limits.transfer_time));
    let mut response = (common, Body::from_stream(stream)).into_response();
    let fields = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, MEDIA_BYTES),
        (header::ACCEPT_RANGES, "bytes"),
        // A browser must neither show a publisher's page nor run its script in our name.
        (header::CONTENT_DISPOSITION, "attachment"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
    ] {
        fields.insert(name, HeaderValue::from_static(value));
    }
    fields.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    if let Some(asked) = asked {
        fields.insert(header::CONTENT_RANGE, content_range(&asked, *size));
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    Ok(response)
}
