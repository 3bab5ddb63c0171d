//! `consign package show`

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ledger::{Ledger, LedgerError, PackageFilter, PackageRecord, TargetFilter, TargetRecord};

use node::communities::rollout;

use super::apply::shown;
use super::sent::{
    Packages, Targets, community, counts, name, package_fields, painted, target_fields,
};
use crate::args::ShowArgs;
use crate::commands::Session;
use crate::exit::Ended;
use crate::ledger::existing;
use crate::output::{Output, Paint, bytes, utc};
use crate::progress::duration;

/// Nothing of this name or number was sent from here.
#[derive(Debug, thiserror::Error)]
#[error("no package {0} was sent from here")]
pub(crate) struct NotSent(pub(crate) String);

pub(super) async fn run(session: &Session, args: ShowArgs) -> anyhow::Result<Ended> {
    let not_sent = || NotSent(shown(&args.package));
    let ledger = existing(session).await?.ok_or_else(not_sent)?;
    let community = community(session, args.community.as_deref())?;
    let any = PackageFilter { community, ..PackageFilter::default() };
    let found = find(ledger.as_ref(), &args.package, any).await?;
    if found.is_empty() {
        return Err(not_sent().into());
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    for package in found {
        show(session.output, ledger.as_ref(), &package, &args, now).await?;
    }
    Ok(Ended::Done)
}

/// The release of this number in every feed, or the newest package of this name.
async fn find(
    ledger: &dyn Ledger,
    package: &str,
    any: PackageFilter,
) -> Result<Vec<PackageRecord>, LedgerError> {
    if let Ok(sequence) = package.parse() {
        let filter = PackageFilter { sequence: Some(sequence), ..any.clone() };
        let mut packages = Packages::new(ledger, filter, u32::MAX);
        let mut found = Vec::new();
        loop {
            let page = packages.page().await?;
            if page.is_empty() {
                break;
            }
            found.extend(page);
        }
        if !found.is_empty() {
            return Ok(found);
        }
    }
    ledger.packages(&PackageFilter { name: Some(package.to_owned()), ..any }, None, 1).await
}

async fn show(
    output: Output,
    ledger: &dyn Ledger,
    package: &PackageRecord,
    args: &ShowArgs,
    now: u64,
) -> anyhow::Result<()> {
    let when = package.sent.map_or_else(
        || "not known to be at the hub".to_owned(),
        |sent| format!("sent {}", utc(sent)),
    );
    let expiry = if package.expires <= now { "expired" } else { "expires" };
    let text = format!(
        "{}, release {} of {}\n{when}, {expiry} {}; {}; for {}\n{}",
        output.paint(Paint::Strong, name(package)),
        package.sequence,
        package.feed.as_str(),
        utc(package.expires),
        bytes(package.bytes),
        shown(&package.selector),
        counts(output, &package.counts)
    );
    let mut fields = package_fields(package);
    fields["event"] = "package".into();
    output.fact(text, &fields)?;
    if let Some(status) = rollout::status(ledger, package.id, now).await? {
        super::rollout::tell(output, package.sequence, &status)?;
    }
    let filter = if args.pending { TargetFilter::Pending } else { TargetFilter::All };
    let mut targets = Targets::new(ledger, package, filter);
    loop {
        let page = targets.page().await?;
        if page.is_empty() {
            return Ok(());
        }
        for target in &page {
            let mut fields = target_fields(package, target);
            fields["event"] = "addressed".into();
            let state = state(output, package, target, now);
            output.fact(format!("  {:<20}  {state}", target.peer.as_str()), &fields)?;
        }
    }
}

/// How the package stands with a target; of one that is waited for since when, for what, and what comes
/// next.
fn state(output: Output, package: &PackageRecord, target: &TargetRecord, now: u64) -> String {
    if let Some((answered, verdict)) = &target.answered {
        return painted(output, *answered, verdict);
    }
    if let Some((since, why)) = &target.lost {
        let word = output.paint(Paint::Bad, "lost".to_owned());
        let why = shown(why);
        let since = utc(*since);
        return format!(
            "{word} since {since}: the hub forgot it, and {why}; send the package again"
        );
    }
    let Some(sent) = target.sent else {
        return format!(
            "{}: whether the hub has it is not known; this node or the next `package send` finishes it",
            output.paint(Paint::Warning, "drafted".to_owned())
        );
    };
    let next = if package.expires <= now {
        "it has expired, and the machine will answer no more than that"
    } else {
        "the hub keeps it until the machine comes for it"
    };
    let word = output.paint(Paint::Warning, "pending".to_owned());
    let waited = duration(Duration::from_secs(now.saturating_sub(sent)));
    format!("{word} since {} ({waited}): not answered; {next}", utc(sent))
}
