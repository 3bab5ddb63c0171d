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
use tokio::sync::{Semaphore, mpsc};
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
    /// One place for whoever changes the list and saves it; closed when the node ends.
    changing: Semaphore,
}

struct Running {
    spec: WatchSpec,
    status: Arc<Mutex<WatchStatus>>,
    orders: mpsc::UnboundedSender<Order>,
    /// The other end while no task takes orders: early ones wait here.
    waiting: Option<mpsc::UnboundedReceiver<Order>>,
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
    /// The node is about to end. Ask the next one.
    #[error("the node is ending")]
    Ending,
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
        let (running, changing) = (Mutex::new(running), Semaphore::new(1));
        Ok(Arc::new(Self { node, path, running, changing }))
    }

    /// Follows everything in the list.
    pub(crate) async fn resume(&self) {
        let Ok(_changing) = self.changing.acquire().await else { return };
        for running in self.lock().values_mut() {
            running.start(&self.node);
        }
    }

    /// Follows one more name, or follows it in another way; remembered over restarts. Goes on to
    /// its end when the future is dropped; when it fails, what was followed before still is.
    ///
    /// # Errors
    /// See [`WatchError`].
    pub async fn add(self: &Arc<Self>, spec: WatchSpec) -> Result<(), WatchError> {
        let watches = Arc::clone(self);
        to_its_end(async move { watches.change(spec).await }).await
    }

    async fn change(&self, spec: WatchSpec) -> Result<(), WatchError> {
        let _changing = self.changing.acquire().await.map_err(|_| WatchError::Ending)?;
        let known = self.lock().get(&spec.to).map(|known| known.spec.name.clone());
        if let Some(name) = known.filter(|name| *name != spec.name) {
            return Err(WatchError::OtherName { to: spec.to, name });
        }
        let to = spec.to.clone();
        let task = self.lock().get_mut(&to).and_then(Running::release);
        end(task, &to).await;
        let changed = self.replace(spec);
        // The new one, or else the one before.
        if let Some(running) = self.lock().get_mut(&to) {
            running.start(&self.node);
        }
        changed
    }

    /// Puts a watch into the list; when that fails, the list is what it was.
    fn replace(&self, spec: WatchSpec) -> Result<(), WatchError> {
        // What cannot work is said now, to whom it may concern.
        drop(Releases::open(&self.node, &spec)?);
        let to = spec.to.clone();
        let before = self.lock().insert(to.clone(), Running::new(spec));
        if let Err(error) = self.save() {
            let mut running = self.lock();
            drop(running.remove(&to));
            running.extend(before.map(|before| (to, before)));
            return Err(error.into());
        }
        if let Some(before) = before
            && let Some(running) = self.lock().get_mut(&to)
        {
            // What was ordered meanwhile is for the one that follows now.
            (running.orders, running.waiting) = (before.orders, before.waiting);
        }
        Ok(())
    }

    /// Stays at a release, or follows again when it is `None`. What failed before is forgotten:
    /// an error in the status comes from the order, or from what was done since.
    ///
    /// # Errors
    /// See [`WatchError`].
    pub fn hold(&self, to: &Path, hold: Option<u64>) -> Result<(), WatchError> {
        let running = self.lock();
        let unknown = || WatchError::Unknown { to: to.to_owned() };
        let watch = running.get(to).ok_or_else(unknown)?;
        let mut status = lock(&watch.status);
        (status.last_error, status.next_try) = (None, None);
        drop(status);
        watch.orders.send(Order::Hold(hold)).map_err(|_| unknown())
    }

    /// Follows a name no more. What is on disk stays. Goes on to its end when the future is
    /// dropped.
    ///
    /// # Errors
    /// See [`WatchError`].
    pub async fn remove(self: &Arc<Self>, to: &Path) -> Result<(), WatchError> {
        let (watches, to) = (Arc::clone(self), to.to_owned());
        to_its_end(async move { watches.drop_one(&to).await }).await
    }

    async fn drop_one(&self, to: &Path) -> Result<(), WatchError> {
        let _changing = self.changing.acquire().await.map_err(|_| WatchError::Ending)?;
        let removed = self.lock().remove(to);
        let mut removed = removed.ok_or_else(|| WatchError::Unknown { to: to.to_owned() })?;
        end(removed.release(), to).await;
        if let Err(error) = self.save() {
            removed.start(&self.node);
            self.lock().insert(to.to_owned(), removed);
            return Err(error.into());
        }
        Ok(())
    }

    /// What is followed, by directory.
    #[must_use]
    pub fn status(&self) -> Vec<WatchStatus> {
        let statuses = self.lock();
        statuses.values().map(|watch| lock(&watch.status).clone()).collect()
    }

    /// Ends all of them; they are resumed with the next node.
    pub(crate) async fn stop(&self) {
        // A change under way is finished first, and none begins any more.
        let changing = self.changing.acquire().await;
        self.changing.close();
        drop(changing);
        let tasks: Vec<_> =
            self.lock().iter_mut().map(|(to, running)| (to.clone(), running.release())).collect();
        for (to, task) in tasks {
            end(task, &to).await;
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
        let (orders, waiting) = mpsc::unbounded_channel();
        Self { spec, status, orders, waiting: Some(waiting), task: None }
    }

    fn start(&mut self, node: &Arc<Node>) {
        if self.task.is_some() {
            return;
        }
        let taken = self.waiting.take().unwrap_or_else(|| self.reopen());
        let follower = Follower::new(Arc::clone(node), self.spec.clone(), Arc::clone(&self.status));
        self.task = Some(tokio::spawn(async move {
            // Ends when its orders do.
            follower.run(taken, |event| event.log()).await;
        }));
    }

    /// Gives up its task, for [`end`]; orders wait from now on.
    fn release(&mut self) -> Option<JoinHandle<()>> {
        let task = self.task.take()?;
        self.waiting = Some(self.reopen());
        Some(task)
    }

    fn reopen(&mut self) -> mpsc::UnboundedReceiver<Order> {
        let (orders, taken) = mpsc::unbounded_channel();
        self.orders = orders;
        taken
    }
}

/// Ends the task of a watch, and waits until nothing of it touches the directory any more.
async fn end(task: Option<JoinHandle<()>>, to: &Path) {
    let Some(task) = task else { return };
    task.abort();
    if let Err(error) = task.await
        && error.is_panic()
    {
        tracing::error!(to = %to.display(), "a watch had failed from within");
    }
}

/// Runs a change in a task of its own, which a command that goes away does not cut off.
async fn to_its_end(
    change: impl Future<Output = Result<(), WatchError>> + Send + 'static,
) -> Result<(), WatchError> {
    match tokio::spawn(change).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Only the end of the runtime cancels it.
            Err(_) => Err(WatchError::Ending),
        },
    }
}

#[cfg(test)]
mod tests;
