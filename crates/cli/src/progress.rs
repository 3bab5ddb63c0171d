//! Progress on a terminal, plain lines when piped, objects with `--json`, and always what is
//! waited for.
//!
//! What is said when is decided by [`Narrator`] in `progress/narrator.rs`, which knows no clock
//! and no terminal; this file looks at the job and draws.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use hub_client::Activity;
use indicatif::{ProgressBar, ProgressStyle};

use crate::output::Output;

mod narrator;

use narrator::Narrator;
pub(crate) use narrator::duration;

const TICK: Duration = Duration::from_millis(200);

/// A look at a running job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Look {
    /// What is being done now, in a word.
    pub(crate) phase: String,
    /// Files done, where files are counted.
    pub(crate) files_done: Option<u64>,
    /// Files in all, once known.
    pub(crate) files_total: Option<u64>,
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
            phase: "reading".into(),
            files_done: Some(progress.files_done.load(Relaxed)),
            files_total: listed.then(|| progress.files_found.load(Relaxed)),
            done: progress.bytes_done.load(Relaxed) + progress.bytes_under_way.load(Relaxed),
            total: listed.then(|| progress.bytes_found.load(Relaxed)),
            waits_for: None,
        }
    }

    /// A look at a directory being written.
    pub(crate) fn of_checkout(progress: &checkout::CheckoutProgress) -> Self {
        let total = progress.bytes_total();
        let files_total = progress.files_total();
        Self {
            phase: "writing".into(),
            files_done: Some(progress.files_done()),
            files_total: (files_total > 0).then_some(files_total),
            done: progress.bytes_done(),
            total: (total > 0).then_some(total),
            waits_for: progress.waits_for().map(|waits| waits.what),
        }
    }

    /// The same, waiting for `reason` if there is one.
    pub(crate) fn or_waits_for(self, reason: Option<String>) -> Self {
        Self { waits_for: reason.or(self.waits_for), ..self }
    }

    /// Adds what the calls to hubs wait for, and what happens if it does not come.
    pub(crate) fn with_calls(mut self, activity: &Activity, now: Instant) -> Self {
        let Some(call) = activity.longest_wait() else { return self };
        let next =
            format!("{} in {}", call.next, duration(call.next_at.saturating_duration_since(now)));
        self.waits_for = Some(match self.waits_for {
            Some(what) => format!("{what}; {next}"),
            None => format!("{} from {} ({}); {next}", call.waiting_for, call.hub, call.doing),
        });
        self
    }
}

impl From<Look> for node_api::Look {
    fn from(look: Look) -> Self {
        let Look { phase, files_done, files_total, done, total, waits_for } = look;
        Self { phase, files_done, files_total, done, total, waits_for }
    }
}

impl From<node_api::Look> for Look {
    fn from(look: node_api::Look) -> Self {
        let node_api::Look { phase, files_done, files_total, done, total, waits_for } = look;
        Self { phase, files_done, files_total, done, total, waits_for }
    }
}

/// Runs `job` and shows what `look` says until it ends.
pub(crate) async fn watch<T>(
    output: Output,
    job: impl Future<Output = T>,
    look: impl Fn() -> Look,
) -> T {
    show(View::new(output, Narrator::talking(Instant::now())), job, look).await
}

/// Runs `job`, which has no progress of its own, and says what it waits for once it stands still.
pub(crate) async fn watch_silence<T>(
    output: Output,
    job: impl Future<Output = T>,
    look: impl Fn() -> Look,
) -> T {
    show(View::new(output, Narrator::reticent(Instant::now())), job, look).await
}

async fn show<T>(mut view: View, job: impl Future<Output = T>, look: impl Fn() -> Look) -> T {
    let mut job = std::pin::pin!(job);
    loop {
        tokio::select! {
            biased;
            result = &mut job => {
                view.clear();
                return result;
            }
            () = tokio::time::sleep(TICK) => {
                // Who works for another command shows it there.
                if !crate::serving::look(|| look().into()) {
                    view.show(&look(), Instant::now());
                }
            }
        }
    }
}

struct View {
    bar: Option<ProgressBar>,
    lines: bool,
    events: bool,
    narrator: Narrator,
}

impl View {
    fn new(output: Output, narrator: Narrator) -> Self {
        let bar = output.shows_bars().then(ProgressBar::new_spinner);
        let (lines, events) = (output.shows_lines(), output.shows_events());
        Self { bar, lines, events, narrator }
    }

    fn show(&mut self, look: &Look, now: Instant) {
        self.narrator.handle_look(look, now);
        if let Some(bar) = &self.bar {
            match self.narrator.message(now) {
                None => bar.finish_and_clear(),
                Some(text) => {
                    if bar.is_finished() {
                        bar.reset();
                    }
                    draw(bar, look, text);
                }
            }
        } else if self.lines
            && let Some(line) = self.narrator.poll_line(now)
        {
            eprintln!("{line}");
        } else if self.events
            && let Some(event) = self.narrator.poll_event(now)
        {
            eprintln!("{event}");
        }
    }

    fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn draw(bar: &ProgressBar, look: &Look, text: String) {
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
    bar.tick();
}
