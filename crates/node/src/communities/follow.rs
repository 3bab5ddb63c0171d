//! What goes on by itself for every community, while the node runs.
//!
//! One job for each: it does what there is to do, then waits for the hub to say that something is new,
//! and asks anyway once in a while. When that hub or relay fails, the next one of its routes is asked at
//! once. A manager admits who may join and renews the roster; a target
//! carries out what waits for it; a relay passes on what waits for others; a publisher finishes what it began to send, and collects receipts.

mod pace;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use community::{CommunityId, Role};
use deploy::script::Launch;
use hub_client::CommunityEvents;
use node_api::status::{CommunityState, CommunityStatus, Waiting};
use tokio::task::JoinHandle;

use self::pace::{ASK_AGAIN, Begun, Due, Elsewhere};
use super::alarms::Alarms;
use super::manager::JoinNews;
use super::publisher::{SendError, SharedLedger};
use super::relay::{Passing, RelayError, RelayNews};
use super::target::{TargetError, TargetNews};
use super::{CommunityError, Place};
use crate::causes::chain;
use crate::hubs::HubLink;
use crate::publish::unix_now;
use crate::state::Node;

/// The first pause after a failure, which doubles up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_mins(5);
/// How often new communities are looked for.
const LOOK_FOR_NEW: Duration = Duration::from_secs(2);

/// The communities that this node follows.
pub struct Following {
    node: Arc<Node>,
    with: Arc<With>,
    jobs: Mutex<BTreeMap<CommunityId, Job>>,
}

/// What all of them are followed with.
struct With {
    launch: Launch,
    ledger: SharedLedger,
}

struct Job {
    place: Place,
    status: Arc<Mutex<CommunityStatus>>,
    task: JoinHandle<()>,
}

impl Following {
    /// Nothing is followed yet: see [`Following::run`].
    #[must_use]
    pub fn new(node: Arc<Node>, launch: Launch, ledger: SharedLedger) -> Arc<Self> {
        let with = Arc::new(With { launch, ledger });
        Arc::new(Self { node, with, jobs: Mutex::default() })
    }

    /// How each community stands here.
    #[must_use]
    pub fn status(&self) -> Vec<CommunityStatus> {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let status = |job: &Job| {
            let mut status = job.status.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if status.waits_for.is_none() {
                status.waits_for = job.place.fetching();
            }
            status
        };
        jobs.values().map(status).collect()
    }

    /// Follows every community of the node, those that it joins meanwhile too, for ever.
    pub async fn run(self: Arc<Self>) {
        loop {
            match self.node.communities() {
                Ok(places) => places.into_iter().for_each(|place| self.begin(place)),
                Err(error) => tracing::error!(error = %chain(&error), "cannot list communities"),
            }
            tokio::time::sleep(LOOK_FOR_NEW).await;
        }
    }

    fn begin(&self, place: Place) {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        if jobs.contains_key(&place.id()) {
            return;
        }
        let status = Arc::new(Mutex::new(CommunityStatus {
            community: place.id().to_string(),
            name: place.charter().map_or_else(|_| String::new(), |charter| charter.name),
            state: CommunityState::Connecting,
            since: unix_now(),
            waits_for: None,
            last: None,
        }));
        let followed = follow(place.clone(), Arc::clone(&self.with), Arc::clone(&status));
        jobs.insert(place.id(), Job { place, status, task: tokio::spawn(followed) });
    }

    /// Ends what is followed. A package that is being carried out goes on when the node runs again.
    pub fn stop(&self) {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        for job in std::mem::take(&mut *jobs).into_values() {
            job.task.abort();
        }
    }
}

/// What there is to do, and that those above hear of it.
async fn follow(place: Place, with: Arc<With>, status: Arc<Mutex<CommunityStatus>>) {
    // Only the end of the community ends it.
    tokio::select! {
        () = go_on(&place, &with, &status) => {}
        () = place.tell_of_itself() => {}
        () = place.carry_joins() => {}
    }
}

async fn go_on(place: &Place, with: &With, status: &Arc<Mutex<CommunityStatus>>) {
    let mut pause = PAUSE_MIN;
    let mut alarms = Alarms::default();
    loop {
        match once(place, with, status, &mut alarms).await {
            Ok(()) => pause = PAUSE_MIN,
            Err(FollowError::Community(CommunityError::Ended { name, charter })) => {
                tracing::info!(community = %place.id(), charter, "the community has ended");
                let text = format!("the managers of {name} ended it with charter {charter}");
                note(status, text);
                pass_end_on(place, status).await;
                say(status, CommunityState::Ended, None);
                return;
            }
            // Another hub or relay knows as much: only when none answers is there anything to wait for.
            Err(error) if error.is_of_the_way(place) && has_other_way(place) => {
                let reason = chain(&error);
                tracing::warn!(community = %place.id(), error = reason, "goes on at the next hub");
                note(status, format!("another hub is asked: {reason}"));
            }
            Err(error) => {
                let reason = chain(&error);
                tracing::warn!(community = %place.id(), error = reason, "cannot follow a community");
                let next = format!("it is tried again within {} s", pause.as_secs());
                say(status, CommunityState::BackingOff, Some((reason, next)));
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
    }
}

/// Ends the community at the hub that it was passed on through, if it was, however long that takes.
async fn pass_end_on(place: &Place, status: &Arc<Mutex<CommunityStatus>>) {
    let mut pause = PAUSE_MIN;
    while let Err(error) = place.pass_end_on().await {
        let reason = chain(&error);
        tracing::warn!(community = %place.id(), error = reason, "the end is not passed on");
        let next = format!("it is tried again within {} s", pause.as_secs());
        say(status, CommunityState::BackingOff, Some((reason, next)));
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Does what there is to do, until the stream of news ends.
async fn once(
    place: &Place,
    with: &With,
    status: &Arc<Mutex<CommunityStatus>>,
    alarms: &mut Alarms,
) -> Result<(), FollowError> {
    say(status, CommunityState::Working, None);
    if let Some(news) = place.go_on(&with.launch).await? {
        note_target(place, status, news);
    }
    super::going_on(place.charter()?)?;
    say(status, CommunityState::Connecting, None);
    let hub = place.hub()?;
    // Opened first: what comes while this works is told on it.
    let mut events = match hub.client.community_events(&place.id()).await {
        Ok(events) => events,
        Err(source) => return Err(place.refused(&hub, "wait for news", source).await.into()),
    };
    let mut relay = None;
    let mut elsewhere = Elsewhere::default();
    let mut begun = Begun::default();
    // A hub whose database is put back ends the stream before.
    let mut has_given_back = false;
    loop {
        say(status, CommunityState::Working, None);
        if place.is_managed_here()? {
            place.renew().await?;
            let news = place.handle_joins().await?;
            for news in alarms.handle_news(news, Instant::now()) {
                note_join(place, status, news);
            }
        }
        let carried = carry_out(place, with, status, &mut elsewhere).await;
        // It may have become one, or have been given another hub, while this ran.
        relay = Relaying::of(place, relay)?;
        // What this machine cannot carry out keeps nobody else from it.
        if let (Some(relay), Ok(Way::Same) | Err(FollowError::Target(_))) = (&mut relay, &carried) {
            for news in relay.pass_on(place).await? {
                note_relay(place, status, news);
            }
        }
        if carried? == Way::First {
            return Ok(());
        }
        let mut sends = None;
        if is_publisher(place)? {
            let ledger = with.ledger.get().await.map_err(SendError::from)?;
            if !has_given_back {
                for news in place.give_back(&*ledger).await? {
                    note(status, news.to_string());
                }
                has_given_back = true;
            }
            place.finish_drafts(&*ledger).await?;
            let collected = place.collect_receipts(&*ledger).await?;
            if collected.new > 0 {
                let s = if collected.new == 1 { "" } else { "s" };
                note(status, format!("{} receipt{s} came", collected.new));
            }
            for (target, why) in collected.unreadable {
                tracing::warn!(community = %place.id(), %target, why, "a receipt cannot be read");
            }
            begun.handle_news();
            if begun.poll_ask(Instant::now()) {
                place.note_begun(&*ledger).await?;
            }
            for news in place.advance_rollouts(&*ledger).await? {
                tracing::info!(community = %place.id(), "{news}");
                note(status, news);
            }
            sends = Some(ledger);
        }
        let next = "what is new is done then".to_owned();
        say(status, CommunityState::Listening, Some(("news from the hub".to_owned(), next)));
        let due = async {
            match &sends {
                Some(ledger) => place.rollouts_due(&**ledger).await,
                None => std::future::pending().await,
            }
        };
        let ask_begun = async {
            match begun.poll_timeout() {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        let next = tokio::select! {
            event = events.next() => Some(event),
            due = due => {
                due?;
                None
            }
            () = Relaying::news(&mut relay) => None,
            () = ask_begun => None,
            () = tokio::time::sleep(ASK_AGAIN) => None,
        };
        match next {
            Some(Ok(Some(_))) | None => {}
            Some(Ok(None)) => return Ok(()),
            Some(Err(source)) => {
                let url = hub.url.clone();
                return Err(CommunityError::Hub { doing: "wait for news", url, source }.into());
            }
        }
    }
}

/// Which way is taken from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Same,
    /// The first one again, after another.
    First,
}

/// Carries out what waits for this machine, at its other hubs and relays too where those were not asked
/// for long.
async fn carry_out(
    place: &Place,
    with: &With,
    status: &Arc<Mutex<CommunityStatus>>,
    elsewhere: &mut Elsewhere,
) -> Result<Way, FollowError> {
    for news in place.work_queue(&with.launch).await? {
        note_target(place, status, news);
    }
    match turn(place, elsewhere, Instant::now()) {
        Due::Nothing => {}
        Due::First => return Ok(Way::First),
        Due::Others => {
            for news in place.work_other_queues(&with.launch).await? {
                note_target(place, status, news);
            }
            elsewhere.handle_asked(Instant::now());
        }
    }
    Ok(Way::Same)
}

/// What is due elsewhere; when that is the first way, it is taken from now on.
fn turn(place: &Place, elsewhere: &Elsewhere, now: Instant) -> Due {
    let due = elsewhere.poll(place.has_turned(), now);
    if due == Due::First {
        place.take_first_way();
    }
    due
}

/// Turns to the next way; false when all were tried.
fn has_other_way(place: &Place) -> bool {
    place.take_next_way().is_ok_and(|is_first| !is_first)
}

/// What a relay follows beside what every peer does.
struct Relaying {
    beside: HubLink,
    /// News of the hub beside; none while they are not listened to.
    events: Option<CommunityEvents>,
    passing: Passing,
}

impl Relaying {
    /// As it goes on, or as it begins.
    fn of(place: &Place, before: Option<Self>) -> Result<Option<Self>, CommunityError> {
        let Some(beside) = place.relay_hub()? else { return Ok(None) };
        let same = before.filter(|before| before.beside.url == beside.url);
        let new = || Self { beside, events: None, passing: Passing::default() };
        Ok(Some(same.unwrap_or_else(new)))
    }

    async fn pass_on(&mut self, place: &Place) -> Result<Vec<RelayNews>, FollowError> {
        let own = place.standing(unix_now())?.and_then(|standing| standing.membership);
        if !own.is_some_and(|own| own.roles.contains(&Role::Relay)) {
            return Ok(Vec::new());
        }
        // Opened first, as with the other: receipts that come while this works are told on it.
        if self.events.is_none() {
            self.events = place.relay_events(&self.beside).await?;
        }
        let mut news = place.pass_on(&self.beside, &mut self.passing).await?;
        if self.events.is_none() {
            // The hub beside did not know the community before.
            self.events = place.relay_events(&self.beside).await?;
            news.extend(place.pass_on(&self.beside, &mut self.passing).await?);
        }
        Ok(news)
    }

    /// Returns when something is new at the hub beside, or it does not tell any more.
    async fn news(relay: &mut Option<Self>) {
        let Some(Self { events: listening @ Some(_), .. }) = relay else {
            return std::future::pending().await;
        };
        let Some(events) = listening else { return };
        if !matches!(events.next().await, Ok(Some(_))) {
            *listening = None;
        }
    }
}

fn is_publisher(place: &Place) -> Result<bool, CommunityError> {
    let own = place.standing(unix_now())?.and_then(|standing| standing.membership);
    Ok(own.is_some_and(|own| own.roles.contains(&Role::Publisher)))
}

/// Why a community could not be followed; it is tried again.
#[derive(Debug, thiserror::Error)]
enum FollowError {
    /// It, or its hub.
    #[error(transparent)]
    Community(CommunityError),
    /// What waits for this machine.
    #[error(transparent)]
    Target(TargetError),
    /// What this machine sent.
    #[error(transparent)]
    Send(SendError),
    /// What it passes on.
    #[error(transparent)]
    Relay(RelayError),
}

impl From<CommunityError> for FollowError {
    fn from(error: CommunityError) -> Self {
        Self::Community(error)
    }
}

// Whatever was done when it turned out how the community stands, that is what counts.

impl From<TargetError> for FollowError {
    fn from(error: TargetError) -> Self {
        match error {
            TargetError::Community(error) => Self::Community(error),
            error @ (TargetError::Fetch { .. }
            | TargetError::Apply { .. }
            | TargetError::Endless { .. }
            | TargetError::State(_)) => Self::Target(error),
        }
    }
}

impl From<SendError> for FollowError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Community(error @ CommunityError::Ended { .. }) => Self::Community(error),
            error @ (SendError::Community(_)
            | SendError::NoPublisher(_)
            | SendError::NoTarget(_)
            | SendError::NotATarget(_)
            | SendError::Publish(_)
            | SendError::OtherHistory { .. }
            | SendError::Forgot { .. }
            | SendError::Stage { .. }
            | SendError::WeakKey(_)
            | SendError::Draft(_)
            | SendError::Ledger(_)
            | SendError::NoCanary(_)
            | SendError::DamagedRollout(_)
            | SendError::DamagedDraft(_)
            | SendError::State(_)) => Self::Send(error),
        }
    }
}

impl From<RelayError> for FollowError {
    fn from(error: RelayError) -> Self {
        match error {
            RelayError::Community(error) => Self::Community(error),
            error @ (RelayError::Fetch { .. }
            | RelayError::Endless { .. }
            | RelayError::State(_)) => Self::Relay(error),
        }
    }
}

impl FollowError {
    /// Whether the hub or relay that was spoken with failed, so that another one may do better.
    fn is_of_the_way(&self, place: &Place) -> bool {
        let failed = match self {
            Self::Community(error)
            | Self::Target(TargetError::Community(error))
            | Self::Relay(RelayError::Community(error)) => error,
            Self::Target(
                TargetError::Fetch { .. } | TargetError::Apply { .. } | TargetError::State(_),
            )
            | Self::Send(_)
            | Self::Relay(RelayError::Fetch { .. } | RelayError::State(_)) => return false,
            Self::Target(TargetError::Endless { url })
            | Self::Relay(RelayError::Endless { url }) => {
                return place.hub().is_ok_and(|hub| hub.url == *url);
            }
        };
        match failed {
            CommunityError::Hub { url, .. } => place.hub().is_ok_and(|hub| hub.url == *url),
            // It shows what is old or false.
            CommunityError::Charter(_)
            | CommunityError::Roster(_)
            | CommunityError::Membership(_)
            | CommunityError::Malformed(_)
            // A relay may have lost what it had.
            | CommunityError::Gone { .. } => true,
            CommunityError::Unknown(_)
            | CommunityError::Ended { .. }
            | CommunityError::NotNamed(_)
            | CommunityError::NotManager(_)
            | CommunityError::Proposing(_)
            | CommunityError::LastWord
            | CommunityError::TooManyManagers(_)
            | CommunityError::PeerExists(_)
            | CommunityError::NoPeer(_)
            | CommunityError::Unfit { .. }
            | CommunityError::Contended
            | CommunityError::HubChoice(_)
            | CommunityError::State(_) => false,
        }
    }
}

fn say(
    status: &Arc<Mutex<CommunityStatus>>,
    state: CommunityState,
    waits: Option<(String, String)>,
) {
    let mut status = status.lock().unwrap_or_else(PoisonError::into_inner);
    if status.state != state {
        status.state = state;
        status.since = unix_now();
    }
    let since = status.since;
    status.waits_for = waits.map(|(what, next)| Waiting { what, since, next });
}

fn note(status: &Arc<Mutex<CommunityStatus>>, text: String) {
    status.lock().unwrap_or_else(PoisonError::into_inner).last = Some(text);
}

fn note_join(place: &Place, status: &Arc<Mutex<CommunityStatus>>, news: JoinNews) {
    let community = place.id();
    let text = match news {
        JoinNews::Challenged(peer) => format!("{peer} was challenged"),
        JoinNews::Admitted(peer, key) => format!("{peer} joined with key {key}"),
        JoinNews::Refused(peer, why) => {
            tracing::warn!(%community, %peer, why, "a machine was refused");
            return note(status, format!("{peer} was refused: {why}"));
        }
        JoinNews::BrokenOff(_, peer, why) => {
            tracing::error!(%community, %peer, ?why, "a machine broke its joining off");
            return note(status, format!("{peer} broke its joining off: {}", printable(&why)));
        }
        JoinNews::WaitsForApproval(peer, key, _) => {
            format!("{peer} waits for approval of key {key}")
        }
        JoinNews::WaitsForSignatures(peer, key, missing) => {
            format!("{peer} with key {key} waits for {missing} more signatures of managers")
        }
    };
    tracing::info!(%community, "{text}");
    note(status, text);
}

/// A text of a stranger's without what steers a terminal.
fn printable(text: &str) -> String {
    text.chars().map(|it| if it.is_control() { '\u{fffd}' } else { it }).collect()
}

fn note_relay(place: &Place, status: &Arc<Mutex<CommunityStatus>>, news: RelayNews) {
    let community = place.id();
    let text = match news {
        RelayNews::Roster(number) => format!("the hub beside has roster {number}"),
        RelayNews::Release { publisher, sequence, bytes, targets } => {
            let s = if targets == 1 { "" } else { "s" };
            format!(
                "release {sequence} of {publisher} went on to {targets} target{s}, {bytes} bytes of it new"
            )
        }
        RelayNews::Receipts(1) => "a receipt went back".to_owned(),
        RelayNews::Receipts(count) => format!("{count} receipts went back"),
        RelayNews::Refused { feed, sequence, reason } => {
            tracing::warn!(%community, feed, sequence, reason, "a release is not passed on");
            return note(
                status,
                format!("release {sequence} of {feed} is not passed on: {reason}"),
            );
        }
    };
    tracing::info!(%community, "{text}");
    note(status, text);
}

fn note_target(place: &Place, status: &Arc<Mutex<CommunityStatus>>, news: TargetNews) {
    let community = place.id();
    match news {
        TargetNews::Answered { publisher, sequence, package, verdict } => {
            let verdict = match verdict {
                package::Verdict::Passed => "passed".to_owned(),
                package::Verdict::Failed(why) => format!("failed: {why}"),
                package::Verdict::NotApplicable(why) => format!("not applicable: {why}"),
            };
            tracing::info!(%community, publisher, sequence, package, verdict, "answered a release");
            let what = if package.is_empty() { String::new() } else { format!(" ({package})") };
            note(status, format!("release {sequence} of {publisher}{what} {verdict}"));
        }
        TargetNews::Refused { feed, sequence, reason } => {
            tracing::warn!(%community, feed, sequence, reason, "a release is not believed");
            note(status, format!("release {sequence} of {feed} is not believed: {reason}"));
        }
    }
}

#[cfg(test)]
mod tests;
