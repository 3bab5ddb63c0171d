//! `consign hub community …`

use serde_json::json;

use super::super::Session;
use crate::args::{HubCommunityArgs, HubCommunityCommand, HubRemoveCommunityArgs};
use crate::commands::confirm;
use crate::exit::Ended;
use crate::output::utc;

pub(super) async fn run(session: &Session, args: HubCommunityArgs) -> anyhow::Result<Ended> {
    match args.what {
        HubCommunityCommand::List(args) => {
            let hub = hub::HubData::new(args.data, args.database.named()?);
            list(session, hub::hosted_communities(hub).await?)
        }
        HubCommunityCommand::Remove(args) => remove(session, args).await,
    }
}

fn list(session: &Session, all: Vec<hub::HostedCommunity>) -> anyhow::Result<Ended> {
    if all.is_empty() {
        session.output.remark("the hub has no communities");
    }
    for it in all {
        let name = crate::output::path(it.name.as_bytes());
        let stands = match (it.ended, it.renewed) {
            (true, _) => "its managers ended it".to_owned(),
            (false, Some(renewed)) => format!("renewed {}", utc(renewed)),
            (false, None) => "never renewed".to_owned(),
        };
        let elsewhere = if it.passed_on { ", managed at another hub" } else { "" };
        session.output.fact(
            format!(
                "{name} ({})\n  {} peers, here since {}; {stands}{elsewhere}",
                it.community,
                it.peers,
                utc(it.created)
            ),
            &json!({
                "event": "hub-community", "community": it.community.to_string(), "name": it.name,
                "peers": it.peers, "created": it.created, "renewed": it.renewed,
                "ended": it.ended, "passed_on": it.passed_on,
            }),
        )?;
    }
    Ok(Ended::Done)
}

async fn remove(session: &Session, args: HubRemoveCommunityArgs) -> anyhow::Result<Ended> {
    let hub = hub::HubData::new(args.at.data, args.at.database.named()?);
    let found = hub::hosted_community(hub.clone(), &args.community).await?;
    let name = crate::output::path(found.name.as_bytes());
    let loss = format!(
        "Removes {name} ({}) with {} peers, its releases, and all receipts that no publisher has \
         collected. Its peers are told that this hub no longer has it; they do not learn that it ended.",
        found.community, found.peers
    );
    confirm::by_name(&loss, &found.name, args.yes).await?;
    hub::remove_community(hub, &found).await?;
    session.output.fact(
        format!("removed {name} ({})", found.community),
        &json!({
            "event": "hub-community-removed", "community": found.community.to_string(),
            "name": found.name, "peers": found.peers,
        }),
    )?;
    Ok(Ended::Done)
}
