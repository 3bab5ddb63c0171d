//! Decides what is said of a running job, and when.
//!
//! Pure: time comes as an argument, and nothing is printed here. Invariant: a job that stands
//! still for [`STALL_AFTER`] has its reason said by then, and again every [`LINE_EVERY`].

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Look;
use crate::output::{bytes, counted};

/// How often a piped run says where it is.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// How often a program is told where the run is.
const EVENT_EVERY: Duration = Duration::from_secs(1);
/// Without movement for this long, the reason is shown: before a person begins to wonder, which
/// takes about five seconds.
const STALL_AFTER: Duration = Duration::from_secs(3);

/// What is waited for when nobody says more.
const STEP: &str = "the step to finish";

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

    /// An object for programs that is due: one a second, of a reticent job once it stands still.
    pub(super) fn poll_event(&mut self, now: Instant) -> Option<Value> {
        let stalled = self.stands_still(now);
        let due = now.saturating_duration_since(self.last_line) >= EVENT_EVERY;
        if !due || self.reticent && !stalled {
            return None;
        }
        self.last_line = now;
        let look = &self.look;
        let still = now.saturating_duration_since(self.moved);
        Some(json!({
            "event": "progress",
            "phase": Some(&look.phase).filter(|phase| !phase.is_empty()),
            "bytes_done": look.done,
            "bytes_total": look.total,
            "files_done": look.files_done,
            "files_total": look.files_total,
            "bytes_per_s": self.rate(now) as u64,
            "elapsed_s": now.saturating_duration_since(self.started).as_secs(),
            "still_s": still.as_secs(),
            "waits_for": stalled.then(|| look.waits_for.as_deref().unwrap_or(STEP)),
        }))
    }

    fn rate(&self, now: Instant) -> f64 {
        let elapsed = now.saturating_duration_since(self.started);
        self.look.done as f64 / elapsed.as_secs_f64().max(0.001)
    }

    /// One line: how far, how fast, how long still, and after a stall what is waited for.
    fn describe(&self, now: Instant) -> String {
        let look = &self.look;
        let still = now.saturating_duration_since(self.moved);
        let rate = self.rate(now);
        let mut parts = Vec::new();
        if !look.phase.is_empty() {
            let far = match look.total {
                Some(total) => format!(" {} of {}", bytes(look.done), bytes(total)),
                None if self.reticent => String::new(),
                None => format!(" {}", bytes(look.done)),
            };
            let files = look.files_done.map(|files| format!(", {}", counted(files, "file")));
            parts.push(format!("{}{}{far}", look.phase, files.unwrap_or_default()));
        }
        if look.done > 0 {
            parts.push(format!("{}/s", bytes(rate as u64)));
        }
        if still >= STALL_AFTER {
            let reason = look.waits_for.as_deref().unwrap_or(STEP);
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
        let (phase, total) = ("fetching".into(), Some(100_000_000));
        Look { phase, done, total, waits_for, ..Look::default() }
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
    fn a_program_is_told_once_a_second_and_why_it_stands_still() {
        let start = Instant::now();
        let mut narrator = Narrator::talking(start);
        let mut told = Vec::new();
        for tick in 0..40 {
            let now = start + Duration::from_millis(200) * tick;
            // Moves for two seconds.
            let done = u64::from(tick.min(10)) * 1000;
            let files = (Some(3), Some(8));
            let reason = Some("the hub");
            let (files_done, files_total) = files;
            narrator.handle_look(&Look { files_done, files_total, ..look(done, reason) }, now);
            told.extend(narrator.poll_event(now));
        }
        let seconds: Vec<_> = told.iter().map(|event| event["elapsed_s"].as_u64()).collect();
        assert_eq!(seconds, [1, 2, 3, 4, 5, 6, 7].map(Some));
        assert_eq!(
            told[0],
            json!({
                "event": "progress", "phase": "fetching", "bytes_done": 5000,
                "bytes_total": 100_000_000, "files_done": 3, "files_total": 8,
                "bytes_per_s": 5000, "elapsed_s": 1, "still_s": 0, "waits_for": null,
            })
        );
        assert_eq!(told[6]["waits_for"], "the hub");
        assert_eq!(told[6]["still_s"], 5);

        let mut narrator = Narrator::reticent(start);
        narrator.handle_look(&Look::default(), start);
        assert_eq!(narrator.poll_event(start + SECOND * 9), None, "it waits for nothing");
        let waits = Look { waits_for: Some("the store".into()), ..Look::default() };
        narrator.handle_look(&waits, start + SECOND * 9);
        let event = narrator.poll_event(start + SECOND * 9).expect("due");
        assert_eq!((&event["waits_for"], &event["phase"]), (&json!("the store"), &Value::Null));
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
