//! `consign revoke`

use documents::{PublicKey, ReleaseName};
use node::delegate::Past;
use serde_json::json;

use super::{Session, parse};
use crate::args::RevokeArgs;
use crate::exit::Ended;

pub(super) async fn run(session: &Session, args: RevokeArgs) -> anyhow::Result<Ended> {
    let name: ReleaseName = parse(&args.name)?;
    let key: PublicKey = parse(&args.key)?;
    let node = session.node()?;
    let link = node.hub(session.hub.as_deref())?;
    let past = if args.disown { Past::Disowned } else { Past::Kept };
    let published = node.end_publisher(&link, &name, &key, past).await?;
    link.client.remove_grant(&name, &key).await?;
    let past = match (published, past) {
        (false, _) => "",
        (true, Past::Kept) => "; the releases it signed stay good",
        (true, Past::Disowned) => "; the releases it signed count no more",
    };
    session.output.fact(
        format!("{key} has no grant for {name} any more{past}"),
        &json!({"event": "revoked", "name": args.name, "key": args.key, "published": published}),
    )?;
    Ok(Ended::Done)
}
