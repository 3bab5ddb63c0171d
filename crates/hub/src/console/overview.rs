//! `GET /console`: how the hub is.

use askama::Template;
use axum::extract::Query;
use rustix::fs::statvfs;
use serde::Deserialize;

use super::live::TransfersView;
use super::names::{NameRow, rows};
use super::page::{Failure, Layout, Page, Section, Shown, State};
use super::session::Operator;
use crate::app::App;
use crate::cluster;
use crate::files::unix_now;
use hub_api::{AlarmKind, FrontEndState, FrontEndStatus, HubAlarm, HubStatus};
use pages::format::{self, Moment, bytes, bytes_and_unit, count, shown};

/// Names on the overview; the others are a page away.
const NAMES_SHOWN: usize = 10;

/// Below this much free space of the whole, in percent, the bar warns.
const FREE_LOW: u64 = 10;

/// What of the query is used.
#[derive(Deserialize)]
pub(super) struct Wanted {
    done: Option<String>,
}

#[derive(Template)]
#[template(path = "overview.html")]
pub(super) struct Overview {
    layout: Layout,
    tiles: Vec<Tile>,
    transfers: TransfersView,
    names: Vec<NameRow>,
    names_total: u64,
    names_left: u64,
    down: Option<String>,
    front_ends: Vec<FrontEndRow>,
    alarms: Vec<String>,
}

/// A front-end, in words.
struct FrontEndRow {
    place: String,
    state: &'static str,
    /// Whether nothing is wrong with its state.
    is_up: bool,
    is_manager: bool,
    keeps_chunks: bool,
    version: String,
    deliveries: String,
    streams: String,
    heartbeat: String,
    free: String,
    beat: String,
}

/// A number with a word above and a remark below it.
pub(super) struct Tile {
    pub(super) label: &'static str,
    pub(super) class: &'static str,
    pub(super) number: String,
    pub(super) unit: &'static str,
    pub(super) remark: String,
    /// Percent of a bar, and whether it warns.
    pub(super) bar: Option<(u64, bool)>,
}

impl Tile {
    pub(super) fn new(
        label: &'static str,
        (number, unit): (String, &'static str),
        remark: impl Into<String>,
    ) -> Self {
        Self { label, class: "", number, unit, remark: remark.into(), bar: None }
    }
}

pub(super) async fn overview(
    state: State,
    operator: Operator,
    Query(wanted): Query<Wanted>,
) -> Shown<Overview> {
    let app = &state.0;
    let mut usage = app.db.name_usage().await?;
    let releases = usage.iter().map(|name| name.releases).sum();
    let published = usage.iter().map(|name| name.stored_bytes).sum();
    let names_total = usage.len() as u64;
    usage.sort_by(|one, other| {
        other.stored_bytes_latest.cmp(&one.stored_bytes_latest).then(one.name.cmp(&other.name))
    });
    usage.truncate(NAMES_SHOWN);
    let largest: Vec<&str> = usage.iter().map(|usage| usage.name.as_str()).collect();
    let names = rows(app, &largest).await?;
    let now = unix_now();
    let status = cluster::status(app, now).await?;
    let overview = Overview {
        down: status.down.as_ref().map(|down| {
            let until = Moment::new(down.until, now).exact;
            format!(
                "The hub is down for everyone but administrators until {until}: {}",
                shown(down.why.as_bytes())
            )
        }),
        front_ends: front_ends(&status),
        alarms: status.alarms.iter().map(alarm).collect(),
        layout: Layout::new(app, &operator, Section::Overview, "Overview")
            .noticing(wanted.done.as_deref()),
        tiles: tiles(app, names_total, releases, published).await?,
        transfers: TransfersView::now(app),
        names_left: names_total - names.len() as u64,
        names,
        names_total,
    };
    Ok(Page(overview))
}

fn front_ends(status: &HubStatus) -> Vec<FrontEndRow> {
    let row = |it: &FrontEndStatus| FrontEndRow {
        place: it.address.as_ref().map_or("alone".to_owned(), |at| shown(at.as_bytes())),
        state: match it.state {
            FrontEndState::Up => "up",
            FrontEndState::Going => "going",
            FrontEndState::Gone => "gone",
        },
        is_up: it.state == FrontEndState::Up,
        is_manager: status
            .manager
            .is_some_and(|manager| manager.is_held && manager.front_end == it.id),
        keeps_chunks: it.keeps_chunks,
        version: shown(it.version.as_bytes()),
        deliveries: count(it.deliveries),
        streams: count(it.streams),
        heartbeat: if it.heartbeat_s > 0 { format!("{} s", it.heartbeat_s) } else { String::new() },
        free: bytes(it.free_bytes),
        beat: format!("{} s ago", it.silent_ms / 1000),
    };
    status.front_ends.iter().map(row).collect()
}

fn alarm(alarm: &HubAlarm) -> String {
    let what = match alarm.kind {
        AlarmKind::ManagerSilent => "No front-end is the manager",
        AlarmKind::FrontEndSilent => "A front-end is silent",
        AlarmKind::ChunksAway => "No front-end keeps the chunks",
        AlarmKind::DiskNearlyFull => "A disk is nearly full",
        AlarmKind::CertificateEnds => "A certificate ends",
    };
    format!("{what}: {}", alarm.detail)
}

async fn tiles(app: &App, names: u64, releases: u64, published: u64) -> Result<Vec<Tile>, Failure> {
    let stats = app.store.stats().await?;
    let packs = format!("in {}", format::counted(stats.packs, "pack"));
    // None while the store is empty.
    let percent = stats.stored_bytes.saturating_mul(100).checked_div(stats.plain_bytes);
    let stored = percent.map_or_else(
        || "nothing yet".to_owned(),
        |percent| format!("{percent} % of {} before compression", bytes(stats.plain_bytes)),
    );
    let factor = match (published, stats.plain_bytes) {
        (0, _) | (_, 0) => ("–".to_owned(), ""),
        (published, kept) => (format!("{:.1}", published as f64 / kept as f64), "×"),
    };
    let mut tiles = vec![
        Tile::new("Names", (count(names), ""), ""),
        Tile::new("Releases", (count(releases), ""), "kept"),
        Tile::new("Chunks", (count(stats.chunks), ""), packs),
        Tile::new("On disk", bytes_and_unit(stats.stored_bytes), stored),
        Tile::new("Deduplication", factor, format!("releases add up to {}", bytes(published))),
    ];
    tiles.extend(free_space(app).await?);
    Ok(tiles)
}

/// None when the system does not tell.
async fn free_space(app: &App) -> Result<Option<Tile>, Failure> {
    let data = app.console.data.clone();
    let found = tokio::task::spawn_blocking(move || statvfs(&data)).await;
    let found = found.map_err(|error| Failure::internal(&error))?;
    Ok(found.ok().filter(|found| found.f_blocks > 0).map(|found| {
        let (free, total) = (found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize);
        let percent_free = free.saturating_mul(100) / total;
        let warns = percent_free < FREE_LOW;
        Tile {
            class: if warns { "warn" } else { "" },
            bar: Some((100 - percent_free.min(100), warns)),
            ..Tile::new("Free space", bytes_and_unit(free), format!("of {}", bytes(total)))
        }
    }))
}
