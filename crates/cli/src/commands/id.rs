//! `consign id`

use serde_json::json;

use super::Session;
use crate::exit::Ended;

pub(super) fn run(session: &Session) -> anyhow::Result<Ended> {
    let key = session.node()?.key().public().to_string();
    session.output.fact(&key, &json!({"event": "id", "key": key}))?;
    Ok(Ended::Done)
}
