//! Random histories against a model that knows only who was asked for what.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const PIECES: u32 = 40;
const SOURCES: u32 = 4;

#[derive(Debug, Clone)]
enum Step {
    Want {
        piece: u32,
        length: u32,
        priority: u8,
    },
    Source(u32),
    Lacks {
        source: u32,
        piece: u32,
    },
    Ask,
    /// The `nth` open request brings some of what it still owes.
    Bring {
        nth: usize,
        count: usize,
    },
    /// It brings a piece it was perhaps not asked for.
    Stray {
        nth: usize,
        piece: u32,
    },
    Finish(usize),
    Fail(usize),
    Lie(usize),
    Excess {
        nth: usize,
        bytes: u32,
    },
    Wait {
        millis: u64,
    },
    Block,
    Unblock,
}

fn step() -> impl Strategy<Value = Step> {
    let nth = 0..16usize;
    let piece = 0..PIECES;
    prop_oneof![
        6 => (piece.clone(), 1..200_000u32, 0..3u8)
            .prop_map(|(piece, length, priority)| Step::Want { piece, length, priority }),
        1 => (0..SOURCES).prop_map(Step::Source),
        1 => (0..SOURCES, piece.clone()).prop_map(|(source, piece)| Step::Lacks { source, piece }),
        4 => Just(Step::Ask),
        6 => (nth.clone(), 1..6usize).prop_map(|(nth, count)| Step::Bring { nth, count }),
        1 => (nth.clone(), piece).prop_map(|(nth, piece)| Step::Stray { nth, piece }),
        2 => nth.clone().prop_map(Step::Finish),
        2 => nth.clone().prop_map(Step::Fail),
        1 => nth.clone().prop_map(Step::Lie),
        1 => (nth, 1..8_000_000u32).prop_map(|(nth, bytes)| Step::Excess { nth, bytes }),
        3 => (1..20_000u64).prop_map(|millis| Step::Wait { millis }),
        1 => Just(Step::Block),
        1 => Just(Step::Unblock),
    ]
}

/// What must be true, kept as plainly as possible.
#[derive(Default)]
struct Model {
    /// Length as first wanted.
    wanted: BTreeMap<PieceId, u32>,
    retrieved: BTreeSet<PieceId>,
    /// Open requests and what they still owe.
    open: BTreeMap<RequestId, (SourceId, BTreeSet<PieceId>)>,
    dropped: BTreeSet<SourceId>,
    lacking: BTreeSet<(SourceId, PieceId)>,
    copies: u64,
    excess: u64,
}

impl Model {
    fn nth(&self, nth: usize) -> Option<RequestId> {
        self.open.keys().nth(nth % self.open.len().max(1)).copied()
    }

    fn asked(&mut self, request: &Request) {
        assert!(!self.dropped.contains(&request.source), "a dropped source is asked");
        assert!(!request.pieces.is_empty() && request.pieces.len() <= 1024);
        let pieces: BTreeSet<PieceId> = request.pieces.iter().copied().collect();
        assert_eq!(pieces.len(), request.pieces.len(), "a piece is asked for twice in one request");
        for piece in &pieces {
            assert!(!self.retrieved.contains(piece), "a retrieved piece is asked for");
            assert!(self.wanted.contains_key(piece), "an unwanted piece is asked for");
            let lacks = self.lacking.contains(&(request.source, *piece));
            assert!(!lacks, "a piece is asked of a source that lacks it");
        }
        let bytes: u64 = pieces.iter().map(|piece| u64::from(self.wanted[piece])).sum();
        assert_eq!(request.bytes, bytes);
        assert!(self.open.insert(request.id, (request.source, pieces)).is_none());
    }

    fn verified(&mut self, piece: PieceId, outcome: Outcome) {
        let first = self.wanted.contains_key(&piece) && self.retrieved.insert(piece);
        assert_eq!(outcome == Outcome::Retrieved, first);
        if !first {
            self.copies += u64::from(self.wanted.get(&piece).copied().unwrap_or(0));
        }
        for (_, owed) in self.open.values_mut() {
            owed.remove(&piece);
        }
    }

    /// Takes in what the plan decided by itself.
    fn heard(&mut self, plan: &mut FetchPlan) {
        for event in events(plan) {
            match event {
                Event::PieceRetrieved(piece) => assert!(self.retrieved.contains(&piece)),
                Event::RequestCancelled(request) => {
                    assert!(self.open.remove(&request).is_some(), "cancelled once, while open");
                }
                Event::SourceDropped { source, .. } => {
                    assert!(self.dropped.insert(source), "dropped once");
                }
                Event::SourceSuspended { source, .. } => assert!(!self.dropped.contains(&source)),
                Event::PieceUnavailable { piece, reasons } => {
                    for (source, obstacle) in reasons {
                        let lacks = self.lacking.contains(&(source, piece));
                        let dropped = self.dropped.contains(&source);
                        assert_eq!(obstacle == Obstacle::Lacks, lacks);
                        assert!(lacks || dropped, "{source:?} could still give {piece:?}");
                    }
                }
            }
        }
        assert!(self.open.values().all(|(source, _)| !self.dropped.contains(source)));
    }

    /// Every piece is in exactly one state, the right one, and all sums agree.
    fn check(&self, plan: &FetchPlan) {
        for (piece, length) in &self.wanted {
            let owing = self.open.iter().filter(|(_, (_, owed))| owed.contains(piece));
            let owing: BTreeSet<RequestId> = owing.map(|(request, _)| *request).collect();
            match plan.state_of(*piece).expect("wanted") {
                PieceState::Retrieved => {
                    assert!(self.retrieved.contains(piece), "{piece:?} of {length} bytes");
                }
                PieceState::NotAssigned => {
                    assert!(!self.retrieved.contains(piece) && owing.is_empty());
                }
                PieceState::Assigned { request, backup } => {
                    assert!(!self.retrieved.contains(piece));
                    let holders: BTreeSet<RequestId> =
                        [Some(request), backup].into_iter().flatten().collect();
                    assert_eq!(holders, owing, "asked of at most two, and the right ones");
                }
            }
        }
        let bytes = |pieces: &mut dyn Iterator<Item = &PieceId>| -> u64 {
            pieces.map(|piece| u64::from(self.wanted[piece])).sum()
        };
        let progress = plan.progress();
        assert_eq!(progress.wanted_pieces, self.wanted.len() as u64);
        assert_eq!(progress.wanted_bytes, bytes(&mut self.wanted.keys()));
        assert_eq!(progress.retrieved_pieces, self.retrieved.len() as u64);
        assert_eq!(progress.retrieved_bytes, bytes(&mut self.retrieved.iter()));
        let owed = self.open.values().map(|(_, owed)| bytes(&mut owed.iter())).sum::<u64>();
        assert_eq!(progress.in_flight_bytes, owed);
        assert_eq!(progress.wasted_bytes, self.copies + self.excess, "waste is counted");
        assert_eq!(plan.is_complete(), self.retrieved.len() == self.wanted.len());
        assert_eq!(plan.is_idle(), plan.is_complete() && self.open.is_empty());
        if plan.poll_timeout().is_none() && plan.blocked_since.is_none() {
            assert!(self.open.is_empty(), "an open request always has a deadline");
        }
    }

    fn apply(&mut self, plan: &mut FetchPlan, step: &Step, now: &mut Instant) {
        match *step {
            Step::Want { piece: number, length, priority } => {
                let priority = match priority {
                    0 => Priority::Demanded,
                    1 => Priority::Ordered,
                    _ => Priority::Ahead,
                };
                plan.handle_wanted(piece(number), length, priority);
                self.wanted.entry(piece(number)).or_insert(length);
            }
            Step::Source(source) => plan.handle_source_ready(SourceId(source), *now),
            Step::Lacks { source, piece: number } => {
                let (source, piece) = (SourceId(source), piece(number));
                let known = plan.progress().sources.iter().any(|known| known.source == source);
                let missing = self.wanted.contains_key(&piece) && !self.retrieved.contains(&piece);
                if known && missing {
                    self.lacking.insert((source, piece));
                }
                plan.handle_source_lacks(source, piece);
            }
            Step::Ask => {
                for request in requests(plan, *now) {
                    self.asked(&request);
                }
            }
            Step::Bring { nth, count } => {
                let Some(request) = self.nth(nth) else { return };
                let owed: Vec<PieceId> = self.open[&request].1.iter().copied().collect();
                for piece in owed.into_iter().take(count) {
                    let length = u64::from(self.wanted[&piece]);
                    plan.handle_progress(request, length, *now);
                    let outcome = plan.handle_verified(request, piece, *now);
                    self.verified(piece, outcome);
                }
            }
            Step::Stray { nth, piece: number } => {
                let Some(request) = self.nth(nth) else { return };
                let outcome = plan.handle_verified(request, piece(number), *now);
                self.verified(piece(number), outcome);
            }
            Step::Finish(nth) => {
                let Some(request) = self.nth(nth) else { return };
                plan.handle_finished(request, *now);
                let (source, owed) = self.open.remove(&request).expect("open");
                self.lacking.extend(owed.into_iter().map(|piece| (source, piece)));
            }
            Step::Fail(nth) => {
                let Some(request) = self.nth(nth) else { return };
                plan.handle_failed(request, *now, "failed");
                self.open.remove(&request);
            }
            Step::Lie(nth) => {
                let Some(request) = self.nth(nth) else { return };
                plan.handle_wrong_bytes(request, "lied");
            }
            Step::Excess { nth, bytes } => {
                let Some(request) = self.nth(nth) else { return };
                plan.handle_excess(request, u64::from(bytes));
                self.excess += u64::from(bytes);
            }
            Step::Wait { millis } => {
                *now += Duration::from_millis(millis);
                plan.handle_timeout(*now);
            }
            Step::Block => plan.handle_blocked(*now),
            Step::Unblock => plan.handle_unblocked(*now),
        }
    }
}

/// With one more source that is honest and has everything, and all others silent, the plan
/// completes, and copies cost no more than what was outstanding elsewhere.
fn completes(mut plan: FetchPlan, mut model: Model, mut now: Instant) {
    const HONEST: SourceId = SourceId(99);
    plan.handle_unblocked(now);
    plan.handle_source_ready(HONEST, now);
    let copies = model.copies;
    for _ in 0..10_000 {
        model.heard(&mut plan);
        while let Some(request) = plan.poll_request(now) {
            model.asked(&request);
            model.heard(&mut plan);
        }
        let honest = model.open.iter().find(|(_, (source, _))| *source == HONEST);
        if let Some((request, owed)) = honest.map(|(request, (_, owed))| (*request, owed.clone())) {
            now += Duration::from_millis(10);
            for piece in owed {
                let outcome = plan.handle_verified(request, piece, now);
                model.verified(piece, outcome);
            }
            model.heard(&mut plan);
            if model.open.remove(&request).is_some() {
                plan.handle_finished(request, now);
            }
        } else if plan.is_idle() {
            break;
        } else {
            now = plan.poll_timeout().expect("something is waited for").max(now);
            plan.handle_timeout(now);
        }
        model.heard(&mut plan);
        model.check(&plan);
    }
    assert!(plan.is_idle(), "an honest source is enough; waits for {:?}", plan.waits_for());
    assert_eq!(model.copies, copies, "silent sources bring nothing twice");
}

/// How many histories are tried; `CONSIGN_MODEL_CASES` asks for more.
#[expect(clippy::disallowed_methods, reason = "how long a test runs, not what it does")]
fn cases() -> u32 {
    let more = std::env::var("CONSIGN_MODEL_CASES").ok();
    more.map_or(600, |more| more.parse().expect("CONSIGN_MODEL_CASES is a number"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn every_piece_is_in_one_state_and_an_honest_source_completes_the_plan(
        steps in prop::collection::vec(step(), 1..150),
    ) {
        let mut now = start();
        let mut plan = FetchPlan::new(Config::default());
        let mut model = Model::default();
        plan.handle_source_ready(SourceId(0), now);
        for step in &steps {
            model.apply(&mut plan, step, &mut now);
            model.heard(&mut plan);
            model.check(&plan);
        }
        completes(plan, model, now);
    }
}
