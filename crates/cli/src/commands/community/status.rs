//! `consign community status`

use community::Role;
use node::communities::{CommunityError, Place, Standing};
use node::publish::unix_now;
use serde_json::json;

use crate::commands::Session;
use crate::exit::Ended;

pub(super) async fn run(session: &Session, named: Option<&str>) -> anyhow::Result<Ended> {
    let node = session.node()?;
    let places = match named {
        Some(_) => vec![node.community(named)?],
        None => node.communities()?,
    };
    if places.is_empty() {
        session.output.remark("this node belongs to no community");
    }
    let mut ended = Ended::Done;
    for place in places {
        match session.patiently(place.refresh()).await {
            Ok(standing) => {
                show(session, &place, &standing)?;
                if place.is_managed_here()?
                    && let Some(waiting) = session.patiently(place.waiting()).await?
                {
                    super::proposal::waits(session, &waiting)?;
                }
            }
            Err(CommunityError::Ended { .. }) => {
                super::ending::ended(session, &place)?;
            }
            Err(error) => {
                ended = Ended::InPart;
                unreached(session, &place, &error)?;
            }
        }
    }
    Ok(ended)
}

fn show(session: &Session, place: &Place, standing: &Standing) -> anyhow::Result<()> {
    let roster = standing.roster();
    let roles: Vec<&str> = match &standing.membership {
        Some(own) => own.roles.iter().map(|role| Role::as_str(*role)).collect(),
        None => Vec::new(),
    };
    let managed = place.is_managed_here()?;
    let mut does: Vec<&str> = managed.then_some("manager").into_iter().collect();
    does.extend(&roles);
    let hub = place.hub()?.url;
    let hours = standing.current.until.saturating_sub(unix_now()) / 3600;
    let peer = standing.membership.as_ref().map(|own| own.peer.as_str());
    let own = peer.map_or(String::new(), |peer| format!(" {peer}"));
    let managers = &standing.charter.managers;
    let signers = match managers.threshold {
        0 | 1 => String::new(),
        needed => format!("\n  {needed} of {} managers sign what changes", managers.keys.len()),
    };
    session.output.fact(
        format!(
            "{} ({})\n  this node is{own}: {}\n  hub {hub}{signers}\n  roster {} with {} peers counts for {hours} h more",
            standing.charter.name,
            place.id(),
            does.join(", "),
            roster.number,
            roster.count,
        ),
        &json!({
            "event": "community", "community": place.id().to_string(),
            "name": standing.charter.name, "peer": peer, "roles": roles, "manager": managed,
            "managers": managers.keys.len(), "threshold": managers.threshold,
            "hub": hub, "roster": roster.number, "peers": roster.count,
            "until": standing.current.until,
        }),
    )
}

fn unreached(session: &Session, place: &Place, error: &CommunityError) -> anyhow::Result<()> {
    let name = place.charter()?.name;
    let causes: Vec<String> =
        std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source())
            .map(ToString::to_string)
            .collect();
    let why = causes.join(": ");
    session.output.warn(
        format!("{name} ({}): {why}", place.id()),
        &json!({"event": "community_failed", "community": place.id().to_string(), "reason": why}),
    )
}
