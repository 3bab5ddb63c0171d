//! Plans, and a model of a machine that stops at any point.

use super::*;

mod model;

const FILES: Rule = Rule { kind: Kind::Files, on_failure: OnFailure::Stop, applies: true };
const SCRIPT: Rule =
    Rule { kind: Kind::Script(OnInterrupt::Fail), on_failure: OnFailure::Stop, applies: true };
const AGAIN: Rule = Rule { kind: Kind::Script(OnInterrupt::Repeat), ..SCRIPT };

fn rolls_back(rule: Rule) -> Rule {
    Rule { on_failure: OnFailure::RollBack, ..rule }
}

/// Does what the plan says; the steps in `fail` fail. Returns everything that was to be done.
fn drive(plan: &mut DeployPlan, fail: &[usize]) -> Vec<Task> {
    let mut did = Vec::new();
    loop {
        let task = plan.poll_task();
        did.push(task);
        match task {
            Task::Write(record) => plan.handle_written(record),
            Task::Place(step) | Task::Run(step) => {
                plan.handle_done(step, !fail.contains(&step.0));
            }
            Task::PutBack(step) => plan.handle_put_back(step, Back::Done),
            Task::Finish(_) => return did,
        }
    }
}

fn begun(step: usize) -> Record {
    Record::Begun(StepNumber(step))
}

fn ended(step: usize, how: Ended) -> Record {
    Record::Ended(StepNumber(step), how)
}

#[test]
fn each_step_is_written_down_before_and_after_it_in_order() {
    let mut plan = DeployPlan::new(&[FILES, SCRIPT]);
    let did = drive(&mut plan, &[]);
    let expected = [
        Task::Write(begun(0)),
        Task::Place(StepNumber(0)),
        Task::Write(ended(0, Ended::Succeeded)),
        Task::Write(begun(1)),
        Task::Run(StepNumber(1)),
        Task::Write(ended(1, Ended::Succeeded)),
        Task::Write(Record::Finished),
        Task::Finish(Verdict::Passed),
    ];
    assert_eq!(did, expected);
}

#[test]
fn what_is_not_for_the_machine_is_neither_begun_nor_missed() {
    let elsewhere = Rule { applies: false, ..rolls_back(SCRIPT) };
    let mut plan = DeployPlan::new(&[elsewhere, FILES, elsewhere]);
    let did = drive(&mut plan, &[]);
    assert_eq!(did.last(), Some(&Task::Finish(Verdict::Passed)));
    assert!(!did.contains(&Task::Run(StepNumber(0))) && did.contains(&Task::Place(StepNumber(1))));
    assert_eq!(plan.fate(StepNumber(0)), Fate::NotApplicable);
    assert_eq!(plan.fate(StepNumber(1)), Fate::Ended(Ended::Succeeded));

    let mut none = DeployPlan::new(&[]);
    assert_eq!(drive(&mut none, &[]).last(), Some(&Task::Finish(Verdict::Passed)));
}

#[test]
fn a_failure_stops_or_is_gone_past_as_its_step_says() {
    let mut plan = DeployPlan::new(&[FILES, SCRIPT, FILES]);
    let did = drive(&mut plan, &[1]);
    assert_eq!(did.last(), Some(&Task::Finish(Verdict::Failed(StepNumber(1)))));
    assert_eq!(plan.fate(StepNumber(0)), Fate::Ended(Ended::Succeeded), "what was done stays");
    assert_eq!(plan.fate(StepNumber(2)), Fate::LeftOut);

    let goes_on = Rule { on_failure: OnFailure::Continue, ..SCRIPT };
    let mut plan = DeployPlan::new(&[goes_on, FILES]);
    let did = drive(&mut plan, &[0]);
    assert_eq!(did.last(), Some(&Task::Finish(Verdict::Failed(StepNumber(0)))));
    assert_eq!(plan.fate(StepNumber(1)), Fate::Ended(Ended::Succeeded));
}

#[test]
fn file_sets_are_put_back_last_one_first() {
    let mut plan = DeployPlan::new(&[FILES, FILES, FILES, rolls_back(SCRIPT), FILES]);
    let did = drive(&mut plan, &[3]);
    let back: Vec<_> = did.iter().filter(|task| matches!(task, Task::PutBack(_))).collect();
    assert_eq!(
        back,
        [2, 1, 0].map(|step| Task::PutBack(StepNumber(step))).iter().collect::<Vec<_>>()
    );
    assert_eq!(did.last(), Some(&Task::Finish(Verdict::Failed(StepNumber(3)))));
    for step in 0..3 {
        assert_eq!(plan.fate(StepNumber(step)), Fate::PutBack(Back::Done));
    }
    assert_eq!(plan.fate(StepNumber(4)), Fate::LeftOut);
}

#[test]
fn one_that_cannot_be_put_back_does_not_keep_the_others() {
    let mut plan = DeployPlan::new(&[FILES, FILES, rolls_back(SCRIPT)]);
    loop {
        match plan.poll_task() {
            Task::Write(record) => plan.handle_written(record),
            Task::Place(step) => plan.handle_done(step, true),
            Task::Run(step) => plan.handle_done(step, false),
            Task::PutBack(step) => {
                plan.handle_put_back(step, if step.0 == 1 { Back::Failed } else { Back::Done });
            }
            Task::Finish(_) => break,
        }
    }
    assert_eq!(plan.fate(StepNumber(0)), Fate::PutBack(Back::Done));
    assert_eq!(plan.fate(StepNumber(1)), Fate::PutBack(Back::Failed));
}

#[test]
fn a_script_that_was_cut_off_is_not_run_again_unless_it_says_so() {
    let mut plan = DeployPlan::resume(&[SCRIPT], &[begun(0)]).expect("its journal");
    let did = drive(&mut plan, &[]);
    assert_eq!(did[0], Task::Write(ended(0, Ended::Interrupted)));
    assert_eq!(did.last(), Some(&Task::Finish(Verdict::Failed(StepNumber(0)))));

    let mut plan = DeployPlan::resume(&[AGAIN], &[begun(0)]).expect("its journal");
    let did = drive(&mut plan, &[]);
    assert_eq!(did[..2], [Task::Write(begun(0)), Task::Run(StepNumber(0))]);
    assert_eq!(did.last(), Some(&Task::Finish(Verdict::Passed)));
}

#[test]
fn a_script_that_brings_the_machine_down_each_time_is_given_up() {
    let mut journal = Vec::new();
    loop {
        let mut plan = DeployPlan::resume(&[AGAIN], &journal).expect("its journal");
        let Task::Write(record) = plan.poll_task() else { panic!("written first") };
        journal.push(record);
        plan.handle_written(record);
        if plan.poll_task() != Task::Run(StepNumber(0)) {
            break;
        }
    }
    assert_eq!(journal.len(), BEGINNINGS_MAX as usize + 1);
    assert_eq!(journal.last(), Some(&ended(0, Ended::Interrupted)));
}

#[test]
fn a_finished_package_is_not_begun_again() {
    let journal = [begun(0), ended(0, Ended::Succeeded), Record::Finished];
    let plan = DeployPlan::resume(&[SCRIPT], &journal).expect("its journal");
    assert_eq!(plan.poll_task(), Task::Finish(Verdict::Passed));
}

#[test]
fn a_journal_of_something_else_is_refused() {
    let refused: &[(&[Rule], &[Record])] = &[
        (&[SCRIPT], &[begun(1)]),
        (&[SCRIPT, SCRIPT], &[begun(1)]),
        (&[SCRIPT], &[ended(0, Ended::Succeeded)]),
        (&[SCRIPT], &[begun(0), begun(0)]),
        (&[FILES], &[begun(0), ended(0, Ended::Interrupted)]),
        (&[SCRIPT], &[Record::Finished]),
        (&[SCRIPT, SCRIPT], &[begun(0), ended(0, Ended::Failed), begun(1)]),
        (
            &[FILES],
            &[begun(0), ended(0, Ended::Succeeded), Record::PutBack(StepNumber(0), Back::Done)],
        ),
        (&[], &[Record::Finished, Record::Finished]),
        (&[SCRIPT], &[ended(7, Ended::Failed)]),
    ];
    for (rules, journal) in refused {
        let index = journal.len() - 1;
        let resumed = DeployPlan::resume(rules, journal).map(|_| ());
        let record = journal[index];
        assert_eq!(resumed, Err(JournalError::DoesNotFollow { index, record }), "{rules:?}");
    }
}
