//! `GET /`: how the community is.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use community::Role;
use ledger::{PackageFilter, PackageRecord};
use node::publish::unix_now;
use pages::format::{Moment, count};
use serde::Deserialize;

use crate::app::App;
use crate::page::{Failure, Layout, Notice, Page, Person, Section, Shown};
use crate::picture::{Picture, RATE_SECONDS};
use crate::releases::{ReleaseRow, rows};
use crate::tally::Mark;
use crate::topology::{Drawing, draw, escape};

/// Releases on the overview; the others are a page away.
const RELEASES: u32 = 5;

#[derive(Deserialize)]
pub(crate) struct Wanted {
    /// The label that targets are put together by.
    #[serde(default)]
    pub(crate) by: String,
}

#[derive(Template)]
#[template(path = "overview.html")]
pub(crate) struct Overview {
    layout: Layout,
    live: String,
    view: View,
}

/// What is sent anew when it changed.
#[derive(Template)]
#[template(path = "overview_live.html")]
pub(crate) struct View {
    notice: Option<Notice>,
    tiles: Vec<Tile>,
    drawing: Drawing,
    peers: usize,
    releases: Vec<ReleaseRow>,
    has_ledger: bool,
    is_manager: bool,
    expected: Vec<Expected>,
}

pub(crate) struct Tile {
    pub(crate) label: &'static str,
    pub(crate) class: &'static str,
    pub(crate) number: String,
    pub(crate) remark: String,
    pub(crate) link: Option<String>,
}

/// A peer that has not joined.
pub(crate) struct Expected {
    pub(crate) name: String,
    pub(crate) roles: String,
    pub(crate) waits: String,
    pub(crate) until: Option<Moment>,
}

pub(crate) async fn overview(
    State(app): State<Arc<App>>,
    _person: Person,
    Query(wanted): Query<Wanted>,
) -> Shown<Overview> {
    Ok(Page(Overview {
        layout: Layout::new(&app, Section::Overview, "Overview"),
        live: format!("/live/overview?by={}", escape(&wanted.by)),
        view: View::now(&app, &wanted.by).await?,
    }))
}

impl View {
    pub(crate) async fn now(app: &App, by: &str) -> Result<Self, Failure> {
        let now = unix_now();
        let picture = Picture::take(app, now).await?;
        let filter = PackageFilter { community: Some(app.id), ..PackageFilter::default() };
        let releases = match app.records.get().await? {
            Some(ledger) => ledger.packages(&filter, None, RELEASES).await?,
            None => Vec::new(),
        };
        let own_key = picture.known().and_then(|known| known.own.as_ref());
        let is_manager = picture.known().is_some_and(|known| !known.expected.is_empty());
        let expected = expected(&picture, now);
        Ok(Self {
            notice: Notice::of(&picture.looked, now),
            tiles: tiles(&picture, &releases),
            drawing: draw(&picture, releases.first(), by, now),
            peers: picture.machines.len(),
            releases: rows(app, &releases, now).await?,
            has_ledger: picture.has_ledger,
            is_manager: is_manager || own_key.is_none(),
            expected,
        })
    }
}

fn expected(picture: &Picture, now: u64) -> Vec<Expected> {
    let Some(known) = picture.known() else { return Vec::new() };
    let one = |it: &node::communities::manager::Expected| Expected {
        name: it.peer.clone(),
        roles: it.roles.join(", "),
        waits: match it.expires {
            Some(expires) if expires <= now => {
                "Its join secret has expired: define it again with consign community peer add"
                    .into()
            }
            Some(_) => "Its machine runs consign join with its secret".into(),
            None => "Its machine asks with consign join --approve, then: consign community approve"
                .into(),
        },
        until: it.expires.filter(|it| *it > now).map(|it| Moment::new(it, now)),
    };
    known.expected.iter().map(one).collect()
}

fn tiles(picture: &Picture, releases: &[PackageRecord]) -> Vec<Tile> {
    let tally = picture.tally();
    let is = |role| picture.machines.iter().filter(|machine| machine.is(role)).count() as u64;
    let tile = |label, number: u64, remark: String| Tile {
        label,
        class: "",
        number: count(number),
        remark,
        link: None,
    };
    let state = |label, class, mark: Mark, remark: &str| {
        let number = tally.number(mark);
        Tile {
            class: if number > 0 { class } else { "" },
            link: (number > 0).then(|| format!("/peers?role=target&state={}", mark.word())),
            ..tile(label, number, remark.into())
        }
    };
    let relays = match is(Role::Relay) {
        0 => String::new(),
        relays => pages::format::counted(relays, "relay"),
    };
    let mut tiles = vec![
        tile("Targets", tally.total(), relays),
        state("Passed", "good", Mark::Passed, "their newest package"),
        state("Failed", "bad", Mark::Failed, "their newest package"),
        state("Pending", "warn", Mark::Pending, "not answered yet"),
    ];
    if tally.number(Mark::Running) > 0 {
        tiles.push(state("Running", "move", Mark::Running, "at work on it now"));
    }
    if tally.number(Mark::Unreadable) > 0 {
        tiles.push(state("Unreadable", "bad", Mark::Unreadable, "answers nobody can open"));
    }
    if tally.number(Mark::Lost) > 0 {
        tiles.push(state("Lost", "bad", Mark::Lost, "with the hub's database: send again"));
    }
    if !releases.is_empty() {
        tiles.push(Tile {
            class: if picture.answers > 0 { "move" } else { "" },
            remark: format!("in {} min", RATE_SECONDS / 60),
            ..tile("Answers", picture.answers, String::new())
        });
    }
    tiles
}
