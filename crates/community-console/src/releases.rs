//! `GET /releases?name=&before=`: what was sent.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use ledger::{LedgerError, PackageFilter, PackageId, PackageRecord, RolloutState};
use node::publish::unix_now;
use pages::format::{Moment, shown};
use serde::Deserialize;

use crate::app::App;
use crate::page::{Failure, Layout, Page, Person, Section, Shown};
use crate::tally::{Piece, Tally};
use crate::topology::escape;

/// Releases on a page.
const PAGE: u32 = 50;

#[derive(Deserialize)]
pub(crate) struct Wanted {
    #[serde(default)]
    pub(crate) name: String,
    pub(crate) before: Option<i64>,
}

#[derive(Template)]
#[template(path = "releases.html")]
pub(crate) struct Releases {
    layout: Layout,
    live: String,
    view: View,
}

#[derive(Template)]
#[template(path = "releases_live.html")]
pub(crate) struct View {
    releases: Vec<ReleaseRow>,
    name: String,
    is_later_page: bool,
    next: Option<String>,
}

/// A release in a list.
pub(crate) struct ReleaseRow {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) sequence: u64,
    pub(crate) sent: Option<Moment>,
    pub(crate) words: String,
    pub(crate) bar: Vec<Piece>,
    /// How its roll-out stands, and the class of its badge.
    pub(crate) rollout: Option<(&'static str, &'static str)>,
    pub(crate) is_expired: bool,
}

pub(crate) async fn releases(
    State(app): State<Arc<App>>,
    _person: Person,
    Query(wanted): Query<Wanted>,
) -> Shown<Releases> {
    let before = wanted.before.map_or(String::new(), |before| format!("&before={before}"));
    Ok(Page(Releases {
        layout: Layout::new(&app, Section::Releases, "Releases"),
        live: format!("/live/releases?name={}{before}", escape(&wanted.name)),
        view: View::now(&app, &wanted).await?,
    }))
}

impl View {
    pub(crate) async fn now(app: &App, wanted: &Wanted) -> Result<Self, Failure> {
        let name = wanted.name.trim();
        let filter = PackageFilter {
            community: Some(app.id),
            name: (!name.is_empty()).then(|| name.to_owned()),
            sequence: None,
        };
        let before = wanted.before.map(PackageId::from_number);
        let mut found = match app.records.get().await? {
            Some(ledger) => ledger.packages(&filter, before, PAGE + 1).await?,
            None => Vec::new(),
        };
        let has_more = found.len() > PAGE as usize;
        found.truncate(PAGE as usize);
        let next = found
            .last()
            .filter(|_| has_more)
            .map(|last| format!("/releases?name={}&before={}", escape(name), last.id.number()));
        Ok(Self {
            releases: rows(app, &found, unix_now()).await?,
            name: name.to_owned(),
            is_later_page: wanted.before.is_some(),
            next,
        })
    }
}

/// Releases as rows, with how their roll-outs stand.
pub(crate) async fn rows(
    app: &App,
    found: &[PackageRecord],
    now: u64,
) -> Result<Vec<ReleaseRow>, LedgerError> {
    let Some(ledger) = app.records.get().await? else { return Ok(Vec::new()) };
    let mut rows = Vec::with_capacity(found.len());
    for package in found {
        let rollout = ledger.rollout(package.id).await?;
        let tally = Tally::from(package.counts);
        rows.push(ReleaseRow {
            id: package.id.number(),
            name: shown(package.name.as_bytes()),
            version: shown(package.version.as_bytes()),
            sequence: package.sequence,
            sent: package.sent.map(|sent| Moment::new(sent, now)),
            words: tally.words(),
            bar: tally.bar(),
            rollout: rollout.map(|it| (it.progress.state.word(), badge(it.progress.state))),
            is_expired: package.expires <= now,
        });
    }
    Ok(rows)
}

/// The class of a roll-out's badge.
pub(crate) fn badge(state: RolloutState) -> &'static str {
    match state {
        RolloutState::Running => "move",
        RolloutState::Paused => "warn",
        RolloutState::Stopped | RolloutState::Aborted | RolloutState::Expired => "bad",
        RolloutState::Finished => "good",
    }
}
