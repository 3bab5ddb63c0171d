//! `consign grant` and `consign revoke`

use serde_json::json;

use super::{Session, parse};
use crate::args::GrantArgs;
use crate::exit::Ended;

pub(super) async fn run(session: &Session, args: GrantArgs, give: bool) -> anyhow::Result<Ended> {
    let name: documents::ReleaseName = parse(&args.name)?;
    let reader: documents::PublicKey = parse(&args.reader)?;
    let link = session.node()?.hub(session.hub.as_deref())?;
    let word = if give {
        link.client.add_reader(&name, &reader).await?;
        "may read"
    } else {
        link.client.remove_reader(&name, &reader).await?;
        "may no longer read"
    };
    session.output.fact(
        format!("{reader} {word} {name}"),
        &json!({"event": if give { "granted" } else { "revoked" }, "name": args.name, "reader": args.reader}),
    )?;
    Ok(Ended::Done)
}
