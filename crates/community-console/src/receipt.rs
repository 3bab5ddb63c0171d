//! `GET /releases/{package}/targets/{target}`: what a target answered, down to what its scripts wrote.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use ledger::{TargetFilter, TargetId, TargetRecord, Verdict};
use node::publish::unix_now;
use package::receipt::{End, Limit, Output, Placed, Ran};
use package::{Outcome, StepReceipt};
use pages::format::Moment;
use pages::format::{bytes, count, counted, shown, shown_lines};

use crate::app::App;
use crate::page::{Failure, Layout, Page, Person, Section, Shown};
use crate::release::find;
use crate::tally::Mark;

/// What a page shows of an output; all of it can be downloaded.
const SHOWN_BYTES: usize = 64 << 10;

#[derive(Template)]
#[template(path = "receipt.html")]
pub(crate) struct ReceiptPage {
    layout: Layout,
    package: i64,
    name: String,
    version: String,
    sequence: u64,
    peer: String,
    key: String,
    labels: String,
    mark: Mark,
    reason: Option<String>,
    sent: Option<Moment>,
    answered: Option<Moment>,
    took: Option<String>,
    size: String,
    is_expired: bool,
    steps: Vec<StepView>,
}

/// One step.
pub(crate) struct StepView {
    number: usize,
    name: String,
    /// What became of it, and the class of its colour.
    outcome: String,
    colour: &'static str,
    reason: Option<String>,
    took: Option<String>,
    begun: Option<Moment>,
    /// Words and numbers about it.
    facts: Vec<(&'static str, String)>,
    outputs: Vec<OutputView>,
    /// Whether somebody should look at it.
    is_open: bool,
}

/// What a script wrote to one of its streams.
pub(crate) struct OutputView {
    title: &'static str,
    text: String,
    size: String,
    /// What is not here: it was cut off there, or on this page.
    cut: Option<String>,
    link: String,
}

/// A target of a release.
async fn target(
    app: &App,
    package: i64,
    number: i64,
) -> Result<(Arc<dyn ledger::Ledger>, ledger::PackageRecord, TargetRecord), Failure> {
    let (ledger, release) = find(app, package).await?;
    let after = number.checked_sub(1).map(TargetId::from_number);
    let found = ledger.targets(release.id, TargetFilter::All, after, 1).await?.pop();
    let found = found.filter(|found| found.id.number() == number);
    let missing = || Failure::not_found("The release was not sent to a target with this number.");
    Ok((ledger, release, found.ok_or_else(missing)?))
}

pub(crate) async fn receipt(
    State(app): State<Arc<App>>,
    _person: Person,
    Path((package, number)): Path<(i64, i64)>,
) -> Shown<ReceiptPage> {
    let now = unix_now();
    let (ledger, release, target) = target(&app, package, number).await?;
    let steps = ledger.steps(target.id).await?;
    let answered = target.answered.as_ref();
    let verdict = answered.map(|(_, verdict)| verdict);
    let here = format!("/releases/{package}/targets/{number}");
    let took: Duration =
        steps.iter().map(|step| step.took).fold(Duration::ZERO, Duration::saturating_add);
    let labels = target.labels.iter();
    let labels: Vec<String> = labels
        .map(|(key, value)| if value.is_empty() { key.clone() } else { format!("{key}={value}") })
        .collect();
    let peer = target.peer.as_str().to_owned();
    let title = format!("{peer}, release {}", release.sequence);
    let view = |(at, step): (usize, &StepReceipt)| StepView::new(at + 1, step, &here, now);
    Ok(Page(ReceiptPage {
        layout: Layout::new(&app, Section::Releases, title),
        package,
        name: shown(release.name.as_bytes()),
        version: shown(release.version.as_bytes()),
        sequence: release.sequence,
        peer,
        key: target.key.to_string(),
        labels: shown(labels.join(" ").as_bytes()),
        mark: Mark::of_target(&target),
        reason: verdict.and_then(Verdict::reason).map(|why| shown(why.as_bytes())),
        sent: target.sent.map(|sent| Moment::new(sent, now)),
        answered: answered.map(|(when, _)| Moment::new(*when, now)),
        took: (!steps.is_empty()).then(|| time(took)),
        size: bytes(target.receipt_bytes),
        is_expired: release.expires <= now,
        steps: steps.iter().enumerate().map(view).collect(),
    }))
}

/// `GET …/steps/{step}/{stream}`: all of an output, as it came, to be kept and not to be shown.
pub(crate) async fn output(
    State(app): State<Arc<App>>,
    _person: Person,
    Path((package, number, step, stream)): Path<(i64, i64, usize, String)>,
) -> Result<Response, Failure> {
    let (ledger, _, target) = target(&app, package, number).await?;
    let missing = || Failure::not_found("The receipt has no such output.");
    let steps = ledger.steps(target.id).await?;
    let step = step.checked_sub(1).and_then(|at| steps.into_iter().nth(at)).ok_or_else(missing)?;
    let Outcome::Ran(Ran { output, error, .. }) = step.outcome else { return Err(missing()) };
    let output = match &*stream {
        "stdout" => output,
        "stderr" => error,
        _ => return Err(missing()),
    };
    // A peer's name holds a-z, 0-9 and ._- alone.
    let name = format!("attachment; filename=\"{}-{number}-{stream}.txt\"", target.peer);
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_DISPOSITION, name),
    ];
    Ok((headers, output.bytes).into_response())
}

impl StepView {
    fn new(number: usize, step: &StepReceipt, here: &str, now: u64) -> Self {
        let mut view = Self {
            number,
            name: shown(step.name.as_bytes()),
            outcome: String::new(),
            colour: "still",
            reason: None,
            took: (step.begun_ms > 0).then(|| time(step.took)),
            begun: (step.begun_ms > 0).then(|| Moment::new(step.begun_ms / 1000, now)),
            facts: Vec::new(),
            outputs: Vec::new(),
            is_open: false,
        };
        let (outcome, colour) = match &step.outcome {
            Outcome::NotApplicable(why) => {
                view.outcome = format!("not for this machine: {}", shown(why.as_bytes()));
                ("", "still")
            }
            Outcome::LeftOut => ("left out: an earlier step failed", "still"),
            Outcome::Placed(_) => ("files placed", "good"),
            Outcome::PutBack(_) => ("files put back: a later step failed", "warn"),
            Outcome::NotPlaced(_) => ("files not placed, none of them", "bad"),
            Outcome::Ran(ran) => {
                view.outcome = end(ran.end);
                if let Some(limit) = ran.limit {
                    view.outcome.push_str(reached(limit));
                }
                view.is_open = true;
                let colour = if ran.is_expected { "good" } else { "bad" };
                if !ran.is_expected {
                    view.reason = Some("the step expects another end".into());
                }
                ("", colour)
            }
            Outcome::NotStarted(_) => ("script not started", "bad"),
            Outcome::Interrupted => {
                view.reason = Some(
                    "the machine stopped while the script ran, and it must not be run again".into(),
                );
                ("interrupted", "bad")
            }
        };
        if !outcome.is_empty() {
            view.outcome = outcome.to_owned();
        }
        view.colour = colour;
        match &step.outcome {
            Outcome::NotPlaced(why) | Outcome::NotStarted(why) => {
                view.reason = Some(shown(why.as_bytes()));
            }
            Outcome::Placed(placed) | Outcome::PutBack(placed) => view.facts = files(placed),
            Outcome::Ran(ran) => {
                view.facts = vec![
                    ("processor time", time(ran.processor)),
                    ("largest memory", bytes(ran.memory_bytes_max)),
                ];
                if let Some(together) = ran.memory_together_bytes_max {
                    view.facts.push(("all memory together", bytes(together)));
                }
                let stream = |name| format!("{here}/steps/{number}/{name}");
                view.outputs = vec![
                    OutputView::new("standard output", &ran.output, stream("stdout")),
                    OutputView::new("standard error", &ran.error, stream("stderr")),
                ];
            }
            Outcome::NotApplicable(_) | Outcome::LeftOut | Outcome::Interrupted => {}
        }
        view
    }
}

impl OutputView {
    fn new(title: &'static str, output: &Output, link: String) -> Self {
        let kept = output.bytes.len();
        let total = output.bytes_total;
        let cut = if total > kept as u64 {
            let (kept, total) = (bytes(kept as u64), bytes(total));
            Some(format!("Cut off by the machine: it kept the first {kept} of {total}."))
        } else if kept > SHOWN_BYTES {
            let (shown, all) = (bytes(SHOWN_BYTES as u64), bytes(kept as u64));
            Some(format!("The first {shown} are shown of {all}."))
        } else {
            None
        };
        let text = shown_lines(&output.bytes[..kept.min(SHOWN_BYTES)]);
        Self { title, text, size: bytes(total), cut, link }
    }
}

fn end(end: End) -> String {
    match end {
        End::Code(code) => format!("exit code {code}"),
        End::Signal(signal) => format!("ended by signal {signal}"),
        End::TimedOut => "took too long and was killed".into(),
    }
}

fn reached(limit: Limit) -> &'static str {
    match limit {
        Limit::Memory => " at its limit of memory",
        Limit::Processes => " at its limit of processes",
        Limit::Processor => " at its limit of processor time",
    }
}

fn files(placed: &Placed) -> Vec<(&'static str, String)> {
    let Placed { added, changed, kept, removed, bytes: written } = *placed;
    vec![
        ("added", counted(added, "file")),
        ("changed", count(changed)),
        ("as they were", count(kept)),
        ("removed", count(removed)),
        ("written", bytes(written)),
    ]
}

/// `12 ms`, `1.50 s`, `3 min`.
fn time(time: Duration) -> String {
    let micros = time.as_micros();
    match micros {
        0..1_000 => format!("{micros}\u{a0}µs"),
        1_000..1_000_000 => format!("{}\u{a0}ms", micros / 1_000),
        1_000_000..60_000_000 => format!("{:.2}\u{a0}s", time.as_secs_f64()),
        _ => pages::format::duration(time.as_secs()),
    }
}
