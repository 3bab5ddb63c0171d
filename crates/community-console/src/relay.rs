//! How a relay is, in words.

use community::report::{Beside, RelayReport};
use node::communities::relay::RelayTold;
use pages::format::{Moment, bytes, count, counted};

/// Relays tell at least once a minute that they are there.
const LATE_SECONDS: u64 = 150;
/// They tell every few seconds while something moves: what is older is a rate of the past.
const RATE_SECONDS: u64 = 20;

/// How a relay is, by what was heard of it last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RelayState {
    pub(crate) words: String,
    pub(crate) since: Option<Moment>,
    /// Class of its colour.
    pub(crate) colour: &'static str,
    /// What goes through it, when something does.
    pub(crate) rates: Option<Rates>,
    pub(crate) waits: Option<String>,
}

/// What goes through a relay now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rates {
    pub(crate) down: String,
    pub(crate) up: String,
}

impl RelayState {
    /// `None`: nothing was heard of it since its hub began to run.
    pub(crate) fn of(told: Option<&RelayTold>, now: u64) -> Self {
        let still = |words: &str| Self {
            words: words.to_owned(),
            since: None,
            colour: "still",
            rates: None,
            waits: None,
        };
        let Some(RelayTold { heard, report }) = told else { return still("has told nothing") };
        let age = now.saturating_sub(*heard);
        if age > LATE_SECONDS {
            let since = Some(Moment::new(*heard, now));
            return Self { since, colour: "bad", ..still("not heard of") };
        }
        let rates = rates(report).filter(|_| age <= RATE_SECONDS);
        let (words, since, colour, waits) = match report.beside {
            Beside::Silent { since } => ("its hub is silent".into(), Some(since), "bad", None),
            Beside::Waiting { entries, oldest } => {
                let wait = if entries == 1 { "waits" } else { "wait" };
                let words = format!("{} {wait}", count(entries));
                let waits = counted_entries(entries);
                (words, Some(oldest), "warn", Some(waits))
            }
            Beside::Idle => ("nothing waits".into(), None, "good", None),
        };
        let words = match &rates {
            Some(Rates { down, up }) => format!("↓ {down} ↑ {up}"),
            None => words,
        };
        // Since when something waits is no time of what moves.
        let since = since.filter(|_| rates.is_none()).map(|since| Moment::new(since, now));
        Self { words, since, colour, rates, waits }
    }

    /// All of it in one line, for those who do not see the picture.
    pub(crate) fn line(&self) -> String {
        let rates = self.rates.as_ref();
        let rates = rates.map(|it| format!("{} down, {} up", it.down, it.up));
        let parts = [rates, self.waits.clone()];
        parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
    }
}

fn counted_entries(entries: u64) -> String {
    match entries {
        1 => "1 entry waits".to_owned(),
        entries => format!("{} entries wait", count(entries)),
    }
}

/// What moved in the last seconds, for each of them.
fn rates(report: &RelayReport) -> Option<Rates> {
    let (down, up) = (report.recent.down, report.recent.up);
    let each = |total: u64| format!("{}/s", bytes(total.div_ceil(report.seconds.max(1))));
    (down > 0 || up > 0).then(|| Rates { down: each(down), up: each(up) })
}

/// What the page of a relay says of it.
pub(crate) struct RelayFacts {
    pub(crate) state: RelayState,
    pub(crate) heard: Moment,
    pub(crate) down: String,
    pub(crate) up: String,
    pub(crate) since: Moment,
    pub(crate) oldest: Option<Moment>,
    /// How often it turned to another hub above it, and when last.
    pub(crate) turns: Option<(String, Moment)>,
}

impl RelayFacts {
    pub(crate) fn of(told: &RelayTold, now: u64) -> Self {
        let RelayTold { heard, report } = told;
        let moment = |time| Moment::new(time, now);
        let oldest = match report.beside {
            Beside::Waiting { oldest, .. } => Some(moment(oldest)),
            Beside::Idle | Beside::Silent { .. } => None,
        };
        Self {
            state: RelayState::of(Some(told), now),
            heard: moment(*heard),
            down: bytes(report.total.down),
            up: bytes(report.total.up),
            since: moment(report.since),
            oldest,
            turns: report.turns.map(|(turns, last)| (counted(turns, "time"), moment(last))),
        }
    }
}

#[cfg(test)]
mod tests {
    use community::{CommunityId, Passed};
    use documents::PublicKey;

    use super::*;

    const NOW: u64 = 100_000;

    fn told(heard: u64, beside: Beside, recent: Passed) -> RelayTold {
        let report = RelayReport {
            community: CommunityId::from_bytes([7; 16]),
            relay: PublicKey::from_bytes([1; 32]),
            made: heard,
            since: NOW - 5000,
            total: Passed { down: 9_000_000, up: 500 },
            seconds: 5,
            recent,
            turns: None,
            beside,
        };
        RelayTold { heard, report }
    }

    fn plain(text: &str) -> String {
        text.replace('\u{a0}', " ")
    }

    fn said(told: Option<&RelayTold>) -> (String, &'static str) {
        let state = RelayState::of(told, NOW);
        let since = state.since.map_or(String::new(), |since| format!(" · {}", since.relative));
        (plain(&format!("{}{since}", state.words)), state.colour)
    }

    #[test]
    fn a_relay_is_as_it_told_and_when_it_falls_silent_that_is_said() {
        let still = Passed::default();
        let moves = Passed { down: 40_000_000, up: 900 };
        let waiting = Beside::Waiting { entries: 12, oldest: NOW - 180 };
        for (told, expected, colour) in [
            (None, "has told nothing", "still"),
            (Some(told(NOW - 9, Beside::Idle, still)), "nothing waits", "good"),
            (Some(told(NOW - 9, waiting, still)), "12 wait · 3 min ago", "warn"),
            (Some(told(NOW - 9, waiting, moves)), "↓ 8.00 MB/s ↑ 180 B/s", "warn"),
            // What it passed on a while ago, it does not pass on now.
            (Some(told(NOW - 40, waiting, moves)), "12 wait · 3 min ago", "warn"),
            (
                Some(told(NOW - 9, Beside::Silent { since: NOW - 60 }, still)),
                "its hub is silent · 1 min ago",
                "bad",
            ),
            (Some(told(NOW - 7200, waiting, moves)), "not heard of · 2 h ago", "bad"),
        ] {
            assert_eq!(said(told.as_ref()), (expected.to_owned(), colour));
        }
        let state = RelayState::of(Some(&told(NOW - 9, waiting, moves)), NOW);
        assert_eq!(plain(&state.line()), "8.00 MB/s down, 180 B/s up; 12 entries wait");
    }
}
