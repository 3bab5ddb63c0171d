//! This process as the node of the machine: owner of the store, server of the control socket,
//! follower of names.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use deploy::script::Launch;
use node_api::status::{Status, Waiting};
use tokio::net::UnixListener;

use crate::communities::follow::Following;
use crate::communities::publisher::SharedLedger;
use crate::control::server::{Commands, serve};
use crate::control::socket;
use crate::jobs::Jobs;
use crate::people::courier::Courier;
use crate::publish::unix_now;
use crate::state::{Node, StateError};
use crate::turn::TurnError;
use crate::waits::Waits;
use crate::watch::Watches;

/// A running node.
pub struct Service {
    node: Arc<Node>,
    jobs: Jobs,
    watches: Arc<Watches>,
    communities: Arc<Following>,
    started: u64,
    waits: Waits,
}

/// Why the node does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// Another process is the node of this state directory. Commands use that one.
    #[error("a node runs already for {}", state.display())]
    Running {
        /// The state directory.
        state: PathBuf,
    },
    /// The socket cannot be made. Check the rights of its directory.
    #[error("cannot open the control socket {}", path.display())]
    Socket {
        /// The socket.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// The store cannot be opened.
    #[error("cannot own the store")]
    Store(#[from] TurnError),
    /// The list of watches cannot be read.
    #[error("cannot resume the watches")]
    State(#[from] StateError),
}

/// A command that looks whether a node runs holds its lock for an instant: that long is waited.
const LOCK_WITHIN: Duration = Duration::from_secs(1);
const LOCK_STEP: Duration = Duration::from_millis(20);

impl Service {
    /// The node.
    #[must_use]
    pub fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// The names it follows.
    #[must_use]
    pub fn watches(&self) -> &Arc<Watches> {
        &self.watches
    }

    pub(crate) fn jobs(&self) -> &Jobs {
        &self.jobs
    }

    /// What the node does.
    #[must_use]
    pub fn status(&self) -> Status {
        Status {
            version: env!("CARGO_PKG_VERSION").into(),
            process: std::process::id(),
            started: self.started,
            state: self.node.directory().display().to_string(),
            waits_for: self.waits.reason().map(|what| Waiting {
                what,
                since: self.started,
                next: "then the node works with it; until then jobs that need it wait".into(),
            }),
            newer: self.node.newer_versions(),
            cache: self.node.cache_status(),
            jobs: self.jobs.status(),
            watches: self.watches.status(),
            communities: self.communities.status(),
        }
    }
}

/// Runs `node` as the node of the machine until `stop` resolves; `ready` is called with the
/// socket's path once commands are served. Jobs that run when it stops are cancelled.
///
/// # Errors
/// See [`ServiceError`].
pub async fn run(
    node: Arc<Node>,
    ledger: SharedLedger,
    runtime: Option<&Path>,
    commands: impl FnOnce(&Arc<Service>) -> Arc<dyn Commands>,
    ready: impl FnOnce(&Path),
    stop: impl Future<Output = ()>,
) -> Result<(), ServiceError> {
    let state = node.directory().to_owned();
    let path = socket::socket_path(&state);
    let failed = |source| ServiceError::Socket { path: path.clone(), source };
    let since = Instant::now();
    let _lock = loop {
        match socket::become_node(&state).map_err(failed)? {
            Some(lock) => break lock,
            None if since.elapsed() < LOCK_WITHIN => tokio::time::sleep(LOCK_STEP).await,
            None => return Err(ServiceError::Running { state }),
        }
    };
    node.serves.store(true, Relaxed);
    let listener = socket::bind(&state, runtime).map_err(failed)?;
    let _unbind = Unbind(state.clone());
    listener.set_nonblocking(true).map_err(failed)?;
    let listener = UnixListener::from_std(listener).map_err(failed)?;
    let service = Arc::new(Service {
        watches: Watches::open(Arc::clone(&node))?,
        communities: Following::new(Arc::clone(&node), Launch::default(), ledger),
        node: Arc::clone(&node),
        jobs: Jobs::default(),
        started: unix_now(),
        waits: Waits::default(),
    });
    let commands = commands(&service);
    ready(&path);
    let owning = async {
        let turn = node.turn(&service.waits).await?;
        // Only now, so that their metadata is kept: a command before this one may have the store.
        service.watches.resume().await;
        let following = Arc::clone(&service.communities).run();
        let courier = Courier::new(Arc::clone(&node)).run();
        tokio::join!(node.keep_small(|| service.jobs.status()), following, courier);
        drop(turn);
        Ok::<(), TurnError>(())
    };
    let ended = tokio::select! {
        () = serve(listener, Arc::clone(&service), commands) => Ok(()),
        owned = owning => owned.map_err(ServiceError::from),
        () = stop => Ok(()),
    };
    service.communities.stop();
    service.watches.stop().await;
    ended
}

/// Takes the socket away.
struct Unbind(PathBuf);

impl Drop for Unbind {
    fn drop(&mut self) {
        socket::unbind(&self.0);
    }
}
