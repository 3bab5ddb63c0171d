//! `GET /peers`: who belongs; `GET /peers/{peer}`: one of them, and what it answered.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use futures_util::TryStreamExt as _;
use ledger::{Cell, Ledger, LedgerError, RECEIPT_COLUMNS, ReportFilter, Row as ReportRow};
use node::publish::unix_now;
use package::label::Expression;
use pages::format::{Moment, count, shown};
use serde::Deserialize;

use crate::app::App;
use crate::page::{Failure, Layout, Notice, Page, Person, Section, Shown};
use crate::picture::{Machine, Picture};
use crate::relay::RelayFacts;
use crate::tally::Mark;
use crate::topology::escape;

/// Peers on a page.
const PAGE: usize = 100;
/// Releases on the page of a peer.
const RELEASES_MAX: usize = 100;

/// What of the query is used.
#[derive(Deserialize)]
pub(crate) struct Wanted {
    /// A part of the name.
    #[serde(default)]
    q: String,
    /// An expression over labels.
    #[serde(default)]
    label: String,
    #[serde(default)]
    role: String,
    #[serde(default)]
    state: String,
    /// The last name of the page before.
    #[serde(default)]
    after: String,
}

#[derive(Template)]
#[template(path = "peers.html")]
pub(crate) struct Peers {
    layout: Layout,
    notice: Option<Notice>,
    q: String,
    label: String,
    role: String,
    state: String,
    /// Why the labels cannot be used.
    fault: Option<String>,
    total: String,
    rows: Vec<Row>,
    is_filtered: bool,
    is_later_page: bool,
    next: Option<String>,
    has_any: bool,
    states: Vec<Mark>,
}

pub(crate) struct Row {
    name: String,
    roles: String,
    labels: String,
    release: Option<String>,
    mark: Mark,
    is_target: bool,
    since: Option<Moment>,
}

pub(crate) async fn peers(
    State(app): State<Arc<App>>,
    _person: Person,
    Query(wanted): Query<Wanted>,
) -> Shown<Peers> {
    let now = unix_now();
    let picture = Picture::take(&app, now).await?;
    let (q, label) = (wanted.q.trim().to_lowercase(), wanted.label.trim());
    let (labels, fault) = match label {
        "" => (None, None),
        label => match label.parse::<Expression>() {
            Ok(labels) => (Some(labels), None),
            Err(error) => (None, Some(shown(error.to_string().as_bytes()))),
        },
    };
    let mark = Mark::parse(&wanted.state);
    let fits = |machine: &&Machine| {
        machine.name.contains(&q)
            && labels.as_ref().is_none_or(|labels| labels.fits(&machine.labels))
            && (wanted.role.is_empty() || machine.roles.iter().any(|it| it.as_str() == wanted.role))
            && mark.is_none_or(|mark| machine.mark() == mark)
    };
    let fitting: Vec<&Machine> = picture.machines.iter().filter(fits).collect();
    let later = fitting.iter().filter(|machine| machine.name > wanted.after);
    let shown_now: Vec<&&Machine> = later.take(PAGE + 1).collect();
    let link = |after: &str| {
        format!(
            "/peers?q={}&label={}&role={}&state={}&after={}",
            escape(&q),
            escape(label),
            escape(&wanted.role),
            mark.map_or("", Mark::word),
            escape(after)
        )
    };
    let next = (shown_now.len() > PAGE).then(|| link(&shown_now[PAGE - 1].name));
    let row = |machine: &&&Machine| Row {
        name: machine.name.clone(),
        roles: machine.roles_shown(),
        labels: machine.labels_shown(),
        release: machine.release(),
        mark: machine.mark(),
        is_target: machine.is(community::Role::Target),
        since: machine.since(now),
    };
    Ok(Page(Peers {
        layout: Layout::new(&app, Section::Peers, "Peers"),
        notice: Notice::of(&picture.looked, now),
        total: count(fitting.len() as u64),
        rows: shown_now.iter().take(PAGE).map(row).collect(),
        is_filtered: !q.is_empty()
            || !label.is_empty()
            || !wanted.role.is_empty()
            || mark.is_some(),
        is_later_page: !wanted.after.is_empty(),
        next,
        has_any: !picture.machines.is_empty(),
        states: Mark::ALL
            .into_iter()
            .filter(|it| !matches!(it, Mark::Waiting | Mark::Skipped))
            .collect(),
        q,
        label: label.to_owned(),
        role: wanted.role,
        state: wanted.state,
        fault,
    }))
}

#[derive(Template)]
#[template(path = "peer.html")]
pub(crate) struct Peer {
    layout: Layout,
    machine: Machine,
    host: String,
    description: String,
    routes: Vec<String>,
    /// Whether the hub tells how relays are.
    is_told: bool,
    relay: Option<RelayFacts>,
    releases: Vec<PeerRelease>,
    has_more: bool,
}

/// A release that was sent to a peer.
pub(crate) struct PeerRelease {
    package: String,
    name: String,
    sequence: String,
    mark: Mark,
    sent: String,
    answered: String,
    reason: String,
    link: Option<String>,
}

pub(crate) async fn peer(
    State(app): State<Arc<App>>,
    _person: Person,
    Path(peer): Path<String>,
) -> Shown<Peer> {
    let now = unix_now();
    let picture = Picture::take(&app, now).await?;
    let found = picture.machines.iter().find(|machine| machine.name == peer).cloned();
    let machine =
        found.ok_or_else(|| Failure::not_found("No peer of the community has this name now."))?;
    let relay = picture.told(&machine).map(|told| RelayFacts::of(told, now));
    let mut releases = match app.records.get().await? {
        Some(ledger) => releases(&app, ledger.as_ref(), &machine.name).await?,
        None => Vec::new(),
    };
    // They come oldest first.
    releases.reverse();
    let has_more = releases.len() > RELEASES_MAX;
    releases.truncate(RELEASES_MAX);
    let text = |text: &Option<String>| shown(text.as_deref().unwrap_or_default().as_bytes());
    Ok(Page(Peer {
        layout: Layout::new(&app, Section::Peers, machine.name.clone()),
        host: text(&machine.host),
        description: text(&machine.description),
        routes: machine.routes.iter().map(|route| shown(route.as_bytes())).collect(),
        is_told: picture.relays().is_some(),
        relay,
        machine,
        releases,
        has_more,
    }))
}

async fn releases(
    app: &App,
    ledger: &dyn Ledger,
    peer: &str,
) -> Result<Vec<PeerRelease>, LedgerError> {
    let Ok(peer) = peer.parse() else { return Ok(Vec::new()) };
    let filter =
        ReportFilter { community: Some(app.id), peer: Some(peer), ..ReportFilter::default() };
    let mut rows = ledger.receipts_report(&filter);
    let mut releases = std::collections::VecDeque::new();
    while let Some(row) = rows.try_next().await? {
        // The last ones are what is shown, and one more says that there are others.
        if releases.len() > RELEASES_MAX {
            releases.pop_front();
        }
        releases.push_back(release(&row));
    }
    Ok(releases.into())
}

fn release(row: &ReportRow) -> PeerRelease {
    let cell = |name: &str| {
        let at = RECEIPT_COLUMNS.iter().position(|column| column.name == name);
        match at.and_then(|at| row.0.get(at)) {
            Some(Cell::Text(text) | Cell::Object(text)) => shown(text.as_bytes()),
            Some(Cell::Number(number)) => number.to_string(),
            Some(Cell::Empty | Cell::Flag(_) | Cell::Bytes(_)) | None => String::new(),
        }
    };
    let is_answered = cell("state") == "answered";
    let mark = Mark::parse(&cell(if is_answered { "verdict" } else { "state" }));
    let mark = mark.unwrap_or(Mark::Pending);
    let (package, target) = (cell("package"), cell("target"));
    PeerRelease {
        name: format!("{} {}", cell("name"), cell("version")),
        sequence: cell("sequence"),
        mark,
        sent: cell("sent"),
        answered: cell("answered"),
        reason: cell("reason"),
        link: is_answered.then(|| format!("/releases/{package}/targets/{target}")),
        package,
    }
}
