//! `consign grants`

use documents::ReleaseName;
use hub_api::Grant;
use serde_json::json;

use super::{Session, parse};
use crate::args::GrantsArgs;
use crate::exit::Ended;

pub(super) async fn run(session: &Session, args: GrantsArgs) -> anyhow::Result<Ended> {
    let name: ReleaseName = parse(&args.name)?;
    let link = session.node()?.hub(session.hub.as_deref())?;
    let mut after = None;
    loop {
        let (grants, next) = link.client.grants(&name, after.as_ref()).await?;
        for one in &grants {
            let word = match one.grant {
                Grant::Owner => "owner",
                Grant::Publisher => "publisher",
                Grant::Reader => "reader",
            };
            session.output.fact(
                format!("{word:<9}  {}", one.key),
                &json!({"event": "grant", "name": args.name, "key": one.key, "grant": one.grant}),
            )?;
        }
        match next {
            // A hub that repeats a page must not keep us here.
            Some(next) if after.is_none_or(|after| next > after) => after = Some(next),
            Some(_) | None => return Ok(Ended::Done),
        }
    }
}
