//! How often a node that follows a community asks for what costs more than a look.
//!
//! Pure: time is an argument, and `follow` does what is due.

use std::time::{Duration, Instant};

/// Pause between two questions who began. An answer is one row for each target: when thousands begin
/// within seconds, and each of them is news, all are asked for together.
const BEGUN_PAUSE: Duration = Duration::from_secs(10);

/// When a publisher asks who began: when something is new, and not too often.
#[derive(Debug, Default)]
pub(super) struct Begun {
    asked: Option<Instant>,
    /// Something is new since it was asked.
    is_due: bool,
}

impl Begun {
    /// Something is new; it may be that.
    pub(super) fn handle_news(&mut self) {
        self.is_due = true;
    }

    /// Whether to ask now.
    pub(super) fn poll_ask(&mut self, now: Instant) -> bool {
        let is_time = self.poll_timeout().is_some_and(|at| at <= now);
        let is_first = self.is_due && self.asked.is_none();
        if is_time || is_first {
            (self.asked, self.is_due) = (Some(now), false);
        }
        is_time || is_first
    }

    /// When to ask although nothing more is new; none when nothing is new, or that was never asked.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.asked.filter(|_| self.is_due).map(|asked| asked + BEGUN_PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_began_is_asked_at_once_and_then_for_all_that_is_new_within_a_pause() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut begun = Begun::default();
        assert!(!begun.poll_ask(at(0)), "nothing is new");
        begun.handle_news();
        assert!(begun.poll_ask(at(0)));
        assert_eq!(begun.poll_timeout(), None, "nothing is new since");
        // Many begin, and each is news.
        for second in 1..10 {
            begun.handle_news();
            assert!(!begun.poll_ask(at(second)));
            assert_eq!(begun.poll_timeout(), Some(at(10)));
        }
        assert!(begun.poll_ask(at(10)));
        assert_eq!(begun.poll_timeout(), None);
        assert!(!begun.poll_ask(at(900)));
        begun.handle_news();
        assert!(begun.poll_ask(at(901)), "after a while at once");
    }
}
