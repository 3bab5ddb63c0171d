//! `consign hub clients`

use hub_api::ClientVersions;
use serde_json::json;

use super::super::Session;
use crate::args::HubClientsArgs;
use crate::exit::Ended;

pub(super) async fn run(session: &Session, args: HubClientsArgs) -> anyhow::Result<Ended> {
    let hub = hub::HubData::new(args.data, args.database.named()?);
    let before = hub::wanted_clients(hub.clone()).await?;
    let wanted = match args.any {
        true => ClientVersions::default(),
        false => ClientVersions {
            newest: args.newest.or(before.newest),
            place: args.place.or_else(|| before.place.clone()),
            minimum: args.minimum.or(before.minimum),
        },
    };
    if wanted != before {
        hub::want_clients(hub, &wanted).await?;
    }
    session.output.fact(
        shown(&wanted),
        &json!({
            "event": "hub-clients",
            "newest": wanted.newest,
            "place": wanted.place,
            "minimum": wanted.minimum,
        }),
    )?;
    Ok(Ended::Done)
}

fn shown(wanted: &ClientVersions) -> String {
    let newest = match wanted.newest {
        Some(newest) => {
            format!("clients are told that {newest} is the newest{}", wanted.at_place())
        }
        None => "clients are told of no newest version".to_owned(),
    };
    let minimum = match wanted.minimum {
        Some(minimum) => format!("those before {minimum} are refused"),
        None => "no version is refused".to_owned(),
    };
    format!("{newest}\n{minimum}")
}
