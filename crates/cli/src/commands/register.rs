//! `consign register`

use anyhow::Context as _;
use serde_json::json;

use super::{Session, parse};
use crate::args::RegisterArgs;
use crate::exit::Ended;

pub(super) async fn run(session: &Session, args: RegisterArgs) -> anyhow::Result<Ended> {
    let text = match args.invitation {
        Some(text) if text != "-" => text,
        // On a thread of its own, so that Ctrl-C is heard meanwhile.
        _ => tokio::task::spawn_blocking(|| std::io::read_to_string(std::io::stdin()))
            .await?
            .context("cannot read the invitation")?,
    };
    let node = session.node()?;
    let link = session.patiently(node.register(&parse(text.trim())?)).await?;
    let key = node.key().public().to_string();
    session.output.fact(
        format!("registered with {} as {key}", link.url),
        &json!({"event": "registered", "hub": link.url, "key": key}),
    )?;
    Ok(Ended::Done)
}
