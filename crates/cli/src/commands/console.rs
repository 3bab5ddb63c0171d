//! `consign console`

use serde_json::json;

use super::Session;
use crate::args::ConsoleArgs;
use crate::exit::Ended;

pub(super) async fn run(session: &Session, args: ConsoleArgs) -> anyhow::Result<Ended> {
    let hub = hub::HubData::new(&args.data, args.database.named()?);
    let link = hub::console_link(hub).await?;
    session.output.fact(&link, &json!({"event": "console", "link": link}))?;
    session.output.remark("open it in a browser; it works once, within ten minutes");
    Ok(Ended::Done)
}
