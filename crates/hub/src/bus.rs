//! Tells waiting event streams that a name has a new release.
//!
//! Messages only wake: what happened is read from the database, so a stream that missed some
//! messages misses no release.

use hub_db::NameId;
use tokio::sync::broadcast;

/// Wake-ups a slow stream may fall behind before it is woken for nothing once.
const BACKLOG: usize = 256;

/// The hub's bus within one process.
#[derive(Debug, Clone)]
pub(crate) struct Bus(broadcast::Sender<NameId>);

/// Waits for one name.
#[derive(Debug)]
pub(crate) struct Waiter {
    name: NameId,
    receiver: broadcast::Receiver<NameId>,
}

impl Default for Bus {
    fn default() -> Self {
        Self(broadcast::channel(BACKLOG).0)
    }
}

impl Bus {
    pub(crate) fn released(&self, name: NameId) {
        // No receiver is no failure: nobody waits.
        let _ = self.0.send(name);
    }

    pub(crate) fn waiter(&self, name: NameId) -> Waiter {
        Waiter { name, receiver: self.0.subscribe() }
    }
}

impl Waiter {
    /// Returns after a release of the name since the last call, or sooner.
    pub(crate) async fn woken(&mut self) {
        loop {
            match self.receiver.recv().await {
                Ok(name) if name != self.name => {}
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => return,
                Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}
