//! What the endpoints share.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use content::Buffers;
use documents::{NodeKey, PublicKey};
use hub_db::HubDb;
use store::ChunkStore;
use tokio::sync::{Mutex, OwnedSemaphorePermit, RwLock, Semaphore, watch};

use crate::access::Access;
use crate::audit::AuditKeeper;
use crate::bus::Bus;
use crate::challenges::Challenges;
use crate::clients::Clients;
use crate::cluster::Cluster;
use crate::codes::Codes;
use crate::config::HubLimits;
use crate::console::Console;
use crate::deliveries::Deliveries;
use crate::files::DataDir;
use crate::guests::Guests;
use crate::lockers::Lockers;
use crate::mail::Mailer;
use crate::member_trees::MemberTrees;
use crate::metrics::Metrics;
use crate::people::People;
use crate::places::Places;
use crate::readiness::Checks;
use crate::refusal::Refusal;
use crate::relay_reports::RelayReports;
use crate::switch::Switch;
use crate::tls::CertificateNow;
use crate::transfers::Transfers;

/// The running hub, as its endpoints see it.
pub(crate) struct App {
    pub(crate) db: Arc<dyn HubDb>,
    pub(crate) store: Arc<dyn ChunkStore>,
    pub(crate) access: Access,
    pub(crate) bus: Bus,
    /// What sends mail to people, if the hub sends any.
    pub(crate) mailer: Option<Mailer>,
    /// This hub among the front-ends of its database.
    pub(crate) cluster: Cluster,
    pub(crate) challenges: Challenges,
    pub(crate) member_trees: MemberTrees,
    /// How relays are, by their own word.
    pub(crate) relay_reports: RelayReports,
    /// The URL clients use.
    pub(crate) url: String,
    pub(crate) key: NodeKey,
    pub(crate) public_key: PublicKey,
    /// What invitations recognise the hub by: all zero without a fingerprint to pin.
    pub(crate) fingerprint: [u8; 32],
    /// What proofs must name the hub by: the fingerprint, else the origin of its URL.
    pub(crate) identity: [u8; 32],
    /// Gives the hub's word on the audit log.
    pub(crate) audit: AuditKeeper,
    /// How long entries of it are kept; for ever when `None`.
    pub(crate) audit_retention: Option<Duration>,
    pub(crate) data: DataDir,
    pub(crate) trusted_proxies: Vec<IpAddr>,
    /// `None` without TLS.
    pub(crate) certificate: Option<CertificateNow>,
    pub(crate) metrics: Metrics,
    pub(crate) readiness: Checks,
    pub(crate) limits: HubLimits,
    /// Held for reading while a release is checked and stored; garbage collection waits for it
    /// where `gc` says, so no chunk disappears between the check and the release that keeps it.
    pub(crate) publishing: RwLock<()>,
    /// Held while a head is compared with the one it replaces.
    pub(crate) renewing: Mutex<()>,
    /// Memory of the frames that are uploaded.
    pub(crate) buffers: Buffers,
    pub(crate) uploads: Arc<Semaphore>,
    pub(crate) fetches: Arc<Semaphore>,
    /// How callers share the places of `fetches`.
    pub(crate) fetch_places: Places,
    /// Room for long answers that are in memory until they are sent.
    pub(crate) answers: Places,
    /// Each holds the ids of a whole closure.
    pub(crate) publishes: Arc<Semaphore>,
    pub(crate) event_streams: Arc<Semaphore>,
    /// How often streams have a heart-beat.
    pub(crate) heartbeat: watch::Sender<Duration>,
    /// Each holds a directory or a comparison of two trees.
    pub(crate) browses: Arc<Semaphore>,
    /// What is passed on from memory to memory.
    pub(crate) deliveries: Arc<Deliveries>,
    /// What waits on the disk.
    pub(crate) lockers: Arc<Lockers>,
    /// Each holds a segment on its way into a locker.
    pub(crate) locker_places: Places,
    /// Who sends without an account; `None` when nobody does.
    pub(crate) guests: Option<Guests>,
    /// No recipient is told where it reaches a sender itself.
    pub(crate) is_relay_only: bool,
    /// Where tickets are handed over.
    pub(crate) codes: Arc<Codes>,
    /// People, as far as the hub remembers them by itself.
    pub(crate) people: People,
    /// What moves right now.
    pub(crate) transfers: Arc<Transfers>,
    pub(crate) console: Console,
    /// Becomes true when the hub stops.
    pub(crate) stopping: watch::Receiver<bool>,
    /// Is true while the hub is down or stops; streams and waiting end then.
    pub(crate) leaving: watch::Receiver<bool>,
    /// Whether the hub is down for everyone.
    pub(crate) switch: Switch,
    /// Which versions clients are to be.
    pub(crate) clients: Clients,
}

impl App {
    /// Event streams that are open.
    pub(crate) fn streams_open(&self) -> usize {
        self.limits.event_streams_max.saturating_sub(self.event_streams.available_permits())
    }

    /// Waits for a place among the transfers that hold much memory.
    pub(crate) async fn turn(
        &self,
        places: &Arc<Semaphore>,
    ) -> Result<OwnedSemaphorePermit, Refusal> {
        let place = Arc::clone(places).acquire_owned();
        match tokio::time::timeout(self.limits.turn_time, place).await {
            Ok(permit) => Ok(permit.expect("the semaphore is never closed")),
            Err(_) => Err(Refusal::busy("too many transfers at once")),
        }
    }
}
