//! Decides which step of a package is next, what is written down before and after it, and what
//! is put back when it fails.
//!
//! Pure: no files, no processes, no clock; the `deploy` crate drives it. It knows steps by their
//! numbers alone: what one places or runs is the driver's business.
//!
//! The driver does one task at a time and says how it ended; a record of the journal counts
//! once it is durable. Whatever stops the machine, the records that lasted make the same plan
//! again ([`DeployPlan::resume`]). A record that was not acknowledged may have lasted or not.
//!
//! A step is in one of these states:
//!
//! * *waiting*: nothing was done. `Begun` is written before anything is.
//! * *begun*: it may be done now, by the plan that wrote so.
//! * *cut off*: it was begun by a plan that is no more, and nobody knows how far it came. A file
//!   set is begun again, because placing twice is placing once; so is a script that says that
//!   it may be repeated, but not for ever ([`BEGINNINGS_MAX`]). Any other script is written down
//!   as interrupted, which is a failure.
//! * *done*: it was done, and its end is not written yet.
//! * *ended*: succeeded, failed or interrupted, as written.
//! * *put back*, or *not put back*: a file set that had succeeded, after a step whose failure
//!   rolls back; the last one first. One that cannot be put back does not keep the others.
//!
//! Invariants:
//!
//! 1. A step is done only after its `Begun` is durable, and no other one is begun before its
//!    end is. So a script is never begun twice, unless it may be repeated.
//! 2. Nothing is begun after a failure that stops or rolls back; nothing is put back before it.
//! 3. `Finished` is written last. Until then every file set can be put back; from then on the
//!    verdict stands.
//!
//! Start reading at [`DeployPlan::poll_task`].

/// How often a script that may be repeated is begun. One that brings the machine down each time
/// must not do so for ever; more than a few power cuts in one script are a fault of the script.
pub const BEGINNINGS_MAX: u32 = 5;

/// Place of a step in its package, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct StepNumber(pub usize);

/// What holds for one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// What it does.
    pub kind: Kind,
    /// What follows when it fails.
    pub on_failure: OnFailure,
    /// Whether it is for this machine.
    pub applies: bool,
}

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Places files, all or none. Doing it again after it was cut off, or was done, is harmless.
    Files,
    /// Runs a script.
    Script(OnInterrupt),
}

/// What follows when the machine stopped in the middle of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnInterrupt {
    /// It counts as failed.
    Fail,
    /// It is run again.
    Repeat,
}

/// What follows when a step fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// Later steps are left out.
    Stop,
    /// Later steps are done all the same.
    Continue,
    /// Later steps are left out, and the file sets before it are put back.
    RollBack,
}

/// A line of the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record {
    /// The step is about to be done.
    Begun(StepNumber),
    /// The step is over.
    Ended(StepNumber, Ended),
    /// The file set is as it was before the step, or cannot be made so.
    PutBack(StepNumber, Back),
    /// The verdict stands.
    Finished,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// As it should.
    Succeeded,
    /// Not as it should. Of a file set nothing is in place then.
    Failed,
    /// The machine stopped in the middle of a script.
    Interrupted,
}

/// How putting a file set back ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Back {
    /// Everything is as it was.
    Done,
    /// It is not, and somebody has to look.
    Failed,
}

/// What the driver is to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Write this record so that it outlasts a power cut: [`DeployPlan::handle_written`]. When that
    /// fails, stop: the journal says where to go on.
    Write(Record),
    /// Put a file set in place: [`DeployPlan::handle_done`].
    Place(StepNumber),
    /// Run a script: [`DeployPlan::handle_done`].
    Run(StepNumber),
    /// Put a file set back: [`DeployPlan::handle_put_back`].
    PutBack(StepNumber),
    /// Nothing more: this is the verdict, and it is written.
    Finish(Verdict),
}

/// What became of the package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Every step that applies succeeded.
    Passed,
    /// This step was the first to fail.
    Failed(StepNumber),
}

/// What became of a step so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is not for this machine.
    NotApplicable,
    /// It is not over, and may still be begun.
    Open,
    /// It was never begun, and will not be.
    LeftOut,
    /// It is over.
    Ended(Ended),
    /// It succeeded and was put back, or could not be.
    PutBack(Back),
}

/// Why a journal does not belong to a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// No plan for these steps writes this record after those before it: the journal is of
    /// another package, or was changed. Nothing may be done with it.
    #[error("record {index} of the journal, {record:?}, does not follow from those before it")]
    DoesNotFollow {
        /// Its place in the journal, from 0.
        index: usize,
        /// The record.
        record: Record,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Begun,
    CutOff,
    Done(Ended),
    Ended(Ended),
    GoneBack(Back),
    PutBack(Back),
}

#[derive(Debug)]
struct Step {
    rule: Rule,
    state: State,
    beginnings: u32,
}

/// The way of one package through its steps.
#[derive(Debug)]
pub struct DeployPlan {
    steps: Vec<Step>,
    finished: bool,
}

impl DeployPlan {
    /// A plan of which nothing was done.
    #[must_use]
    pub fn new(rules: &[Rule]) -> Self {
        let step = |rule: &Rule| Step { rule: *rule, state: State::Waiting, beginnings: 0 };
        Self { steps: rules.iter().map(step).collect(), finished: false }
    }

    /// The plan of which `journal` is what lasted.
    ///
    /// # Errors
    /// When it is not the journal of such steps.
    pub fn resume(rules: &[Rule], journal: &[Record]) -> Result<Self, JournalError> {
        let mut plan = Self::new(rules);
        for (index, record) in journal.iter().enumerate() {
            if !plan.follows(*record) {
                return Err(JournalError::DoesNotFollow { index, record: *record });
            }
            plan.note(*record);
            if let Record::Begun(step) = record {
                plan.steps[step.0].state = State::CutOff;
            }
        }
        Ok(plan)
    }

    /// The record is durable.
    ///
    /// # Panics
    /// If it is not the one that was to be written.
    pub fn handle_written(&mut self, record: Record) {
        assert_eq!(self.poll_task(), Task::Write(record), "what is asked for is written");
        self.note(record);
    }

    /// A file set was placed or a script was run.
    ///
    /// # Panics
    /// If that was not to be done.
    pub fn handle_done(&mut self, step: StepNumber, succeeded: bool) {
        let asked = matches!(self.poll_task(), Task::Place(it) | Task::Run(it) if it == step);
        assert!(asked, "what is asked for is done");
        let ended = if succeeded { Ended::Succeeded } else { Ended::Failed };
        self.steps[step.0].state = State::Done(ended);
    }

    /// A file set was put back, or could not be.
    ///
    /// # Panics
    /// If that was not to be done.
    pub fn handle_put_back(&mut self, step: StepNumber, back: Back) {
        assert_eq!(self.poll_task(), Task::PutBack(step), "what is asked for is put back");
        self.steps[step.0].state = State::GoneBack(back);
    }

    /// What is to be done next; the same answer until it was done.
    #[must_use]
    pub fn poll_task(&self) -> Task {
        for (number, step) in self.applicable() {
            match step.state {
                State::Waiting => return Task::Write(Record::Begun(number)),
                State::CutOff if step.may_begin_again() => {
                    return Task::Write(Record::Begun(number));
                }
                State::CutOff => {
                    return Task::Write(Record::Ended(number, Ended::Interrupted));
                }
                State::Begun => {
                    return match step.rule.kind {
                        Kind::Files => Task::Place(number),
                        Kind::Script(_) => Task::Run(number),
                    };
                }
                State::Done(ended) => return Task::Write(Record::Ended(number, ended)),
                State::Ended(Ended::Failed | Ended::Interrupted) => match step.rule.on_failure {
                    OnFailure::Continue => {}
                    OnFailure::Stop => break,
                    OnFailure::RollBack => match self.poll_roll_back() {
                        Some(task) => return task,
                        None => break,
                    },
                },
                State::Ended(Ended::Succeeded) | State::GoneBack(_) | State::PutBack(_) => {}
            }
        }
        if self.finished { Task::Finish(self.verdict()) } else { Task::Write(Record::Finished) }
    }

    /// What became of a step so far; final once the plan says [`Task::Finish`].
    ///
    /// # Panics
    /// If there is no such step.
    #[must_use]
    pub fn fate(&self, step: StepNumber) -> Fate {
        let stopped = self.stopped_at().is_some_and(|stopped| stopped < step);
        let Step { rule, state, .. } = &self.steps[step.0];
        match state {
            State::Waiting if !rule.applies => Fate::NotApplicable,
            State::Waiting if stopped => Fate::LeftOut,
            State::Waiting | State::Begun | State::CutOff | State::Done(_) => Fate::Open,
            State::Ended(ended) => Fate::Ended(*ended),
            State::GoneBack(_) => Fate::Ended(Ended::Succeeded),
            State::PutBack(back) => Fate::PutBack(*back),
        }
    }

    /// Whether a record is one that could be written now, or after what is to be done now.
    fn follows(&self, record: Record) -> bool {
        let task = self.poll_task();
        match record {
            // Whoever wrote this lived on and saw the end of what it had begun.
            Record::Ended(StepNumber(step), Ended::Succeeded | Ended::Failed) => {
                self.steps.get(step).is_some_and(|step| step.state == State::CutOff)
            }
            Record::PutBack(step, _) => task == Task::PutBack(step),
            Record::Begun(_) | Record::Ended(_, Ended::Interrupted) | Record::Finished => {
                task == Task::Write(record)
            }
        }
    }

    /// Takes over a record that fits.
    fn note(&mut self, record: Record) {
        match record {
            Record::Begun(step) => {
                let step = &mut self.steps[step.0];
                step.state = State::Begun;
                step.beginnings += 1;
            }
            Record::Ended(step, ended) => self.steps[step.0].state = State::Ended(ended),
            Record::PutBack(step, back) => self.steps[step.0].state = State::PutBack(back),
            Record::Finished => self.finished = true,
        }
    }

    /// The file set to put back next, or what is to be written of the last one.
    fn poll_roll_back(&self) -> Option<Task> {
        // Only steps before the one that failed were ever begun.
        self.applicable().rev().find_map(|(number, step)| match (step.rule.kind, step.state) {
            (Kind::Files, State::Ended(Ended::Succeeded)) => Some(Task::PutBack(number)),
            (_, State::GoneBack(back)) => Some(Task::Write(Record::PutBack(number, back))),
            _ => None,
        })
    }

    /// The step after which nothing is begun.
    fn stopped_at(&self) -> Option<StepNumber> {
        let stops = |step: &Step| step.failed() && step.rule.on_failure != OnFailure::Continue;
        self.applicable().find(|(_, step)| stops(step)).map(|(number, _)| number)
    }

    fn verdict(&self) -> Verdict {
        let failed = self.applicable().find(|(_, step)| step.failed());
        failed.map_or(Verdict::Passed, |(number, _)| Verdict::Failed(number))
    }

    fn applicable(&self) -> impl DoubleEndedIterator<Item = (StepNumber, &Step)> {
        let numbered = self.steps.iter().enumerate();
        numbered.filter(|(_, step)| step.rule.applies).map(|(at, step)| (StepNumber(at), step))
    }
}

impl Step {
    fn failed(&self) -> bool {
        matches!(self.state, State::Ended(Ended::Failed | Ended::Interrupted))
    }

    /// Whether it may be begun again after it was cut off.
    fn may_begin_again(&self) -> bool {
        match self.rule.kind {
            Kind::Files => true,
            Kind::Script(OnInterrupt::Repeat) => self.beginnings < BEGINNINGS_MAX,
            Kind::Script(OnInterrupt::Fail) => false,
        }
    }
}

#[cfg(test)]
mod tests;
