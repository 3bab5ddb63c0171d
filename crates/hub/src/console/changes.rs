//! `GET /console/names/{team}/{name}/changes?from=&to=&kind=&start=`: what changed between two
//! releases.

use askama::Template;
use axum::extract::{Path, Query};
use hub_db::Release;
use serde::Deserialize;

use super::name::{manifest, named};
use super::overview::Tile;
use super::page::{Failure, Layout, Page, Section, Shown, State};
use super::session::Operator;
use super::tree::open;
use crate::browse::{self, Change, ChangeKind};
use pages::format::{bytes, bytes_and_unit, count, shown};

/// Changes on a page.
const PAGE: usize = 200;

/// Releases offered for choosing.
const CHOICES: u32 = 200;

/// What of the query is used.
#[derive(Deserialize)]
pub(super) struct Wanted {
    from: Option<u64>,
    to: Option<u64>,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    start: usize,
}

#[derive(Template)]
#[template(path = "changes.html")]
pub(super) struct ChangesPage {
    layout: Layout,
    name: String,
    /// Sequences one may choose from, newest first.
    choices: Vec<u64>,
    from: u64,
    to: u64,
    compared: Compared,
}

enum Compared {
    /// There are no two releases.
    TooFew,
    /// One of the two is sealed.
    Sealed,
    Done(Done),
}

struct Done {
    tiles: Vec<Tile>,
    kinds: Vec<KindLink>,
    rows: Vec<Row>,
    first: usize,
    shown: usize,
    total: usize,
    previous: Option<String>,
    next: Option<String>,
    is_complete: bool,
}

struct KindLink {
    label: &'static str,
    number: String,
    link: String,
    is_here: bool,
}

struct Row {
    class: &'static str,
    word: &'static str,
    path: String,
    was: Option<String>,
    size: String,
}

fn word(kind: &ChangeKind) -> (&'static str, &'static str) {
    match kind {
        ChangeKind::Added => ("added", "good"),
        ChangeKind::Changed => ("changed", "warn"),
        ChangeKind::Removed => ("removed", "bad"),
        ChangeKind::Moved { .. } => ("moved", "move"),
    }
}

impl Row {
    fn new(change: &Change) -> Self {
        let (word, class) = word(&change.kind);
        let was = match &change.kind {
            ChangeKind::Moved { from } => Some(shown(from)),
            ChangeKind::Added | ChangeKind::Changed | ChangeKind::Removed => None,
        };
        // Directories and links have no size, nor is that of an empty file worth a word.
        let size = if change.bytes == 0 { String::new() } else { bytes(change.bytes) };
        Self { class, word, path: shown(&change.path), was, size }
    }
}

pub(super) async fn changes(
    state: State,
    operator: Operator,
    Path(path): Path<(String, String)>,
    Query(wanted): Query<Wanted>,
) -> Shown<ChangesPage> {
    let app = &state.0;
    let record = named(app, &path).await?;
    let kept = app.db.releases(record.id, None, CHOICES).await?;
    let mut choices: Vec<u64> = kept.iter().map(|release| release.sequence).collect();
    let to = wanted.to.or(record.latest).unwrap_or(0);
    let before = kept.iter().find(|release| release.sequence < to);
    let from = wanted.from.or(before.map(|release| release.sequence)).unwrap_or(0);
    // An old one somebody linked to can be chosen too.
    choices.extend([from, to].into_iter().filter(|chosen| *chosen > 0));
    choices.sort_unstable_by(|one, other| other.cmp(one));
    choices.dedup();
    let compared = if from == 0 || to == 0 {
        Compared::TooFew
    } else {
        let find = async |sequence| {
            let found = app.db.release(record.id, sequence).await?;
            found.ok_or_else(|| {
                Failure::not_found("The hub does not keep one of these releases (any more).")
            })
        };
        let (before, after) = (find(from).await?, find(to).await?);
        compare(&state, &record.name, &before, &after, &wanted).await?
    };
    let title = format!("Changes of {}", record.name);
    let layout = Layout::new(app, &operator, Section::Names, title);
    Ok(Page(ChangesPage { layout, name: record.name, choices, from, to, compared }))
}

async fn compare(
    state: &State,
    name: &str,
    before: &Release,
    after: &Release,
    wanted: &Wanted,
) -> Result<Compared, Failure> {
    for release in [before, after] {
        if manifest(release)?.sealed_root.is_some() {
            return Ok(Compared::Sealed);
        }
    }
    let _turn = state.turn(&state.browses).await?;
    let (old, new) = (open(state, before).await?, open(state, after).await?);
    let found = browse::changes(&old, &new).await?;
    let link = |kind: &str, start: usize| {
        let (from, to) = (before.sequence, after.sequence);
        let kind = if kind.is_empty() { String::new() } else { format!("&kind={kind}") };
        let start = if start == 0 { String::new() } else { format!("&start={start}") };
        format!("/console/names/{name}/changes?from={from}&to={to}{kind}{start}#list")
    };
    let tile = |label, class, number| Tile {
        class: if number == 0 { "" } else { class },
        ..Tile::new(label, (count(number), ""), "")
    };
    let tiles = vec![
        tile("Added", "good", found.added),
        tile("Changed", "warn", found.changed),
        tile("Removed", "bad", found.removed),
        tile("Moved", "move", found.moved),
        Tile::new("In added and changed", bytes_and_unit(found.fresh_bytes), ""),
    ];
    let all = found.added + found.changed + found.removed + found.moved;
    let counts = [
        ("", all),
        ("added", found.added),
        ("changed", found.changed),
        ("removed", found.removed),
        ("moved", found.moved),
    ];
    let kinds = counts
        .into_iter()
        .map(|(kind, number)| KindLink {
            label: if kind.is_empty() { "all" } else { kind },
            number: count(number),
            link: link(kind, 0),
            is_here: kind == wanted.kind,
        })
        .collect();
    let of_kind = |change: &&Change| wanted.kind.is_empty() || word(&change.kind).0 == wanted.kind;
    let list: Vec<&Change> = found.list.iter().filter(of_kind).collect();
    let rows: Vec<Row> =
        list.iter().skip(wanted.start).take(PAGE).map(|change| Row::new(change)).collect();
    let end = wanted.start + rows.len();
    Ok(Compared::Done(Done {
        tiles,
        kinds,
        first: wanted.start + 1,
        shown: end,
        total: list.len(),
        previous: (wanted.start > 0).then(|| link(&wanted.kind, wanted.start.saturating_sub(PAGE))),
        next: (end < list.len()).then(|| link(&wanted.kind, end)),
        rows,
        is_complete: found.is_complete,
    }))
}
