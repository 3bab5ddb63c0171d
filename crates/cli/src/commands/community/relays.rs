//! `consign community relays`

use community::report::{Beside, RelayReport};
use community::{Membership, Role};
use node::communities::Place;
use node::communities::relay::RelayTold;
use node::publish::unix_now;
use serde_json::json;

use crate::commands::Session;
use crate::exit::Ended;
use crate::output::{bytes, utc};

pub(super) async fn run(session: &Session, place: &Place) -> anyhow::Result<Ended> {
    let (_, members) = session.patiently(place.members()).await?;
    let hub = place.hub()?.url;
    let Some(told) = session.patiently(place.relays()).await? else {
        session.output.warn(
            format!("{hub} is too old to tell how relays are"),
            &json!({"event": "not_told", "hub": hub}),
        )?;
        return Ok(Ended::InPart);
    };
    let since = told.oldest.map_or(String::new(), |oldest| format!(", since {}", utc(oldest)));
    session.output.fact(
        format!("{hub}  {} in its queue{since}", entries(told.waiting)),
        &json!({
            "event": "backlog", "hub": hub, "waiting": told.waiting, "oldest": told.oldest,
        }),
    )?;
    for relay in members.iter().filter(|member| member.roles.contains(&Role::Relay)) {
        show(session, relay, told.relays.get(&relay.key))?;
    }
    Ok(Ended::Done)
}

fn show(session: &Session, relay: &Membership, told: Option<&RelayTold>) -> anyhow::Result<()> {
    let peer = relay.peer.as_str();
    let Some(RelayTold { heard, report }) = told else {
        return session.output.fact(
            format!("{peer:<24} has told nothing since its hub began to run"),
            &json!({"event": "relay", "peer": peer}),
        );
    };
    let RelayReport { since, total, seconds, recent, turns, beside, .. } = report;
    let age = unix_now().saturating_sub(*heard);
    let state = match beside {
        Beside::Idle => "nothing waits behind it".to_owned(),
        Beside::Waiting { entries: waiting, oldest } => {
            format!("{} behind it, since {}", entries(*waiting), utc(*oldest))
        }
        Beside::Silent { since } => {
            format!("the hub beside it does not answer, since {}", utc(*since))
        }
    };
    let turned = turns.map_or(String::new(), |(turns, last)| {
        format!("; turned to another hub {turns} times, last {}", utc(last))
    });
    let (waiting, oldest, silent) = match beside {
        Beside::Idle => (Some(0), None, None),
        Beside::Waiting { entries, oldest } => (Some(*entries), Some(*oldest), None),
        Beside::Silent { since } => (None, None, Some(*since)),
    };
    session.output.fact(
        format!(
            "{peer:<24} heard of {age} s ago: {state}\n  {} down, {} up in {seconds} s; {} and {} \
             since {}{turned}",
            bytes(recent.down),
            bytes(recent.up),
            bytes(total.down),
            bytes(total.up),
            utc(*since),
        ),
        &json!({
            "event": "relay", "peer": peer, "heard": heard, "since": since,
            "down_bytes": total.down, "up_bytes": total.up, "seconds": seconds,
            "down_bytes_recent": recent.down, "up_bytes_recent": recent.up,
            "waiting": waiting, "oldest": oldest, "silent_since": silent,
            "turns": turns.map_or(0, |(turns, _)| turns), "turned": turns.map(|(_, last)| last),
        }),
    )
}

fn entries(count: u64) -> String {
    match count {
        0 => "nothing waits".to_owned(),
        1 => "1 entry waits".to_owned(),
        count => format!("{count} entries wait"),
    }
}
