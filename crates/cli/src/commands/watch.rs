//! `consign watch`

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use node::jobs::{WatchState, WatchStatus};
use node::service::Service;
use node::watch::follow::{Follower, WatchEvent, first_status};
use node::watch::hook::Hook;
use node::watch::{Switch, WatchSpec};
use serde_json::json;

use super::{Session, capability, parse};
use crate::args::WatchArgs;
use crate::exit::{Ended, Usage};
use crate::output::Output;
use crate::progress::{Look, watch_silence};

/// How often a watch is looked at until it has done what was asked.
const STEP: Duration = Duration::from_millis(50);

pub(super) async fn run(session: &Session, args: WatchArgs) -> anyhow::Result<Ended> {
    if args.list {
        return list(session);
    }
    if let Some(to) = &args.remove {
        let service = session.service.as_ref().context(NO_NODE)?;
        let to = absolute(session, to)?;
        service.watches().remove(&to).await?;
        let shown = to.display().to_string();
        session.output.fact(
            format!("{shown} is watched no more; what is in it stays"),
            &json!({"event": "removed", "to": shown}),
        )?;
        return Ok(Ended::Done);
    }
    let hold = match (args.to_release, args.follow) {
        (Some(sequence), _) => Some(Some(sequence)),
        (None, true) => Some(None),
        (None, false) => None,
    };
    let once = args.once;
    let spec = spec_of(session, args).await?;
    match &session.service {
        Some(service) if !once => with_node(session.output, service, spec, hold).await,
        Some(_) | None => alone(session, spec, hold, once).await,
    }
}

const NO_NODE: &str = "no node runs here, and only a node remembers watches: start `consign node`";

async fn spec_of(session: &Session, args: WatchArgs) -> anyhow::Result<WatchSpec> {
    let name = args.name.as_deref().ok_or_else(|| Usage("which name?".into()))?;
    let to = args.to.as_deref().ok_or_else(|| Usage("--to DIR is missing".into()))?;
    let hook = args.hook.map(|command| Hook {
        command,
        timeout_seconds: args.hook_timeout,
        rollback: args.rollback,
    });
    Ok(WatchSpec {
        name: parse(name)?,
        hub: session.hub.clone(),
        to: absolute(session, to)?,
        keep: args.keep,
        switch: if args.exchange { Switch::Exchange } else { Switch::Link },
        hook,
        capability: capability(args.sealed.capability.as_ref(), false).await?,
        publisher: args.sealed.publisher.as_deref().map(parse).transpose()?,
    })
}

/// The same for every way to write it, whether or not it exists.
fn absolute(session: &Session, path: &Path) -> anyhow::Result<std::path::PathBuf> {
    let path = std::path::absolute(session.path(path))?;
    Ok(path.canonicalize().unwrap_or(path))
}

/// Has the node of this process follow, and waits until what was asked for is so.
async fn with_node(
    output: Output,
    service: &Arc<Service>,
    spec: WatchSpec,
    hold: Option<Option<u64>>,
) -> anyhow::Result<Ended> {
    let (to, name) = (spec.to.clone(), spec.name.to_string());
    let shown = to.display().to_string();
    let find = || service.watches().status().into_iter().find(|watch| watch.to == shown);
    let is_known = find().is_some_and(|watch| watch.name == name);
    // Holding and following again change nothing else about a watch that exists.
    if !is_known || hold.is_none() {
        service.watches().add(spec).await?;
    }
    if let Some(hold) = hold {
        service.watches().hold(&to, hold)?;
    }
    let settled = async {
        loop {
            tokio::time::sleep(STEP).await;
            let Some(watch) = find() else { anyhow::bail!("the watch was removed meanwhile") };
            let busy = matches!(watch.state, WatchState::Fetching | WatchState::Hook);
            let there = match hold {
                Some(Some(sequence)) => {
                    watch.current == Some(sequence) && watch.hold == hold.flatten()
                }
                Some(None) => watch.hold.is_none() && watch.current.is_some(),
                None => watch.current.is_some(),
            };
            if !busy && (there || watch.last_error.is_some()) {
                return Ok(watch);
            }
        }
    };
    let look = || find().map_or_else(Look::default, |watch| look_of(&watch));
    let watch = watch_silence(output, settled, look).await?;
    show(output, &watch)?;
    Ok(if watch.last_error.is_some() { Ended::InPart } else { Ended::Done })
}

/// Follows in this process: to its end with `once`, else until it is interrupted.
async fn alone(
    session: &Session,
    spec: WatchSpec,
    hold: Option<Option<u64>>,
    once: bool,
) -> anyhow::Result<Ended> {
    let output = session.output;
    let status = Arc::new(Mutex::new(first_status(&spec)));
    let follower = Follower::new(Arc::new(session.node()?), spec, Arc::clone(&status));
    let look = || look_of(&lock(&status));
    let say = move |event| {
        if let Err(error) = tell(output, &event) {
            tracing::debug!(%error, "nobody reads what the watch says");
        }
    };
    if once || hold.is_some() {
        watch_silence(output, follower.once(hold, say), look).await?;
        show(output, &lock(&status))?;
        return Ok(Ended::Done);
    }
    output.remark("following until it is interrupted; a running `consign node` follows for good");
    let (orders, taken) = tokio::sync::mpsc::unbounded_channel();
    watch_silence(output, follower.run(taken, say), look).await;
    drop(orders);
    Ok(Ended::Done)
}

fn lock(status: &Mutex<WatchStatus>) -> MutexGuard<'_, WatchStatus> {
    status.lock().unwrap_or_else(PoisonError::into_inner)
}

fn look_of(watch: &WatchStatus) -> Look {
    let waits = watch.waits_for.as_ref();
    Look {
        waits_for: waits.map(|waiting| format!("{}; {}", waiting.what, waiting.next)),
        ..Look::default()
    }
}

fn tell(output: Output, event: &WatchEvent) -> anyhow::Result<()> {
    match event {
        WatchEvent::Switched { name, release, previous, rolled_back } => output.fact(
            match (previous, rolled_back) {
                (Some(previous), true) => format!("{name}@{release} is current again, {previous} was rolled back"),
                (Some(previous), false) => format!("{name}@{release} is current, {previous} was before"),
                (None, _) => format!("{name}@{release} is current"),
            },
            &json!({"event": "switched", "name": name, "release": release, "previous": previous, "rolled_back": rolled_back}),
        ),
        WatchEvent::Failed { name, what } => output.warn(
            format!("{name}: {what}"),
            &json!({"event": "failed", "name": name, "message": what}),
        ),
    }
}

fn list(session: &Session) -> anyhow::Result<Ended> {
    let service = session.service.as_ref().context(NO_NODE)?;
    let watches = service.watches().status();
    for watch in &watches {
        show(session.output, watch)?;
    }
    if watches.is_empty() {
        session.output.remark("nothing is watched");
    }
    Ok(Ended::Done)
}

fn show(output: Output, watch: &WatchStatus) -> anyhow::Result<()> {
    let current = watch.current.map_or("nothing yet".into(), |it| format!("release {it}"));
    let mut human = format!("{} into {}: {current}", watch.name, watch.to);
    if let Some(hold) = watch.hold {
        human.push_str(&format!(", held at {hold}"));
    }
    if let Some(error) = &watch.last_error {
        human.push_str(&format!("\n  last failure: {error}"));
    }
    let mut line = serde_json::to_value(watch)?;
    if let Some(line) = line.as_object_mut() {
        line.insert("event".into(), "watch".into());
    }
    output.fact(human, &line)
}
