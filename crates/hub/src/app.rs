//! What the endpoints share.

use std::sync::Arc;
use std::time::Duration;

use documents::{NodeKey, PublicKey};
use hub_db::HubDb;
use store::ChunkStore;
use tokio::sync::{OwnedSemaphorePermit, RwLock, Semaphore, watch};

use crate::access::Access;
use crate::bus::Bus;
use crate::challenges::Challenges;
use crate::config::HubLimits;
use crate::refusal::Refusal;

/// How long a transfer waits for another one to end before the client is told to come again.
const TURN_TIME: Duration = Duration::from_secs(20);

/// The running hub, as its endpoints see it.
pub(crate) struct App {
    pub(crate) db: Arc<dyn HubDb>,
    pub(crate) store: Arc<dyn ChunkStore>,
    pub(crate) access: Access,
    pub(crate) bus: Bus,
    pub(crate) challenges: Challenges,
    pub(crate) key: NodeKey,
    pub(crate) public_key: PublicKey,
    pub(crate) fingerprint: [u8; 32],
    pub(crate) limits: HubLimits,
    /// Held for reading while a release is checked and stored, for writing during garbage
    /// collection: no chunk disappears between the check and the release that keeps it.
    pub(crate) publishing: RwLock<()>,
    pub(crate) uploads: Arc<Semaphore>,
    pub(crate) fetches: Arc<Semaphore>,
    /// Each holds the ids of a whole closure.
    pub(crate) publishes: Arc<Semaphore>,
    /// Becomes true when the hub stops; event streams end then.
    pub(crate) stopping: watch::Receiver<bool>,
}

/// Waits for a place among the transfers that hold much memory.
pub(crate) async fn turn(places: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Refusal> {
    match tokio::time::timeout(TURN_TIME, Arc::clone(places).acquire_owned()).await {
        Ok(permit) => Ok(permit.expect("the semaphore is never closed")),
        Err(_) => Err(Refusal::busy()),
    }
}
