//! `GET /console/names?q=&after=`: all names.

use askama::Template;
use axum::extract::Query;
use hub_db::NameRecord;
use serde::Deserialize;

use super::page::{Failure, Layout, Page, Section, Shown, State};
use super::session::Operator;
use crate::app::App;
use crate::caller::just_before;
use crate::escape::escape;
use crate::files::unix_now;
use pages::format::{self, Moment};

/// Names on a page.
const PAGE: usize = 50;

/// Names read at once, and how often at most, when they are filtered.
const SCAN: u32 = 500;
const SCANS_MAX: usize = 40;

/// What of the query is used.
#[derive(Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    q: String,
    #[serde(default)]
    after: String,
}

#[derive(Template)]
#[template(path = "names.html")]
pub(super) struct Names {
    layout: Layout,
    names: Vec<NameRow>,
    filter: String,
    is_later_page: bool,
    next: Option<String>,
}

/// A name in a list.
pub(super) struct NameRow {
    pub(super) name: String,
    pub(super) is_public: bool,
    pub(super) latest: Option<u64>,
    pub(super) accepted: Option<Moment>,
    pub(super) size: String,
    /// Percent of the largest in the list.
    pub(super) share: u64,
}

pub(super) async fn names(
    state: State,
    operator: Operator,
    Query(wanted): Query<Wanted>,
) -> Shown<Names> {
    let app = &state.0;
    let filter = wanted.q.trim().to_lowercase();
    let mut found: Vec<NameRecord> = Vec::new();
    let (mut after, mut has_more) = (wanted.after.clone(), true);
    for _ in 0..SCANS_MAX {
        let read = app.db.all_names(&after, SCAN).await?;
        let is_last = read.len() < SCAN as usize;
        after = read.last().map_or(after, |last| last.name.clone());
        found.extend(read.into_iter().filter(|record| record.name.contains(&filter)));
        if is_last || found.len() > PAGE {
            has_more = !is_last;
            break;
        }
    }
    if found.len() > PAGE {
        found.truncate(PAGE);
        after = found.last().map_or(after, |last| last.name.clone());
        has_more = true;
    }
    let next = has_more.then(|| {
        format!("/console/names?q={}&after={}", escape(filter.as_bytes()), escape(after.as_bytes()))
    });
    let page = Names {
        layout: Layout::new(app, &operator, Section::Names, "Names"),
        names: rows_of(app, found).await?,
        filter,
        is_later_page: !wanted.after.is_empty(),
        next,
    };
    Ok(Page(page))
}

/// The name itself, whoever may see it.
pub(super) async fn record(app: &App, name: &str) -> Result<Option<NameRecord>, Failure> {
    let found = app.db.all_names(&just_before(name), 1).await?.pop();
    Ok(found.filter(|record| record.name == name))
}

/// Names by name, in this order.
pub(super) async fn rows(app: &App, names: &[&str]) -> Result<Vec<NameRow>, Failure> {
    let mut records = Vec::with_capacity(names.len());
    for name in names {
        records.extend(record(app, name).await?);
    }
    rows_of(app, records).await
}

async fn rows_of(app: &App, records: Vec<NameRecord>) -> Result<Vec<NameRow>, Failure> {
    let now = unix_now();
    let mut sizes = Vec::with_capacity(records.len());
    let mut rows = Vec::with_capacity(records.len());
    for record in records {
        let latest = app.db.latest_release(record.id).await?;
        let size = latest.as_ref().map_or(0, |latest| latest.stored_bytes);
        sizes.push(size);
        rows.push(NameRow {
            name: record.name,
            is_public: record.public,
            latest: latest.as_ref().map(|latest| latest.sequence),
            accepted: latest.map(|latest| Moment::new(latest.accepted.max(latest.issued), now)),
            size: format::bytes(size),
            share: 0,
        });
    }
    let largest = sizes.iter().copied().max().unwrap_or(0).max(1);
    for (row, size) in rows.iter_mut().zip(sizes) {
        // A sliver is better seen than nothing.
        row.share = if size == 0 { 0 } else { (size.saturating_mul(100) / largest).max(1) };
    }
    Ok(rows)
}
