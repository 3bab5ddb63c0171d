//! How often a node that follows a community asks for what costs more than a look.
//!
//! Pure: time is an argument, and `follow` does what is due.

use std::time::{Duration, Instant};

/// How often everything is asked for although the hub says nothing.
pub(super) const ASK_AGAIN: Duration = Duration::from_mins(15);

/// Pause between two questions who began. An answer is one row for each target: when thousands begin
/// within seconds, and each of them is news, all are asked for together.
const BEGUN_PAUSE: Duration = Duration::from_secs(10);

/// When other hubs and relays are asked than the one that is spoken with, and when the first is spoken
/// with again after it had failed.
#[derive(Debug, Default)]
pub(super) struct Elsewhere {
    asked: Option<Instant>,
}

/// What is due elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// They were asked a while ago at most.
    Nothing,
    /// To ask the others.
    Others,
    /// To speak with the first one again.
    First,
}

impl Elsewhere {
    /// What to do now; `has_turned` says that another one is spoken with than the first. Whoever has just
    /// turned asks the others once before, for the first has failed a moment ago.
    pub(super) fn poll(&self, has_turned: bool, now: Instant) -> Due {
        match self.asked {
            None => Due::Others,
            Some(asked) if now.saturating_duration_since(asked) < ASK_AGAIN => Due::Nothing,
            Some(_) if has_turned => Due::First,
            Some(_) => Due::Others,
        }
    }

    /// The others were asked.
    pub(super) fn handle_asked(&mut self, now: Instant) {
        self.asked = Some(now);
    }
}

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
    fn others_are_asked_again_after_a_while_and_the_first_takes_over_then() {
        let start = Instant::now();
        let mut elsewhere = Elsewhere::default();
        for has_turned in [false, true] {
            assert_eq!(elsewhere.poll(has_turned, start), Due::Others, "at the beginning");
        }
        elsewhere.handle_asked(start);
        let before = start + ASK_AGAIN - Duration::from_millis(1);
        for has_turned in [false, true] {
            assert_eq!(elsewhere.poll(has_turned, start), Due::Nothing);
            assert_eq!(elsewhere.poll(has_turned, before), Due::Nothing);
        }
        let after = start + Duration::from_mins(15);
        assert_eq!(elsewhere.poll(true, after), Due::First);
        assert_eq!(elsewhere.poll(false, after), Due::Others);
        elsewhere.handle_asked(after);
        assert_eq!(elsewhere.poll(false, after), Due::Nothing);
    }

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
