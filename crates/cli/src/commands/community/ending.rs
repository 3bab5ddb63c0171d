//! `consign community delete`

use node::communities::manager::Ending;
use node::communities::{CommunityError, Place};
use serde_json::json;

use super::proposal;
use crate::args::DeleteArgs;
use crate::commands::{Session, confirm};
use crate::exit::Ended;

pub(super) async fn delete(session: &Session, args: DeleteArgs) -> anyhow::Result<Ended> {
    let place = session.node()?.community(Some(&args.name))?;
    let charter = place.charter()?;
    if charter.ended {
        let (name, charter) = (charter.name, charter.number);
        return Err(CommunityError::Ended { name, charter }.into());
    }
    let name = crate::output::path(charter.name.as_bytes());
    let loss = format!(
        "Ends {name} ({}) for good: nothing is sent or received in it any more, and its releases, \
         queues and receipts at the hub go. Machines keep what was carried out on them, publishers \
         what is in their ledgers.",
        place.id()
    );
    confirm::by_name(&loss, &charter.name, args.yes).await?;
    match session.patiently(place.end()).await? {
        Ending::Ended(_) => ended(session, &place),
        Ending::Proposed(proposed) => proposal::made(session, &proposed, &args.to),
    }
}

/// The community has ended, by the charter that is in force.
pub(super) fn ended(session: &Session, place: &Place) -> anyhow::Result<Ended> {
    let charter = place.charter()?;
    let (name, number) = (crate::output::path(charter.name.as_bytes()), charter.number);
    session.output.fact(
        format!(
            "{name} ({}) has ended: its managers signed that with charter {number}\n  \
             what was carried out stays as it is",
            place.id()
        ),
        &json!({
            "event": "community_ended", "community": place.id().to_string(),
            "name": charter.name, "charter": number,
        }),
    )?;
    Ok(Ended::Done)
}
