//! Starting and stopping a hub.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use content::Buffers;
use documents::{NodeKey, origin_identity};
use hub_api::Hex;
use hub_api::limits::HEARTBEAT_INTERVAL_MIN;
use hub_db::{DatabaseUrl, DbError};
use store::{ChunkStore, DiskOptions, DiskStore, MemoryStore, StoreError};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, Notify, RwLock, Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::access::Access;
use crate::app::App;
use crate::audit::AuditKeeper;
use crate::bus::Bus;
use crate::challenges::Challenges;
use crate::clients::Clients;
use crate::cluster::{self, Cluster, Membership, NotEntered, Post};
use crate::codes::Codes;
use crate::config::{FrontEndConfig, HubConfig, HubLimits, LockerConfig, Tls};
use crate::console::Console;
use crate::database::DatabaseError;
use crate::deliveries::Deliveries;
use crate::files::{Announcement, DataDir, unix_now};
use crate::guests::Guests;
use crate::lockers::{self, Lockers};
use crate::mail::{MailConfigError, Mailer};
use crate::member_trees::MemberTrees;
use crate::metrics::Metrics;
use crate::people::{self, People};
use crate::places::Places;
use crate::readiness::Checks;
use crate::relay_reports::RelayReports;
use crate::switch::{self, Switch};
use crate::tls::CertificateSource;
use crate::{audit, database, gc, heartbeat, observation, open_files, router, serve, tls};

/// Releases checked at once: the ids of the largest closure take 128 MiB each.
pub(crate) const PUBLISHES_MAX: usize = 2;

/// Directories or comparisons of trees in memory at once: a comparison takes up to some 100 MiB.
const BROWSES_MAX: usize = 4;

/// Segments that come for lockers at once, each in memory until it is on the disk.
const LOCKER_SEGMENTS: usize = 64;

/// How often deliveries and codes are forgotten that nobody needs: they hold memory meanwhile.
const SWEEP_INTERVAL: Duration = Duration::from_mins(1);

/// Starts hubs.
#[derive(Debug)]
pub struct Hub;

/// Why a hub did not start. Nothing is left running.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory or a small file in it cannot be read or written. Check that it
    /// belongs to the user who runs the hub.
    #[error("cannot use the data directory {}", path.display())]
    Data {
        /// The directory.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Restoring into this directory did not end. Run `consign hub restore` again.
    #[error("{} was not restored to its end: run `consign hub restore` again", .0.display())]
    Restoring(PathBuf),
    /// The chunk store cannot be opened; most often because another hub runs on the same data.
    #[error("cannot open the chunk store")]
    Store(#[source] StoreError),
    /// It is not known which database to use.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The database cannot be opened. Its error says whether to wait for it or to mend something.
    #[error("cannot open the database {place}")]
    Open {
        /// Which; shown without its password.
        place: DatabaseUrl,
        /// Why not.
        #[source]
        source: DbError,
    },
    /// The database was opened and failed then.
    #[error("cannot use the database")]
    Db(#[source] DbError),
    /// The certificate or its key cannot be made, read or used. Check the files.
    #[error("cannot set up TLS")]
    Tls(#[source] io::Error),
    /// The mail server cannot be used as it is configured. Its error says what to change.
    #[error("cannot send mail as configured")]
    Mail(#[source] MailConfigError),
    /// It cannot be one of several front-ends.
    #[error("cannot be one of the front-ends of this hub")]
    NotEntered(#[from] NotEntered),
    /// The others do not know where to reach it. Say `--front-end-address`.
    #[error("other front-ends cannot reach this one at {0}: say --front-end-address HOST:PORT")]
    FrontEndAddress(SocketAddr),
    /// The address is taken, not this machine's, or not allowed. Choose another.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// A hub that serves. Dropping it stops the hub without waiting for open requests.
#[derive(Debug)]
pub struct RunningHub {
    /// The URL clients use.
    pub url: String,
    /// SHA-256 of the certificate, for clients to pin; zeros without TLS, and where the
    /// authorities that clients trust vouch for the certificate.
    pub fingerprint: [u8; 32],
    /// Where it listens.
    pub local_addr: SocketAddr,
    /// Where metrics are told, if anywhere.
    pub metrics_addr: Option<SocketAddr>,
    /// Where other front-ends are answered, if there may be any.
    pub front_end_addr: Option<SocketAddr>,
    look_at_certificate: Arc<Notify>,
    stop: watch::Sender<bool>,
    stopped: watch::Receiver<bool>,
    serving: JoinHandle<()>,
    jobs: JoinSet<()>,
}

impl Hub {
    /// Opens the data directory and serves it in the background.
    ///
    /// Raises the number of files that this process may have open as far as the system allows.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(config: HubConfig) -> Result<RunningHub, StartError> {
        let in_data = |source| StartError::Data { path: config.data.clone(), source };
        let data = DataDir::create(&config.data).map_err(in_data)?;
        // With half of its files it would begin anew, and collect the chunks as garbage.
        if data.restoring().exists() {
            return Err(StartError::Restoring(config.data));
        }
        if config.front_end.as_ref().is_some_and(|it| !it.keeps_chunks) {
            // Never asked for any: they are passed on.
            return Self::start_on(config, Arc::new(MemoryStore::with_quota(0))).await;
        }
        // The store first: its lock keeps a second hub away from everything else.
        let options = DiskOptions {
            quota_bytes: config.quota_bytes.unwrap_or(u64::MAX),
            free_reserve_bytes: config.free_reserve_bytes,
            cache: false,
        };
        // Recovery reads packs, so it may take a while.
        let path = data.store();
        let store = tokio::task::spawn_blocking(move || DiskStore::open(&path, options))
            .await
            .map_err(io::Error::other)
            .map_err(in_data)?
            .map_err(StartError::Store)?;
        Self::start_on(config, Arc::new(store)).await
    }

    /// As [`Hub::start`], with chunks in a store of the caller's instead of the data directory.
    /// The caller sees to it that no other hub uses the directory.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start_on(
        config: HubConfig,
        store: Arc<dyn ChunkStore>,
    ) -> Result<RunningHub, StartError> {
        let in_data = |source| StartError::Data { path: config.data.clone(), source };
        let data = DataDir::create(&config.data).map_err(in_data)?;
        let (place, database) = database::choose(&data, config.database.as_ref())?;
        let opened = database::open_within(database::START_PATIENCE, &place).await;
        let db = opened.map_err(|source| StartError::Open { place, source })?;
        let secret = data.key().map_err(in_data)?;
        let key = NodeKey::from_secret_bytes(secret);
        database::must_belong(&*db, &key.public(), &data, &database).await?;
        let front_end = match &config.front_end {
            Some(front_end) => Some(membership(front_end, &secret).await?),
            None => None,
        };
        let (membership, between) = front_end.unzip();
        let front_end_addr = between.as_ref().and_then(|it| it.local_addr().ok());
        let (post, posted) = match &membership {
            Some(_) => {
                let (post, posted) = Post::new();
                (post, Some(posted))
            }
            None => (Post::default(), None),
        };
        if membership.is_none() {
            // What the hub before left unfinished is nobody's now.
            db.drop_running_claims().await.map_err(StartError::Db)?;
            db.stop_running(unix_now()).await.map_err(StartError::Db)?;
        }
        let cluster = Cluster::enter(&*db, membership, post.clone()).await?;

        let tls = tls::identity(&config.tls, &data).map_err(StartError::Tls)?;
        let (listener, local_addr) = listen(config.listen).await?;
        let observed = match config.metrics_listen {
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        let metrics_addr = observed.as_ref().map(|(_, address)| *address);
        let url = config.url.clone().unwrap_or_else(|| own_url(&config.tls, local_addr));
        let pinned = tls.as_ref().and_then(|tls| tls.fingerprint);
        let fingerprint = pinned.unwrap_or_default();
        let identity = pinned.unwrap_or_else(|| origin_identity(&url));
        let announcement =
            Announcement { url: url.clone(), fingerprint: Hex(fingerprint), database };
        data.announce(&announcement).map_err(in_data)?;

        let mailer = config.mail.as_ref().map(Mailer::new).transpose();
        let mailer = mailer.map_err(StartError::Mail)?;
        let limits = open_files::fit(config.limits);
        let deliveries = Arc::new(Deliveries::new(&limits));
        let lockers =
            open_lockers(&config.lockers, &data, &limits, config.free_reserve_bytes, &cluster);
        let lockers = Arc::new(lockers.await.map_err(in_data)?);
        let codes = Arc::new(Codes::new(&limits));
        let fetches = Arc::new(Semaphore::new(limits.fetches_max));
        let (stop, stopping) = watch::channel(false);
        let (done, stopped) = watch::channel(false);
        let (leave, leaving) = watch::channel(false);
        let challenges = match posted {
            Some(_) => Challenges::of_hub(&secret),
            None => Challenges::new().map_err(io::Error::other).map_err(in_data)?,
        };
        let app = Arc::new(App {
            access: Access::new(Arc::clone(&db)),
            db,
            store,
            bus: Bus::new(post.clone()),
            mailer,
            cluster,
            member_trees: MemberTrees::default(),
            relay_reports: RelayReports::default(),
            challenges,
            url: url.clone(),
            public_key: key.public(),
            key,
            fingerprint,
            identity,
            audit: AuditKeeper::open(&data).map_err(in_data)?,
            audit_retention: config.audit_retention,
            data: data.clone(),
            trusted_proxies: config.trusted_proxies,
            certificate: tls.as_ref().map(|tls| Arc::clone(&tls.certificate)),
            metrics: Metrics::new(),
            readiness: Checks::default(),
            limits: limits.clone(),
            publishing: RwLock::new(()),
            renewing: Mutex::new(()),
            uploads: Arc::new(Semaphore::new(limits.uploads_max)),
            fetch_places: Places::new(Arc::clone(&fetches), limits.fetches_max),
            fetches,
            answers: Places::answers(limits.answers_bytes_max),
            publishes: Arc::new(Semaphore::new(PUBLISHES_MAX)),
            heartbeat: watch::Sender::new(HEARTBEAT_INTERVAL_MIN),
            browses: Arc::new(Semaphore::new(BROWSES_MAX)),
            buffers: Buffers::default(),
            event_streams: Arc::new(Semaphore::new(limits.event_streams_max)),
            deliveries: Arc::clone(&deliveries),
            lockers,
            locker_places: Places::new(Arc::new(Semaphore::new(LOCKER_SEGMENTS)), LOCKER_SEGMENTS),
            guests: config.guests.map(Guests::new),
            is_relay_only: config.is_relay_only,
            codes: Arc::clone(&codes),
            people: People::new(post, limits.presence_grace),
            transfers: Arc::default(),
            console: Console::new(&url, config.data.clone()),
            stopping: stopping.clone(),
            leaving,
            switch: Switch::default(),
            clients: Clients::default(),
        });
        let mut jobs = JoinSet::new();
        let mut acceptor = None;
        let look_at_certificate = Arc::new(Notify::new());
        if let Some(tls) = tls {
            acceptor = Some(TlsAcceptor::from(tls.server));
            match tls.source {
                CertificateSource::Own => {}
                CertificateSource::Files(files) => {
                    let look = Arc::clone(&look_at_certificate);
                    jobs.spawn(files.follow(config.certificate_interval, look));
                }
                CertificateSource::Authority(renewal) => {
                    jobs.spawn(renewal.run());
                }
            }
        }
        if let Some((listener, _)) = observed {
            let router = observation::router(Arc::clone(&app));
            let limits = observation::limits(&limits);
            jobs.spawn(serve::serve(listener, None, router, limits, stopping.clone()));
        }
        let router = router::router(Arc::clone(&app));
        let idle_time = limits.delivery_idle_time;
        jobs.spawn(async move {
            loop {
                tokio::time::sleep(SWEEP_INTERVAL.min(idle_time)).await;
                deliveries.sweep();
                codes.sweep();
            }
        });
        jobs.spawn(cluster::live(Arc::clone(&app)));
        jobs.spawn(switch::look(Arc::clone(&app), leave));
        if let (Some(posted), Some(listener)) = (posted, between) {
            jobs.spawn(cluster::tell(Arc::clone(&app), posted));
            jobs.spawn(cluster::hear(Arc::clone(&app)));
            let server = app.cluster.between().map(|between| TlsAcceptor::from(between.server()));
            let inner = cluster::router(&app, router.clone());
            // The other front-ends limit their clients themselves.
            let limits = HubLimits { connections_per_address_max: None, ..limits.clone() };
            jobs.spawn(serve::serve(listener, server, inner, limits, stopping.clone()));
        }
        audit::keep_now(&app).await;
        jobs.spawn(audit::keep(Arc::clone(&app)));
        jobs.spawn(heartbeat::keep(Arc::clone(&app)));
        jobs.spawn(people::note_deliveries(Arc::clone(&app)));
        jobs.spawn(people::note_presence(Arc::clone(&app)));
        let window = limits.delivery_window;
        let interval = config.sweep_interval;
        jobs.spawn(people::sweep_deliveries(Arc::clone(&app), interval, window));
        jobs.spawn(lockers::clean(Arc::clone(&app)));
        jobs.spawn(gc::hourly(Arc::clone(&app), data, config.gc_interval, config.gc_grace));
        let serving = tokio::spawn(async move {
            serve::serve(listener, acceptor, router, limits, stopping).await;
            app.cluster.leave(&*app.db).await;
            done.send_replace(true);
        });
        Ok(RunningHub {
            url,
            fingerprint,
            local_addr,
            metrics_addr,
            front_end_addr,
            look_at_certificate,
            stop,
            stopped,
            serving,
            jobs,
        })
    }
}

/// The lockers that are there; a front-end that keeps no chunks keeps none. None is longer than a delivery is kept.
async fn open_lockers(
    config: &Option<LockerConfig>,
    data: &DataDir,
    limits: &HubLimits,
    free_reserve_bytes: u64,
    cluster: &Cluster,
) -> io::Result<Lockers> {
    let time_max = |config: &LockerConfig| config.time_max.min(limits.delivery_window);
    let config = config.map(|config| LockerConfig { time_max: time_max(&config), ..config });
    let config = config.filter(|_| cluster.keeps_chunks());
    let path = data.lockers();
    // The last segment of each is read.
    tokio::task::spawn_blocking(move || Lockers::open(&path, config, free_reserve_bytes))
        .await
        .map_err(io::Error::other)?
}

/// What is needed to be one of several front-ends, and where the others are listened to.
async fn membership(
    config: &FrontEndConfig,
    secret: &[u8; 32],
) -> Result<(Membership, TcpListener), StartError> {
    let (listener, local) = listen(config.listen).await?;
    if config.address.is_none() && local.ip().is_unspecified() {
        return Err(StartError::FrontEndAddress(local));
    }
    let address = config.address.clone().unwrap_or_else(|| local.to_string());
    let membership = Membership::new(secret, address, config.keeps_chunks);
    Ok((membership.map_err(StartError::Tls)?, listener))
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let local = listener.local_addr().map_err(failed)?;
    Ok((listener, local))
}

/// The hub's URL when nobody said one: the first domain of its certificate, else how this machine
/// itself reaches it; for others [`HubConfig::url`] says it.
fn own_url(tls: &Tls, mut address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    match tls {
        Tls::Off => format!("http://{address}"),
        Tls::SelfSigned | Tls::Files { .. } => format!("https://{address}"),
        Tls::Acme(acme) => match (acme.domains.first(), address.port()) {
            (Some(domain), 443) => format!("https://{domain}"),
            (Some(domain), port) => format!("https://{domain}:{port}"),
            (None, _) => format!("https://{address}"),
        },
    }
}

impl RunningHub {
    /// Waits until the hub has stopped.
    pub async fn wait(&self) {
        // An error means that the task has gone, which is as stopped as can be.
        let _ = self.stopped.clone().wait_for(|stopped| *stopped).await;
    }

    /// Has the files of the certificate ([`Tls::Files`]) read again, soon; the log says what came
    /// of it. Where the certificate comes from elsewhere nothing happens.
    pub fn read_certificate_again(&self) {
        self.look_at_certificate.notify_one();
    }

    /// Stops: takes no more connections, ends event streams, lets open requests end within the
    /// configured time.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        let _ = (&mut self.serving).await;
        self.jobs.shutdown().await;
    }
}

impl Drop for RunningHub {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        self.serving.abort();
        self.jobs.abort_all();
    }
}
