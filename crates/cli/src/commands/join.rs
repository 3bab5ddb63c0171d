//! `consign join`

use anyhow::Context as _;
use community::{JoinSecret, PeerName, Role, Seed};
use node::Waits;
use serde_json::json;

use super::{Session, parse};
use crate::args::JoinArgs;
use crate::exit::{Ended, Usage};
use crate::progress::{Look, watch_silence};
use crate::prompt;

pub(super) async fn run(session: &Session, args: JoinArgs) -> anyhow::Result<Ended> {
    let seed: Seed = parse(&read(session, &args.seed).await?)?;
    let peer: PeerName = parse(&args.peer)?;
    let secret: Option<JoinSecret> = match (&args.secret_file, args.approve) {
        (Some(file), _) => Some(parse(&read(session, file).await?)?),
        (None, true) => None,
        (None, false) => {
            let typed = prompt::secret(format!("Join secret of {peer}: ")).await?;
            let typed = typed.filter(|typed| !typed.is_empty());
            let needed = "give the join secret with --secret-file, or --approve without one";
            Some(parse(&typed.ok_or_else(|| Usage(needed.to_owned()))?)?)
        }
    };
    let node = session.node()?;
    if secret.is_none() {
        session.output.remark(format!("this node's key is {}", node.key().public()));
    }
    let waits = Waits::default();
    let look = || {
        let look = Look { waits_for: waits.reason(), ..Look::default() };
        look.with_calls(&session.activity, std::time::Instant::now())
    };
    let job = node.join(&seed, &peer, secret.as_ref(), &waits);
    let joined = watch_silence(session.output, job, look).await?;
    let own = joined.standing.membership.as_ref();
    let roles: Vec<&str> = own
        .map(|own| own.roles.iter().map(|role| Role::as_str(*role)).collect())
        .unwrap_or_default();
    let name = &joined.standing.charter.name;
    let said = if joined.again { "is in" } else { "joined" };
    session.output.fact(
        format!("{peer} {said} {name} ({}) as {}", joined.place.id(), roles.join(", ")),
        &json!({
            "event": "joined", "community": joined.place.id().to_string(), "name": name,
            "peer": peer.as_str(), "roles": roles, "again": joined.again,
        }),
    )?;
    Ok(Ended::Done)
}

async fn read(session: &Session, file: &std::path::Path) -> anyhow::Result<String> {
    if file.as_os_str() == "-" {
        // On a thread of its own, so that Ctrl-C is heard meanwhile.
        let text = tokio::task::spawn_blocking(|| std::io::read_to_string(std::io::stdin()));
        return text.await?.context("cannot read standard input");
    }
    let path = session.path(file);
    std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}
