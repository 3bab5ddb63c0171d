//! Packages that were sent and their targets, as people and programs are told of them.

use community::CommunityId;
use ledger::{
    Counts, Ledger, LedgerError, PackageFilter, PackageId, PackageRecord, TargetFilter, TargetId,
    TargetRecord, Verdict,
};
use serde_json::{Value, json};

use super::apply::shown;
use crate::commands::Session;
use crate::output::{Output, Paint, number, utc};

/// How many rows are read at once.
const PAGE: u32 = 500;

/// The packages that fit, newest first, page by page.
pub(super) struct Packages<'a> {
    ledger: &'a dyn Ledger,
    filter: PackageFilter,
    before: Option<PackageId>,
    /// How many are wanted still.
    left: u32,
}

impl<'a> Packages<'a> {
    pub(super) fn new(ledger: &'a dyn Ledger, filter: PackageFilter, last: u32) -> Self {
        Self { ledger, filter, before: None, left: last }
    }

    /// The next page; empty when there are no more.
    pub(super) async fn page(&mut self) -> Result<Vec<PackageRecord>, LedgerError> {
        let limit = PAGE.min(self.left);
        let page = self.ledger.packages(&self.filter, self.before, limit).await?;
        self.before = page.last().map(|package| package.id);
        self.left = if page.len() < limit as usize { 0 } else { self.left - limit };
        Ok(page)
    }
}

/// The targets of a package that fit, page by page.
pub(super) struct Targets<'a> {
    ledger: &'a dyn Ledger,
    package: PackageId,
    filter: TargetFilter,
    after: Option<TargetId>,
}

impl<'a> Targets<'a> {
    pub(super) fn new(
        ledger: &'a dyn Ledger,
        package: &PackageRecord,
        filter: TargetFilter,
    ) -> Self {
        Self { ledger, package: package.id, filter, after: None }
    }

    /// The next page; empty when there are no more.
    pub(super) async fn page(&mut self) -> Result<Vec<TargetRecord>, LedgerError> {
        let page = self.ledger.targets(self.package, self.filter, self.after, PAGE).await?;
        self.after = page.last().map(|target| target.id).or(self.after);
        Ok(page)
    }
}

/// The community that is meant by its id or by the name that this node knows it by.
pub(super) fn community(
    session: &Session,
    named: Option<&str>,
) -> anyhow::Result<Option<CommunityId>> {
    let Some(named) = named else { return Ok(None) };
    if let Ok(id) = named.parse() {
        return Ok(Some(id));
    }
    Ok(Some(session.node()?.community(Some(named))?.id()))
}

/// What became of a package so far: `12 targets: 9 passed, 1 failed, 2 pending`.
pub(super) fn counts(output: Output, counts: &Counts) -> String {
    let all = counts.targets();
    let parts = [
        (counts.passed, "passed", Paint::Good),
        (counts.failed, "failed", Paint::Bad),
        (counts.not_applicable, "not applicable", Paint::Faint),
        (counts.unreadable, "unreadable", Paint::Bad),
        (counts.lost, "lost", Paint::Bad),
        (counts.running, "running", Paint::Warning),
        (counts.pending - counts.running, "pending", Paint::Warning),
    ];
    let parts: Vec<_> = parts
        .into_iter()
        .filter(|(count, ..)| *count > 0)
        .map(|(count, word, paint)| output.paint(paint, format!("{} {word}", number(count))))
        .collect();
    let plural = if all == 1 { "" } else { "s" };
    let colon = if parts.is_empty() { "" } else { ": " };
    format!("{} target{plural}{colon}{}", number(all), parts.join(", "))
}

/// What a target said, and when: `failed 2026-11-18 11:07 UTC: step 3 failed`.
pub(super) fn painted(output: Output, answered: u64, verdict: &Verdict) -> String {
    let paint = match verdict {
        Verdict::Passed => Paint::Good,
        Verdict::NotApplicable(_) => Paint::Faint,
        Verdict::Failed(_) | Verdict::Unreadable(_) => Paint::Bad,
    };
    let because = verdict.reason().map_or(String::new(), |why| format!(": {}", shown(why)));
    let word = output.paint(paint, verdict.word().replace('_', " "));
    format!("{word} {}{because}", utc(answered))
}

/// Name and version of a package.
pub(super) fn name(package: &PackageRecord) -> String {
    format!("{} {}", package.name, shown(&package.version))
}

/// The fields of a package for programs.
pub(super) fn package_fields(package: &PackageRecord) -> Value {
    let Counts { pending, running, lost, passed, failed, not_applicable, unreadable } =
        package.counts;
    json!({
        "sequence": package.sequence,
        "name": package.name,
        "version": package.version,
        "description": package.description,
        "community": package.community.to_string(),
        "feed": package.feed.as_str(),
        "selector": package.selector,
        "bytes_total": package.bytes,
        "built": package.built,
        "sent": package.sent,
        "expires": package.expires,
        "targets": package.counts.targets(),
        "pending": pending,
        "running": running,
        "passed": passed,
        "failed": failed,
        "not_applicable": not_applicable,
        "unreadable": unreadable,
        "lost": lost,
    })
}

/// The fields of a target for programs.
pub(super) fn target_fields(package: &PackageRecord, target: &TargetRecord) -> Value {
    let (answered, verdict) = target.answered.as_ref().map(|(at, what)| (at, what)).unzip();
    let state = match (target.sent, answered, &target.lost) {
        (_, Some(_), _) => "answered",
        (_, None, Some(_)) => "lost",
        (Some(_), None, None) if target.begun.is_some() => "running",
        (Some(_), None, None) => "pending",
        (None, None, None) => "drafted",
    };
    let (lost, why) = target.lost.as_ref().map(|(since, why)| (since, why.as_str())).unzip();
    json!({
        "sequence": package.sequence,
        "name": package.name,
        "version": package.version,
        "peer": target.peer.to_string(),
        "key": target.key.to_string(),
        "labels": target.labels,
        "state": state,
        "sent": target.sent,
        "answered": answered,
        "verdict": verdict.map(Verdict::word),
        "reason": verdict.and_then(Verdict::reason).or(why),
        "lost": lost,
    })
}
