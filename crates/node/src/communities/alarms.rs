//! Which joinings that were broken off are told of, and when. Pure.
//!
//! The hub shows them for a day, and whoever can reach it can make some: each is told once, and no more than one in a
//! minute, so that nobody fills a manager's log. `community list` shows them all.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use hub_api::Hex;

use super::manager::JoinNews;

/// The least time between two that are told.
const PAUSE: Duration = Duration::from_mins(1);

/// What was told.
#[derive(Debug, Default)]
pub(super) struct Alarms {
    told: HashSet<Hex<32>>,
    last: Option<Instant>,
}

impl Alarms {
    /// What of the news of one look is to be told now.
    pub(super) fn handle_news(&mut self, news: Vec<JoinNews>, now: Instant) -> Vec<JoinNews> {
        let shown = news.iter().filter_map(broken_off).collect::<HashSet<_>>();
        self.told.retain(|id| shown.contains(id));
        let is_due = |one: &JoinNews| {
            let Some(id) = broken_off(one) else { return true };
            let rests = self.last.is_some_and(|last| now.saturating_duration_since(last) < PAUSE);
            if rests || !self.told.insert(id) {
                return false;
            }
            self.last = Some(now);
            true
        };
        news.into_iter().filter(is_due).collect()
    }
}

fn broken_off(news: &JoinNews) -> Option<Hex<32>> {
    match news {
        JoinNews::BrokenOff(id, ..) => Some(*id),
        JoinNews::Challenged(_)
        | JoinNews::Admitted(..)
        | JoinNews::Refused(..)
        | JoinNews::WaitsForApproval(..)
        | JoinNews::WaitsForSignatures(..) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(number: u8) -> JoinNews {
        let peer = "press-1".parse().expect("a name");
        JoinNews::BrokenOff(Hex([number; 32]), peer, "why".to_owned())
    }

    #[test]
    fn each_is_told_once_and_one_in_a_minute_and_what_else_is_new_at_once() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let other = || JoinNews::Challenged("press-2".parse().expect("a name"));
        let mut alarms = Alarms::default();
        let all = || vec![broken(1), other(), broken(2)];
        assert_eq!(alarms.handle_news(all(), at(0)), [broken(1), other()]);
        assert_eq!(alarms.handle_news(all(), at(59)), [other()]);
        assert_eq!(alarms.handle_news(all(), at(60)), [other(), broken(2)]);
        assert_eq!(alarms.handle_news(all(), at(999)), [other()]);
        // What the hub does not show any more is forgotten.
        assert_eq!(alarms.handle_news(Vec::new(), at(1000)), []);
        assert_eq!(alarms.told.len(), 0);
    }
}
