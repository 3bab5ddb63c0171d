//! `consign deliveries`

use std::os::unix::ffi::OsStrExt as _;

use serde_json::json;

use super::Session;
use crate::exit::Ended;
use crate::output::{path, utc};

pub(super) fn run(session: &Session) -> anyhow::Result<Ended> {
    let listed = session.node()?.sent_deliveries()?;
    if listed.is_empty() {
        session.output.remark("nothing was sent from here; `consign send PATH` does");
    }
    for one in listed {
        let paths: Vec<String> =
            one.paths.iter().map(|at| path(at.as_os_str().as_bytes())).collect();
        let state = match (&one.ended, one.is_received) {
            (Some(_), _) => "ended",
            (None, true) => "received",
            (None, false) if one.kept_until.is_some() => "in-locker",
            (None, false) => "unfinished",
        };
        let more = match (&one.ended, one.kept_until.filter(|_| one.is_unfinished())) {
            (Some(reason), _) => format!("  {reason}"),
            (None, Some(until)) => format!("  until {}", utc(until)),
            (None, None) => String::new(),
        };
        session.output.fact(
            format!("{}  {}  {state:10}  {}{more}", one.id, utc(one.made), paths.join(" ")),
            &json!({
                "event": "delivery",
                "id": one.id.to_string(),
                "state": state,
                "made": one.made,
                "hub": one.hub,
                "subject": one.subject,
                "to": one.to,
                "background": one.is_kept,
                "ended": one.ended,
                "kept_until": one.kept_until,
                "paths": paths,
            }),
        )?;
    }
    Ok(Ended::Done)
}
