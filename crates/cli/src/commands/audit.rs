//! `consign audit`

mod export;
mod verify;

use serde_json::{Value, json};

use super::Session;
use crate::args::{AuditArgs, AuditCommand};
use crate::exit::Ended;
use crate::output::{path, utc};

pub(super) async fn run(session: &Session, args: AuditArgs) -> anyhow::Result<Ended> {
    match args.command {
        None => list(session, args.last).await,
        Some(AuditCommand::Export(args)) => export::run(session, &args).await,
        Some(AuditCommand::Verify(args)) => verify::run(session, &args),
    }
}

async fn list(session: &Session, last: usize) -> anyhow::Result<Ended> {
    let link = session.link()?;
    let (mut before, mut left) = (None, last);
    while left > 0 {
        let (entries, next) = link.client.audit(before).await?;
        for entry in entries.iter().take(left) {
            // What a hub says is shown as text, never as what a terminal would do with it.
            let detail: Value = serde_json::from_str(&entry.detail).unwrap_or(Value::Null);
            session.output.fact(
                format!(
                    "{}  {:<18}  {}  by {}  {}",
                    utc(entry.time),
                    path(entry.action.as_bytes()),
                    path(entry.subject.as_bytes()),
                    path(entry.actor.as_bytes()),
                    path(entry.detail.as_bytes())
                ),
                &json!({
                    "event": "act",
                    "id": entry.id,
                    "time": entry.time,
                    "actor": entry.actor,
                    "action": entry.action,
                    "subject": entry.subject,
                    "detail": detail,
                }),
            )?;
        }
        left = left.saturating_sub(entries.len());
        match next {
            // A hub that repeats a page must not keep us here.
            Some(next) if before.is_none_or(|before| next < before) => before = Some(next),
            Some(_) | None => break,
        }
    }
    Ok(Ended::Done)
}
