//! Whether one side of a delivery is there.

use std::time::{Duration, Instant};

use hub_api::DeliverySide;

/// How long somebody counts as here after a request.
pub(crate) const PRESENCE_TIME: Duration = Duration::from_secs(30);

/// One moment on both clocks: the one that only goes forward, and the one people read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    pub(crate) at: Instant,
    /// Seconds since 1970.
    pub(crate) unix: u64,
}

/// One side: here while it has a request open or had one a short while ago.
#[derive(Debug)]
pub(crate) struct Side {
    /// Requests that are not answered yet.
    open: u32,
    last: Option<Instant>,
    is_here: bool,
    since: u64,
}

impl Side {
    /// Never seen yet.
    pub(crate) fn absent(now: Now) -> Self {
        Self { open: 0, last: None, is_here: false, since: now.unix }
    }

    /// A request came.
    pub(crate) fn came(&mut self, now: Now) {
        self.open += 1;
        self.last = Some(now.at);
    }

    /// A request was answered.
    pub(crate) fn left(&mut self, now: Now) {
        self.open = self.open.saturating_sub(1);
        self.last = Some(now.at);
    }

    /// Decides anew; `is_held` while something else than a request keeps this side here.
    pub(crate) fn look(&mut self, now: Now, is_held: bool) {
        let gone_at = self.last.map(|last| last + PRESENCE_TIME);
        let is_busy = is_held || self.open > 0;
        let is_here = is_busy || gone_at.is_some_and(|gone| gone > now.at);
        if is_here == self.is_here {
            return;
        }
        // Who is found gone has been gone since its time was over, if nothing else kept it.
        let ago = gone_at.map_or(Duration::ZERO, |gone| now.at.saturating_duration_since(gone));
        self.is_here = is_here;
        self.since =
            if is_here { now.unix } else { now.unix.saturating_sub(ago.as_secs()) }.max(self.since);
    }

    /// When [`look`](Self::look) will find it gone unless something comes.
    pub(crate) fn gone_at(&self, is_held: bool) -> Option<Instant> {
        let counts = self.is_here && !is_held && self.open == 0;
        self.last.filter(|_| counts).map(|last| last + PRESENCE_TIME)
    }

    /// Whether it has a request open.
    pub(crate) fn is_asking(&self) -> bool {
        self.open > 0
    }

    /// When a request last came or was answered.
    pub(crate) fn last(&self) -> Option<Instant> {
        self.last
    }

    pub(crate) fn shown(&self) -> DeliverySide {
        DeliverySide { here: self.is_here, since: self.since }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_side_is_here_while_it_asks_and_for_a_while_after() {
        let start = Instant::now();
        let at = |seconds| Now { at: start + Duration::from_secs(seconds), unix: 1_000 + seconds };
        let mut side = Side::absent(at(0));
        side.look(at(5), false);
        assert_eq!(side.shown(), DeliverySide { here: false, since: 1_000 });

        side.came(at(10));
        side.look(at(10), false);
        assert_eq!(side.shown(), DeliverySide { here: true, since: 1_010 });
        // However long one request takes.
        side.look(at(200), false);
        assert!(side.shown().here);
        assert_eq!(side.gone_at(false), None);

        side.left(at(200));
        side.look(at(229), false);
        assert!(side.shown().here);
        assert_eq!(side.gone_at(false), Some(at(230).at));
        // It has been gone since its time was over, not since somebody looked.
        side.look(at(300), false);
        assert_eq!(side.shown(), DeliverySide { here: false, since: 1_230 });

        side.look(at(400), true);
        assert_eq!(side.shown(), DeliverySide { here: true, since: 1_400 });
        assert_eq!(side.gone_at(true), None);
        side.look(at(500), false);
        assert_eq!(side.shown(), DeliverySide { here: false, since: 1_400 });
    }
}
