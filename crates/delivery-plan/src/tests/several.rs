//! Several deliveries of the same contents, each with both ends and a hub of its own, under faults of each.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;

use super::World;
use crate::{MemberId, ReceivePhase, SendAction, SendPhase, SharePlan, SharedPut};

struct Several {
    worlds: Vec<World>,
    plan: SharePlan,
    /// What a sender wants to be sent and has heard nothing of, and what of it is on its way.
    wanted: BTreeSet<(usize, u64)>,
    sent: BTreeSet<(usize, u64)>,
    over: BTreeSet<usize>,
    uploads: u64,
}

impl Several {
    fn new(count: usize, segments: u64, seed: u64) -> Self {
        let world = |at: usize| World::new(segments, seed.wrapping_add(at as u64));
        let mut worlds: Vec<World> = (0..count).map(world).collect();
        let now = worlds[0].now;
        let mut plan = SharePlan::new(now);
        for (at, world) in worlds.iter_mut().enumerate() {
            world.now = now;
            plan.handle_joined(MemberId(at), now);
        }
        let [wanted, sent] = [BTreeSet::new(), BTreeSet::new()];
        Self { worlds, plan, wanted, sent, over: BTreeSet::new(), uploads: 0 }
    }

    /// Lets all say what they want; whether anybody wanted anything.
    fn poll(&mut self) -> bool {
        let mut did = false;
        for (at, world) in self.worlds.iter_mut().enumerate() {
            did |= world.poll();
            for action in &world.pending {
                if let SendAction::Put(number) = *action
                    && self.wanted.insert((at, number))
                {
                    self.plan.handle_wanted(MemberId(at), number, world.now);
                }
            }
        }
        while let Some(SharedPut { number, members }) = self.plan.poll_put(self.worlds[0].now) {
            did = true;
            self.uploads += 1;
            for MemberId(at) in members {
                assert!(self.wanted.contains(&(at, number)), "it is wanted");
                assert!(self.sent.insert((at, number)), "and sent once");
            }
        }
        did
    }

    /// A hub answers one request of a sender, if it came there and has an answer.
    fn answer(&mut self, at: usize, index: usize, out_of_time: bool) -> bool {
        let action = self.worlds[at].pending.get(index).copied();
        let number = match action {
            Some(SendAction::Put(number)) if !self.sent.contains(&(at, number)) => return false,
            Some(SendAction::Put(number)) => Some(number),
            Some(SendAction::Announce | SendAction::Ask { .. }) | None => None,
        };
        let is_answered = self.worlds[at].answer(index, out_of_time);
        if let Some(number) = number.filter(|_| is_answered) {
            self.wanted.remove(&(at, number));
            self.sent.remove(&(at, number));
        }
        is_answered
    }

    /// A sender begins anew among the others.
    fn rejoin(&mut self, at: usize) {
        let now = self.worlds[at].now;
        self.wanted.retain(|(other, _)| *other != at);
        self.sent.retain(|(other, _)| *other != at);
        self.plan.handle_left(MemberId(at), now);
        self.plan.handle_joined(MemberId(at), now);
    }

    fn step(&mut self, at: usize, choice: u8) {
        match choice % 16 {
            0..=3 => {
                self.poll();
            }
            4..=6 => {
                let index = usize::from(choice / 16) % self.worlds[at].pending.len().max(1);
                self.answer(at, index, choice % 16 == 6);
            }
            11 | 13 => {
                self.worlds[at].step(choice);
                self.rejoin(at);
            }
            15 => self.wait(),
            _ => self.worlds[at].step(choice),
        }
        let now = self.worlds.iter().map(|world| world.now).max();
        let now = now.expect("there are some");
        self.worlds.iter_mut().for_each(|world| world.now = now);
    }

    fn wait(&mut self) {
        let ends = self.worlds.iter().map(|world| (&world.sender, &world.recipient));
        let next = ends.flat_map(|(sender, recipient)| {
            sender.poll_timeout().into_iter().chain(recipient.poll_timeout())
        });
        let now = self.worlds[0].now;
        let next = next.chain(self.plan.poll_timeout()).min().unwrap_or(now);
        let now = next.max(now + Duration::from_millis(1));
        self.worlds.iter_mut().for_each(|world| world.now = now);
    }

    /// No more faults: all of them end.
    fn finish(&mut self) {
        for _ in 0..20_000 {
            let mut did = self.poll();
            for at in 0..self.worlds.len() {
                let pending = self.worlds[at].pending.len();
                did |= (0..pending).rev().any(|index| self.answer(at, index, false));
                let world = &mut self.worlds[at];
                if world.sender.phase() == SendPhase::Done {
                    world.take_receipt();
                    // One that forgot cannot tell.
                    let is_over =
                        world.recipient.phase() == ReceivePhase::Done || !world.hub.announced;
                    if is_over && self.over.insert(at) {
                        self.plan.handle_left(MemberId(at), self.worlds[at].now);
                    }
                }
                let world = &mut self.worlds[at];
                did |= world.pass_on(false) | world.take_report();
            }
            if self.over.len() == self.worlds.len() {
                return;
            }
            if !did {
                self.wait();
            }
        }
        panic!("{:?} {:?}", self.plan, self.over);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_breaks_for_one_of_several_everything_arrives_everywhere(
        segments in 1u64..12,
        seed in any::<u64>(),
        choices in proptest::collection::vec((0usize..3, any::<u8>()), 0..600),
    ) {
        let mut several = Several::new(3, segments, seed);
        for (at, choice) in choices {
            several.step(at, choice);
        }
        several.finish();
        let expected: Vec<u64> = (0..segments).collect();
        for world in &several.worlds {
            prop_assert_eq!(&world.kept, &expected);
            prop_assert_eq!(world.sender.verified(), segments);
        }
        prop_assert!(several.uploads >= segments);
    }

    #[test]
    fn those_who_keep_pace_cost_one_upload(
        segments in 1u64..60,
        count in 1usize..6,
        seed in any::<u64>(),
    ) {
        let mut several = Several::new(count, segments, seed);
        several.finish();
        prop_assert_eq!(several.uploads, segments);
    }
}
