//! `consign grant`

use documents::{PublicKey, ReleaseName};
use hub_api::GivenGrant;
use serde_json::json;

use super::{Session, parse};
use crate::args::GrantArgs;
use crate::exit::Ended;

pub(super) async fn run(session: &Session, args: GrantArgs) -> anyhow::Result<Ended> {
    let name: ReleaseName = parse(&args.name)?;
    let key: PublicKey = parse(&args.key)?;
    let link = session.node()?.hub(session.hub.as_deref())?;
    let grant = if args.publisher { GivenGrant::Publisher } else { GivenGrant::Reader };
    link.client.set_grant(&name, &key, grant).await?;
    let may = if args.publisher { "publish under" } else { "read" };
    session.output.fact(
        format!("{key} may {may} {name}"),
        &json!({"event": "granted", "name": args.name, "key": args.key, "grant": grant}),
    )?;
    Ok(Ended::Done)
}
