//! `consign invite`

use std::time::Duration;

use serde_json::json;

use super::{Session, parse};
use crate::args::InviteArgs;
use crate::exit::Ended;

pub(super) async fn run(session: &Session, args: InviteArgs) -> anyhow::Result<Ended> {
    let names = args.read.iter().map(|name| parse(name)).collect::<anyhow::Result<Vec<_>>>()?;
    let role = if args.reader { hub::Role::Reader } else { hub::Role::Publisher };
    let database = args.database.named()?;
    let valid = Duration::from_secs(args.valid.saturating_mul(3600));
    let invitation =
        hub::invite(hub::HubData::new(args.data, database), role, &names, valid).await?.to_string();
    session.output.fact(&invitation, &json!({"event": "invitation", "invitation": invitation}))?;
    Ok(Ended::Done)
}
