//! What calls to hubs are waiting for, for whoever tells a person.
//!
//! Every call enters itself here when it begins and leaves when its answer was read or given up.
//! Nothing is decided by it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// A call that has begun and not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnderWay {
    /// What is being done, an infinitive: "list names".
    pub doing: &'static str,
    /// The hub's address.
    pub hub: String,
    /// When it was last heard from, or asked.
    pub since: Instant,
    /// What it waits for, a noun: "an answer".
    pub waiting_for: &'static str,
    /// What happens at [`UnderWay::next_at`] if nothing comes: "gives up".
    pub next: &'static str,
    /// When.
    pub next_at: Instant,
}

/// The calls under way of any number of clients.
#[derive(Debug, Default)]
pub struct Activity(Mutex<Calls>);

#[derive(Debug, Default)]
struct Calls {
    next: u64,
    open: BTreeMap<u64, UnderWay>,
}

impl Activity {
    /// The call that has waited longest; `None` when nothing is asked of any hub.
    pub fn longest_wait(&self) -> Option<UnderWay> {
        let calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        calls.open.values().min_by_key(|call| call.since).cloned()
    }

    pub(crate) fn enter(self: &Arc<Self>, call: UnderWay) -> Entry {
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = calls.next;
        calls.next += 1;
        calls.open.insert(number, call);
        Entry { activity: Arc::clone(self), number }
    }
}

/// A call's place in the list; it leaves with this.
#[derive(Debug)]
pub(crate) struct Entry {
    activity: Arc<Activity>,
    number: u64,
}

impl Entry {
    /// Something happened: from now on it waits for something else.
    pub(crate) fn waits(&self, waiting_for: &'static str, next: &'static str, next_at: Instant) {
        let mut calls = self.activity.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(call) = calls.open.get_mut(&self.number) {
            (call.waiting_for, call.next, call.next_at) = (waiting_for, next, next_at);
            call.since = Instant::now();
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut calls = self.activity.0.lock().unwrap_or_else(PoisonError::into_inner);
        calls.open.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_longest_wait_is_told_until_it_ends() {
        let (activity, now) = (Arc::new(Activity::default()), Instant::now());
        let call = |doing, since| UnderWay {
            doing,
            hub: "https://hub".into(),
            since,
            waiting_for: "an answer",
            next: "gives up",
            next_at: now,
        };
        let late = activity.enter(call("list names", now));
        let early = activity.enter(call("register", now - Duration::from_secs(3)));
        let told = |activity: &Activity| activity.longest_wait().map(|call| call.doing);
        assert_eq!(told(&activity), Some("register"));
        early.waits("more of the answer", "gives up", now);
        assert_eq!(told(&activity), Some("list names"), "it was just heard of");
        drop((late, early));
        assert_eq!(told(&activity), None);
    }
}
