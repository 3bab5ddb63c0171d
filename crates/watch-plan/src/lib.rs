//! Decides when to listen for releases of a name, when to ask for the newest one, when to fetch
//! it, and when to try again.
//!
//! Pure: no sockets, no clock, no tasks; the `node` crate drives it. Time is an argument, and
//! chance is a seed.
//!
//! * A stream of events is the usual way. What was announced between two streams is not lost:
//!   whenever one opens the newest release is asked for.
//! * While there is no stream the newest release is asked for at intervals, and the stream is
//!   tried again with growing, jittered delays, so that a thousand watchers of a hub that
//!   restarts do not come back in one instant.
//! * A stream that says nothing is not believed for ever: now and then it is asked all the same.
//! * A release that cannot be fetched is tried again the same way; a newer one is not waited for
//!   longer because of it.
//!
//! Invariant: at most one stream, one question and one fetch are under way, and while the plan
//! is told to hold a release, nothing but that release is fetched.
//!
//! Start reading at [`WatchPlan::poll_action`].

use std::time::{Duration, Instant};

use backoff::Delay;

/// Intervals of a watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchConfig {
    /// Between two questions while there is no stream.
    pub poll_every: Duration,
    /// Between two questions while a stream is open.
    pub check_every: Duration,
    /// Shortest and longest delay between two tries of what failed.
    pub retry: (Duration, Duration),
}

impl Default for WatchConfig {
    /// A release arrives half a minute late at worst while a proxy swallows streams; a quarter of
    /// an hour of a stream that lies costs one small question; retries start within a second and
    /// end at five minutes, after which an outage is somebody's business anyway.
    fn default() -> Self {
        Self {
            poll_every: Duration::from_secs(30),
            check_every: Duration::from_secs(15 * 60),
            retry: (Duration::from_secs(1), Duration::from_secs(5 * 60)),
        }
    }
}

/// Which release is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Whatever is the newest when it is asked for.
    Newest,
    /// This one.
    Release(u64),
}

/// What the driver is to do; it reports how each ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Open the event stream: [`WatchPlan::handle_stream_opened`] or
    /// [`WatchPlan::handle_stream_lost`].
    OpenStream,
    /// Close the event stream; nothing is reported.
    CloseStream,
    /// Ask for the number of the newest release: [`WatchPlan::handle_newest`] or
    /// [`WatchPlan::handle_question_failed`].
    AskNewest,
    /// Fetch a release and make it current: [`WatchPlan::handle_applied`] or
    /// [`WatchPlan::handle_apply_failed`].
    Apply(Wanted),
}

/// What a watch does, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// The stream is being opened.
    Connecting,
    /// The stream is open and nothing is to be done.
    Listening,
    /// There is no stream; the hub is asked at intervals.
    Polling,
    /// A release is being fetched.
    Applying,
    /// A release could not be fetched; waiting for the next try.
    BackingOff,
    /// The held release is current.
    Holding,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stream {
    Closed { open_at: Instant },
    Opening,
    Open,
}

/// The schedule of one watch.
#[derive(Debug)]
pub struct WatchPlan {
    config: WatchConfig,
    stream: Stream,
    stream_delay: Delay,
    asking: bool,
    ask_at: Instant,
    ask_delay: Delay,
    applying: bool,
    apply_at: Instant,
    apply_delay: Delay,
    /// A fetch failed and none went well since.
    failed: bool,
    current: Option<u64>,
    /// What the hub says is the newest; its word alone, so it only ever starts a fetch.
    newest: Option<u64>,
    hold: Option<u64>,
}

impl WatchPlan {
    /// A plan that begins at `now` with release `current` in place; `seed` spreads the delays of
    /// many watchers.
    #[must_use]
    pub fn new(
        config: WatchConfig,
        current: Option<u64>,
        hold: Option<u64>,
        seed: u64,
        now: Instant,
    ) -> Self {
        let delay = |salt| Delay::new(config.retry, seed.wrapping_add(salt));
        Self {
            config,
            stream: Stream::Closed { open_at: now },
            stream_delay: delay(1),
            asking: false,
            ask_at: now,
            ask_delay: delay(2),
            applying: false,
            apply_at: now,
            apply_delay: delay(3),
            failed: false,
            current,
            newest: None,
            hold,
        }
    }

    /// The stream is open: what was announced before is asked for at once.
    pub fn handle_stream_opened(&mut self, now: Instant) {
        self.stream = Stream::Open;
        self.ask_at = now;
    }

    /// The stream could not be opened, failed or ended.
    pub fn handle_stream_lost(&mut self, now: Instant) {
        if self.stream == Stream::Open {
            // It may have ended before it announced a release.
            self.ask_at = now;
        }
        self.stream = Stream::Closed { open_at: now + self.stream_delay.next_delay() };
    }

    /// The stream announced a release.
    pub fn handle_event(&mut self, sequence: u64, now: Instant) {
        // Only a stream that carries something counts as having gone well: one that a proxy ends
        // as soon as it is open must not be opened again at once, for ever.
        self.stream_delay.reset();
        self.note(sequence, now);
    }

    /// The hub named its newest release; `None` when the name has none.
    pub fn handle_newest(&mut self, sequence: Option<u64>, now: Instant) {
        self.asking = false;
        self.ask_delay.reset();
        self.ask_at = now + self.interval();
        if let Some(sequence) = sequence {
            self.note(sequence, now);
        }
    }

    /// The hub did not name its newest release.
    pub fn handle_question_failed(&mut self, now: Instant) {
        self.asking = false;
        self.ask_at = now + self.ask_delay.next_delay().max(self.config.poll_every / 2);
    }

    /// A release is current: the one asked for, or the newest at that moment.
    pub fn handle_applied(&mut self, sequence: u64, now: Instant) {
        self.applying = false;
        self.failed = false;
        self.apply_delay.reset();
        self.apply_at = now;
        self.current = Some(sequence);
        if self.hold.is_none() {
            // Whatever was announced, this is what the publisher has signed.
            self.newest = Some(sequence);
        }
    }

    /// A release could not be fetched or made current.
    pub fn handle_apply_failed(&mut self, now: Instant) {
        self.applying = false;
        self.failed = true;
        self.apply_at = now + self.apply_delay.next_delay();
    }

    /// What is current changed without an [`Action::Apply`] that ended: one that was cut off may
    /// have switched already. `None` when nothing is current, or when what is current is not
    /// finished, for example because its hook has not run.
    pub fn handle_current(&mut self, current: Option<u64>) {
        self.current = current;
    }

    /// Stay at `hold`, or follow again when it is `None`. Said once more, what failed is tried
    /// again at once.
    pub fn handle_hold(&mut self, hold: Option<u64>, now: Instant) {
        self.hold = hold;
        self.failed = false;
        self.apply_delay.reset();
        self.apply_at = now;
        self.ask_at = now;
        if let Stream::Closed { open_at } = &mut self.stream {
            *open_at = now;
        }
    }

    /// The release to stay at.
    #[must_use]
    pub fn hold(&self) -> Option<u64> {
        self.hold
    }

    /// What to do now; ask again until there is nothing.
    pub fn poll_action(&mut self, now: Instant) -> Option<Action> {
        if self.hold.is_some() && self.stream == Stream::Open {
            self.stream = Stream::Closed { open_at: now };
            return Some(Action::CloseStream);
        }
        if let Some(wanted) = self.wanted()
            && !self.applying
            && self.apply_at <= now
        {
            self.applying = true;
            return Some(Action::Apply(wanted));
        }
        if self.hold.is_some() {
            return None;
        }
        if let Stream::Closed { open_at } = self.stream
            && open_at <= now
        {
            self.stream = Stream::Opening;
            return Some(Action::OpenStream);
        }
        // While a stream is being opened the question would be asked twice.
        if !self.asking && self.stream != Stream::Opening && self.ask_at <= now {
            self.asking = true;
            return Some(Action::AskNewest);
        }
        None
    }

    /// When to call [`poll_action`](Self::poll_action) again if nothing else happens.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let apply = (self.wanted().is_some() && !self.applying).then_some(self.apply_at);
        let (stream, ask) = match (self.hold, self.stream) {
            (Some(_), _) | (None, Stream::Opening) => (None, None),
            (None, Stream::Closed { open_at }) => (Some(open_at), self.question()),
            (None, Stream::Open) => (None, self.question()),
        };
        [apply, stream, ask].into_iter().flatten().min()
    }

    /// What the watch does.
    #[must_use]
    pub fn doing(&self) -> Doing {
        if self.applying {
            return Doing::Applying;
        }
        if self.failed {
            return Doing::BackingOff;
        }
        match (self.hold, self.stream) {
            (Some(_), _) => Doing::Holding,
            (None, Stream::Open) => Doing::Listening,
            (None, Stream::Opening) => Doing::Connecting,
            (None, Stream::Closed { .. }) => Doing::Polling,
        }
    }

    fn question(&self) -> Option<Instant> {
        (!self.asking).then_some(self.ask_at)
    }

    fn wanted(&self) -> Option<Wanted> {
        match (self.hold, self.newest) {
            (Some(hold), _) if self.current != Some(hold) => Some(Wanted::Release(hold)),
            (Some(_), _) | (None, None) => None,
            (None, newest) if newest > self.current => Some(Wanted::Newest),
            // Rolled back and released again: the newest is wanted even if it was seen before.
            (None, newest) if newest != self.current => Some(Wanted::Newest),
            (None, _) => None,
        }
    }

    fn note(&mut self, sequence: u64, now: Instant) {
        if self.newest.is_none_or(|newest| sequence > newest) {
            self.newest = Some(sequence);
            // A newer release may be sound where the one before was not.
            self.apply_at = now;
        }
    }

    fn interval(&self) -> Duration {
        match self.stream {
            Stream::Open => self.config.check_every,
            Stream::Opening | Stream::Closed { .. } => self.config.poll_every,
        }
    }
}

#[cfg(test)]
mod tests;
