//! How often streams of events have a heart-beat: what each client is told, from the hub's own load.
//!
//! [`Pace`] decides and knows no clock; [`keep`] looks at the load, and [`Beats`] is one stream's part. A client that
//! misses three of the interval it was told takes the stream for broken, and so does the hub with a client that
//! acknowledges nothing for as long.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hub_api::limits::{HEARTBEAT_INTERVAL_MAX, HEARTBEAT_INTERVAL_MIN, HEARTBEATS_MISSED};
use hub_api::{EVENT_HEARTBEAT, HeartbeatEvent};
use tokio::sync::watch;

use crate::app::App;
use crate::line::LineOf;

/// Heart-beats in a second of all streams together: each asks the database whether there is still somebody to
/// tell, some tenths of a millisecond.
const BEATS_PER_SECOND: usize = 100;

/// A task that wakes so much later than it is to belongs to a hub that does not keep up.
const LAG_HIGH: Duration = Duration::from_millis(250);

/// Below this it keeps up well.
const LAG_LOW: Duration = Duration::from_millis(50);

/// For so long it must have been calm before heart-beats come more often again, so that a load that comes and goes
/// does not change them each time.
const CALM_TIME: Duration = Duration::from_mins(1);

/// How often the load is looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// Decides the interval. It grows at once, and shrinks by half at most, after a while of calm.
#[derive(Debug)]
pub(crate) struct Pace {
    interval: Duration,
    /// Since when a shorter one would do.
    calm_since: Option<Instant>,
}

impl Pace {
    pub(crate) fn new() -> Self {
        Self { interval: HEARTBEAT_INTERVAL_MIN, calm_since: None }
    }

    /// The interval after it was seen how many streams there are and how late a task woke.
    pub(crate) fn handle_load(&mut self, streams: usize, lag: Duration, now: Instant) -> Duration {
        let by_streams = Duration::from_secs(streams.div_ceil(BEATS_PER_SECOND) as u64);
        let by_lag = match lag {
            lag if lag >= LAG_HIGH => self.interval * 2,
            lag if lag >= LAG_LOW => self.interval,
            _ => Duration::ZERO,
        };
        let wanted = by_streams.max(by_lag);
        let wanted = wanted.clamp(HEARTBEAT_INTERVAL_MIN, HEARTBEAT_INTERVAL_MAX);
        if wanted >= self.interval {
            self.interval = wanted;
            self.calm_since = None;
        } else if now.saturating_duration_since(*self.calm_since.get_or_insert(now)) >= CALM_TIME {
            let half = Duration::from_secs(self.interval.as_secs().div_ceil(2));
            self.interval = wanted.max(half);
            self.calm_since = None;
        }
        self.interval
    }
}

/// Looks at the load and says the interval to all streams, as long as the hub runs.
pub(crate) async fn keep(app: Arc<App>) {
    let mut pace = Pace::new();
    loop {
        let due = tokio::time::Instant::now() + LOOK_INTERVAL;
        tokio::time::sleep_until(due).await;
        let lag = due.elapsed();
        let interval = pace.handle_load(app.streams_open(), lag, Instant::now());
        app.heartbeat.send_if_modified(|before| {
            let has_changed = *before != interval;
            if has_changed {
                let (seconds, lag_ms) = (interval.as_secs(), lag.as_millis() as u64);
                tracing::info!(
                    seconds,
                    lag_ms,
                    "streams have their heart-beats at another interval"
                );
            }
            *before = interval;
            has_changed
        });
    }
}

/// The heart-beats of one stream.
#[derive(Debug)]
pub(crate) struct Beats {
    interval: watch::Receiver<Duration>,
    /// The interval that the client knows.
    told: Option<Duration>,
    line: LineOf,
}

impl Beats {
    /// Nothing was told yet: [`Beats::text`] belongs at the beginning of a stream.
    pub(crate) fn new(app: &App, line: LineOf) -> Self {
        Self { interval: app.heartbeat.subscribe(), told: None, line }
    }

    /// Waits until there must be one, in the interval that the client knows.
    pub(crate) async fn due(&self) {
        tokio::time::sleep(self.told.unwrap_or(HEARTBEAT_INTERVAL_MIN)).await;
    }

    /// A heart-beat: a comment, or the interval when the client knows another one.
    pub(crate) fn text(&mut self) -> String {
        let interval = *self.interval.borrow();
        if self.told == Some(interval) {
            return ":\n\n".to_owned();
        }
        self.told = Some(interval);
        if let Some(line) = &self.line.0 {
            // The first one that is missed is sent an interval after the last that arrived.
            line.set_patience(Some(interval * (HEARTBEATS_MISSED - 1)));
        }
        let data = serde_json::to_string(&HeartbeatEvent { interval_s: interval.as_secs() });
        let data = data.expect("an event is plain data");
        format!("event: {EVENT_HEARTBEAT}\ndata: {data}\n\n")
    }
}

impl Drop for Beats {
    fn drop(&mut self) {
        // Other requests may come over the connection, whose answers are taken at leisure.
        if let Some(line) = &self.line.0 {
            line.set_patience(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Duration = Duration::ZERO;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn many_streams_have_their_heart_beats_less_often() {
        for (streams, interval) in
            [(0, 5), (500, 5), (501, 6), (1500, 15), (4000, 40), (12_288, 40), (usize::MAX, 40)]
        {
            let found = Pace::new().handle_load(streams, NONE, Instant::now());
            assert_eq!(found, seconds(interval), "{streams} streams");
        }
    }

    #[test]
    fn a_hub_that_does_not_keep_up_doubles_the_interval_up_to_a_bound() {
        let (mut pace, now) = (Pace::new(), Instant::now());
        for interval in [10, 20, 40, 40] {
            assert_eq!(pace.handle_load(1, LAG_HIGH, now), seconds(interval));
        }
        assert_eq!(pace.handle_load(1, seconds(3600), now), seconds(40));
    }

    #[test]
    fn calm_has_to_last_before_the_interval_is_shorter() {
        let (mut pace, start) = (Pace::new(), Instant::now());
        assert_eq!(pace.handle_load(3000, NONE, start), seconds(30));
        let mut look = |streams, lag, after| pace.handle_load(streams, lag, start + seconds(after));
        assert_eq!(look(0, NONE, 10), seconds(30));
        assert_eq!(look(0, NONE, 69), seconds(30));
        // One moment of load, and the time counts anew.
        assert_eq!(look(3000, NONE, 70), seconds(30));
        assert_eq!(look(0, NONE, 71), seconds(30));
        assert_eq!(look(0, LAG_LOW, 72), seconds(30), "it is not calm while it lags a little");
        assert_eq!(look(0, NONE, 73), seconds(30));
        assert_eq!(look(0, NONE, 132), seconds(30));
        assert_eq!(look(0, NONE, 133), seconds(15), "by half at most");
        assert_eq!(look(0, NONE, 134), seconds(15));
        assert_eq!(look(0, NONE, 194), seconds(8));
        assert_eq!(look(0, NONE, 195), seconds(8));
        assert_eq!(look(0, NONE, 255), seconds(5));
        assert_eq!(look(0, NONE, 999), seconds(5));
    }
}
