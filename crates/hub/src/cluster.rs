//! This hub as one of several front-ends on one database, or as the only one.
//!
//! Each gives signs of life, and one of them is the manager: what is done once for all is done by it. [`lease`] says
//! when to ask for both and when they are over; here is the loop that asks. A front-end whose lease ended
//! forgets what it had in memory: others may have taken it.

mod lease;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hub_db::{Beaten, DbError, Entered, FrontEnd, FrontEndId, HubDb};
use serde::{Deserialize, Serialize};

use self::lease::{Answer, Lease};
use crate::app::App;
use crate::files::unix_now;
use crate::refusal::Chain;

/// How long a front-end counts as alive after a sign of life, and a manager as the manager: a stall of the
/// database of some seconds is outlived, and whoever is gone is replaced in seconds.
const SHARED_LEASE: Duration = Duration::from_secs(6);

/// The same where nobody else can be: in a file, where each sign of life is a write to the disk.
const OWN_LEASE: Duration = Duration::from_mins(10);

/// How long a front-end stays in the table after its end, for its operators to see.
const REMEMBERED_TIME: Duration = Duration::from_mins(10);

/// What a front-end says of itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Load {
    /// Deliveries that run.
    pub(crate) deliveries: u64,
    /// Event streams that are open.
    pub(crate) streams: u64,
    /// Bytes free where its data is.
    pub(crate) free_bytes: u64,
    /// When its certificate ends, in seconds since 1970; zero without one.
    pub(crate) certificate_ends: u64,
    /// Whether it stops.
    pub(crate) stopping: bool,
}

/// This front-end.
#[derive(Debug)]
pub(crate) struct Cluster {
    front_end: FrontEnd,
    lease: Duration,
    held: Mutex<Held>,
}

#[derive(Debug)]
struct Held {
    alive: Lease,
    manages: Lease,
    /// Grows when the lease of this front-end has lapsed.
    lives: u64,
}

impl Cluster {
    /// Enters among the front-ends of a database, and is the manager if there is none.
    pub(crate) async fn enter(db: &dyn HubDb) -> Result<Self, DbError> {
        let mut id = [0; 16];
        getrandom::fill(&mut id)
            .map_err(|_| DbError::Damaged("no random number for a front-end"))?;
        let front_end = FrontEnd {
            id: FrontEndId(id),
            address: None,
            keeps_chunks: true,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started: unix_now(),
            load: "{}".to_owned(),
        };
        let lease = if db.is_shared() { SHARED_LEASE } else { OWN_LEASE };
        if !db.is_shared() {
            // Only one hub opens a data directory: whoever is noted here is gone.
            db.forget_front_ends().await?;
        }
        let now = Instant::now();
        if let Entered::ChunksKept(other) = db.enter(&front_end, lease).await? {
            tracing::warn!(started = other.started, "a hub before this one is not over yet");
        }
        let alive = Lease::new(lease, now);
        let held = Mutex::new(Held { alive, manages: Lease::new(lease, now), lives: 1 });
        let cluster = Self { front_end, lease, held };
        cluster.ask(db, Load::default()).await;
        Ok(cluster)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for what is due; whether what this front-end had is others' by now.
    async fn ask(&self, db: &dyn HubDb, load: Load) -> bool {
        let was_alive = {
            let mut held = self.held();
            let is_due = held.alive.poll_ask(Instant::now());
            is_due.then(|| held.lives)
        };
        let mut has_lapsed = false;
        if let Some(lives) = was_alive {
            let load = serde_json::to_string(&load).unwrap_or_default();
            let beaten = db.beat(&FrontEnd { load, ..self.front_end.clone() }, self.lease).await;
            let mut held = self.held();
            match beaten {
                Ok(Beaten::Continued) => {
                    held.alive.handle_answer(Answer::Ours(lives), Instant::now());
                }
                Ok(Beaten::Lapsed) => {
                    has_lapsed = true;
                    held.lives += 1;
                    held.alive.handle_answer(Answer::Ours(lives + 1), Instant::now());
                }
                Err(error) => {
                    tracing::warn!(error = %Chain(&error), "a sign of life was not noted");
                    held.alive.handle_failure(Instant::now());
                }
            }
        }
        if self.held().manages.poll_ask(Instant::now()) {
            self.manage(db).await;
        }
        has_lapsed
    }

    /// Asks to be the manager, or to stay it.
    async fn manage(&self, db: &dyn HubDb) {
        let managed = db.manage(self.front_end.id, self.lease).await;
        let mut held = self.held();
        let (now, before) = (Instant::now(), held.manages.term(Instant::now()));
        match managed {
            Ok(manager) if manager.holder == self.front_end.id => {
                if before != Some(manager.term) {
                    tracing::info!(term = manager.term, "this front-end is the manager");
                }
                held.manages.handle_answer(Answer::Ours(manager.term), now);
            }
            Ok(_) => held.manages.handle_answer(Answer::Others, now),
            Err(error) => {
                tracing::warn!(error = %Chain(&error), "who is the manager is not known");
                held.manages.handle_failure(now);
            }
        }
    }

    /// Whether this front-end is the manager, by the word of the database: asked before each thing that is done
    /// once for all, so that one that stood still for a while does not go on.
    pub(crate) async fn manages(&self, db: &dyn HubDb) -> bool {
        let Some(term) = self.held().manages.term(Instant::now()) else { return false };
        match db.manage(self.front_end.id, self.lease).await {
            Ok(manager) => manager.holder == self.front_end.id && manager.term == term,
            Err(error) => {
                tracing::warn!(error = %Chain(&error), "who is the manager is not known");
                false
            }
        }
    }

    fn wakes_at(&self) -> Instant {
        let held = self.held();
        let wakes = [held.alive.poll_timeout(), held.manages.poll_timeout()];
        wakes.into_iter().flatten().min().unwrap_or_else(|| Instant::now() + self.lease)
    }

    /// Goes: others may take what was this one's at once.
    pub(crate) async fn leave(&self, db: &dyn HubDb) {
        if let Err(error) = db.leave(self.front_end.id).await {
            tracing::warn!(error = %Chain(&error), "others will wait for this front-end");
        }
    }
}

/// Gives signs of life, and manages if it is this one's turn, as long as the hub runs.
pub(crate) async fn live(app: Arc<App>) {
    let mut tidied: Option<Instant> = None;
    loop {
        tokio::time::sleep_until(app.cluster.wakes_at().into()).await;
        app.cluster.ask(&*app.db, load(&app)).await;
        if tidied.is_none_or(|tidied| tidied.elapsed() >= REMEMBERED_TIME / 10)
            && app.cluster.manages(&*app.db).await
        {
            tidied = Some(Instant::now());
            if let Err(error) = app.db.drop_front_ends(REMEMBERED_TIME).await {
                tracing::warn!(error = %Chain(&error), "front-ends that are gone were not forgotten");
            }
        }
    }
}

fn load(app: &App) -> Load {
    let streams =
        app.limits.event_streams_max.saturating_sub(app.event_streams.available_permits());
    let disk = rustix::fs::statvfs(app.data.path());
    let certificate = app.certificate.as_ref().and_then(|certificate| certificate().ends);
    Load {
        deliveries: app.deliveries.running() as u64,
        streams: streams as u64,
        free_bytes: disk.map_or(0, |disk| disk.f_bavail.saturating_mul(disk.f_frsize)),
        certificate_ends: certificate.unwrap_or(0),
        stopping: *app.stopping.borrow(),
    }
}
