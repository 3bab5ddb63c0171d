//! `GET /v1/names/{team}/{name}/releases?before=&limit=`: releases, newest first.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use documents::{Manifest, PublicKey};
use hub_api::limits::{RELEASES_PAGE_DEFAULT, RELEASES_PAGE_MAX};
use hub_api::{Base64Bytes, Hex, ReleaseInfo, ReleasesPage};
use hub_db::{NameRecord, Release};
use serde::Deserialize;

use crate::app::App;
use crate::caller::{Segments, Visitor};
use crate::refusal::Refusal;

#[derive(Deserialize)]
pub(crate) struct Page {
    before: Option<u64>,
    limit: Option<u32>,
}

pub(crate) async fn list_releases(
    State(app): State<Arc<App>>,
    Visitor(caller): Visitor,
    segments: Segments,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Json<ReleasesPage>, Refusal> {
    let Query(page) = page?;
    let name = segments.visible(&app, &caller).await?;
    let limit = page.limit.unwrap_or(RELEASES_PAGE_DEFAULT).min(RELEASES_PAGE_MAX);
    let releases = app.db.releases(name.id, page.before, limit).await?;
    let releases = releases.into_iter().map(|release| release_info(&name, release)).collect();
    Ok(Json(ReleasesPage { releases }))
}

pub(super) fn release_info(name: &NameRecord, release: Release) -> ReleaseInfo {
    let publisher = PublicKey::from_bytes(name.owner_key.0);
    // The totals are told from the manifest; one that no longer opens is told without them, and
    // whoever uses it will see for themselves.
    let totals = Manifest::open(&release.manifest, &publisher).ok();
    let totals = totals.and_then(|(manifest, _)| manifest.totals);
    ReleaseInfo {
        sequence: release.sequence,
        tree: Hex(*release.tree.as_bytes()),
        issued: release.issued,
        files: totals.as_ref().map(|totals| totals.files),
        bytes: totals.as_ref().map(|totals| totals.bytes),
        stored_bytes: release.stored_bytes,
        manifest: Base64Bytes(release.manifest),
    }
}
