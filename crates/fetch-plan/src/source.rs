//! One source: its rate, its window, its pauses.
//!
//! ```text
//! ready ──failure──► suspended ──time──► ready (on probation: one request until it delivers)
//!   │                    │
//!   └──wrong bytes───────┴──too many failures──► dropped, for good
//! ```

use std::time::{Duration, Instant};

use crate::words::Config;

/// Shorter stretches say more about buffers than about a source.
const SAMPLE_MIN: Duration = Duration::from_millis(200);
/// The least a source is thought able to, so that no time is ever computed as endless.
const RATE_MIN: u64 = 1 << 10;

/// What a source may be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    Ready,
    Suspended { since: Instant, until: Instant, reason: String },
    Dropped { reason: String },
}

/// One source.
#[derive(Debug)]
pub(crate) struct Source {
    rate: u64,
    measured: bool,
    sample_start: Option<Instant>,
    sample_bytes: u64,
    /// Whether it had too little to do in this sample to show what it can.
    starved: bool,
    pub(crate) standing: Standing,
    failures: u32,
    failing_since: Option<Instant>,
    /// Bytes asked for and still awaited.
    pub(crate) in_flight_bytes: u64,
    /// Requests outstanding.
    pub(crate) requests: usize,
    pub(crate) retrieved_bytes: u64,
    pub(crate) lacked_pieces: u64,
}

impl Source {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            rate: config.first_rate.max(RATE_MIN),
            measured: false,
            sample_start: None,
            sample_bytes: 0,
            starved: false,
            standing: Standing::Ready,
            failures: 0,
            failing_since: None,
            in_flight_bytes: 0,
            requests: 0,
            retrieved_bytes: 0,
            lacked_pieces: 0,
        }
    }

    /// Bytes a second, as far as known; what it would be tried at while it is suspended.
    pub(crate) fn rate(&self) -> u64 {
        self.rate
    }

    /// The rate to tell others: nothing while it may not be asked.
    pub(crate) fn effective_rate(&self) -> u64 {
        if self.standing == Standing::Ready { self.rate } else { 0 }
    }

    /// How many bytes may be outstanding.
    pub(crate) fn window_bytes(&self, config: &Config) -> u64 {
        per(self.rate, config.window)
    }

    /// How long `bytes` should take.
    pub(crate) fn time_for(&self, bytes: u64) -> Duration {
        Duration::from_micros(bytes.saturating_mul(1_000_000) / self.rate)
    }

    /// Most requests at once: one while it must prove itself after a failure.
    pub(crate) fn requests_max(&self, config: &Config) -> usize {
        if self.failures > 0 { 1 } else { config.source_requests_max.max(1) }
    }

    pub(crate) fn is_dropped(&self) -> bool {
        matches!(self.standing, Standing::Dropped { .. })
    }

    /// A request of `bytes` goes out.
    pub(crate) fn asked(&mut self, bytes: u64, now: Instant) {
        self.in_flight_bytes += bytes;
        self.requests += 1;
        if self.sample_start.is_none() {
            self.restart_sample(now);
        }
    }

    /// A request ended with `awaited` bytes still missing from it.
    pub(crate) fn ended(&mut self, awaited: u64) {
        self.in_flight_bytes -= awaited;
        self.requests -= 1;
        if self.requests == 0 {
            self.sample_start = None;
        }
    }

    /// It has less to do than it could.
    pub(crate) fn starved(&mut self) {
        self.starved = true;
    }

    /// Bytes came in.
    pub(crate) fn arrived(&mut self, bytes: u64, now: Instant) {
        self.sample_bytes += bytes;
        if self.sample_start.is_some_and(|start| now.duration_since(start) >= SAMPLE_MIN) {
            self.take_sample(now);
        }
    }

    /// A piece was verified: it is alive and honest.
    pub(crate) fn delivered(&mut self) {
        self.failures = 0;
        self.failing_since = None;
    }

    /// Judges the sample so far, even if nothing came.
    pub(crate) fn take_sample(&mut self, now: Instant) {
        let Some(start) = self.sample_start else { return };
        let micros = u64::try_from(now.duration_since(start).as_micros()).unwrap_or(u64::MAX);
        let sample = self.sample_bytes.saturating_mul(1_000_000) / micros.max(1);
        // One that was starved may show that it is faster, never that it is slower.
        if sample > self.rate || !self.starved {
            self.rate = if self.measured { self.rate.midpoint(sample) } else { sample };
            self.rate = self.rate.max(RATE_MIN);
            self.measured = true;
        }
        self.restart_sample(now);
    }

    pub(crate) fn restart_sample(&mut self, now: Instant) {
        self.sample_start = Some(now);
        self.sample_bytes = 0;
        self.starved = false;
    }

    /// Suspends or drops it after a failure. `None` when it was suspended already: requests
    /// that fail together are one failure.
    pub(crate) fn fail(&mut self, now: Instant, reason: &str, config: &Config) -> Option<Standing> {
        if self.standing != Standing::Ready {
            return None;
        }
        self.failures += 1;
        let since = *self.failing_since.get_or_insert(now);
        let patient = now.duration_since(since) < config.patience;
        self.rate = (self.rate / 8).max(RATE_MIN);
        self.measured = false;
        self.standing = if self.failures >= config.failures_max && !patient {
            Standing::Dropped { reason: format!("{reason} ({} times in a row)", self.failures) }
        } else {
            let doublings = (self.failures - 1).min(16);
            let pause = config.back_off_first.saturating_mul(1 << doublings);
            let until = now + pause.min(config.back_off_max);
            Standing::Suspended { since: now, until, reason: reason.to_owned() }
        };
        Some(self.standing.clone())
    }

    /// Ends its pause when that is over.
    pub(crate) fn resume(&mut self, now: Instant) {
        if matches!(self.standing, Standing::Suspended { until, .. } if until <= now) {
            self.standing = Standing::Ready;
        }
    }
}

/// Bytes that `rate` moves in `time`.
pub(crate) fn per(rate: u64, time: Duration) -> u64 {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    (rate / 1000).max(1).saturating_mul(millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> Instant {
        #[expect(clippy::disallowed_methods, reason = "a test needs some instant to begin at")]
        Instant::now()
    }

    const MIB: u64 = 1 << 20;

    #[test]
    fn the_first_sample_replaces_the_guess_and_later_ones_are_mixed_in() {
        let mut source = Source::new(&Config::default());
        let begin = start();
        source.asked(100 * MIB, begin);
        source.arrived(2 * MIB, begin + Duration::from_millis(100));
        assert_eq!(source.rate(), 8 * MIB);
        source.arrived(8 * MIB, begin + Duration::from_millis(250));
        assert_eq!(source.rate(), 40 * MIB);
        source.arrived(5 * MIB, begin + Duration::from_millis(500));
        assert_eq!(source.rate(), 30 * MIB);
    }

    #[test]
    fn a_starved_source_is_not_thought_slow() {
        let mut source = Source::new(&Config::default());
        let begin = start();
        source.asked(10, begin);
        source.starved();
        source.arrived(10, begin + Duration::from_secs(1));
        assert_eq!(source.rate(), 8 * MIB);
        source.arrived(10, begin + Duration::from_secs(2));
        assert_eq!(source.rate(), RATE_MIN);
    }

    #[test]
    fn pauses_double_to_a_limit_and_end_in_a_drop() {
        let config = Config { failures_max: 8, ..Config::default() };
        let mut source = Source::new(&config);
        let mut now = start();
        let mut pauses = Vec::new();
        loop {
            match source.fail(now, "is gone", &config) {
                Some(Standing::Suspended { until, .. }) => {
                    assert_eq!(source.fail(now, "is gone", &config), None);
                    pauses.push(until.duration_since(now).as_millis());
                    now = until;
                    source.resume(now);
                    assert_eq!(source.requests_max(&config), 1);
                }
                Some(Standing::Dropped { reason }) => {
                    assert_eq!(reason, "is gone (10 times in a row)");
                    break;
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(pauses, [250, 500, 1000, 2000, 4000, 8000, 10000, 10000, 10000]);
    }
}
