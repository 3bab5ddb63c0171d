//! The pages, put together.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware;
use axum::routing::get;
use community::CommunityId;
use node::StateError;
use node::communities::CommunityError;
use node::publish::unix_now;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use crate::doors::Doors;
use crate::page::Trouble;
use crate::records::Records;
use crate::source::{Known, Source};
use crate::{assets, live, overview, page, peers, receipt, release, releases};

/// How often the hub is asked how the community stands.
const LOOK: Duration = Duration::from_secs(5);
/// How long a page waits for the first answer.
const FIRST_LOOK: Duration = Duration::from_secs(2);
/// Open pages that are kept up to date; each takes a connection and a timer.
const WATCHERS_MAX: usize = 32;

/// What all pages share.
pub(crate) struct App {
    pub(crate) id: CommunityId,
    pub(crate) name: String,
    pub(crate) records: Records,
    pub(crate) doors: Doors,
    pub(crate) watchers: Arc<Semaphore>,
    pub(crate) stopping: watch::Receiver<bool>,
    looked: watch::Receiver<Looked>,
}

/// What was found when the hub was asked last.
#[derive(Debug, Clone, Default)]
pub(crate) struct Looked {
    /// What it told, or had told before.
    pub(crate) known: Option<Arc<Known>>,
    /// Why it did not tell now.
    pub(crate) trouble: Option<Trouble>,
}

impl App {
    /// How the community stands.
    pub(crate) async fn looked(&self) -> Looked {
        let mut looked = self.looked.clone();
        let first = looked.wait_for(|looked| looked.known.is_some() || looked.trouble.is_some());
        if let Ok(Ok(found)) = tokio::time::timeout(FIRST_LOOK, first).await {
            return found.clone();
        }
        self.looked.borrow().clone()
    }
}

/// The console of one community.
pub struct Console {
    app: Arc<App>,
    source: Arc<dyn Source>,
    looked: watch::Sender<Looked>,
    stop: watch::Sender<bool>,
}

/// The links that let somebody in, one after the other.
#[derive(Debug)]
pub struct Links(watch::Receiver<String>);

impl Links {
    /// The next link: the first one at once, each other when the one before was used. None when the
    /// console ends.
    pub async fn next(&mut self) -> Option<String> {
        self.0.changed().await.ok()?;
        Some(self.newest())
    }

    /// The one that was not used yet.
    pub fn newest(&mut self) -> String {
        self.0.borrow_and_update().clone()
    }
}

impl Console {
    /// The console of a community, which is reached at `listens`.
    ///
    /// # Errors
    /// The state cannot be read, or the system has no randomness.
    pub fn new(
        source: Arc<dyn Source>,
        records: Records,
        listens: SocketAddr,
    ) -> Result<Self, CommunityError> {
        let doors = Doors::new(listens).map_err(|_| StateError::Random)?;
        let (stop, stopping) = watch::channel(false);
        let (looked, looks) = watch::channel(Looked::default());
        let app = App {
            id: source.id(),
            name: source.name()?,
            records,
            doors,
            watchers: Arc::new(Semaphore::new(WATCHERS_MAX)),
            stopping,
            looked: looks,
        };
        Ok(Self { app: Arc::new(app), source, looked, stop })
    }

    /// The links that open it.
    #[must_use]
    pub fn links(&self) -> Links {
        let mut links = self.app.doors.links();
        links.mark_changed();
        Links(links)
    }

    /// All pages.
    pub fn router(&self) -> Router {
        let app = &self.app;
        Router::new()
            .route(assets::ROUTE, get(assets::serve))
            .route("/sign-in", get(page::sign_in).post(page::spend))
            .route("/", get(overview::overview))
            .route("/peers", get(peers::peers))
            .route("/peers/{peer}", get(peers::peer))
            .route("/releases", get(releases::releases))
            .route("/releases/{package}", get(release::release))
            .route("/releases/{package}/targets/{target}", get(receipt::receipt))
            .route(
                "/releases/{package}/targets/{target}/steps/{step}/{stream}",
                get(receipt::output),
            )
            .route("/live/overview", get(live::overview))
            .route("/live/releases", get(live::releases))
            .route("/live/releases/{package}", get(live::release))
            .fallback(page::not_found)
            .layer(middleware::from_fn_with_state(Arc::clone(app), page::guard))
            .with_state(Arc::clone(app))
    }

    /// Asks the hub, once; what it told is what pages show from then on.
    pub async fn look(&self) {
        let before = self.looked.borrow().known.clone();
        let found = self.source.look(before.as_deref()).await;
        self.looked.send_modify(|looked| match found {
            Ok(known) => *looked = Looked { known: Some(Arc::new(known)), trouble: None },
            Err(error) => {
                let since = looked.trouble.as_ref().map_or_else(unix_now, |it| it.since);
                looked.trouble = Some(Trouble { why: page::causes(&error), since });
            }
        });
    }

    /// Serves the pages until `stop` resolves.
    ///
    /// # Errors
    /// The listener fails.
    pub async fn serve(
        self,
        listener: TcpListener,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        let (router, app) = (self.router(), Arc::clone(&self.app));
        let ending = self.stop.clone();
        let looking = async {
            loop {
                self.look().await;
                tokio::time::sleep(LOOK).await;
            }
        };
        let stopped = async move {
            stop.await;
            // Pages that are kept up to date would hold it open for ever.
            ending.send_replace(true);
        };
        let serving = axum::serve(listener, router).with_graceful_shutdown(stopped);
        let ended = tokio::select! {
            ended = serving => ended,
            () = looking => unreachable!("it looks for ever"),
        };
        app.records.close().await;
        ended
    }
}
