//! Who asked for how many handles that nobody has: enough for mistakes, too few to try names.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use hub_api::limits::{LOGIN_WINDOW, UNKNOWN_HANDLES_MAX};
use hub_db::PersonId;

use crate::refusal::Refusal;

/// Counts by person, each from its first unknown handle on for [`LOGIN_WINDOW`].
#[derive(Debug, Default)]
pub(crate) struct UnknownHandles(Mutex<HashMap<PersonId, Counted>>);

#[derive(Debug, Clone, Copy)]
struct Counted {
    since: u64,
    handles: u32,
}

impl UnknownHandles {
    /// Counts so many more, all or none.
    pub(crate) fn count(&self, person: PersonId, more: usize, now: u64) -> Result<(), Refusal> {
        let mut people = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let window = LOGIN_WINDOW.as_secs();
        people.retain(|_, counted| counted.since + window > now);
        if more == 0 {
            return Ok(());
        }
        let counted = people.entry(person).or_insert(Counted { since: now, handles: 0 });
        let sum = u32::try_from(more).ok().and_then(|more| counted.handles.checked_add(more));
        match sum.filter(|sum| *sum <= UNKNOWN_HANDLES_MAX) {
            Some(sum) => {
                counted.handles = sum;
                Ok(())
            }
            None => {
                let left_s = (counted.since + window).saturating_sub(now);
                Err(Refusal::too_many("too many handles that nobody has").after(left_s))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_handles_are_counted_by_person_for_an_hour() {
        let (anna, ben) = (PersonId::from_number(1), PersonId::from_number(2));
        let unknown = UnknownHandles::default();
        let most = UNKNOWN_HANDLES_MAX as usize;
        unknown.count(anna, most - 1, 5).expect("as many as may be");
        unknown.count(anna, 2, 6).expect_err("one too many");
        unknown.count(anna, 1, 7).expect("nothing was counted");
        let refused = unknown.count(anna, 1, 3604).expect_err("all are used up");
        assert_eq!(refused.retry_after_s(), Some(1));
        unknown.count(ben, most, 3604).expect("another person's");
        unknown.count(anna, most, 3605).expect("an hour later");
        unknown.count(anna, 0, 9999).expect("nothing to count");
        assert!(unknown.0.lock().expect("no panic").is_empty(), "nothing is kept");
    }
}
