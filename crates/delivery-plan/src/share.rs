//! Which of several deliveries of the same contents are sent a segment together.
//!
//! Each delivery has a [`SendPlan`](crate::SendPlan) of its own, which says what it wants to send next, and hears
//! what became of it, whether that went alone or together. So every delivery has its own point to go on from
//! and its own end; what is decided here is who waits for whom, and no longer than it has credit:
//! [`CREDIT_MAX`] to begin with and an eighth of the time that goes by. Who has used up its credit goes
//! alone, and is asked again when it has earned [`CREDIT_TO_SHARE`] and is where the others are.
//!
//! Invariants: what a delivery wants is put once; what nobody is waited for is put at once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Deliveries that have a segment together at most.
pub const SHARED_MAX: usize = 32;

/// How long the others wait for one delivery at most, before the time that goes by adds to it: about what a
/// recipient takes to come when all of them are told at the same moment, and less than people notice.
pub const CREDIT_MAX: Duration = Duration::from_secs(2);

/// With how much credit one that had none is waited for again.
pub const CREDIT_TO_SHARE: Duration = Duration::from_millis(500);

/// Of the time that goes by, this part can be spent on waiting for one delivery.
const CREDIT_PART: u32 = 8;

/// How many segments another one may be behind to be waited for: what it has on its way comes first.
const NEAR: u64 = 4;

/// One of the deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(pub usize);

/// A segment that is to be sent now, to these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedPut {
    /// Its number.
    pub number: u64,
    /// In order, at least one and at most [`SHARED_MAX`].
    pub members: Vec<MemberId>,
}

#[derive(Debug)]
struct Member {
    wanted: BTreeSet<u64>,
    /// What it will want after what it wanted last; `None` while it is not expected to want anything.
    next: Option<u64>,
    /// It has wanted nothing yet: it may come anywhere.
    is_new: bool,
    /// It had no credit, and has not earned enough since.
    is_alone: bool,
    credit: Duration,
}

impl Member {
    /// Whether it will want this segment soon.
    fn is_near(&self, number: u64) -> bool {
        self.is_new || self.next.is_some_and(|next| next <= number && number - next <= NEAR)
    }

    fn spend(&mut self, time: Duration) {
        self.credit = self.credit.saturating_sub(time);
        if self.credit.is_zero() {
            self.is_alone = true;
            // Whoever let the others wait so long is expected when it comes.
            (self.is_new, self.next) = (false, None);
        }
    }

    fn earn(&mut self, time: Duration) {
        self.credit = (self.credit + time / CREDIT_PART).min(CREDIT_MAX);
        self.is_alone &= self.credit < CREDIT_TO_SHARE;
    }
}

/// Who is sent what together.
#[derive(Debug)]
pub struct SharePlan {
    members: BTreeMap<MemberId, Member>,
    /// Who is waited for.
    late: BTreeSet<MemberId>,
    /// Until when credits are settled.
    settled: Instant,
}

impl SharePlan {
    /// A plan for nobody yet.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self { members: BTreeMap::new(), late: BTreeSet::new(), settled: now }
    }

    /// A delivery begins.
    pub fn handle_joined(&mut self, member: MemberId, now: Instant) {
        self.settle(now);
        let wanted = BTreeSet::new();
        let new = Member { wanted, next: None, is_new: true, is_alone: false, credit: CREDIT_MAX };
        self.members.insert(member, new);
    }

    /// A delivery is over, and what it wanted is wanted no more.
    pub fn handle_left(&mut self, member: MemberId, now: Instant) {
        self.settle(now);
        self.members.remove(&member);
    }

    /// A delivery wants a segment to be sent.
    pub fn handle_wanted(&mut self, member: MemberId, number: u64, now: Instant) {
        self.settle(now);
        if let Some(member) = self.members.get_mut(&member) {
            member.wanted.insert(number);
            member.next = Some(number + 1);
            member.is_new = false;
        }
    }

    /// The hub made the others wait for so long until there was room for this one.
    pub fn handle_waited(&mut self, member: MemberId, time: Duration, now: Instant) {
        self.settle(now);
        if let Some(member) = self.members.get_mut(&member) {
            member.spend(time);
        }
    }

    /// This one could not be sent to together with others.
    pub fn handle_apart(&mut self, member: MemberId, now: Instant) {
        self.handle_waited(member, CREDIT_MAX, now);
    }

    /// What to send now; ask again until there is nothing.
    pub fn poll_put(&mut self, now: Instant) -> Option<SharedPut> {
        self.settle(now);
        self.late.clear();
        let numbers: BTreeSet<u64> =
            self.members.values().flat_map(|member| &member.wanted).copied().collect();
        numbers.into_iter().find_map(|number| self.put(number))
    }

    fn put(&mut self, number: u64) -> Option<SharedPut> {
        let wants = |(id, member): (&MemberId, &Member)| {
            member.wanted.contains(&number).then_some((*id, member.is_alone))
        };
        let (alone, together): (Vec<_>, Vec<_>) =
            self.members.iter().filter_map(wants).partition(|(_, is_alone)| *is_alone);
        let members: Vec<MemberId> = match alone.first() {
            Some((one, _)) => vec![*one],
            None => together.into_iter().map(|(id, _)| id).take(SHARED_MAX).collect(),
        };
        if alone.is_empty() && members.len() < SHARED_MAX {
            let late = self.members.iter().filter(|(_, member)| {
                !member.wanted.contains(&number) && !member.is_alone && member.is_near(number)
            });
            let late: Vec<MemberId> = late.map(|(id, _)| *id).collect();
            if !late.is_empty() {
                self.late.extend(late);
                return None;
            }
        }
        for id in &members {
            self.members.get_mut(id).expect("it was just listed").wanted.remove(&number);
        }
        Some(SharedPut { number, members })
    }

    /// When to look again although nothing happened.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let credit = |id: &MemberId| self.members.get(id).map(|member| member.credit);
        self.late.iter().filter_map(credit).min().map(|credit| self.settled + credit)
    }

    /// Takes from those who are waited for the time that was waited, and gives the others their part.
    fn settle(&mut self, now: Instant) {
        let time = now.saturating_duration_since(self.settled);
        self.settled = self.settled.max(now);
        for (id, member) in &mut self.members {
            match self.late.contains(id) {
                true => member.spend(time),
                false => member.earn(time),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[expect(clippy::disallowed_methods, reason = "some moment to begin with")]
    fn start() -> Instant {
        Instant::now()
    }

    fn ids(members: &[usize]) -> Vec<MemberId> {
        members.iter().copied().map(MemberId).collect()
    }

    fn put(number: u64, members: &[usize]) -> Option<SharedPut> {
        Some(SharedPut { number, members: ids(members) })
    }

    /// A plan for so many who want segment 0 at the same moment.
    fn level(count: usize, now: Instant) -> SharePlan {
        let mut plan = SharePlan::new(now);
        (0..count).for_each(|id| plan.handle_joined(MemberId(id), now));
        (0..count).for_each(|id| plan.handle_wanted(MemberId(id), 0, now));
        plan
    }

    #[test]
    fn those_who_are_level_are_sent_each_segment_once() {
        let now = start();
        let mut plan = level(3, now);
        for number in 0..50 {
            assert_eq!(plan.poll_put(now), put(number, &[0, 1, 2]));
            assert_eq!(plan.poll_put(now), None);
            for id in ids(&[2, 0, 1]) {
                assert_eq!(plan.poll_put(now), None, "the others are about to want it");
                plan.handle_wanted(id, number + 1, now);
            }
        }
    }

    #[test]
    fn who_does_not_come_is_waited_for_once_and_goes_alone_later() {
        let mut now = start();
        let mut plan = SharePlan::new(now);
        ids(&[0, 1, 2]).into_iter().for_each(|id| plan.handle_joined(id, now));
        plan.handle_wanted(MemberId(0), 0, now);
        plan.handle_wanted(MemberId(1), 0, now);
        assert_eq!(plan.poll_put(now), None);
        assert_eq!(plan.poll_timeout(), Some(now + CREDIT_MAX));
        now += CREDIT_MAX;
        assert_eq!(plan.poll_put(now), put(0, &[0, 1]));
        // However long that goes on.
        for number in 1..9 {
            now += Duration::from_mins(1);
            plan.handle_wanted(MemberId(0), number, now);
            plan.handle_wanted(MemberId(1), number, now);
            assert_eq!(plan.poll_put(now), put(number, &[0, 1]));
        }
        plan.handle_wanted(MemberId(2), 0, now);
        assert_eq!(plan.poll_put(now), put(0, &[2]), "the others are far away");
        // Level with one of them again, it goes with it.
        plan.handle_wanted(MemberId(2), 9, now);
        plan.handle_wanted(MemberId(0), 9, now);
        plan.handle_wanted(MemberId(1), 9, now);
        assert_eq!(plan.poll_put(now), put(9, &[0, 1, 2]));
    }

    #[test]
    fn who_is_slower_costs_the_others_its_credit_and_no_more() {
        let begun = start();
        let mut now = begun;
        let mut plan = level(2, now);
        let mut waited = Duration::ZERO;
        // The first wants the next at once, the second half a second later.
        for number in 0..400 {
            let asked = now;
            while !plan.poll_put(now).is_some_and(|put| put.members.contains(&MemberId(0))) {
                let late = asked + Duration::from_millis(500);
                let timeout = plan.poll_timeout().unwrap_or(now);
                now = timeout.min(late.max(now));
                if now >= late {
                    plan.handle_wanted(MemberId(1), number, now);
                }
            }
            waited += now - asked;
            now += Duration::from_millis(10);
            plan.handle_wanted(MemberId(0), number + 1, now);
        }
        let bound = CREDIT_MAX + (now - begun) / CREDIT_PART;
        assert!(waited <= bound, "{waited:?} of {:?}", now - begun);
        assert!(waited > Duration::from_secs(1), "it was waited for: {waited:?}");
    }

    #[test]
    fn who_is_at_another_front_end_goes_alone_for_a_while() {
        let mut now = start();
        let mut plan = level(2, now);
        assert_eq!(plan.poll_put(now), put(0, &[0, 1]));
        plan.handle_apart(MemberId(1), now);
        plan.handle_wanted(MemberId(0), 0, now);
        plan.handle_wanted(MemberId(1), 0, now);
        assert_eq!(plan.poll_put(now), put(0, &[1]));
        assert_eq!(plan.poll_put(now), put(0, &[0]));
        now += CREDIT_TO_SHARE * CREDIT_PART;
        plan.handle_wanted(MemberId(0), 1, now);
        plan.handle_wanted(MemberId(1), 1, now);
        assert_eq!(plan.poll_put(now), put(1, &[0, 1]));
        // One that is over is waited for by nobody.
        plan.handle_wanted(MemberId(0), 2, now);
        assert_eq!(plan.poll_put(now), None);
        plan.handle_left(MemberId(1), now);
        assert_eq!(plan.poll_put(now), put(2, &[0]));
    }

    #[test]
    fn more_than_a_request_may_name_go_in_several() {
        let now = start();
        let mut plan = level(SHARED_MAX + 2, now);
        let all: Vec<usize> = (0..SHARED_MAX + 2).collect();
        assert_eq!(plan.poll_put(now), put(0, &all[..SHARED_MAX]));
        plan.handle_left(MemberId(0), now);
        let mut late = Vec::new();
        let mut at = now;
        while late.is_empty() {
            at = plan.poll_timeout().map_or(at, |timeout| timeout.max(at));
            late = std::iter::from_fn(|| plan.poll_put(at)).collect();
        }
        assert_eq!(late, [put(0, &all[SHARED_MAX..]).expect("one")]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

        /// Whatever order things happen in, what is wanted is put once, and nobody waits beyond the credit
        /// of the others.
        #[test]
        fn what_is_wanted_is_put_once_and_soon(
            steps in proptest::collection::vec((0usize..4, 0u8..8, 0u64..6), 0..200),
        ) {
            let mut now = start();
            let mut plan = SharePlan::new(now);
            let mut here = BTreeSet::new();
            let mut wanted: BTreeMap<(u64, MemberId), Instant> = BTreeMap::new();
            let take = |plan: &mut SharePlan, wanted: &mut BTreeMap<_, Instant>, now: Instant| {
                while let Some(SharedPut { number, members }) = plan.poll_put(now) {
                    assert!(!members.is_empty() && members.len() <= SHARED_MAX);
                    for id in members {
                        assert!(wanted.remove(&(number, id)).is_some(), "it was wanted");
                    }
                }
                assert_eq!(plan.poll_timeout().is_none(), wanted.is_empty());
            };
            for (member, what, number) in steps {
                let id = MemberId(member);
                match what {
                    0 if here.insert(id) => plan.handle_joined(id, now),
                    0 => {}
                    1 if number == 0 => {
                        here.remove(&id);
                        plan.handle_left(id, now);
                        wanted.retain(|(_, other), _| *other != id);
                    }
                    1 => plan.handle_waited(id, Duration::from_millis(number * 100), now),
                    2 if number == 0 => plan.handle_apart(id, now),
                    2 => now += Duration::from_millis(number * 50),
                    _ if here.contains(&id) => {
                        plan.handle_wanted(id, number, now);
                        wanted.entry((number, id)).or_insert(now);
                    }
                    _ => {}
                }
                take(&mut plan, &mut wanted, now);
            }
            // Each of the others is waited for once at most from here on, for they want nothing new.
            let end = now + 4 * CREDIT_MAX;
            while let Some(timeout) = plan.poll_timeout() {
                prop_assert!(timeout <= end, "{plan:?}");
                now = timeout.max(now + Duration::from_millis(1));
                take(&mut plan, &mut wanted, now);
            }
            prop_assert!(wanted.is_empty());
        }
    }
}
