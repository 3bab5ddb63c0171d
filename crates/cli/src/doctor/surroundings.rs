//! What checks look at.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use hub_client::{ClientError, Probe, Proxies};
use node::StateDir;
use node::hubs::KnownHub;

use super::Shown;
use super::running::NodeLook;
use crate::config::Layers;

/// How long each step of a look at the hub may take: as long as a person waits without wondering.
const PATIENCE: Duration = Duration::from_secs(4);

/// Where a command finds itself.
pub(crate) struct Surroundings {
    pub(crate) shown: Shown,
    /// The state directory, if it is known where it should be.
    pub(crate) state: Option<StateDir>,
    /// The hub named by flag, environment or configuration.
    pub(crate) hub: Option<String>,
    /// Through which proxies hubs are reached.
    pub(crate) proxies: Proxies,
    /// Where trees would be written.
    pub(crate) destination: PathBuf,
    pub(crate) config: Layers,
    pub(crate) hub_look: Option<HubLook>,
    pub(crate) node_look: Option<NodeLook>,
}

/// What was seen of the hub.
pub(crate) struct HubLook {
    pub(crate) hub: KnownHub,
    /// It is among those this node is registered with.
    pub(crate) registered: bool,
    /// Why its address cannot be used, or what was seen there.
    pub(crate) probe: Result<Probe, &'static str>,
    /// Seconds since 1970 here when the hub answered.
    pub(crate) now: u64,
    /// Whether a session could be opened; `None` when that was not tried.
    pub(crate) session: Option<Result<(), ClientError>>,
}

impl Surroundings {
    pub(crate) fn variable(name: &str) -> Option<OsString> {
        std::env::var_os(name).filter(|value| !value.is_empty())
    }

    /// A path as a word of a shell.
    pub(crate) fn path(&self, path: impl AsRef<Path>) -> String {
        self.shown.path(path.as_ref())
    }

    /// The state directory, if it exists.
    pub(crate) fn existing_state(&self) -> Option<&StateDir> {
        self.state.as_ref().filter(|state| state.path().is_dir())
    }

    fn registered_hubs(&self) -> Vec<KnownHub> {
        self.state.as_ref().and_then(|state| state.hubs().ok()).unwrap_or_default()
    }

    /// The hub commands would speak to.
    pub(crate) fn chosen_hub(&self) -> Option<KnownHub> {
        let known = self.registered_hubs();
        match &self.hub {
            None => known.into_iter().next(),
            Some(url) => {
                let url = url.trim_end_matches('/');
                let found = known.into_iter().find(|hub| hub.url.trim_end_matches('/') == url);
                Some(found.unwrap_or(KnownHub { url: url.to_owned(), fingerprint: None }))
            }
        }
    }

    /// Looks at the hub, once.
    pub(crate) async fn look_at_hub(&mut self) {
        let Some(hub) = self.chosen_hub() else { return };
        let registered = self.registered_hubs().contains(&hub);
        let probe = hub_client::probe(&hub.url, &self.proxies, PATIENCE).await;
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        let is_hub = probe
            .as_ref()
            .ok()
            .and_then(|probe| probe.answer.as_ref()?.as_ref().ok()?.hub.as_ref())
            .is_some();
        let session = if is_hub { self.open_session(&hub).await } else { None };
        self.hub_look = Some(HubLook { hub, registered, probe, now, session });
    }

    /// Tries this node's key; a node without a key is not given one by looking.
    async fn open_session(&self, hub: &KnownHub) -> Option<Result<(), ClientError>> {
        let state = self.existing_state()?;
        state.key().ok()??;
        let node = node::Node::open(state.path()).ok()?.with_proxies(self.proxies.clone());
        let link = node.hub(Some(&hub.url)).ok()?;
        let asked = tokio::time::timeout(PATIENCE, link.client.open_session()).await;
        asked.ok()
    }

    /// Looks at the running node, once.
    pub(crate) async fn look_at_node(&mut self) {
        if let Some(state) = self.existing_state() {
            self.node_look = Some(super::running::look(state.path(), PATIENCE).await);
        }
    }
}

/// Where an absolute path in a variable leads.
pub(crate) fn absolute(value: &OsStr) -> Option<PathBuf> {
    Some(PathBuf::from(value)).filter(|path| path.is_absolute())
}
