//! Drives a watch: the hub's announcements become releases on disk.
//!
//! `watch-plan` decides when; this module does: one loop with at most one stream, one question
//! and one fetch under way.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use checkout::CheckoutProgress;
use hub_client::{ClientError, ReleaseEvents};
use node_api::status::{Waiting, WatchState, WatchStatus};
use tokio::sync::mpsc;
use watch_plan::{Action, Doing, Wanted, WatchConfig, WatchPlan};

use super::hook::{HookError, Launch};
use super::releases::{Releases, ReleasesError};
use super::{WatchSpec, lock};
use crate::causes::chain;
use crate::get::GetError;
use crate::publish::unix_now;
use crate::state::{Node, StateError, random};
use crate::tree::TreeError;

mod work;

use self::work::Work;

/// How often a busy directory is tried again.
const BUSY_RETRY: Duration = Duration::from_secs(5);

/// What a running watch is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Stay at this release, or follow again.
    Hold(Option<u64>),
}

/// What happened to a watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchEvent {
    /// Another release is current.
    Switched {
        /// The name.
        name: String,
        /// The release that is current now.
        release: u64,
        /// The one before.
        previous: Option<u64>,
        /// It became current again because the hook of `previous` failed.
        rolled_back: bool,
    },
    /// Something failed and is tried again.
    Failed {
        /// The name.
        name: String,
        /// What, in words.
        what: String,
    },
}

impl WatchEvent {
    /// Writes it to the log.
    pub(crate) fn log(&self) {
        match self {
            Self::Switched { name, release, previous, rolled_back } => {
                tracing::info!(%name, release, ?previous, rolled_back, "a release is current");
            }
            Self::Failed { name, what } => tracing::warn!(%name, %what, "a watch failed"),
        }
    }
}

/// Why a release did not become current, or its hook failed.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The release could not be found, believed or fetched.
    #[error(transparent)]
    Get(#[from] GetError),
    /// The directory cannot be used.
    #[error(transparent)]
    Releases(#[from] ReleasesError),
    /// The release is current and its hook failed; with rollback, the one before is again.
    #[error("release {release} of {name} is current, and its hook failed")]
    Hook {
        /// The name.
        name: String,
        /// The release.
        release: u64,
        /// Why.
        #[source]
        source: HookError,
    },
    /// The hook failed, and the release before is current again.
    #[error("release {release} of {name} was rolled back, because its hook failed")]
    RolledBack {
        /// The name.
        name: String,
        /// The release.
        release: u64,
        /// Why.
        #[source]
        source: HookError,
    },
}

impl From<TreeError> for FollowError {
    fn from(error: TreeError) -> Self {
        Self::Get(GetError::Tree(error))
    }
}

impl From<StateError> for FollowError {
    fn from(error: StateError) -> Self {
        Self::Get(GetError::State(error))
    }
}

/// One watch.
pub struct Follower {
    node: Arc<Node>,
    spec: WatchSpec,
    status: Arc<Mutex<WatchStatus>>,
    progress: Arc<CheckoutProgress>,
    launch: Launch,
    config: WatchConfig,
}

/// What a watch that has not begun is like.
#[must_use]
pub fn first_status(spec: &WatchSpec) -> WatchStatus {
    WatchStatus {
        to: spec.to.display().to_string(),
        name: spec.name.to_string(),
        state: WatchState::Connecting,
        current: None,
        hold: None,
        kept: Vec::new(),
        waits_for: None,
        last_error: None,
        next_try: None,
    }
}

type Working<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Resolves when the optional work does; never without one.
async fn or_never<T>(work: &mut Option<Working<T>>) -> T {
    match work {
        Some(work) => work.await,
        None => std::future::pending().await,
    }
}

impl Follower {
    /// A watch that keeps `status` up to date while it runs.
    #[must_use]
    pub fn new(node: Arc<Node>, spec: WatchSpec, status: Arc<Mutex<WatchStatus>>) -> Self {
        let (launch, config) = (Launch::default(), WatchConfig::default());
        Self { node, spec, status, progress: Arc::default(), launch, config }
    }

    /// The fetch under way.
    #[must_use]
    pub fn progress(&self) -> Arc<CheckoutProgress> {
        Arc::clone(&self.progress)
    }

    /// Makes the newest release current, or the held one, and ends.
    ///
    /// # Errors
    /// See [`FollowError`].
    pub async fn once(
        &self,
        hold: Option<Option<u64>>,
        say: impl Fn(WatchEvent),
    ) -> Result<u64, FollowError> {
        let mut releases = Releases::open(&self.node, &self.spec)?;
        if let Some(hold) = hold {
            releases.set_hold(hold)?;
        }
        let wanted = releases.hold().map_or(Wanted::Newest, Wanted::Release);
        let releases = Arc::new(tokio::sync::Mutex::new(releases));
        let applied = self.work(wanted, Arc::clone(&releases)).run(&say).await;
        self.tell(&*releases.lock().await, WatchState::Listening, None);
        applied
    }

    /// Follows until `orders` is closed.
    pub async fn run(
        self,
        mut orders: mpsc::UnboundedReceiver<Order>,
        say: impl Fn(WatchEvent) + Clone + Send + Sync + 'static,
    ) {
        let releases = loop {
            match Releases::open(&self.node, &self.spec) {
                Ok(releases) => break releases,
                Err(error) => {
                    self.fail(&error, &say, Some(BUSY_RETRY));
                    tokio::select! {
                        () = tokio::time::sleep(BUSY_RETRY) => {}
                        order = orders.recv() => if order.is_none() { return },
                    }
                }
            }
        };
        let now = Instant::now();
        let seed = random().map_or(0, u64::from_le_bytes);
        let current = releases.current().unwrap_or_default();
        let mut plan = WatchPlan::new(self.config, current, releases.hold(), seed, now);
        let releases = Arc::new(tokio::sync::Mutex::new(releases));
        let mut stream: Option<ReleaseEvents> = None;
        let mut opening: Option<Working<Result<ReleaseEvents, FollowError>>> = None;
        let mut asking: Option<Working<Result<Option<u64>, FollowError>>> = None;
        let mut applying: Option<Working<Result<u64, FollowError>>> = None;
        let mut failures = Failures::default();
        if releases.lock().await.hook_due().is_some() {
            // The last run was cut off between a switch and the end of its hook.
            let (work, releases, say) = (
                self.work(Wanted::Newest, Arc::clone(&releases)),
                Arc::clone(&releases),
                say.clone(),
            );
            if let Err(error) = work.hook(&mut *releases.lock().await, &say).await {
                failures.work = Some(self.fail(&error, &say, None));
            }
            let releases = releases.lock().await;
            plan.handle_current(finished(&releases));
            plan.handle_hold(releases.hold(), now);
        }
        loop {
            while let Some(action) = plan.poll_action(Instant::now()) {
                match action {
                    Action::OpenStream => opening = Some(self.open_stream()),
                    Action::CloseStream => stream = None,
                    Action::AskNewest => asking = Some(self.ask_newest()),
                    Action::Apply(wanted) => {
                        let (work, say) = (self.work(wanted, Arc::clone(&releases)), say.clone());
                        applying = Some(Box::pin(async move { work.run(&say).await }));
                    }
                }
            }
            if let Ok(releases) = releases.try_lock() {
                self.tell(&releases, state_of(plan.doing()), plan.poll_timeout());
            }
            let due = plan.poll_timeout();
            let timer = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due.into()).await,
                    None => std::future::pending().await,
                }
            };
            let next_event = async {
                match &mut stream {
                    Some(stream) => stream.next().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                order = orders.recv() => {
                    let Some(Order::Hold(hold)) = order else { return };
                    // Dropped, so that its directory is free; what it fetched is kept.
                    if applying.take().is_some() {
                        plan.handle_apply_failed(Instant::now());
                    }
                    // Whoever gave it wants to know what goes wrong from now on.
                    failures = Failures::default();
                    self.show(None);
                    let mut releases = releases.lock().await;
                    if let Err(error) = releases.set_hold(hold) {
                        self.fail(&error, &say, None);
                    }
                    // What was cut off may have switched already.
                    plan.handle_current(finished(&releases));
                    plan.handle_hold(hold, Instant::now());
                }
                applied = or_never(&mut applying) => {
                    applying = None;
                    let now = Instant::now();
                    let current = releases.lock().await.current().unwrap_or_default();
                    match applied {
                        Ok(sequence) => {
                            plan.handle_applied(sequence, now);
                            failures = Failures::default();
                            self.show(None);
                        }
                        Err(error @ (FollowError::Hook { .. } | FollowError::RolledBack { .. })) => {
                            // The switch is made, or taken back; the hook is not run again.
                            plan.handle_applied(current.unwrap_or_default(), now);
                            failures.work = Some(self.fail(&error, &say, None));
                            failures.link = None;
                        }
                        Err(error @ (FollowError::Get(_) | FollowError::Releases(_))) => {
                            plan.handle_apply_failed(now);
                            let wait = plan.poll_timeout().map(|due| due.duration_since(now));
                            failures.work = Some(self.fail(&error, &say, wait));
                            failures.link = None;
                        }
                    }
                }
                opened = or_never(&mut opening) => {
                    opening = None;
                    match opened {
                        Ok(opened) => {
                            stream = Some(opened);
                            plan.handle_stream_opened(Instant::now());
                            self.works_again(&mut failures, Link::Stream);
                        }
                        Err(error) => {
                            plan.handle_stream_lost(Instant::now());
                            self.fail(&error, &say, None);
                            failures.link = Some(Link::Stream);
                        }
                    }
                }
                asked = or_never(&mut asking) => {
                    asking = None;
                    match asked {
                        Ok(newest) => {
                            plan.handle_newest(newest, Instant::now());
                            self.works_again(&mut failures, Link::Question);
                        }
                        Err(error) => {
                            plan.handle_question_failed(Instant::now());
                            self.fail(&error, &say, None);
                            failures.link = Some(Link::Question);
                        }
                    }
                }
                event = next_event => match event {
                    Ok(Some(event)) => plan.handle_event(event.sequence, Instant::now()),
                    Ok(None) | Err(_) => {
                        stream = None;
                        plan.handle_stream_lost(Instant::now());
                    }
                },
                () = timer => {}
            }
        }
    }

    fn open_stream(&self) -> Working<Result<ReleaseEvents, FollowError>> {
        let (node, spec) = (Arc::clone(&self.node), self.spec.clone());
        Box::pin(async move {
            let hub = node.hub(spec.hub.as_deref()).map_err(TreeError::from)?;
            hub.client
                .events(&spec.name, None)
                .await
                .map_err(|source| asked(&hub.url, &spec, source))
        })
    }

    /// The number of the newest release, on the hub's word.
    fn ask_newest(&self) -> Working<Result<Option<u64>, FollowError>> {
        let (node, spec) = (Arc::clone(&self.node), self.spec.clone());
        Box::pin(async move {
            let hub = node.hub(spec.hub.as_deref()).map_err(TreeError::from)?;
            let info = hub.client.name_info(&spec.name).await;
            info.map(|info| info.latest).map_err(|source| asked(&hub.url, &spec, source))
        })
    }

    fn work(&self, wanted: Wanted, releases: Arc<tokio::sync::Mutex<Releases>>) -> Work {
        Work {
            node: Arc::clone(&self.node),
            spec: self.spec.clone(),
            status: Arc::clone(&self.status),
            progress: Arc::clone(&self.progress),
            launch: self.launch.clone(),
            wanted,
            releases,
        }
    }

    fn tell(&self, releases: &Releases, state: WatchState, due: Option<Instant>) {
        let mut status = lock(&self.status);
        status.current = releases.current().unwrap_or_default();
        (status.hold, status.kept) = (releases.hold(), releases.kept());
        if status.state != state || status.waits_for.is_none() {
            status.state = state;
            status.waits_for = waiting(&self.spec, state, due);
        }
    }

    fn fail(
        &self,
        error: &(dyn std::error::Error + 'static),
        say: &impl Fn(WatchEvent),
        next: Option<Duration>,
    ) -> Failure {
        let what = chain(error);
        let next_try = next.map(|next| unix_now() + next.as_secs().max(1));
        // The same failure again and again is said once.
        let news = lock(&self.status).last_error.as_ref() != Some(&what);
        let failure = Failure { what, next_try };
        self.show(Some(&failure));
        if news {
            let (name, what) = (self.spec.name.to_string(), failure.what.clone());
            say(WatchEvent::Failed { name, what });
        }
        failure
    }

    /// Shows a failure, or that there is none any more.
    fn show(&self, failure: Option<&Failure>) {
        let mut status = lock(&self.status);
        status.last_error = failure.map(|failure| failure.what.clone());
        status.next_try = failure.and_then(|failure| failure.next_try);
    }

    /// Takes the failure of a link back that works; what failed beside it shows again.
    fn works_again(&self, failures: &mut Failures, link: Link) {
        if failures.link == Some(link) {
            failures.link = None;
            self.show(failures.work.as_ref());
        }
    }
}

/// A failure as it is shown.
struct Failure {
    what: String,
    next_try: Option<u64>,
}

/// What failed last and has not worked since.
#[derive(Default)]
struct Failures {
    /// The way to the hub, if its failure is the one that is shown.
    link: Option<Link>,
    /// The last release.
    work: Option<Failure>,
}

/// A way to the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    Stream,
    Question,
}

/// The release that is current, if nothing is left to do for it.
fn finished(releases: &Releases) -> Option<u64> {
    match releases.hook_due() {
        Some(_) => None,
        None => releases.current().unwrap_or_default(),
    }
}

fn asked(url: &str, spec: &WatchSpec, source: ClientError) -> FollowError {
    TreeError::Hub { url: url.to_owned(), spec: spec.name.to_string(), source }.into()
}

fn state_of(doing: Doing) -> WatchState {
    match doing {
        Doing::Connecting => WatchState::Connecting,
        Doing::Listening => WatchState::Listening,
        Doing::Polling => WatchState::Polling,
        Doing::Applying => WatchState::Fetching,
        Doing::BackingOff => WatchState::BackingOff,
        Doing::Holding => WatchState::Holding,
    }
}

/// What a watch in some state waits for, and what comes then.
fn waiting(spec: &WatchSpec, state: WatchState, due: Option<Instant>) -> Option<Waiting> {
    let soon = due.map_or(0, |due| due.saturating_duration_since(Instant::now()).as_secs());
    let (what, next) = match state {
        WatchState::Connecting => {
            ("the hub's event stream".to_owned(), "then the newest release is asked for".to_owned())
        }
        WatchState::Listening => (
            format!("the next release of {}", spec.name),
            "it is fetched, checked and made current".into(),
        ),
        WatchState::Polling => (
            "the hub's event stream".into(),
            format!("the hub is asked for the newest release within {} s", soon + 1),
        ),
        WatchState::Fetching => {
            (format!("a release of {}", spec.name), "it is checked and made current".into())
        }
        WatchState::Hook => ("the hook".into(), "the next release is waited for".into()),
        WatchState::BackingOff => {
            ("the next try".into(), format!("the release is fetched again within {} s", soon + 1))
        }
        WatchState::Holding => (
            format!("`consign watch {} --to {} --follow`", spec.name, spec.to.display()),
            "nothing changes until then".into(),
        ),
    };
    Some(Waiting { what, since: unix_now(), next })
}
