//! `consign node`

use std::path::{Path, PathBuf};
use std::sync::Arc;

use node::communities::publisher::SharedLedger;
use serde_json::json;

use super::{Session, StopSignal};
use crate::args::NodeArgs;
use crate::exit::Ended;
use crate::serving::Serving;

pub(super) async fn run(session: &Session, args: &NodeArgs) -> anyhow::Result<Ended> {
    // Before anybody is told that the node is ready: who is told may ask it to stop.
    let mut signals = StopSignal::listen()?;
    let mut node = session.node()?;
    if let Some(cache) = args.cache {
        node = node.with_cache(cache.0);
    }
    let node = Arc::new(node);
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let runtime = runtime.filter(|runtime| runtime.is_absolute());
    let output = session.output;
    let state = node.directory().to_owned();
    let ready = |socket: &Path| {
        let said = output.fact(
            format!("node of {} at {}", state.display(), socket.display()),
            &json!({"event": "serving", "state": state.display().to_string(), "socket": socket.display().to_string(), "process": std::process::id()}),
        );
        if let Err(error) = said {
            tracing::debug!(%error, "nobody reads what the node says");
        }
        if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Ready]) {
            tracing::debug!(%error, "nobody waits to hear that the node is ready");
        }
    };
    let stop = async {
        signals.asked().await;
        output.remark("stopping: jobs under way are cancelled and can be run again");
        drop(sd_notify::notify(&[sd_notify::NotifyState::Stopping]));
    };
    let commands = |service: &Arc<node::service::Service>| {
        Arc::new(Serving { service: Arc::clone(service) }) as Arc<dyn node::control::Commands>
    };
    let ledger = SharedLedger::new(crate::ledger::address(session)?);
    node::service::run(node, ledger, runtime.as_deref(), commands, ready, stop).await?;
    Ok(Ended::Done)
}
