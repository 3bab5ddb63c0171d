//! A roll-out that knows everything that happened, and looks at all of it again for each question.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Operation {
    /// Do what is to be done; of those to be addressed every so many is skipped, and only so many are
    /// reached before the machine stops.
    Drive {
        skip: usize,
        reach: usize,
    },
    Answer(prop::sample::Index, u8),
    Order(Order),
    Pass(u64),
}

fn operation() -> impl Strategy<Value = Operation> {
    let order =
        prop_oneof![1 => Just(Order::Pause), 3 => Just(Order::Resume), 1 => Just(Order::Abort)];
    prop_oneof![
        4 => (2..9usize, 1..6usize).prop_map(|(skip, reach)| Operation::Drive { skip, reach }),
        6 => (any::<prop::sample::Index>(), 0..5u8).prop_map(|(who, what)| Operation::Answer(who, what)),
        1 => order.prop_map(Operation::Order),
        3 => (1..200u64).prop_map(Operation::Pass),
    ]
}

fn rules() -> impl Strategy<Value = Rules> {
    let stop_at =
        prop_oneof![(1..4u32).prop_map(Share::Count), (1..=100u8).prop_map(Share::Percent)];
    let unanswered = prop_oneof![
        Just(Unanswered::Wait),
        (1..300u64).prop_map(Unanswered::GoOn),
        (1..300u64).prop_map(Unanswered::Stop),
    ];
    (stop_at, unanswered, 0..100u64).prop_map(|(stop_at, unanswered, pause)| Rules {
        canary: None,
        waves: Vec::new(),
        pause,
        stop_at,
        windows: Vec::new(),
        unanswered,
    })
}

/// One target, as it was seen from outside.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    wave: usize,
    addressed: Option<u64>,
    skipped: bool,
    answer: Option<(Answer, u64)>,
}

#[derive(Debug)]
struct Reference {
    rules: Rules,
    seen: Vec<Seen>,
    phase: Phase,
    /// Failures and answers before the last time somebody forgave, and when.
    forgiven: (usize, usize, u64),
}

impl Reference {
    fn patience(&self) -> Option<u64> {
        match self.rules.unanswered {
            Unanswered::Wait => None,
            Unanswered::GoOn(time) | Unanswered::Stop(time) => Some(time),
        }
    }

    /// Those that were addressed, did not answer and still may.
    fn hoped_for(&self, now: u64) -> usize {
        let hope = |it: &&Seen| match (it.addressed, it.answer, self.patience()) {
            (Some(at), None, Some(time)) => at + time > now,
            (Some(_), None, None) => true,
            (_, _, _) => false,
        };
        self.seen.iter().filter(hope).count()
    }

    fn count(&self, answers: &[Answer]) -> usize {
        let fits = |it: &&Seen| it.answer.is_some_and(|(answer, _)| answers.contains(&answer));
        self.seen.iter().filter(fits).count()
    }

    fn has_to_stop(&self, now: u64) -> bool {
        let failed = self.count(&[Answer::Failed]).saturating_sub(self.forgiven.0);
        let all = self.count(&[Answer::Failed, Answer::Passed]).saturating_sub(self.forgiven.1);
        let too_many = match self.rules.stop_at {
            Share::Count(count) => failed >= count as usize,
            // Even if everybody else passes.
            Share::Percent(percent) => {
                let best = all + self.hoped_for(now);
                failed > 0 && failed as f64 * 100.0 >= best as f64 * f64::from(percent) - 1e-9
            }
        };
        let silent = |it: &Seen| match (self.rules.unanswered, it.addressed, it.answer) {
            (Unanswered::Stop(time), Some(at), None) => {
                at + time <= now && at + time > self.forgiven.2
            }
            (_, _, _) => false,
        };
        too_many || self.seen.iter().any(silent)
    }

    /// Who is to be addressed now.
    fn wanted(&self, now: u64) -> Vec<usize> {
        let waiting = |it: &Seen| it.addressed.is_none() && !it.skipped;
        let Some(next) = self.seen.iter().filter(|it| waiting(it)).map(|it| it.wave).min() else {
            return Vec::new();
        };
        if self.phase != Phase::Running || self.has_to_stop(now) || self.hoped_for(now) > 0 {
            return Vec::new();
        }
        let last = self.seen.iter().filter_map(|it| match (it.answer, it.addressed) {
            (Some((_, at)), _) => Some(at),
            (None, Some(addressed)) => Some(addressed + self.patience().expect("it was given up")),
            (None, None) => None,
        });
        if last.max().is_some_and(|last| last + self.rules.pause > now) {
            return Vec::new();
        }
        let numbered = self.seen.iter().enumerate();
        numbered.filter(|(_, it)| waiting(it) && it.wave == next).map(|(at, _)| at).collect()
    }

    fn is_done(&self) -> bool {
        self.seen.iter().all(|it| it.addressed.is_some() || it.skipped)
    }
}

fn run(rules: &Rules, waves: &[usize], operations: &[Operation]) {
    let mut plan = plan(&rules.to_string(), waves);
    let seen = plan.targets.iter().map(|target| Seen { wave: target.wave, ..Seen::default() });
    let mut reference = Reference {
        rules: rules.clone(),
        seen: seen.collect(),
        phase: Phase::Running,
        forgiven: (0, 0, 0),
    };
    let mut now = 2_000;
    for operation in operations {
        let task = plan.poll_task(now);
        let to_address: Vec<_> = match &task {
            Task::Address(targets) => targets.iter().map(|it| it.0).collect(),
            Task::Keep(..) | Task::Wait(_) | Task::Rest => Vec::new(),
        };
        assert_eq!(to_address, reference.wanted(now), "at {now}: {task:?} {reference:?}");
        let stops = matches!(task, Task::Keep(Progress { phase: Phase::Stopped, .. }, _));
        let has_to =
            reference.phase == Phase::Running && !reference.is_done() && reference.has_to_stop(now);
        assert_eq!(stops, has_to, "at {now}: {task:?} {reference:?}");
        let finishes = matches!(task, Task::Keep(Progress { phase: Phase::Finished, .. }, _));
        let is_over = reference.phase == Phase::Running
            && reference.is_done()
            && reference.hoped_for(now) == 0;
        assert_eq!(finishes, is_over, "at {now}: {task:?} {reference:?}");
        if let Task::Wait(Wait { until: Some(until), .. }) = &task {
            assert!(*until > now, "what it waits for has come: {task:?}");
        }
        match operation {
            Operation::Drive { skip, reach } => match task {
                Task::Address(targets) => {
                    for target in targets.into_iter().take(*reach) {
                        if target.0 % skip == 0 && target.0 > 0 {
                            plan.handle_skipped(target);
                            reference.seen[target.0].skipped = true;
                        } else {
                            plan.handle_addressed(target, now);
                            reference.seen[target.0].addressed = Some(now);
                        }
                    }
                }
                Task::Keep(progress, _) => {
                    plan.handle_kept(progress);
                    reference.phase = progress.phase;
                }
                Task::Wait(_) | Task::Rest => {}
            },
            Operation::Answer(who, what) => {
                let who = who.index(reference.seen.len());
                let what = match what {
                    0 => Answer::Failed,
                    1 => Answer::NotApplicable,
                    _ => Answer::Passed,
                };
                plan.handle_answered(TargetNumber(who), what, now);
                let seen = &mut reference.seen[who];
                if seen.addressed.is_some() {
                    seen.answer = Some((what, now));
                }
            }
            Operation::Order(order) => {
                let before = reference.phase;
                let phase = match (before, order) {
                    (Phase::Running | Phase::Paused | Phase::Stopped, Order::Abort) => {
                        Some(Phase::Aborted)
                    }
                    (Phase::Running, Order::Pause) => Some(Phase::Paused),
                    (Phase::Paused | Phase::Stopped, Order::Resume) => Some(Phase::Running),
                    (_, _) => None,
                };
                let followed = plan.order(*order, now).ok();
                assert_eq!(followed.map(|progress| progress.phase), phase);
                if let Some(progress) = followed {
                    plan.handle_kept(progress);
                    reference.phase = progress.phase;
                    if before == Phase::Stopped && *order == Order::Resume {
                        let failed = reference.count(&[Answer::Failed]);
                        let all = reference.count(&[Answer::Failed, Answer::Passed]);
                        reference.forgiven = (failed, all, now);
                    }
                }
            }
            Operation::Pass(time) => now += time,
        }
        // What is kept makes the same plan again.
        plan = RolloutPlan::resume(rules.clone(), EXPIRES, plan.targets.clone(), plan.progress());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn does_what_the_reference_says(
        rules in rules(),
        waves in prop::collection::vec(1..5usize, 1..5),
        operations in prop::collection::vec(operation(), 1..80),
    ) {
        run(&rules, &waves, &operations);
    }
}
