//! When to ask for a lease, when to ask for more of it, and when it is held no longer.
//!
//! Pure. A lease counts from before it was asked for, so whoever holds one by this knows of its end before the
//! database does, and nobody else can hold it meanwhile. One whose process stood still finds its time over by
//! looking; should its clock have stood still too, the database tells it of another term.

use std::time::{Duration, Instant};

/// What the database said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It is ours, in this term.
    Ours(u64),
    /// Somebody else has it.
    Others,
}

/// A lease of one thing, from the side of one who wants it.
#[derive(Debug)]
pub(crate) struct Lease {
    length: Duration,
    /// The term, and when it is over unless more is asked for.
    held: Option<(u64, Instant)>,
    ask_at: Instant,
    /// Since when a question is open.
    asked: Option<Instant>,
}

impl Lease {
    /// Of a lease of this length, which is asked for at once.
    pub(crate) fn new(length: Duration, now: Instant) -> Self {
        Self { length, held: None, ask_at: now, asked: None }
    }

    /// Whether to ask now. An answer or a failure is to follow.
    pub(crate) fn poll_ask(&mut self, now: Instant) -> bool {
        let is_due = self.asked.is_none() && now >= self.ask_at;
        if is_due {
            self.asked = Some(now);
        }
        is_due
    }

    /// When to look again.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let end = self.held.map(|(_, end)| end);
        let ask = self.asked.is_none().then_some(self.ask_at);
        end.into_iter().chain(ask).min()
    }

    /// The database answered.
    pub(crate) fn handle_answer(&mut self, answer: Answer, now: Instant) {
        let Some(asked) = self.asked.take() else { return };
        self.held = match answer {
            Answer::Ours(term) => Some((term, asked + self.length)),
            Answer::Others => None,
        };
        // Twice more before it ends.
        self.ask_at = now.min(asked + self.length) + self.length / 3;
        self.handle_time(now);
    }

    /// The database did not answer. What is held is held until its end.
    pub(crate) fn handle_failure(&mut self, now: Instant) {
        self.asked = None;
        self.ask_at = now + self.length / 6;
        self.handle_time(now);
    }

    /// Time went by.
    pub(crate) fn handle_time(&mut self, now: Instant) {
        if self.held.is_some_and(|(_, end)| now >= end) {
            self.held = None;
            self.ask_at = self.ask_at.min(now);
        }
    }

    /// The term in which it is held.
    pub(crate) fn term(&mut self, now: Instant) -> Option<u64> {
        self.handle_time(now);
        self.held.map(|(term, _)| term)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: Duration = Duration::from_secs(6);

    fn at(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    fn asks(lease: &mut Lease, now: Instant, answer: Answer) {
        assert!(lease.poll_ask(now), "it is due");
        assert!(!lease.poll_ask(now), "one question at a time");
        lease.handle_answer(answer, now);
    }

    #[test]
    fn a_lease_is_renewed_well_before_it_ends() {
        let start = Instant::now();
        let mut lease = Lease::new(LENGTH, start);
        assert_eq!(lease.term(start), None);
        asks(&mut lease, start, Answer::Ours(4));
        assert_eq!(lease.term(start), Some(4));
        assert!(!lease.poll_ask(at(start, 1)));
        assert_eq!(lease.poll_timeout(), Some(at(start, 2)));
        asks(&mut lease, at(start, 2), Answer::Ours(4));
        assert_eq!(lease.term(at(start, 7)), Some(4));
    }

    #[test]
    fn it_counts_from_before_it_was_asked_for() {
        let start = Instant::now();
        let mut lease = Lease::new(LENGTH, start);
        assert!(lease.poll_ask(start));
        // Whoever answers late has begun to count earlier.
        lease.handle_answer(Answer::Ours(1), at(start, 5));
        assert_eq!(lease.term(at(start, 5)), Some(1));
        assert_eq!(lease.term(at(start, 6)), None);
        let mut late = Lease::new(LENGTH, start);
        assert!(late.poll_ask(start));
        late.handle_answer(Answer::Ours(1), at(start, 7));
        assert_eq!(late.term(at(start, 7)), None, "it was over before it was known");
        assert!(late.poll_ask(at(start, 7)), "and is asked for again at once");
    }

    #[test]
    fn a_holder_that_stood_still_does_not_go_on() {
        let start = Instant::now();
        let mut lease = Lease::new(LENGTH, start);
        asks(&mut lease, start, Answer::Ours(1));
        // The process was stopped for an hour; meanwhile another one was the holder.
        assert_eq!(lease.term(at(start, 3600)), None);
        asks(&mut lease, at(start, 3600), Answer::Others);
        assert_eq!(lease.term(at(start, 3600)), None);
        asks(&mut lease, at(start, 3602), Answer::Ours(3));
        assert_eq!(lease.term(at(start, 3602)), Some(3));
    }

    #[test]
    fn a_database_that_is_away_is_asked_often_and_ends_the_lease_in_time() {
        let start = Instant::now();
        let mut lease = Lease::new(LENGTH, start);
        asks(&mut lease, start, Answer::Ours(1));
        for second in 2..6 {
            assert!(lease.poll_ask(at(start, second)));
            lease.handle_failure(at(start, second));
            assert_eq!(lease.term(at(start, second)), Some(1));
            assert_eq!(lease.poll_timeout(), Some(at(start, second + 1)));
        }
        assert_eq!(lease.term(at(start, 6)), None);
        assert!(lease.poll_ask(at(start, 6)));
    }
}
