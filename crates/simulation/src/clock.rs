//! Virtual time, and the clocks of the machines in it.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// True time, since the simulation began.
pub(crate) type Moment = Duration;

/// Seconds since 1970 when a simulation begins.
const BEGIN: u64 = 1_800_000_000;

/// True seconds since 1970.
pub(crate) fn true_unix(now: Moment) -> u64 {
    BEGIN + now.as_secs()
}

/// One machine's clocks: one that only runs a little fast or slow, and one that tells the date and
/// jumps besides.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    /// Millionths that it runs fast, or slow.
    pub(crate) drift: i64,
    /// Seconds that the date is wrong by.
    pub(crate) jump: i64,
}

/// The machines take `Instant`s, of which only differences count: any will do to begin at.
fn origin() -> Instant {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    *ORIGIN.get_or_init(Instant::now)
}

impl Clock {
    fn local(&self, now: Moment) -> Duration {
        let micros = i128::try_from(now.as_micros()).unwrap_or(i128::MAX);
        let local = micros * (1_000_000 + i128::from(self.drift)) / 1_000_000;
        Duration::from_micros(u64::try_from(local).unwrap_or(0))
    }

    /// The monotonic clock.
    pub(crate) fn instant(&self, now: Moment) -> Instant {
        origin() + self.local(now)
    }

    /// The first moment at which the monotonic clock shows `instant` or later.
    pub(crate) fn when(&self, instant: Instant) -> Moment {
        let local = instant.saturating_duration_since(origin()).as_nanos();
        let rate = u128::try_from(1_000_000 + self.drift).unwrap_or(1_000_000);
        let micros = (local * 1_000_000).div_ceil(rate * 1_000);
        let mut moment = Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX));
        // Two roundings may meet.
        while self.instant(moment) < instant {
            moment += Duration::from_micros(1);
        }
        moment
    }

    /// The date, in seconds since 1970.
    pub(crate) fn unix(&self, now: Moment) -> u64 {
        (BEGIN + self.local(now).as_secs()).saturating_add_signed(self.jump)
    }

    /// Whether the date is right to two seconds.
    pub(crate) fn is_right(&self, now: Moment) -> bool {
        self.unix(now).abs_diff(true_unix(now)) <= 2
    }
}
