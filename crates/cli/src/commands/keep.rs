//! `consign keep`

use documents::ReleaseName;
use hub_api::Retention;
use serde_json::json;

use super::{Session, parse};
use crate::args::KeepArgs;
use crate::exit::Ended;

pub(super) async fn run(session: &Session, args: KeepArgs) -> anyhow::Result<Ended> {
    let name: ReleaseName = parse(&args.name)?;
    let link = session.link()?;
    let asks = args.last.is_none() && args.days.is_none() && !args.all;
    let rules = if asks {
        link.client.retention(&name).await?
    } else {
        let rules = Retention { last: args.last, days: args.days };
        link.client.set_retention(&name, rules).await?;
        rules
    };
    session.output.fact(
        format!("{name}: {}", words(rules)),
        &json!({"event": "retention", "name": args.name, "last": rules.last, "days": rules.days}),
    )?;
    Ok(Ended::Done)
}

fn words(rules: Retention) -> String {
    match (rules.last, rules.days) {
        (None, None) => "all releases are kept".into(),
        (Some(last), None) => format!("the newest {last} and pinned releases are kept"),
        (None, Some(days)) => format!("the newest, pinned and those of {days} days are kept"),
        (Some(last), Some(days)) => {
            format!("the newest {last}, pinned and those of {days} days are kept")
        }
    }
}
