//! Starting and stopping a hub.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use documents::NodeKey;
use hub_api::Hex;
use hub_db::{DbError, HubDb, SqliteDb};
use store::{ChunkStore, DiskOptions, DiskStore, StoreError};
use tokio::net::TcpListener;
use tokio::sync::{RwLock, Semaphore, watch};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::access::Access;
use crate::app::App;
use crate::bus::Bus;
use crate::challenges::Challenges;
use crate::config::HubConfig;
use crate::files::{Announcement, DataDir};
use crate::{gc, router, serve, tls};

/// Releases checked at once: the ids of the largest closure take 128 MiB each.
const PUBLISHES_MAX: usize = 2;

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
    /// The chunk store cannot be opened; most often because another hub runs on the same data.
    #[error("cannot open the chunk store")]
    Store(#[source] StoreError),
    /// The database cannot be opened.
    #[error("cannot open the database")]
    Db(#[source] DbError),
    /// The certificate or its key cannot be made, read or used. Check the files.
    #[error("cannot set up TLS")]
    Tls(#[source] io::Error),
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
    /// SHA-256 of the certificate; zeros without TLS.
    pub fingerprint: [u8; 32],
    /// Where it listens.
    pub local_addr: SocketAddr,
    stop: watch::Sender<bool>,
    stopped: watch::Receiver<bool>,
    serving: JoinHandle<()>,
    collecting: JoinHandle<()>,
}

impl Hub {
    /// Opens the data directory and serves it in the background.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(config: HubConfig) -> Result<RunningHub, StartError> {
        let in_data = |source| StartError::Data { path: config.data.clone(), source };
        let data = DataDir::create(&config.data).map_err(in_data)?;
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
        let store: Arc<dyn ChunkStore> = Arc::new(store);
        let db = SqliteDb::open(&data.database()).await.map_err(StartError::Db)?;
        let db: Arc<dyn HubDb> = Arc::new(db);

        let key = NodeKey::from_secret_bytes(data.key().map_err(in_data)?);
        let identity = tls::identity(&config.tls, &data).map_err(StartError::Tls)?;
        let no_listener = |source| StartError::Listen { address: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(no_listener)?;
        let local_addr = listener.local_addr().map_err(no_listener)?;
        let fingerprint = identity.as_ref().map_or([0; 32], |identity| identity.fingerprint);
        let url = config.url.clone().unwrap_or_else(|| url(identity.is_some(), local_addr));
        let announcement = Announcement { url: url.clone(), fingerprint: Hex(fingerprint) };
        data.announce(&announcement).map_err(in_data)?;

        let (stop, stopping) = watch::channel(false);
        let (done, stopped) = watch::channel(false);
        let app = Arc::new(App {
            access: Access::new(Arc::clone(&db)),
            db,
            store,
            bus: Bus::default(),
            challenges: Challenges::new().map_err(io::Error::other).map_err(in_data)?,
            public_key: key.public(),
            key,
            fingerprint,
            limits: config.limits.clone(),
            publishing: RwLock::new(()),
            uploads: Arc::new(Semaphore::new(config.limits.uploads_max)),
            fetches: Arc::new(Semaphore::new(config.limits.fetches_max)),
            publishes: Arc::new(Semaphore::new(PUBLISHES_MAX)),
            stopping: stopping.clone(),
        });
        let acceptor = identity.map(|identity| TlsAcceptor::from(identity.server));
        let router = router::router(Arc::clone(&app));
        let collecting = tokio::spawn(gc::hourly(app, config.gc_interval, config.gc_grace));
        let limits = config.limits;
        let serving = tokio::spawn(async move {
            serve::serve(listener, acceptor, router, limits, stopping).await;
            done.send_replace(true);
        });
        Ok(RunningHub { url, fingerprint, local_addr, stop, stopped, serving, collecting })
    }
}

/// How this machine itself reaches the hub; for others [`HubConfig::url`] says it.
fn url(tls: bool, mut address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    format!("{}://{address}", if tls { "https" } else { "http" })
}

impl RunningHub {
    /// Waits until the hub has stopped.
    pub async fn wait(&self) {
        // An error means that the task has gone, which is as stopped as can be.
        let _ = self.stopped.clone().wait_for(|stopped| *stopped).await;
    }

    /// Stops: takes no more connections, ends event streams, lets open requests end within the
    /// configured time.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        let _ = (&mut self.serving).await;
        self.collecting.abort();
        let _ = (&mut self.collecting).await;
    }
}

impl Drop for RunningHub {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        self.serving.abort();
        self.collecting.abort();
    }
}
