//! Progress on a terminal, plain lines when piped, and always what is waited for.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::output::{Output, bytes, number};

/// How often a piped run says where it is.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// Without movement for this long, the reason is shown.
const STALL_AFTER: Duration = Duration::from_secs(3);
const TICK: Duration = Duration::from_millis(200);

/// A look at a running job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Look {
    /// What is being done now.
    pub(crate) phase: String,
    /// Bytes done.
    pub(crate) done: u64,
    /// Bytes in all, once known.
    pub(crate) total: Option<u64>,
    /// What the job waits for.
    pub(crate) waits_for: Option<String>,
}

impl Look {
    /// A look at a directory being read.
    pub(crate) fn of_snapshot(progress: &snapshot::SnapshotProgress) -> Self {
        let listed = progress.listed.load(Relaxed);
        Self {
            phase: format!("reading, {} files", number(progress.files_done.load(Relaxed))),
            done: progress.bytes_done.load(Relaxed),
            total: listed.then(|| progress.bytes_found.load(Relaxed)),
            waits_for: None,
        }
    }

    /// A look at a directory being written.
    pub(crate) fn of_checkout(progress: &checkout::CheckoutProgress) -> Self {
        let total = progress.bytes_total();
        Self {
            phase: format!("writing, {} files", number(progress.files_done())),
            done: progress.bytes_done(),
            total: (total > 0).then_some(total),
            waits_for: progress.waits_for().map(|waits| waits.what),
        }
    }
}

/// Runs `job` and shows what `look` says until it ends.
pub(crate) async fn watch<T>(
    output: Output,
    job: impl Future<Output = T>,
    look: impl Fn() -> Look,
) -> T {
    let mut job = std::pin::pin!(job);
    let mut view = View::new(output);
    loop {
        tokio::select! {
            biased;
            result = &mut job => {
                view.clear();
                return result;
            }
            () = tokio::time::sleep(TICK) => view.show(&look(), Instant::now()),
        }
    }
}

struct View {
    bar: Option<ProgressBar>,
    lines: bool,
    started: Instant,
    last_line: Instant,
    moved: (u64, String, Instant),
}

impl View {
    fn new(output: Output) -> Self {
        let now = Instant::now();
        let bar = output.shows_bars().then(|| {
            let bar = ProgressBar::new_spinner();
            bar.enable_steady_tick(TICK);
            bar
        });
        Self {
            bar,
            lines: output.shows_lines(),
            started: now,
            last_line: now,
            moved: (0, String::new(), now),
        }
    }

    fn show(&mut self, look: &Look, now: Instant) {
        if (look.done, &look.phase) != (self.moved.0, &self.moved.1) {
            self.moved = (look.done, look.phase.clone(), now);
        }
        let text = describe(look, now - self.started, now - self.moved.2);
        if let Some(bar) = &self.bar {
            if let Some(total) = look.total
                && bar.length() != Some(total)
            {
                bar.set_length(total);
                let style = ProgressStyle::with_template("{spinner} [{wide_bar}] {msg}")
                    .expect("the template is well-formed");
                bar.set_style(style.progress_chars("=> "));
            }
            bar.set_position(look.done);
            bar.set_message(text);
        } else if self.lines && now - self.last_line >= LINE_EVERY {
            self.last_line = now;
            eprintln!("{text}");
        }
    }

    fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// One line: how far, how fast, how long still, and after a stall what is waited for.
fn describe(look: &Look, elapsed: Duration, still: Duration) -> String {
    let rate = look.done as f64 / elapsed.as_secs_f64().max(0.001);
    let mut text = look.phase.clone();
    match look.total {
        Some(total) => {
            text.push_str(&format!(" {} of {}", bytes(look.done), bytes(total)));
        }
        None => text.push_str(&format!(" {}", bytes(look.done))),
    }
    if look.done > 0 {
        text.push_str(&format!(", {}/s", bytes(rate as u64)));
    }
    if let Some(total) = look.total
        && look.done > 0
        && look.done < total
        && still < STALL_AFTER
    {
        let left = Duration::from_secs_f64((total - look.done) as f64 / rate.max(1.0));
        text.push_str(&format!(", {} left", duration(left)));
    }
    if still >= STALL_AFTER {
        let reason = look.waits_for.as_deref().unwrap_or("the step to finish");
        text.push_str(&format!(", for {} waiting for {reason}", duration(still)));
    }
    text
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

    #[test]
    fn a_moving_job_tells_rate_and_rest_and_a_stalled_one_its_reason() {
        let mut look = Look {
            phase: "fetching".into(),
            done: 50_000_000,
            total: Some(100_000_000),
            waits_for: None,
        };
        let moving = describe(&look, Duration::from_secs(10), Duration::ZERO);
        assert_eq!(moving, "fetching 50.0 MB of 100 MB, 5.00 MB/s, 10 s left");
        look.waits_for = Some("https://hub: 3 chunks asked for".into());
        let stalled = describe(&look, Duration::from_secs(10), Duration::from_secs(7));
        assert_eq!(
            stalled,
            "fetching 50.0 MB of 100 MB, 5.00 MB/s, for 7 s waiting for https://hub: 3 chunks asked for"
        );
    }
}
