//! `consign hub down` and `consign hub up`

use std::time::Duration;

use serde_json::json;

use super::super::Session;
use crate::args::{HubDownArgs, HubUpArgs};
use crate::exit::Ended;
use crate::output::utc;

pub(super) async fn down(session: &Session, args: HubDownArgs) -> anyhow::Result<Ended> {
    let hub = hub::HubData::new(args.data, args.database.named()?);
    let time = Duration::from_secs(args.minutes.saturating_mul(60));
    let until = hub::take_down(hub, time, &args.why).await?;
    session.output.fact(
        format!("the hub is down for everyone but administrators until {}", utc(until)),
        &json!({ "event": "hub-down", "until": until, "why": args.why }),
    )?;
    Ok(Ended::Done)
}

pub(super) async fn up(session: &Session, args: HubUpArgs) -> anyhow::Result<Ended> {
    let hub = hub::HubData::new(args.data, args.database.named()?);
    hub::take_up(hub).await?;
    session.output.fact("the hub is up", &json!({ "event": "hub-up" }))?;
    Ok(Ended::Done)
}
