//! This hub as one of several front-ends on one database, or as the only one.
//!
//! Each gives signs of life, and one of them is the manager: what is done once for all is done by it. [`lease`] says
//! when to ask for both and when they are over; here is the loop that asks. A front-end whose lease ended
//! forgets what it had in memory: others may have taken it.
//!
//! What is in one front-end's memory alone, a delivery or the codes, has its *home* in the database; a request for it
//! that comes to another one is passed on ([`pass`], [`between`]). News of what all know go through the database as
//! well ([`wake`]), ids and kinds alone.

mod between;
mod identity;
mod lease;
mod pass;
mod standing;
mod status;
mod wake;

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hub_db::{Beaten, DbError, Entered, FrontEnd, FrontEndId, Heard, HubDb};
use serde::{Deserialize, Serialize};

pub(crate) use self::between::Between;
use self::identity::Identity;
use self::lease::{Answer, Lease};
use self::pass::CODES;
pub(crate) use self::pass::{pass_on, router};
pub(crate) use self::standing::{locker_time_max, standings};
pub(crate) use self::status::status;
use self::wake::Told;
pub(crate) use self::wake::{Post, Posted, Wake, text_again};
use crate::app::App;
use crate::files::unix_now;
use crate::people::end_as_noted;
use crate::refusal::Chain;

/// How long a front-end counts as alive after a sign of life, and a manager as the manager: a stall of the
/// database of some seconds is outlived, and whoever is gone is replaced in seconds.
const SHARED_LEASE: Duration = Duration::from_secs(6);

/// The same where nobody else can be: in a file, where each sign of life is a write to the disk.
const OWN_LEASE: Duration = Duration::from_mins(10);

/// How long a front-end stays in the table after its end, for its operators to see.
const REMEMBERED_TIME: Duration = Duration::from_mins(10);

/// How often it is looked after homes, and after front-ends that are gone.
const TIDY_INTERVAL: Duration = Duration::from_secs(10);

/// How long a home that was just taken is kept though nothing is there yet.
const TAKING_TIME: Duration = Duration::from_mins(2);

/// How long it is known who keeps the chunks.
const KEEPER_TIME: Duration = Duration::from_secs(1);

/// What a front-end says of itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Load {
    /// Deliveries that run.
    pub(crate) deliveries: u64,
    /// Event streams that are open.
    pub(crate) streams: u64,
    /// Seconds between two heart-beats of a stream.
    pub(crate) heartbeat_s: u64,
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
    /// How others are reached; `None` when this hub is alone.
    between: Option<Between>,
    post: Post,
    /// Homes that were taken, and when.
    taken: Mutex<HashMap<[u8; 16], Instant>>,
    /// Who keeps the chunks, and when that was known.
    keeper: Mutex<Option<(Instant, Option<FrontEnd>)>>,
    /// It ends, and gives no signs of life any more.
    has_left: AtomicBool,
}

/// What is needed to be one of several front-ends.
#[derive(Debug)]
pub(crate) struct Membership {
    pub(crate) between: Between,
    /// Where the others reach this one.
    pub(crate) address: String,
    pub(crate) keeps_chunks: bool,
}

impl Membership {
    pub(crate) fn new(secret: &[u8; 32], address: String, keeps_chunks: bool) -> io::Result<Self> {
        Ok(Self { between: Between::new(Identity::of_hub(secret)?), address, keeps_chunks })
    }
}

/// Why a hub is not one of the front-ends.
#[derive(Debug, thiserror::Error)]
pub enum NotEntered {
    /// Its database is a file, which one hub uses. Name a server with `--database`.
    #[error("several front-ends need a database on a server: say --database postgres://…")]
    NotShared,
    /// Another front-end keeps the chunks. Start this one with `--without-chunks`, or end that one.
    #[error(
        "the front-end at {} keeps the chunks of this hub already: start this one with --without-chunks",
        .0.as_deref().unwrap_or("another address")
    )]
    ChunksKept(Option<String>),
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

#[derive(Debug)]
struct Held {
    alive: Lease,
    manages: Lease,
    /// Grows when the lease of this front-end has lapsed.
    lives: u64,
}

impl Cluster {
    /// Enters among the front-ends of a database, and is the manager if there is none. What is to be told to others
    /// is put into `post`.
    pub(crate) async fn enter(
        db: &dyn HubDb,
        membership: Option<Membership>,
        post: Post,
    ) -> Result<Self, NotEntered> {
        if membership.is_some() && !db.is_shared() {
            return Err(NotEntered::NotShared);
        }
        let mut id = [0; 16];
        getrandom::fill(&mut id)
            .map_err(|_| DbError::Damaged("no random number for a front-end"))?;
        let front_end = FrontEnd {
            id: FrontEndId(id),
            address: membership.as_ref().map(|it| it.address.clone()),
            keeps_chunks: membership.as_ref().is_none_or(|it| it.keeps_chunks),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started: unix_now(),
            load: "{}".to_owned(),
        };
        let lease = if db.is_shared() { SHARED_LEASE } else { OWN_LEASE };
        if !db.is_shared() {
            // Only one hub opens a data directory: whoever is noted here is gone.
            db.forget_front_ends().await?;
        }
        let begun = Instant::now();
        while let Entered::ChunksKept(other) = db.enter(&front_end, lease).await? {
            // One that was killed, before a restart, is not over yet.
            if begun.elapsed() > 2 * lease {
                return Err(NotEntered::ChunksKept(other.address));
            }
            let address = other.address.as_deref().unwrap_or("no other's address");
            tracing::warn!(%address, "waiting for a front-end that keeps the chunks to be gone");
            tokio::time::sleep(lease / 6).await;
        }
        let now = Instant::now();
        let alive = Lease::new(lease, now);
        let held = Mutex::new(Held { alive, manages: Lease::new(lease, now), lives: 1 });
        let between = membership.map(|it| it.between);
        let (taken, keeper) = (Mutex::default(), Mutex::default());
        let has_left = AtomicBool::new(false);
        let cluster = Self { front_end, lease, held, between, post, taken, keeper, has_left };
        cluster.ask(db, Load::default()).await;
        Ok(cluster)
    }

    pub(crate) fn id(&self) -> FrontEndId {
        self.front_end.id
    }

    /// Whether there may be other front-ends.
    pub(crate) fn has_others(&self) -> bool {
        self.between.is_some()
    }

    pub(crate) fn between(&self) -> Option<&Between> {
        self.between.as_ref()
    }

    pub(crate) fn keeps_chunks(&self) -> bool {
        self.front_end.keeps_chunks
    }

    /// Where what others are to be told is put.
    pub(crate) fn post(&self) -> &Post {
        &self.post
    }

    /// Makes this front-end the home of a thing unless another live one is; whether it is.
    pub(crate) async fn is_home(&self, db: &dyn HubDb, thing: &[u8; 16]) -> Result<bool, DbError> {
        if !self.has_others() {
            return Ok(true);
        }
        self.taken().insert(*thing, Instant::now());
        Ok(db.take_home(thing, self.id()).await? == self.id())
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<[u8; 16], Instant>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The live front-end that keeps the chunks.
    async fn chunk_keeper(&self, db: &dyn HubDb) -> Result<Option<FrontEnd>, DbError> {
        let known = self.keeper.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, keeper)) = known.filter(|(when, _)| when.elapsed() < KEEPER_TIME) {
            return Ok(keeper);
        }
        let mut all = db.front_ends().await?.into_iter();
        let keeper = all.find(|seen| seen.is_live && seen.front_end.keeps_chunks);
        let keeper = keeper.map(|seen| seen.front_end);
        let mut known = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Some((Instant::now(), keeper.clone()));
        Ok(keeper)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for what is due; whether what this front-end had is others' by now.
    async fn ask(&self, db: &dyn HubDb, load: Load) -> bool {
        if self.has_left.load(Ordering::Relaxed) {
            return false;
        }
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
        self.has_left.store(true, Ordering::Relaxed);
        if let Err(error) = db.leave(self.front_end.id).await {
            tracing::warn!(error = %Chain(&error), "others will wait for this front-end");
        }
    }
}

/// Gives signs of life, and manages if it is this one's turn, as long as the hub runs.
pub(crate) async fn live(app: Arc<App>) {
    let mut tidied = Instant::now();
    let mut was_alive = true;
    loop {
        let wakes = app.cluster.wakes_at().min(tidied + TIDY_INTERVAL.max(app.cluster.lease / 3));
        tokio::time::sleep_until(wakes.into()).await;
        let has_lapsed = app.cluster.ask(&*app.db, load(&app)).await;
        let is_alive = app.cluster.held().alive.term(Instant::now()).is_some();
        // At once when the lease is over, and not when the database is there again.
        if app.cluster.has_others() && (has_lapsed || was_alive && !is_alive) {
            tracing::warn!(
                "this front-end gave no sign of life in time: its deliveries begin anew"
            );
            app.deliveries.forget_all();
            app.codes.forget_all();
            app.people.presence.note_all();
        }
        was_alive = is_alive;
        if tidied.elapsed() >= TIDY_INTERVAL {
            tidied = Instant::now();
            if let Err(error) = tidy(&app).await {
                tracing::warn!(error = %Chain(&error), "it was not looked after front-ends");
            }
        }
    }
}

/// Gives homes back in which nothing is any more, and for all front-ends what those leave that are gone.
async fn tidy(app: &App) -> Result<(), DbError> {
    if app.cluster.has_others() {
        let mut things = app.deliveries.ids();
        // Nobody else has them, whoever took their homes while this one was away.
        for locker in app.lockers.ids() {
            app.db.take_home(&locker, app.cluster.id()).await?;
            things.push(locker);
        }
        {
            let mut taken = app.cluster.taken();
            taken.retain(|thing, when| *thing == CODES || when.elapsed() < TAKING_TIME);
            things.extend(taken.keys());
        }
        app.db.keep_homes(app.cluster.id(), &things).await?;
    }
    if app.cluster.manages(&*app.db).await {
        app.db.drop_front_ends(REMEMBERED_TIME).await?;
        if app.cluster.has_others() {
            app.db.stop_homeless(unix_now()).await?;
        }
    }
    Ok(())
}

/// Tells other front-ends what is new here, as long as the hub runs.
pub(crate) async fn tell(app: Arc<App>, mut posted: Posted) {
    while let Some(mut wake) = posted.next().await {
        while let Err(error) = app.db.tell(&Told::text(app.cluster.id(), wake)).await {
            tracing::warn!(error = %Chain(&error), "other front-ends were not told what is new");
            wake = Wake::Everything;
            tokio::time::sleep(SHARED_LEASE / 6).await;
        }
    }
}

/// Wakes who waits here for what other front-ends tell, as long as the hub runs.
pub(crate) async fn hear(app: Arc<App>) {
    loop {
        if let Err(error) = listen(&app).await {
            tracing::warn!(error = %Chain(&error), "what other front-ends tell is not heard");
        }
        tokio::time::sleep(SHARED_LEASE / 6).await;
    }
}

async fn listen(app: &App) -> Result<(), DbError> {
    let Some(mut hearing) = app.db.hear().await? else { return Ok(()) };
    // What was told before is not heard any more.
    woken(app, Wake::Everything).await;
    loop {
        match hearing.next().await? {
            Heard::Told(text) => {
                if let Some(wake) = Told::by_another(&text, app.cluster.id()) {
                    woken(app, wake).await;
                }
            }
            Heard::Lost => woken(app, Wake::Everything).await,
        }
    }
}

async fn woken(app: &App, wake: Wake) {
    app.bus.wake(&wake);
    app.people.presence.wake(&wake);
    match wake {
        Wake::Ended { delivery } => end_as_noted(app, &delivery.0).await,
        Wake::TakenAway => app.access.forget(),
        Wake::Everything => {
            app.access.forget();
            for delivery in app.deliveries.ids().into_iter().chain(app.lockers.ids()) {
                end_as_noted(app, &delivery).await;
            }
        }
        Wake::Released { .. }
        | Wake::Changed { .. }
        | Wake::Queued { .. }
        | Wake::Answered { .. }
        | Wake::Joined { .. }
        | Wake::Person { .. }
        | Wake::Listens { .. } => {}
    }
}

fn load(app: &App) -> Load {
    let disk = rustix::fs::statvfs(app.data.path());
    let certificate = app.certificate.as_ref().and_then(|certificate| certificate().ends);
    Load {
        deliveries: app.deliveries.running() as u64,
        streams: app.streams_open() as u64,
        heartbeat_s: app.heartbeat.borrow().as_secs(),
        free_bytes: disk.map_or(0, |disk| disk.f_bavail.saturating_mul(disk.f_frsize)),
        certificate_ends: certificate.unwrap_or(0),
        stopping: *app.stopping.borrow(),
    }
}
