//! `GET /releases/{package}?state=&after=`: one release, its roll-out, and its targets.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use ledger::{
    Ledger, PackageFilter, PackageId, PackageRecord, TargetFilter, TargetId, TargetRecord,
};
use node::publish::unix_now;
use pages::format::{self, Moment, count, shown};
use serde::Deserialize;

use crate::app::App;
use crate::page::{Failure, Layout, Page, Person, Section, Shown};
use crate::rollout::{Left, RolloutView, waited};
use crate::tally::{Mark, Piece, Tally};

/// Targets on a page.
const PAGE: usize = 100;
/// Rows read at once when they are filtered.
const SCAN: u32 = 1000;

#[derive(Clone, Deserialize)]
pub(crate) struct Wanted {
    #[serde(default)]
    pub(crate) state: String,
    pub(crate) after: Option<i64>,
}

#[derive(Template)]
#[template(path = "release.html")]
pub(crate) struct Release {
    layout: Layout,
    live: String,
    view: View,
}

#[derive(Template)]
#[template(path = "release_live.html")]
pub(crate) struct View {
    id: i64,
    name: String,
    version: String,
    sequence: u64,
    description: String,
    sent: Option<Moment>,
    expires: Moment,
    is_expired: bool,
    size: String,
    selector: String,
    words: String,
    bar: Vec<Piece>,
    total: String,
    rollout: Option<RolloutView>,
    filters: Vec<Filter>,
    targets: Vec<Row>,
    is_filtered: bool,
    is_later_page: bool,
    next: Option<String>,
    first: String,
}

/// A choice of targets.
pub(crate) struct Filter {
    pub(crate) label: &'static str,
    pub(crate) number: String,
    pub(crate) link: String,
    pub(crate) is_chosen: bool,
}

/// A target in the table.
pub(crate) struct Row {
    pub(crate) peer: String,
    pub(crate) labels: String,
    pub(crate) mark: Mark,
    pub(crate) since: Option<Moment>,
    pub(crate) reason: String,
    /// Its receipt.
    pub(crate) link: Option<String>,
}

pub(crate) async fn release(
    State(app): State<Arc<App>>,
    _person: Person,
    Path(package): Path<i64>,
    Query(wanted): Query<Wanted>,
) -> Shown<Release> {
    let view = View::now(&app, package, &wanted).await?;
    let title = format!("{} {}, release {}", view.name, view.version, view.sequence);
    let after = wanted.after.map_or(String::new(), |after| format!("&after={after}"));
    let state = Mark::parse(&wanted.state).map_or("", Mark::word);
    Ok(Page(Release {
        layout: Layout::new(&app, Section::Releases, title),
        live: format!("/live/releases/{package}?state={state}{after}"),
        view,
    }))
}

/// The release of this number, if this community has it.
pub(crate) async fn find(
    app: &App,
    package: i64,
) -> Result<(Arc<dyn Ledger>, PackageRecord), Failure> {
    let missing = || Failure::not_found("No release of this community has this number here.");
    let ledger = app.records.get().await?.ok_or_else(missing)?;
    let filter = PackageFilter { community: Some(app.id), ..PackageFilter::default() };
    // The newest one before the next number.
    let before = package.checked_add(1).map(PackageId::from_number);
    let found = ledger.packages(&filter, before, 1).await?.pop();
    let found = found.filter(|found| found.id.number() == package).ok_or_else(missing)?;
    Ok((ledger, found))
}

impl View {
    pub(crate) async fn now(app: &App, package: i64, wanted: &Wanted) -> Result<Self, Failure> {
        let now = unix_now();
        let (ledger, found) = find(app, package).await?;
        let rollout = RolloutView::of(ledger.as_ref(), found.id, found.sequence, now).await?;
        let mut tally = Tally::from(found.counts);
        for left in rollout.iter().flat_map(|rollout| &rollout.left) {
            tally.add(left.mark, 1);
        }
        let chosen = Mark::parse(&wanted.state).filter(|mark| *mark != Mark::Nothing);
        let here = format!("/releases/{package}");
        let (targets, next) = match (chosen, &rollout) {
            (Some(mark @ (Mark::Waiting | Mark::Skipped)), Some(rollout)) => {
                of_waves(&rollout.left, mark, wanted.after, now)
            }
            (Some(_) | None, _) => {
                answered(ledger.as_ref(), &found, chosen, wanted.after, now).await?
            }
        };
        let state = chosen.map_or(String::new(), |mark| format!("state={}&", mark.word()));
        Ok(Self {
            id: package,
            name: shown(found.name.as_bytes()),
            version: shown(found.version.as_bytes()),
            sequence: found.sequence,
            description: shown(found.description.as_bytes()),
            sent: found.sent.map(|sent| Moment::new(sent, now)),
            expires: Moment::new(found.expires, now),
            is_expired: found.expires <= now,
            size: format::bytes(found.bytes),
            selector: shown(found.selector.as_bytes()),
            words: tally.words(),
            bar: tally.bar(),
            total: format::counted(tally.total(), "target"),
            rollout,
            filters: filters(&tally, chosen, &here),
            targets,
            is_filtered: chosen.is_some(),
            is_later_page: wanted.after.is_some(),
            next: next.map(|after| format!("{here}?{state}after={after}#targets")),
            first: format!("{here}?{state}#targets"),
        })
    }
}

fn filters(tally: &Tally, chosen: Option<Mark>, here: &str) -> Vec<Filter> {
    let addressed = tally.total() - tally.number(Mark::Waiting) - tally.number(Mark::Skipped);
    let all = Filter {
        label: "addressed",
        number: count(addressed),
        link: format!("{here}#targets"),
        is_chosen: chosen.is_none(),
    };
    let there =
        Mark::ALL.into_iter().filter(|mark| tally.number(*mark) > 0 || chosen == Some(*mark));
    let one = |mark: Mark| Filter {
        label: mark.label(),
        number: count(tally.number(mark)),
        link: format!("{here}?state={}#targets", mark.word()),
        is_chosen: chosen == Some(mark),
    };
    std::iter::once(all).chain(there.map(one)).collect()
}

/// Targets whose wave has not come, or that will not get it: those after so many.
fn of_waves(left: &[Left], mark: Mark, after: Option<i64>, now: u64) -> (Vec<Row>, Option<i64>) {
    let after = after.and_then(|after| usize::try_from(after).ok()).unwrap_or(0);
    let mut fitting = left.iter().filter(|left| left.mark == mark).skip(after);
    let row = |left: &Left| Row {
        peer: left.peer.clone(),
        labels: String::new(),
        mark,
        since: left.since.map(|since| Moment::new(since, now)),
        reason: format!("wave {}: {}", left.wave, left.reason),
        link: None,
    };
    let rows: Vec<Row> = fitting.by_ref().take(PAGE).map(row).collect();
    let next = fitting.next().map(|_| i64::try_from(after + PAGE).unwrap_or(i64::MAX));
    (rows, next)
}

/// Targets that were addressed, as they answered.
async fn answered(
    ledger: &dyn Ledger,
    package: &PackageRecord,
    chosen: Option<Mark>,
    after: Option<i64>,
    now: u64,
) -> Result<(Vec<Row>, Option<i64>), Failure> {
    let filter = match chosen {
        None | Some(Mark::Lost) => TargetFilter::All,
        Some(Mark::Pending | Mark::Running) => TargetFilter::Pending,
        Some(_) => TargetFilter::Answered,
    };
    let mut after = after.map(TargetId::from_number);
    let mut rows = Vec::new();
    loop {
        let read = ledger.targets(package.id, filter, after, SCAN).await?;
        let is_last = read.len() < SCAN as usize;
        for target in read {
            let mark = Mark::of_target(&target);
            if chosen.is_none_or(|chosen| chosen == mark) {
                if rows.len() == PAGE {
                    return Ok((rows, after.map(TargetId::number)));
                }
                rows.push(row(package, &target, mark, now));
            }
            after = Some(target.id);
        }
        if is_last {
            return Ok((rows, None));
        }
    }
}

fn row(package: &PackageRecord, target: &TargetRecord, mark: Mark, now: u64) -> Row {
    let labels = target.labels.iter();
    let labels: Vec<String> = labels
        .map(|(key, value)| if value.is_empty() { key.clone() } else { format!("{key}={value}") })
        .collect();
    let stands = (&target.answered, &target.lost, target.begun, target.sent);
    let (since, reason) = match stands {
        (Some((answered, verdict)), ..) => {
            (Some(*answered), shown(verdict.reason().unwrap_or_default().as_bytes()))
        }
        (None, Some((since, why)), ..) => {
            let why = shown(why.as_bytes());
            (Some(*since), format!("the hub forgot it, and {why}: send the package again"))
        }
        (None, None, Some(begun), _) => {
            (Some(begun), format!("it fetches it or carries it out, for {}", waited(begun, now)))
        }
        (None, None, None, Some(sent)) => {
            let next = if package.expires <= now {
                "it has expired, and the machine will answer no more than that"
            } else {
                "the hub keeps it until the machine comes for it"
            };
            (Some(sent), format!("waited for {}; {next}", waited(sent, now)))
        }
        (None, None, None, None) => {
            let why = "whether the hub has it is not known; the node or the next send finishes it";
            (None, why.to_owned())
        }
    };
    let link = format!("/releases/{}/targets/{}", package.id.number(), target.id.number());
    Row {
        peer: target.peer.as_str().to_owned(),
        labels: shown(labels.join(" ").as_bytes()),
        mark,
        since: since.map(|since| Moment::new(since, now)),
        reason,
        link: target.answered.is_some().then_some(link),
    }
}
