//! What went through a relay, counted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use community::Passed;
use community::report::PERIOD_SECONDS_MAX;

use crate::publish::unix_now;

/// How often it is told that nothing moves.
const TELL_IDLE: Duration = Duration::from_mins(1);

/// What went through since the node runs.
#[derive(Debug)]
pub(in crate::communities) struct Counts {
    /// From when it is counted, in unix seconds.
    pub(super) since: u64,
    down: AtomicU64,
    up: AtomicU64,
    turns: AtomicU64,
    turned: AtomicU64,
}

impl Counts {
    pub(in crate::communities) fn begin() -> Self {
        let zero = AtomicU64::default;
        Self { since: unix_now(), down: zero(), up: zero(), turns: zero(), turned: zero() }
    }

    pub(super) fn passed_down(&self, bytes: u64) {
        self.down.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn passed_up(&self, bytes: u64) {
        self.up.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Another hub above is spoken with.
    pub(in crate::communities) fn turned(&self, now: u64) {
        self.turned.store(now, Ordering::Relaxed);
        self.turns.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn total(&self) -> Passed {
        let (down, up) = (self.down.load(Ordering::Relaxed), self.up.load(Ordering::Relaxed));
        Passed { down, up }
    }

    /// How often it turned, and when last.
    pub(super) fn turns(&self) -> Option<(u64, u64)> {
        let turns = self.turns.load(Ordering::Relaxed);
        (turns > 0).then(|| (turns, self.turned.load(Ordering::Relaxed)))
    }
}

/// What moved lately: from when something moved that was not told yet, or since the last look.
#[derive(Debug)]
pub(super) struct Window {
    from: Instant,
    before: Passed,
    told: Option<Instant>,
}

impl Window {
    pub(super) fn begin(total: Passed, now: Instant) -> Self {
        Self { from: now, before: total, told: None }
    }

    /// The last seconds, and what moved in them, if that is to be told now.
    pub(super) fn due(&mut self, total: Passed, now: Instant) -> Option<(u64, Passed)> {
        let is_told = self.told.is_some_and(|told| now.duration_since(told) < TELL_IDLE);
        if total == self.before && is_told {
            self.from = now;
            return None;
        }
        let seconds = now.duration_since(self.from).as_secs().max(1);
        if seconds > PERIOD_SECONDS_MAX {
            // Nobody could be told for so long that it is a rate of nothing.
            (self.from, self.before) = (now, total);
            return Some((1, Passed::default()));
        }
        let recent = Passed { down: total.down - self.before.down, up: total.up - self.before.up };
        Some((seconds, recent))
    }

    /// What `due` said last was told.
    pub(super) fn told(&mut self, total: Passed, now: Instant) {
        *self = Self { from: now, before: total, told: Some(now) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn down(down: u64) -> Passed {
        Passed { down, up: 0 }
    }

    #[test]
    fn a_rate_is_of_the_seconds_in_which_something_moved() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut window = Window::begin(down(0), start);
        assert_eq!(window.due(down(0), at(5)), Some((5, down(0))), "that it is there, at once");
        window.told(down(0), at(5));
        // Nothing moves for a while, and that is not said again and again.
        assert_eq!(window.due(down(0), at(10)), None);
        assert_eq!(window.due(down(0), at(40)), None);
        assert_eq!(window.due(down(500), at(45)), Some((5, down(500))), "not of 40 seconds");
        // Nobody heard it: it is told with what comes then.
        assert_eq!(window.due(down(700), at(50)), Some((10, down(700))));
        window.told(down(700), at(50));
        assert_eq!(window.due(down(700), at(109)), None);
        assert_eq!(window.due(down(700), at(110)).map(|it| it.1), Some(down(0)), "still there");
    }

    #[test]
    fn a_silence_of_hours_makes_no_rate() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut window = Window::begin(down(0), start);
        let late = at(PERIOD_SECONDS_MAX + 1);
        assert_eq!(window.due(down(9), late), Some((1, down(0))));
        let next = at(PERIOD_SECONDS_MAX + 6);
        assert_eq!(window.due(down(10), next), Some((5, down(1))));
    }

    #[test]
    fn turns_are_counted_and_the_last_one_is_known() {
        let counts = Counts::begin();
        assert_eq!(counts.turns(), None);
        counts.turned(70);
        counts.turned(90);
        assert_eq!(counts.turns(), Some((2, 90)));
        counts.passed_down(5);
        counts.passed_up(2);
        assert_eq!(counts.total(), Passed { down: 5, up: 2 });
    }
}
