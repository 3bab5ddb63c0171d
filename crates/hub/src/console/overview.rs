//! `GET /console`: how the hub is.

use askama::Template;
use rustix::fs::statvfs;

use super::live::TransfersView;
use super::names::{NameRow, rows};
use super::page::{Failure, Layout, Page, Section, Shown, State};
use super::session::Operator;
use crate::app::App;
use pages::format::{self, bytes, bytes_and_unit, count};

/// Names on the overview; the others are a page away.
const NAMES_SHOWN: usize = 10;

/// Below this much free space of the whole, in percent, the bar warns.
const FREE_LOW: u64 = 10;

#[derive(Template)]
#[template(path = "overview.html")]
pub(super) struct Overview {
    layout: Layout,
    tiles: Vec<Tile>,
    transfers: TransfersView,
    names: Vec<NameRow>,
    names_total: u64,
    names_left: u64,
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

pub(super) async fn overview(state: State, operator: Operator) -> Shown<Overview> {
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
    let overview = Overview {
        layout: Layout::new(app, &operator, Section::Overview, "Overview"),
        tiles: tiles(app, names_total, releases, published).await?,
        transfers: TransfersView::now(app),
        names_left: names_total - names.len() as u64,
        names,
        names_total,
    };
    Ok(Page(overview))
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
