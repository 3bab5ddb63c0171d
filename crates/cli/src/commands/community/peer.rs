//! `consign community peer add`

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::Duration;

use anyhow::Context as _;
use community::Role;
use node::communities::Place;
use node::communities::manager::{Admission, PeerDefinition};
use serde_json::{Value, json};

use super::route::{address_of, routes_of};
use crate::args::PeerAddArgs;
use crate::commands::{Session, parse};
use crate::exit::Ended;

pub(super) async fn add(
    session: &Session,
    place: &Place,
    args: PeerAddArgs,
) -> anyhow::Result<Ended> {
    let routes = routes_of(session, place, &args.route).await?;
    let addresses = args.address.iter().map(|text| address_of(session, text));
    let definition = PeerDefinition {
        peer: parse(&args.peer)?,
        roles: args.role.into_iter().map(Role::from).collect(),
        labels: args.label.into_iter().map(|label| (label.key, label.value)).collect(),
        routes,
        addresses: addresses.collect::<anyhow::Result<_>>()?,
        description: args.description,
        host: args.host,
    };
    let lifetime = (!args.approve).then(|| Duration::from_secs(args.hours.saturating_mul(3600)));
    let admission = session.patiently(place.define(&definition, lifetime)).await?;
    let peer = &definition.peer;
    let mut value = json!({"event": "defined", "peer": peer.as_str()});
    let human = match (&admission, &args.secret_file) {
        (Admission::Approval, _) => {
            format!(
                "defined {peer}; approve its key when it asks: consign community approve {peer} KEY"
            )
        }
        (Admission::Secret(secret, expires), Some(file)) => {
            let file = session.path(file);
            std::fs::OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&file)
                .and_then(|mut opened| opened.write_all(format!("{secret}\n").as_bytes()))
                .with_context(|| format!("cannot write the secret to {}", file.display()))?;
            value["expires"] = Value::from(*expires);
            format!(
                "defined {peer}; its join secret, for {} h, is in {}",
                args.hours,
                file.display()
            )
        }
        (Admission::Secret(secret, expires), None) => {
            value["expires"] = Value::from(*expires);
            value["secret"] = Value::from(secret.to_string());
            format!("defined {peer}; it joins once, within {} h, with\n{secret}", args.hours)
        }
    };
    session.output.fact(human, &value)?;
    Ok(Ended::Done)
}
