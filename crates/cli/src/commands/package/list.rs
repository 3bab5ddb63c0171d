//! `consign package list`

use ledger::PackageFilter;

use super::sent::{Packages, community, counts, name, package_fields};
use crate::args::ListArgs;
use crate::commands::Session;
use crate::exit::Ended;
use crate::ledger::existing;
use crate::output::{Output, Paint, utc};

pub(super) async fn run(session: &Session, args: ListArgs) -> anyhow::Result<Ended> {
    let output = session.output;
    let community = community(session, args.community.as_deref())?;
    let filter = PackageFilter { community, name: args.name, sequence: None };
    let Some(ledger) = existing(session).await? else { return nothing(output) };
    let mut packages = Packages::new(ledger.as_ref(), filter, args.last);
    let mut told = 0;
    loop {
        let page = packages.page().await?;
        if page.is_empty() {
            break;
        }
        told += page.len();
        for package in &page {
            let when = package.sent.map_or_else(
                || output.paint(Paint::Warning, format!("{:<25}", "not known to be sent")),
                |sent| format!("sent {}", utc(sent)),
            );
            let mut fields = package_fields(package);
            fields["event"] = "package".into();
            let (sequence, name) = (package.sequence, name(package));
            let counts = counts(output, &package.counts);
            output.fact(format!("{sequence:>5}  {name:<28}  {when}  {counts}"), &fields)?;
        }
    }
    if told == 0 { nothing(output) } else { Ok(Ended::Done) }
}

fn nothing(output: Output) -> anyhow::Result<Ended> {
    output.remark("nothing was sent from here");
    Ok(Ended::Done)
}
