//! `consign community list`

use community::{Membership, Role};
use node::communities::Place;
use node::communities::manager::JoinNews;
use node::publish::unix_now;
use serde_json::json;

use crate::commands::Session;
use crate::exit::Ended;
use crate::output::path;

pub(super) async fn run(session: &Session, place: &Place) -> anyhow::Result<Ended> {
    let (standing, members) = session.patiently(place.members()).await?;
    let name = &standing.charter.name;
    for member in &members {
        show(session, member)?;
    }
    if !place.is_managed_here()? {
        return Ok(Ended::Done);
    }
    let now = unix_now();
    for expected in place.expected()? {
        let (peer, roles) = (&expected.peer, expected.roles.join(", "));
        let waits = match expected.expires {
            Some(expires) if expires <= now => "its join secret has expired".to_owned(),
            Some(expires) => format!("its join secret is good for {} h", (expires - now) / 3600),
            None => "a manager has to approve its key".to_owned(),
        };
        session.output.fact(
            format!("{peer:<24} {roles:<18} has not joined: {waits}"),
            &json!({
                "event": "expected", "peer": peer, "roles": expected.roles,
                "expires": expected.expires,
            }),
        )?;
    }
    for news in session.patiently(place.handle_joins()).await? {
        say(session, &news)?;
    }
    if let Some(waiting) = session.patiently(place.waiting()).await? {
        super::proposal::waits(session, &waiting)?;
    }
    session.output.remark(format!("{} peers of {name} have joined", members.len()));
    Ok(Ended::Done)
}

fn show(session: &Session, member: &Membership) -> anyhow::Result<()> {
    let roles: Vec<&str> = member.roles.iter().map(|role| Role::as_str(*role)).collect();
    let labels: Vec<String> = member
        .labels
        .iter()
        .map(|(key, value)| if value.is_empty() { key.clone() } else { format!("{key}={value}") })
        .collect();
    let routes: Vec<&str> = member.routes.iter().map(|route| &*route.url).collect();
    let addresses: Vec<&str> = member.addresses.iter().map(|route| &*route.url).collect();
    let (peer, key) = (&member.peer, member.key);
    let mut text = format!("{peer:<24} {:<18} {key}  {}", roles.join(", "), labels.join(" "));
    if !addresses.is_empty() {
        text = format!("{}  at {}", text.trim_end(), addresses.join(", "));
    }
    if !routes.is_empty() {
        text = format!("{}  via {}", text.trim_end(), routes.join(", "));
    }
    for said in [&member.description, &member.host].into_iter().flatten() {
        text = format!("{}\n    {said}", text.trim_end());
    }
    session.output.fact(
        text.trim_end(),
        &json!({
            "event": "peer", "peer": peer.as_str(), "roles": roles, "key": key.to_string(),
            "labels": member.labels, "routes": routes, "addresses": addresses, "description": member.description,
            "host": member.host,
        }),
    )
}

fn say(session: &Session, news: &JoinNews) -> anyhow::Result<()> {
    let (text, value) = match news {
        JoinNews::Challenged(peer) => (
            format!("{peer} asks to join and was challenged"),
            json!({"event": "challenged", "peer": peer.as_str()}),
        ),
        JoinNews::Admitted(peer, key) => (
            format!("{peer} has joined now with key {key}"),
            json!({"event": "admitted", "peer": peer.as_str(), "key": key.to_string()}),
        ),
        JoinNews::Refused(peer, reason) => (
            format!("{peer} asked to join and was refused: {reason}"),
            json!({"event": "refused", "peer": peer.as_str(), "reason": reason}),
        ),
        JoinNews::BrokenOff(_, peer, reason) => (
            format!(
                "{peer} asked to join and broke it off, because who answered is no manager: {}",
                path(reason.as_bytes())
            ),
            json!({"event": "broken_off", "peer": peer.as_str(), "reason": reason}),
        ),
        JoinNews::WaitsForApproval(peer, key, since) => (
            format!(
                "{peer} waits for approval: consign community approve {peer} {key}  \
                 (compare the key with what `consign id` prints there)"
            ),
            json!({
                "event": "waits_for_approval", "peer": peer.as_str(), "key": key.to_string(),
                "since": since,
            }),
        ),
        JoinNews::WaitsForSignatures(peer, key, missing) => (
            format!(
                "{peer} has shown with key {key} that it may join, and waits for {missing} more \
                 signatures of managers"
            ),
            json!({
                "event": "waits_for_signatures", "peer": peer.as_str(), "key": key.to_string(),
                "missing": missing,
            }),
        ),
    };
    session.output.fact(text, &value)
}
