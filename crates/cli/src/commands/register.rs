//! `consign register`

use anyhow::Context as _;
use serde_json::json;

use super::{Session, parse};
use crate::args::RegisterArgs;
use crate::exit::Ended;

pub(super) async fn run(session: &Session, args: RegisterArgs) -> anyhow::Result<Ended> {
    let text = match args.invitation {
        Some(text) if text != "-" => text,
        _ => std::io::read_to_string(std::io::stdin()).context("cannot read the invitation")?,
    };
    let node = session.node()?;
    let link = node.register(&parse(text.trim())?).await?;
    let key = node.key().public().to_string();
    session.output.fact(
        format!("registered with {} as {key}", link.url),
        &json!({"event": "registered", "hub": link.url, "key": key}),
    )?;
    Ok(Ended::Done)
}
