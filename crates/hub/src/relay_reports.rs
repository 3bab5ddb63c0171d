//! What relays told of themselves, in memory: it is of this moment, and relays tell it again.
//!
//! Each report is verified before it comes here, and its relay is one by the roster. So a community has
//! as many as it has relays, and no more than there is room for: the one that nothing was heard of for
//! longest goes first.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hub_api::limits::RELAY_REPORTS_MAX;
use hub_db::{AccountKey, CommunityKey};

/// Reports of all communities: at some 600 bytes each, 10 MiB.
const ALL_MAX: usize = 16_384;

/// The newest report of a relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    /// When it came.
    pub(crate) came: u64,
    /// When it was made, by the relay's clock.
    pub(crate) made: u64,
    pub(crate) signed: Vec<u8>,
}

type All = BTreeMap<(CommunityKey, AccountKey), Told>;

/// The newest reports.
#[derive(Debug, Default)]
pub(crate) struct RelayReports(Mutex<All>);

impl RelayReports {
    fn all(&self) -> MutexGuard<'_, All> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a report; false when there is one of the relay that is as new.
    pub(crate) fn keep(&self, community: CommunityKey, relay: AccountKey, told: Told) -> bool {
        let mut all = self.all();
        let place = (community, relay);
        if all.get(&place).is_some_and(|before| before.made >= told.made) {
            return false;
        }
        if !all.contains_key(&place) {
            if of(&all, community).count() >= RELAY_REPORTS_MAX {
                forget(&mut all, Some(community));
            } else if all.len() >= ALL_MAX {
                forget(&mut all, None);
            }
        }
        all.insert(place, told);
        true
    }

    /// Those of a community, by the keys of the relays.
    pub(crate) fn of(&self, community: CommunityKey) -> Vec<Told> {
        of(&self.all(), community).map(|(_, told)| told.clone()).collect()
    }
}

fn of(
    all: &All,
    community: CommunityKey,
) -> impl Iterator<Item = (&(CommunityKey, AccountKey), &Told)> {
    let (first, last) = (AccountKey([0; 32]), AccountKey([0xff; 32]));
    all.range((community, first)..=(community, last))
}

/// Drops the one that came before all others, of one community or of any.
fn forget(all: &mut All, community: Option<CommunityKey>) {
    let oldest = match community {
        Some(community) => of(all, community).min_by_key(|(_, told)| told.came),
        None => all.iter().min_by_key(|(_, told)| told.came),
    };
    if let Some((place, _)) = oldest {
        let place = *place;
        all.remove(&place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(came: u64, made: u64) -> Told {
        Told { came, made, signed: vec![7] }
    }

    fn key(number: usize) -> AccountKey {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&(number as u64).to_be_bytes());
        AccountKey(key)
    }

    #[test]
    fn the_newest_of_each_relay_is_kept() {
        let reports = RelayReports::default();
        let (one, other) = (CommunityKey([1; 16]), CommunityKey([2; 16]));
        assert!(reports.keep(one, key(5), told(10, 9)));
        assert!(!reports.keep(one, key(5), told(12, 9)), "the same again");
        assert!(!reports.keep(one, key(5), told(12, 8)), "an older one, played back");
        assert!(reports.keep(one, key(5), told(13, 11)));
        assert!(reports.keep(other, key(5), told(14, 3)), "of another community");
        assert_eq!(reports.of(one), [told(13, 11)]);
        assert_eq!(reports.of(other), [told(14, 3)]);
    }

    #[test]
    fn there_are_never_more_than_there_is_room_for() {
        let reports = RelayReports::default();
        let community = |number: u8| CommunityKey([number; 16]);
        for number in 0..RELAY_REPORTS_MAX + 3 {
            assert!(reports.keep(community(0), key(number), told(number as u64, 1)));
        }
        let kept = reports.of(community(0));
        assert_eq!(kept.len(), RELAY_REPORTS_MAX);
        assert_eq!(kept[0].came, 3, "the ones that nothing was heard of for longest went");
        for number in RELAY_REPORTS_MAX..ALL_MAX + 5 {
            let (of, relay) = (number / RELAY_REPORTS_MAX, key(number));
            assert!(reports.keep(community(of as u8), relay, told(1000 + number as u64, 1)));
        }
        assert_eq!(reports.all().len(), ALL_MAX);
        assert_eq!(reports.of(community(0))[0].came, 8);
    }
}
