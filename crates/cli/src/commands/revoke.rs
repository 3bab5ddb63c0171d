//! `consign revoke`

use documents::{PublicKey, ReleaseName};
use serde_json::json;

use super::{Session, parse};
use crate::args::RevokeArgs;
use crate::exit::Ended;

pub(super) async fn run(session: &Session, args: RevokeArgs) -> anyhow::Result<Ended> {
    let name: ReleaseName = parse(&args.name)?;
    let key: PublicKey = parse(&args.key)?;
    let link = session.node()?.hub(session.hub.as_deref())?;
    link.client.remove_grant(&name, &key).await?;
    session.output.fact(
        format!("{key} has no grant for {name} any more"),
        &json!({"event": "revoked", "name": args.name, "key": args.key}),
    )?;
    Ok(Ended::Done)
}
