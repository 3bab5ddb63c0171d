//! `consign grant`

use documents::{PublicKey, ReleaseName};
use hub_api::Grant;
use node::delegate::Past;
use serde_json::json;

use super::{Session, parse};
use crate::args::GrantArgs;
use crate::exit::Ended;

pub(super) async fn run(session: &Session, args: GrantArgs) -> anyhow::Result<Ended> {
    let name: ReleaseName = parse(&args.name)?;
    let key: PublicKey = parse(&args.key)?;
    let node = session.node()?;
    let link = node.hub(session.hub.as_deref())?;
    let (grant, may) = if args.publisher {
        node.add_publisher(&link, &name, &key).await?;
        (Grant::Publisher, "publish under")
    } else {
        // Who published until now reads from now on.
        node.end_publisher(&link, &name, &key, Past::Kept).await?;
        link.client.add_reader(&name, &key).await?;
        (Grant::Reader, "read")
    };
    session.output.fact(
        format!("{key} may {may} {name}"),
        &json!({"event": "granted", "name": args.name, "key": args.key, "grant": grant}),
    )?;
    Ok(Ended::Done)
}
