//! `consign package show`

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use documents::PublicKey;
use ledger::{Ledger, LedgerError, PackageFilter, PackageRecord, TargetFilter, TargetRecord};

use node::communities::{Place, rollout};
use tokio::time::timeout;

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

/// How long the hub may take to tell what runs: the rest is known here.
const HUB_PATIENCE: Duration = Duration::from_secs(10);

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
        show(session, ledger.as_ref(), &package, &args, now).await?;
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
    session: &Session,
    ledger: &dyn Ledger,
    package: &PackageRecord,
    args: &ShowArgs,
    now: u64,
) -> anyhow::Result<()> {
    let output = session.output;
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
    let begun = begun(session, package).await;
    let mut targets = Targets::new(ledger, package, filter);
    loop {
        let page = targets.page().await?;
        if page.is_empty() {
            return Ok(());
        }
        for target in &page {
            let mut fields = target_fields(package, target);
            fields["event"] = "addressed".into();
            let told = begun.get(&target.key).copied().filter(|_| is_waited_for(target));
            let since = target.running().or(told);
            fields["begun"] = since.into();
            if since.is_some() {
                fields["state"] = "running".into();
            }
            let state = match since {
                Some(since) => running(output, since, now),
                None => state(output, package, target, now),
            };
            output.fact(format!("  {:<20}  {state}", target.peer.as_str()), &fields)?;
        }
    }
}

/// Which targets told the hub that they began, and since when: the ledger knows what the node saw last.
/// That the hub did not answer is said.
async fn begun(session: &Session, package: &PackageRecord) -> BTreeMap<PublicKey, u64> {
    let none = BTreeMap::new();
    if package.sent.is_none() || package.counts.pending == package.counts.running {
        return none;
    }
    let Some(place) = publishing(session, package) else { return none };
    let why = match timeout(HUB_PATIENCE, place.begun(package)).await {
        Ok(Ok(begun)) => return begun,
        Ok(Err(error)) => format!("{:#}", anyhow::Error::from(error)),
        Err(_) => format!("the hub did not answer within {} s", HUB_PATIENCE.as_secs()),
    };
    let sequence = package.sequence;
    session.output.remark(format!(
        "which targets began with release {sequence} since the node last looked is not known: {}",
        shown(&why)
    ));
    none
}

/// Where the publisher's node is. A ledger may be read without one, and none is made for that.
fn publishing(session: &Session, package: &PackageRecord) -> Option<Place> {
    session.state_directory().ok().filter(|state| state.join("node.key").exists())?;
    session.node().ok()?.community(Some(&package.community.to_string())).ok()
}

/// Whether a target has what the hub may say of it still before it.
fn is_waited_for(target: &TargetRecord) -> bool {
    target.sent.is_some() && target.answered.is_none() && target.lost.is_none()
}

/// A target that fetches or carries out the package.
fn running(output: Output, since: u64, now: u64) -> String {
    let word = output.paint(Paint::Warning, "running".to_owned());
    let takes = duration(Duration::from_secs(now.saturating_sub(since)));
    format!("{word} since {} ({takes}): not answered; it fetches or carries it out", utc(since))
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
