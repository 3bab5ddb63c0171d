//! Following a name: each new release is fetched beside the old one, checked, and made current
//! in one step.
//!
//! ```text
//! DIR/current            link to releases/N, or with `--exchange` the release itself
//! DIR/releases/N/        releases that are kept
//!
//! STATE/watches.json     what a running node follows, mode 0600: it may hold capabilities
//! STATE/watch/HASH/      one followed directory
//!     state.json         what is current, held, kept; a switch that is under way
//!     N/                 index, plan and journal of release N
//!     hook.log           what the last hook said
//! ```
//!
//! * [`releases`]: the directory, the switch and what is kept; start reading there.
//! * [`follow`]: drives `watch-plan` against the hub.
//! * [`hook`]: runs a command after a switch, with as few rights as can be.
//!
//! Invariant: at every instant `current` is one whole release or another, or missing before
//! the first. (With `--exchange` onto a file system that can exchange.)

pub mod follow;
pub mod hook;
pub mod releases;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use documents::{Capability, PublicKey, ReleaseName};
use node_api::status::WatchStatus;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::state::{Node, StateError, read_json, write_json};
use follow::{Follower, Order};
use hook::Hook;
use releases::{Releases, ReleasesError};

/// How a release becomes current.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Switch {
    /// `current` is a link, which a rename replaces.
    Link,
    /// `current` is a plain directory, which is exchanged for another (`renameat2`).
    Exchange,
}

/// What to follow and where to.
#[derive(Debug, Clone)]
pub struct WatchSpec {
    /// The name.
    pub name: ReleaseName,
    /// The hub, or the first registered one.
    pub hub: Option<String>,
    /// The directory of `current` and `releases`, absolute.
    pub to: PathBuf,
    /// How many releases stay on disk, the current one among them; at least 1.
    pub keep: u32,
    /// How a release becomes current.
    pub switch: Switch,
    /// What runs after a switch.
    pub hook: Option<Hook>,
    /// Opens sealed releases.
    pub capability: Option<Capability>,
    /// Accept releases of this publisher from now on.
    pub publisher: Option<PublicKey>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    name: String,
    hub: Option<String>,
    to: node_api::Text,
    keep: u32,
    switch: Switch,
    hook: Option<Hook>,
    capability: Option<String>,
    publisher: Option<String>,
}

impl Stored {
    fn of(spec: &WatchSpec) -> Self {
        Self {
            name: spec.name.to_string(),
            hub: spec.hub.clone(),
            to: spec.to.as_path().into(),
            keep: spec.keep,
            switch: spec.switch,
            hook: spec.hook.clone(),
            capability: spec.capability.as_ref().map(ToString::to_string),
            publisher: spec.publisher.as_ref().map(ToString::to_string),
        }
    }

    fn open(self) -> Option<WatchSpec> {
        Some(WatchSpec {
            name: self.name.parse().ok()?,
            hub: self.hub,
            to: self.to.as_path().to_owned(),
            keep: self.keep,
            switch: self.switch,
            hook: self.hook,
            capability: self.capability.map(|text| text.parse().ok()).unwrap_or_default(),
            publisher: self.publisher.map(|text| text.parse().ok()).unwrap_or_default(),
        })
    }
}

/// The names a running node follows, by directory.
pub struct Watches {
    node: Arc<Node>,
    path: PathBuf,
    running: Mutex<BTreeMap<PathBuf, Running>>,
}

struct Running {
    spec: WatchSpec,
    status: Arc<Mutex<WatchStatus>>,
    orders: mpsc::UnboundedSender<Order>,
    task: Option<JoinHandle<()>>,
}

/// Why a watch could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// Nothing follows a name into this directory. `consign watch --list` shows what is followed.
    #[error("{} is not watched", to.display())]
    Unknown {
        /// The directory.
        to: PathBuf,
    },
    /// Another name is followed into this directory. Remove that watch first.
    #[error("{} follows {name} already", to.display())]
    OtherName {
        /// The directory.
        to: PathBuf,
        /// The name that is followed there.
        name: ReleaseName,
    },
    /// The directory cannot be used.
    #[error(transparent)]
    Releases(#[from] ReleasesError),
    /// The list cannot be kept.
    #[error("cannot keep the list of watches")]
    State(#[from] StateError),
}

impl Watches {
    /// Reads the list; nothing is followed before [`resume`](Self::resume).
    pub(crate) fn open(node: Arc<Node>) -> Result<Arc<Self>, StateError> {
        let path = node.directory().join("watches.json");
        let stored: Vec<Stored> = read_json(&path)?.unwrap_or_default();
        let mut running = BTreeMap::new();
        for one in stored {
            let spec = one.open().ok_or_else(|| StateError::Damaged {
                path: path.clone(),
                reason: "it names a watch that cannot be".into(),
            })?;
            running.insert(spec.to.clone(), Running::new(spec));
        }
        Ok(Arc::new(Self { node, path, running: Mutex::new(running) }))
    }

    /// Follows everything in the list.
    pub(crate) fn resume(&self) {
        for running in self.lock().values_mut() {
            running.start(&self.node);
        }
    }

    /// Follows one more name, or follows it in another way; remembered over restarts.
    ///
    /// # Errors
    /// See [`WatchError`].
    pub async fn add(&self, spec: WatchSpec) -> Result<(), WatchError> {
        let known = self.lock().get(&spec.to).map(|known| known.spec.name.clone());
        if let Some(name) = known.filter(|name| *name != spec.name) {
            return Err(WatchError::OtherName { to: spec.to, name });
        }
        let before = self.lock().remove(&spec.to);
        if let Some(before) = before {
            before.stop().await;
        }
        // What cannot work is said now, to whom it may concern.
        drop(Releases::open(&self.node, &spec)?);
        let mut running = Running::new(spec.clone());
        running.start(&self.node);
        self.lock().insert(spec.to, running);
        Ok(self.save()?)
    }

    /// Stays at a release, or follows again when it is `None`.
    ///
    /// # Errors
    /// See [`WatchError`].
    pub fn hold(&self, to: &Path, hold: Option<u64>) -> Result<(), WatchError> {
        let running = self.lock();
        let unknown = || WatchError::Unknown { to: to.to_owned() };
        let watch = running.get(to).ok_or_else(unknown)?;
        watch.orders.send(Order::Hold(hold)).map_err(|_| unknown())
    }

    /// Follows a name no more. What is on disk stays.
    ///
    /// # Errors
    /// See [`WatchError`].
    pub async fn remove(&self, to: &Path) -> Result<(), WatchError> {
        let removed = self.lock().remove(to);
        removed.ok_or_else(|| WatchError::Unknown { to: to.to_owned() })?.stop().await;
        Ok(self.save()?)
    }

    /// What is followed, by directory.
    #[must_use]
    pub fn status(&self) -> Vec<WatchStatus> {
        let statuses = self.lock();
        statuses.values().map(|watch| lock(&watch.status).clone()).collect()
    }

    /// Ends all of them; they are resumed with the next node.
    pub(crate) async fn stop(&self) {
        let all = std::mem::take(&mut *self.lock());
        for (_, running) in all {
            running.stop().await;
        }
    }

    fn save(&self) -> Result<(), StateError> {
        let stored: Vec<Stored> = self.lock().values().map(|one| Stored::of(&one.spec)).collect();
        write_json(&self.path, &stored)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Running>> {
        lock(&self.running)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Running {
    fn new(spec: WatchSpec) -> Self {
        let status = Arc::new(Mutex::new(follow::first_status(&spec)));
        // Orders given before it starts are lost with this channel; nobody can give any.
        let (orders, _) = mpsc::unbounded_channel();
        Self { spec, status, orders, task: None }
    }

    fn start(&mut self, node: &Arc<Node>) {
        if self.task.is_some() {
            return;
        }
        let (orders, taken) = mpsc::unbounded_channel();
        self.orders = orders;
        let follower = Follower::new(Arc::clone(node), self.spec.clone(), Arc::clone(&self.status));
        self.task = Some(tokio::spawn(async move {
            // Ends when its orders do.
            follower.run(taken, |event| event.log()).await;
        }));
    }

    /// Ends it, and waits until nothing of it touches the directory any more.
    async fn stop(self) {
        if let Some(task) = self.task {
            task.abort();
            if let Err(error) = task.await
                && error.is_panic()
            {
                tracing::error!(to = %self.spec.to.display(), "a watch had failed from within");
            }
        }
    }
}
