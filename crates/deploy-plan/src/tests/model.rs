//! Random packages on a machine that stops anywhere.

use proptest::prelude::*;

use super::*;

/// How often a script that may be repeated is cut off before it is let alone: fewer than the plan
/// takes as a reason to give it up.
const STOPS_MAX: u32 = BEGINNINGS_MAX - 1;

/// What a machine keeps when it stops.
#[derive(Debug, Default, Clone)]
struct Disk {
    journal: Vec<Record>,
    placed: Vec<bool>,
    /// How often each script began.
    began: Vec<u32>,
    /// Steps in the order in which they first began.
    order: Vec<usize>,
}

impl Disk {
    fn new(steps: usize) -> Self {
        Self { placed: vec![false; steps], began: vec![0; steps], ..Self::default() }
    }
}

/// How far a task came when the machine stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reached {
    /// It was not begun.
    Nothing,
    /// It was done, and the plan never heard of it.
    Everything,
}

/// Whether a step succeeds is part of the package, so that all machines see the same.
struct Case<'a> {
    rules: &'a [Rule],
    succeeds: &'a [bool],
}

impl Case<'_> {
    /// What the task leaves on the disk.
    fn carry_out(&self, task: Task, disk: &mut Disk) {
        match task {
            Task::Write(record) => disk.journal.push(record),
            Task::Place(StepNumber(step)) => {
                self.check_order(step, disk);
                disk.placed[step] = self.succeeds[step];
            }
            Task::Run(StepNumber(step)) => {
                self.check_order(step, disk);
                disk.began[step] += 1;
                let repeats = self.rules[step].kind == Kind::Script(OnInterrupt::Repeat);
                assert!(repeats || disk.began[step] == 1, "step {step} ran twice");
            }
            Task::PutBack(StepNumber(step)) => {
                assert!(!disk.placed[step + 1..].contains(&true), "a later one is still placed");
                disk.placed[step] = false;
            }
            Task::Finish(_) => {}
        }
    }

    fn check_order(&self, step: usize, disk: &mut Disk) {
        assert!(self.rules[step].applies, "step {step} is not for this machine");
        let written = disk.journal.last();
        assert_eq!(written, Some(&begun(step)), "its beginning is written first");
        if disk.order.last() != Some(&step) {
            assert!(disk.order.iter().all(|earlier| *earlier < step), "{:?}", disk.order);
            disk.order.push(step);
        }
    }

    /// Runs until the end, or until `stop` tasks were done.
    fn live(&self, disk: &mut Disk, stop: Option<(usize, Reached)>) -> Option<Verdict> {
        let mut plan = DeployPlan::resume(self.rules, &disk.journal).expect("its own journal");
        let mut count = 0;
        loop {
            let task = plan.poll_task();
            if let Some((at, reached)) = stop
                && at == count
            {
                if reached == Reached::Everything {
                    self.carry_out(task, disk);
                }
                return None;
            }
            count += 1;
            self.carry_out(task, disk);
            match task {
                Task::Write(record) => plan.handle_written(record),
                Task::Place(step) | Task::Run(step) => {
                    plan.handle_done(step, self.succeeds[step.0]);
                }
                Task::PutBack(step) => plan.handle_put_back(step, Back::Done),
                Task::Finish(verdict) => {
                    self.check_end(disk, verdict);
                    return Some(verdict);
                }
            }
        }
    }

    /// What holds of every disk once the verdict stands.
    fn check_end(&self, disk: &Disk, verdict: Verdict) {
        let ended = |step: usize, how| disk.journal.contains(&ended(step, how));
        let failed = |step: usize| ended(step, Ended::Failed) || ended(step, Ended::Interrupted);
        let first = (0..self.rules.len()).find(|step| failed(*step));
        assert_eq!(verdict, first.map_or(Verdict::Passed, |it| Verdict::Failed(StepNumber(it))));
        let stopped = (0..self.rules.len())
            .find(|step| failed(*step) && self.rules[*step].on_failure != OnFailure::Continue);
        for (step, rule) in self.rules.iter().enumerate() {
            let reached = stopped.is_none_or(|stopped| step <= stopped);
            let over = ended(step, Ended::Succeeded) || failed(step);
            assert_eq!(over, rule.applies && reached, "step {step}");
            let rolled = stopped.is_some_and(|it| self.rules[it].on_failure == OnFailure::RollBack);
            let stays = rule.kind == Kind::Files && over && self.succeeds[step] && !rolled;
            assert_eq!(disk.placed[step], stays, "step {step}");
        }
        assert_eq!(disk.journal.last(), Some(&Record::Finished));
    }

    /// Whether a script that must not be repeated, or was repeated too often, was cut off.
    fn was_interrupted(disk: &Disk) -> bool {
        disk.journal.iter().any(|record| matches!(record, Record::Ended(_, Ended::Interrupted)))
    }
}

fn rule() -> impl Strategy<Value = Rule> {
    let kind = prop_oneof![
        Just(Kind::Files),
        Just(Kind::Script(OnInterrupt::Fail)),
        Just(Kind::Script(OnInterrupt::Repeat)),
    ];
    let on_failure =
        prop_oneof![Just(OnFailure::Stop), Just(OnFailure::Continue), Just(OnFailure::RollBack)];
    (kind, on_failure, prop::bool::weighted(0.9)).prop_map(|(kind, on_failure, applies)| Rule {
        kind,
        on_failure,
        applies,
    })
}

fn package() -> impl Strategy<Value = Vec<(Rule, bool)>> {
    prop::collection::vec((rule(), prop::bool::weighted(0.8)), 0..8)
}

fn reached(everything: bool) -> Reached {
    if everything { Reached::Everything } else { Reached::Nothing }
}

proptest! {
    /// One stop at every single task, with and without it having been done.
    #[test]
    fn a_stop_anywhere_changes_nothing_but_what_it_interrupts(package in package()) {
        let (rules, succeeds): (Vec<_>, Vec<_>) = package.into_iter().unzip();
        let case = Case { rules: &rules, succeeds: &succeeds };
        let mut whole = Disk::new(rules.len());
        let verdict = case.live(&mut whole, None);
        for at in 0.. {
            for reached in [Reached::Nothing, Reached::Everything] {
                let mut disk = Disk::new(rules.len());
                let early = case.live(&mut disk, Some((at, reached)));
                prop_assert_eq!(early, None);
                let after = case.live(&mut disk, None);
                if !Case::was_interrupted(&disk) {
                    prop_assert_eq!(after, verdict);
                    prop_assert_eq!(&disk.placed, &whole.placed);
                    prop_assert_eq!(&disk.order, &whole.order);
                }
                prop_assert_eq!(case.live(&mut disk.clone(), None), after, "it stays so");
            }
            if at > 4 * rules.len() + 2 {
                break;
            }
            let mut disk = Disk::new(rules.len());
            if case.live(&mut disk, Some((at + 1, Reached::Nothing))).is_some() {
                break;
            }
        }
    }

    /// Many stops, one life after the other.
    #[test]
    fn many_stops_change_nothing_but_what_they_interrupt(
        package in package(),
        stops in prop::collection::vec((0usize..6, any::<bool>()), 0..40),
    ) {
        let (rules, succeeds): (Vec<_>, Vec<_>) = package.into_iter().unzip();
        let case = Case { rules: &rules, succeeds: &succeeds };
        let verdict = case.live(&mut Disk::new(rules.len()), None);
        let mut disk = Disk::new(rules.len());
        for (at, everything) in stops {
            if case.live(&mut disk, Some((at, reached(everything)))).is_some() {
                break;
            }
            prop_assert!(disk.began.iter().all(|began| *began <= BEGINNINGS_MAX));
            if disk.began.iter().any(|began| *began >= STOPS_MAX) {
                break;
            }
        }
        let after = case.live(&mut disk, None);
        if !Case::was_interrupted(&disk) {
            prop_assert_eq!(after, verdict);
        }
    }

    /// A journal of another package, or a torn one, is refused or followed, and never a panic.
    #[test]
    fn no_journal_makes_a_panic(
        package in package(),
        journal in prop::collection::vec((0usize..9, 0u8..8), 0..12),
    ) {
        let (rules, succeeds): (Vec<_>, Vec<_>) = package.into_iter().unzip();
        let case = Case { rules: &rules, succeeds: &succeeds };
        let mut whole = Disk::new(rules.len());
        case.live(&mut whole, None);
        for (place, kind) in journal {
            let step = StepNumber(place);
            let record = match kind {
                0 | 1 => Record::Begun(step),
                2 => Record::Ended(step, Ended::Succeeded),
                3 => Record::Ended(step, Ended::Failed),
                4 => Record::Ended(step, Ended::Interrupted),
                5 => Record::PutBack(step, Back::Done),
                6 => Record::PutBack(step, Back::Failed),
                _ => Record::Finished,
            };
            let mut changed = whole.journal.clone();
            changed.insert(place.min(changed.len()), record);
            if let Ok(mut plan) = DeployPlan::resume(&rules, &changed) {
                drive(&mut plan, &[]);
            }
        }
    }
}
