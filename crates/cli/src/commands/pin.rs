//! `consign pin` and `consign unpin`

use node::tree::TreeSpec;
use serde_json::json;

use super::{Session, parse};
use crate::args::PinArgs;
use crate::exit::{Ended, Usage};

pub(super) async fn run(session: &Session, args: PinArgs, pinned: bool) -> anyhow::Result<Ended> {
    let TreeSpec::Release { name, sequence: Some(sequence) } = parse(&args.release)? else {
        let wanted = format!("{:?} is not NAME@RELEASE, as in team/tools@3", args.release);
        return Err(Usage(wanted).into());
    };
    let link = session.link()?;
    link.client.set_pinned(&name, sequence, pinned).await?;
    let (word, event) = if pinned {
        ("is kept whatever the rules say", "pinned")
    } else {
        ("is kept as long as the rules say", "unpinned")
    };
    session.output.fact(
        format!("{name}@{sequence} {word}"),
        &json!({"event": event, "name": name.as_str(), "sequence": sequence}),
    )?;
    Ok(Ended::Done)
}
