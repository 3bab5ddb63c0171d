//! How many are how, and how that is shown.

use ledger::{Counts, TargetRecord, Verdict};
use pages::format::count;

/// How a target stands with a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mark {
    /// It failed, or answered what cannot be read: what somebody should look at comes first.
    Failed,
    Unreadable,
    /// Its hub forgot it before it answered, and it cannot be given back.
    Lost,
    /// It did not answer.
    Pending,
    /// It told that it began, and did not answer.
    Running,
    /// Its wave has not come.
    Waiting,
    /// It will not get it.
    Skipped,
    NotApplicable,
    Passed,
    /// Nothing was sent to it.
    Nothing,
}

impl Mark {
    pub(crate) const ALL: [Self; 10] = [
        Self::Failed,
        Self::Unreadable,
        Self::Lost,
        Self::Pending,
        Self::Running,
        Self::Waiting,
        Self::Skipped,
        Self::NotApplicable,
        Self::Passed,
        Self::Nothing,
    ];

    pub(crate) fn of(verdict: Option<&Verdict>) -> Self {
        match verdict {
            None => Self::Pending,
            Some(Verdict::Passed) => Self::Passed,
            Some(Verdict::Failed(_)) => Self::Failed,
            Some(Verdict::NotApplicable(_)) => Self::NotApplicable,
            Some(Verdict::Unreadable(_)) => Self::Unreadable,
        }
    }

    /// How a target stands that a release was addressed to.
    pub(crate) fn of_target(target: &TargetRecord) -> Self {
        match (&target.answered, &target.lost) {
            (None, Some(_)) => Self::Lost,
            (None, None) if target.begun.is_some() => Self::Running,
            (answered, _) => Self::of(answered.as_ref().map(|(_, verdict)| verdict)),
        }
    }

    /// In addresses, as in JSON.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Unreadable => "unreadable",
            Self::Lost => "lost",
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Skipped => "skipped",
            Self::NotApplicable => "not_applicable",
            Self::Passed => "passed",
            Self::Nothing => "nothing",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mark| mark.word() == word)
    }

    /// For people.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::NotApplicable => "not applicable",
            Self::Nothing => "nothing sent",
            Self::Failed
            | Self::Unreadable
            | Self::Lost
            | Self::Pending
            | Self::Running
            | Self::Waiting
            | Self::Skipped
            | Self::Passed => self.word(),
        }
    }

    /// The class of its colour.
    pub(crate) fn colour(self) -> &'static str {
        match self {
            Self::Failed | Self::Unreadable | Self::Lost => "bad",
            Self::Pending => "warn",
            Self::Running | Self::Waiting => "move",
            Self::Passed => "good",
            Self::Skipped | Self::NotApplicable | Self::Nothing => "still",
        }
    }
}

/// How many are how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally([u64; 10]);

/// A piece of a bar.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Piece {
    pub(crate) colour: &'static str,
    /// Both in percent.
    pub(crate) from: f64,
    pub(crate) width: f64,
}

impl Tally {
    pub(crate) fn add(&mut self, mark: Mark, number: u64) {
        self.0[mark as usize] += number;
    }

    pub(crate) fn number(&self, mark: Mark) -> u64 {
        self.0[mark as usize]
    }

    pub(crate) fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The mark that somebody should look at first.
    pub(crate) fn worst(&self) -> Mark {
        Mark::ALL.into_iter().find(|mark| self.number(*mark) > 0).unwrap_or(Mark::Nothing)
    }

    /// Passed first: a bar fills from the left.
    pub(crate) fn bar(&self) -> Vec<Piece> {
        let total = self.total().max(1) as f64;
        let mut from = 0.0;
        let order = [
            Mark::Passed,
            Mark::NotApplicable,
            Mark::Failed,
            Mark::Unreadable,
            Mark::Lost,
            Mark::Running,
            Mark::Pending,
            Mark::Waiting,
            Mark::Skipped,
            Mark::Nothing,
        ];
        let pieces = order.into_iter().filter(|mark| self.number(*mark) > 0).map(|mark| {
            let width = self.number(mark) as f64 * 100.0 / total;
            let piece = Piece { colour: mark.colour(), from, width };
            from += width;
            piece
        });
        pieces.collect()
    }

    /// `3 passed, 1 failed`.
    pub(crate) fn words(&self) -> String {
        let order = [
            Mark::Passed,
            Mark::Failed,
            Mark::Unreadable,
            Mark::Lost,
            Mark::Running,
            Mark::Pending,
            Mark::Waiting,
            Mark::NotApplicable,
            Mark::Skipped,
            Mark::Nothing,
        ];
        let there = order.into_iter().filter(|mark| self.number(*mark) > 0);
        let words: Vec<String> =
            there.map(|mark| format!("{} {}", count(self.number(mark)), mark.label())).collect();
        if words.is_empty() { "nobody".into() } else { words.join(", ") }
    }
}

impl From<Counts> for Tally {
    fn from(counts: Counts) -> Self {
        let Counts { pending, running, lost, passed, failed, not_applicable, unreadable } = counts;
        let mut tally = Self::default();
        for (mark, number) in [
            (Mark::Pending, pending - running),
            (Mark::Running, running),
            (Mark::Lost, lost),
            (Mark::Passed, passed),
            (Mark::Failed, failed),
            (Mark::NotApplicable, not_applicable),
            (Mark::Unreadable, unreadable),
        ] {
            tally.add(mark, number);
        }
        tally
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_filled_by_all_and_says_what_is_worst() {
        let mut tally = Tally::default();
        assert_eq!(
            (tally.worst(), tally.bar(), tally.words()),
            (Mark::Nothing, vec![], "nobody".into())
        );
        tally.add(Mark::Pending, 1);
        tally.add(Mark::Passed, 3);
        assert_eq!((tally.worst(), &*tally.words()), (Mark::Pending, "3 passed, 1 pending"));
        let bar: Vec<_> = tally.bar().iter().map(|it| (it.colour, it.from, it.width)).collect();
        assert_eq!(bar, [("good", 0.0, 75.0), ("warn", 75.0, 25.0)]);
        tally.add(Mark::Failed, 1);
        assert_eq!(tally.worst(), Mark::Failed);
        assert!(Mark::ALL.into_iter().all(|mark| Mark::parse(mark.word()) == Some(mark)));
    }
}
