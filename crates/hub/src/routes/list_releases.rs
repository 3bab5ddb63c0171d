//! `GET /v1/names/{team}/{name}/releases?before=&limit=`: releases, newest first.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use documents::Manifest;
use hub_api::limits::{DOCUMENT_BYTES_MAX, RELEASES_PAGE_DEFAULT, RELEASES_PAGE_MAX};
use hub_api::{Base64Bytes, Hex, ReleaseInfo, ReleasesPage};
use hub_db::Release;
use serde::Deserialize;

use crate::app::App;
use crate::caller::{Segments, Visitor};
use crate::conditional;
use crate::pages::Rows;
use crate::peer::Peer;
use crate::refusal::Refusal;

/// What is told of a release apart from its manifest.
const REST_BYTES_MAX: usize = 1024;

#[derive(Deserialize)]
pub(crate) struct Page {
    before: Option<u64>,
    limit: Option<u32>,
}

pub(crate) async fn list_releases(
    State(app): State<Arc<App>>,
    Visitor(caller): Visitor,
    peer: Peer,
    segments: Segments,
    page: Result<Query<Page>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let Query(page) = page?;
    let name = segments.visible(&app, &caller).await?;
    let rows = Rows::new(page.limit, RELEASES_PAGE_DEFAULT, RELEASES_PAGE_MAX);
    // Each carries its manifest.
    let longest = rows.to_read() as usize * (DOCUMENT_BYTES_MAX.div_ceil(3) * 4 + REST_BYTES_MAX);
    let place = app.room(longest, app.sharer(&caller, peer, &headers)).await?;
    let releases = app.db.releases(name.id, page.before, rows.to_read()).await?;
    let mut releases: Vec<ReleaseInfo> = releases.into_iter().map(release_info).collect();
    let next = rows.cut(&mut releases, |last| last.sequence);
    Ok(conditional::json_in(place, &headers, &ReleasesPage { releases, next }))
}

pub(super) fn release_info(release: Release) -> ReleaseInfo {
    // The totals are told from the manifest; one that no longer opens is told without them, and
    // whoever uses it will see for themselves.
    let signer = Manifest::peek_publisher(&release.manifest);
    let totals = signer.and_then(|key| Manifest::open(&release.manifest, &key)).ok();
    let totals = totals.and_then(|(manifest, _)| manifest.totals);
    ReleaseInfo {
        sequence: release.sequence,
        tree: Hex(*release.tree.as_bytes()),
        issued: release.issued,
        files: totals.as_ref().map(|totals| totals.files),
        bytes: totals.as_ref().map(|totals| totals.bytes),
        stored_bytes: release.stored_bytes,
        accepted: release.accepted,
        pinned: release.pinned,
        manifest: Base64Bytes(release.manifest),
    }
}
