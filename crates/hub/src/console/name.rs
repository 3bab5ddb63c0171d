//! `GET /console/names/{team}/{name}?before=`: releases, rules and grants of a name.

use askama::Template;
use axum::extract::{Path, Query};
use documents::{Manifest, PublicKey};
use hub_db::{Grant, NameRecord, Release, Retention};
use serde::Deserialize;

use super::names::record;
use super::page::{Failure, Layout, Page, Section, Shown, State};
use super::session::Operator;
use crate::app::App;
use crate::files::unix_now;
use pages::format::{self, Moment};

/// Releases on a page.
const PAGE: usize = 25;

/// What of the query is used.
#[derive(Deserialize)]
pub(super) struct Wanted {
    before: Option<u64>,
    done: Option<String>,
}

#[derive(Template)]
#[template(path = "name.html")]
pub(super) struct Name {
    layout: Layout,
    name: String,
    is_public: bool,
    owner: String,
    owner_key: String,
    releases: Vec<ReleaseRow>,
    is_later_page: bool,
    next: Option<u64>,
    retention: Retention,
    grants: Vec<GrantRow>,
}

/// A release in a list.
pub(super) struct ReleaseRow {
    sequence: u64,
    accepted: Moment,
    /// None when it is sealed.
    files: Option<String>,
    size: String,
    is_pinned: bool,
    is_latest: bool,
    /// Who signed it, unless that was the owner.
    publisher: Option<String>,
    /// The release before it, if the hub still keeps it.
    previous: Option<u64>,
}

struct GrantRow {
    key: String,
    handle: String,
    grant: &'static str,
    is_registered: bool,
}

/// The name in a path.
pub(super) async fn named(app: &App, path: &(String, String)) -> Result<NameRecord, Failure> {
    let name = format!("{}/{}", path.0, path.1);
    let not_here = || Failure::not_found("There is no such name at this hub.");
    if name.parse::<documents::ReleaseName>().is_err() {
        return Err(not_here());
    }
    record(app, &name).await?.ok_or_else(not_here)
}

/// What a release says of itself. Whoever signed it was checked when it was accepted.
pub(super) fn manifest(release: &Release) -> Result<Manifest, Failure> {
    let open = |publisher: PublicKey| Manifest::open(&release.manifest, &publisher);
    let opened = Manifest::peek_publisher(&release.manifest).and_then(open);
    opened.map(|(manifest, _)| manifest).map_err(|error| Failure::internal(&error))
}

pub(super) async fn name(
    state: State,
    operator: Operator,
    Path(path): Path<(String, String)>,
    Query(wanted): Query<Wanted>,
) -> Shown<Name> {
    let app = &state.0;
    let record = named(app, &path).await?;
    // One more than is shown, so that the last one knows the release before it.
    let mut releases = app.db.releases(record.id, wanted.before, PAGE as u32 + 1).await?;
    let sequences: Vec<u64> = releases.iter().map(|release| release.sequence).collect();
    releases.truncate(PAGE);
    let now = unix_now();
    let mut shown = Vec::with_capacity(releases.len());
    for (release, previous) in releases.iter().zip((1..).map(|next| sequences.get(next))) {
        let Manifest { publisher, totals, .. } = manifest(release)?;
        let publisher = publisher.as_bytes();
        shown.push(ReleaseRow {
            sequence: release.sequence,
            accepted: Moment::new(accepted(release), now),
            files: totals.map(|totals| format::count(totals.files)),
            size: format::bytes(totals.map_or(release.stored_bytes, |totals| totals.bytes)),
            is_pinned: release.pinned,
            publisher: (*publisher != record.owner_key.0).then(|| format::handle(publisher)),
            is_latest: record.latest == Some(release.sequence),
            previous: previous.copied(),
        });
    }
    let page = Name {
        layout: Layout::new(app, &operator, Section::Names, record.name.clone())
            .noticing(wanted.done.as_deref()),
        is_public: record.public,
        owner: format::handle(&record.owner_key.0),
        owner_key: hex::encode(record.owner_key.0),
        next: (sequences.len() > PAGE).then(|| sequences[PAGE - 1]),
        is_later_page: wanted.before.is_some(),
        releases: shown,
        retention: app.db.retention(record.id).await?,
        grants: grants(app, &record.name).await?,
        name: record.name,
    };
    Ok(Page(page))
}

/// When the hub took it. Releases from before that was recorded have 0; then when it was issued.
pub(super) fn accepted(release: &Release) -> u64 {
    if release.accepted == 0 { release.issued } else { release.accepted }
}

/// Without the owner, who is named above.
async fn grants(app: &App, name: &str) -> Result<Vec<GrantRow>, Failure> {
    let mut rows = Vec::new();
    for found in app.db.grants(name).await? {
        let grant = match found.grant {
            Grant::Owner => continue,
            Grant::Publisher => "publisher",
            Grant::Reader => "reader",
        };
        let account = app.db.account(&found.key).await?;
        rows.push(GrantRow {
            key: hex::encode(found.key.0),
            handle: format::handle(&found.key.0),
            grant,
            is_registered: account.is_some_and(|account| account.revoked.is_none()),
        });
    }
    Ok(rows)
}
