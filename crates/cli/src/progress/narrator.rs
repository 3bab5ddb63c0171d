//! Decides what is said of a running job, and when.
//!
//! Pure: time comes as an argument, and nothing is printed here. Invariant: a job that stands
//! still for [`STALL_AFTER`] has its reason said by then, and again every [`LINE_EVERY`].

use std::time::{Duration, Instant};

use super::Look;
use crate::output::bytes;

/// How often a piped run says where it is.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// Without movement for this long, the reason is shown: before a person begins to wonder, which
/// takes about five seconds.
const STALL_AFTER: Duration = Duration::from_secs(3);

/// Tells of one job.
#[derive(Debug)]
pub(super) struct Narrator {
    /// Says nothing while the job moves.
    reticent: bool,
    started: Instant,
    look: Look,
    moved: Instant,
    last_line: Instant,
    /// The last line told of a stall that goes on.
    told_stall: bool,
}

impl Narrator {
    /// For a job with progress of its own.
    pub(super) fn talking(now: Instant) -> Self {
        Self::new(false, now)
    }

    /// For a job that is over at once, unless it has to wait.
    pub(super) fn reticent(now: Instant) -> Self {
        Self::new(true, now)
    }

    fn new(reticent: bool, now: Instant) -> Self {
        let look = Look::default();
        Self { reticent, started: now, look, moved: now, last_line: now, told_stall: false }
    }

    /// Takes in how far the job is.
    pub(super) fn handle_look(&mut self, look: &Look, now: Instant) {
        if (look.done, &look.phase) != (self.look.done, &self.look.phase) {
            self.moved = now;
            self.told_stall = false;
        }
        self.look = look.clone();
    }

    fn stands_still(&self, now: Instant) -> bool {
        // Who waits for a person at the keyboard, and not for us, has no reason to be told.
        let silent = self.reticent && self.look.waits_for.is_none();
        !silent && now.saturating_duration_since(self.moved) >= STALL_AFTER
    }

    /// What stands beside the bar now; `None` while nothing should be drawn.
    pub(super) fn message(&self, now: Instant) -> Option<String> {
        (!self.reticent || self.stands_still(now)).then(|| self.describe(now))
    }

    /// A line that is due; each is told once.
    pub(super) fn poll_line(&mut self, now: Instant) -> Option<String> {
        let stalled = self.stands_still(now);
        let new_stall = stalled && !self.told_stall;
        let due = now.saturating_duration_since(self.last_line) >= LINE_EVERY;
        if new_stall || due && (stalled || !self.reticent) {
            self.last_line = now;
            self.told_stall = stalled;
            return Some(self.describe(now));
        }
        None
    }

    /// One line: how far, how fast, how long still, and after a stall what is waited for.
    fn describe(&self, now: Instant) -> String {
        let look = &self.look;
        let still = now.saturating_duration_since(self.moved);
        let elapsed = now.saturating_duration_since(self.started);
        let rate = look.done as f64 / elapsed.as_secs_f64().max(0.001);
        let mut parts = Vec::new();
        if !look.phase.is_empty() {
            let far = match look.total {
                Some(total) => format!(" {} of {}", bytes(look.done), bytes(total)),
                None if self.reticent => String::new(),
                None => format!(" {}", bytes(look.done)),
            };
            parts.push(format!("{}{far}", look.phase));
        }
        if look.done > 0 {
            parts.push(format!("{}/s", bytes(rate as u64)));
        }
        if still >= STALL_AFTER {
            let reason = look.waits_for.as_deref().unwrap_or("the step to finish");
            parts.push(format!("for {} waiting for {reason}", duration(still)));
        } else if let Some(total) = look.total
            && look.done > 0
            && look.done < total
        {
            let left = Duration::from_secs_f64((total - look.done) as f64 / rate.max(1.0));
            parts.push(format!("{} left", duration(left)));
        }
        parts.join(", ")
    }
}

/// A duration for people.
pub(crate) fn duration(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        seconds => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(done: u64, waits_for: Option<&str>) -> Look {
        let waits_for = waits_for.map(str::to_owned);
        Look { phase: "fetching".into(), done, total: Some(100_000_000), waits_for }
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_moving_job_tells_rate_and_rest_and_a_stalled_one_its_reason() {
        let start = Instant::now();
        let mut narrator = Narrator::talking(start);
        narrator.handle_look(&look(50_000_000, None), start + SECOND * 10);
        assert_eq!(
            narrator.message(start + SECOND * 10).as_deref(),
            Some("fetching 50.0 MB of 100 MB, 5.00 MB/s, 10 s left")
        );
        let later = start + SECOND * 17;
        narrator.handle_look(&look(50_000_000, Some("3 chunks from https://hub")), later);
        assert_eq!(
            narrator.message(later).as_deref(),
            Some(
                "fetching 50.0 MB of 100 MB, 2.94 MB/s, for 7 s waiting for 3 chunks from https://hub"
            )
        );
    }

    /// Every line that is told while time goes on in steps of a tick, with its second.
    fn told(narrator: &mut Narrator, looks: impl Fn(u64) -> Look, seconds: u64) -> Vec<u64> {
        let start = narrator.started;
        let mut told = Vec::new();
        for tick in 0..seconds * 5 {
            let now = start + Duration::from_millis(200) * u32::try_from(tick).expect("small");
            narrator.handle_look(&looks(tick / 5), now);
            if narrator.poll_line(now).is_some() {
                told.push(tick / 5);
            }
        }
        told
    }

    #[test]
    fn a_stall_is_told_within_five_seconds_and_again_while_it_lasts() {
        // Moves for 12 s, stands still until 40, moves again.
        let looks = |second: u64| look(second.min(12).max(second.saturating_sub(28)), None);
        let mut narrator = Narrator::talking(Instant::now());
        let lines = told(&mut narrator, looks, 60);
        assert_eq!(lines, [10, 15, 25, 35, 45, 55], "10 moving, 15 = 12 + 3, then every 10 s");
    }

    #[test]
    fn a_job_that_never_begins_is_told_too() {
        let mut narrator = Narrator::reticent(Instant::now());
        let look = Look { waits_for: Some("an answer from https://hub".into()), ..Look::default() };
        assert_eq!(told(&mut narrator, |_| look.clone(), 20), [3, 13]);
        let end = narrator.started + SECOND * 20;
        assert_eq!(
            narrator.message(end).as_deref(),
            Some("for 20 s waiting for an answer from https://hub")
        );
    }

    #[test]
    fn a_quick_job_without_progress_says_nothing() {
        let start = Instant::now();
        let mut narrator = Narrator::reticent(start);
        narrator.handle_look(&Look::default(), start + SECOND);
        assert_eq!(
            (narrator.message(start + SECOND), narrator.poll_line(start + SECOND)),
            (None, None)
        );
    }
}
