//! `consign community route`, `address` and `relay`: which way packages go.

use anyhow::{Context as _, bail};
use community::{PeerName, Role, Route};
use node::communities::Place;
use serde_json::json;

use super::changed_fact;
use crate::args::{AddressArgs, RelayArgs, RouteArgs};
use crate::commands::{Session, parse};
use crate::exit::Ended;

/// What stands for a fingerprint where the system's authorities vouch for the certificate.
const TRUSTED: &str = "trusted";

pub(super) async fn set(
    session: &Session,
    place: &Place,
    args: RouteArgs,
) -> anyhow::Result<Ended> {
    let peer: PeerName = parse(&args.peer)?;
    let routes = routes_of(session, place, &args.hubs).await?;
    let changed = place.change_peer(&peer, |member| member.routes.clone_from(&routes));
    changed_fact(session, &peer, &session.patiently(changed).await?, &args.to)
}

pub(super) async fn address(
    session: &Session,
    place: &Place,
    args: AddressArgs,
) -> anyhow::Result<Ended> {
    let peer: PeerName = parse(&args.peer)?;
    let addresses = args.addresses.iter().map(|text| address_of(session, text));
    let addresses: Vec<Route> = addresses.collect::<anyhow::Result<_>>()?;
    let changed = place.change_peer(&peer, |member| member.addresses.clone_from(&addresses));
    changed_fact(session, &peer, &session.patiently(changed).await?, &args.to)
}

pub(super) fn relay(session: &Session, place: &Place, args: &RelayArgs) -> anyhow::Result<Ended> {
    let hub = session.node()?.hub(Some(&args.url))?;
    place.pass_on_through(&hub)?;
    let address = address_text(&hub.route());
    let name = place.charter()?.name;
    // Nothing beside it, so that it can be handed on as it is.
    session.output.fact(
        &address,
        &json!({
            "event": "relaying", "community": place.id().to_string(), "hub": hub.url,
            "address": address,
        }),
    )?;
    session.output.remark(format!(
        "passes {name} on through it while `consign node` runs; a manager tells peers where it is: \
         consign community address PEER {address}",
    ));
    Ok(Ended::Done)
}

/// Where machines are sent: each text is the name of a relay or an address.
pub(super) async fn routes_of(
    session: &Session,
    place: &Place,
    texts: &[String],
) -> anyhow::Result<Vec<Route>> {
    let is_address = |text: &String| text.contains("://");
    let members = match texts.iter().all(is_address) {
        true => Vec::new(),
        false => session.patiently(place.members()).await?.1,
    };
    let mut routes = Vec::new();
    for text in texts {
        if is_address(text) {
            routes.push(address_of(session, text)?);
            continue;
        }
        let relay = members.iter().find(|member| member.peer.as_str() == text);
        let Some(relay) = relay else { bail!("there is no peer {text}, and it is no address") };
        if !relay.roles.contains(&Role::Relay) {
            bail!("{text} is no relay: see `consign community role`");
        }
        if relay.addresses.is_empty() {
            bail!("where {text} is found is not known yet: see `consign community address`");
        }
        routes.extend(relay.addresses.iter().cloned());
    }
    Ok(routes)
}

/// An address with what is behind its `#`.
pub(super) fn address_of(session: &Session, text: &str) -> anyhow::Result<Route> {
    let Some((url, fingerprint)) = text.split_once('#') else {
        return Ok(session.node()?.hub(Some(text))?.route());
    };
    let mut bytes = [0; 32];
    if fingerprint != TRUSTED {
        hex::decode_to_slice(fingerprint, &mut bytes).with_context(|| {
            format!("{fingerprint:?} is no fingerprint: 64 hexadecimal digits, or {TRUSTED}")
        })?;
    }
    Ok(Route { url: url.trim_end_matches('/').to_owned(), fingerprint: bytes })
}

fn address_text(route: &Route) -> String {
    match route.fingerprint {
        _ if route.url.starts_with("http://") => route.url.clone(),
        [0, ..] if route.fingerprint == [0; 32] => format!("{}#{TRUSTED}", route.url),
        fingerprint => format!("{}#{}", route.url, hex::encode(fingerprint)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_say_how_their_certificate_is_known() {
        let route = |url: &str, fingerprint| Route { url: url.to_owned(), fingerprint };
        let text = address_text(&route("https://a:7", [0xab; 32]));
        assert_eq!(text, format!("https://a:7#{}", "ab".repeat(32)));
        let starts_with_zero = {
            let mut it = [7; 32];
            it[0] = 0;
            it
        };
        assert!(address_text(&route("https://a:7", starts_with_zero)).contains("#0007"));
        assert_eq!(address_text(&route("https://a:7", [0; 32])), "https://a:7#trusted");
        assert_eq!(address_text(&route("http://a:7", [0; 32])), "http://a:7");
    }
}
