//! Applies a package to this machine.

mod reason;

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use deploy_plan::{Back, DeployPlan, Ended, Fate, Kind, Record, Rule, StepNumber, Task};
use directory::Root;
use package::receipt::Ran;
use package::{
    Action, BoundsError, OnFailure, OnInterrupt, Outcome, Package, Receipt, Step, StepReceipt,
    Verdict,
};

use crate::facts::MachineFacts;
use crate::files::{FilesAt, FilesError};
use crate::journal::{Entry, Header, Journal, JournalError};
use crate::script::{Launch, Runner, ScriptFacts, settle};
use crate::{durable, installed};

/// How long a script of a process that was killed is waited for: its supervisor kills it at once.
const SETTLE_WITHIN: Duration = Duration::from_secs(60);

/// A child of this process that does not run its own program yet holds a lock that was given back: for so
/// long it is looked again.
const LOCK_TRIES: u32 = 25;
const LOCK_STEP: Duration = Duration::from_millis(10);

/// What is to be applied, and where.
#[derive(Debug, Clone, Copy)]
pub struct Application<'a> {
    /// The instructions.
    pub package: &'a Package,
    /// The directory with the package's tree. It must not change meanwhile.
    pub tree: &'a Path,
    /// What its conditions are held against.
    pub machine: &'a MachineFacts,
    /// What remembers it.
    pub state: &'a State,
    /// How the helper for scripts is started.
    pub launch: &'a Launch,
    /// Whose delivery this is, by a word of its sender's of hexadecimal digits. Applying the same
    /// delivery again returns what became of it the first time, until it is [forgotten](forget).
    pub delivery: Option<&'a str>,
}

/// The directory that remembers what is applied, and that nobody else applies anything with.
#[derive(Debug)]
pub struct State {
    path: PathBuf,
    _lock: File,
}

impl State {
    /// Takes a directory, which is ours alone; it is made when it is missing.
    ///
    /// # Errors
    /// [`ApplyError::InUse`], or when it cannot be made.
    pub fn take(path: &Path) -> Result<Self, ApplyError> {
        // The helper for scripts works elsewhere.
        let path = &std::path::absolute(path).map_err(failed(path))?;
        let lock = path.join("lock");
        let new: Vec<_> = path.ancestors().take_while(|it| !it.exists()).collect();
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed(path))?;
        // A journal in a directory that a power cut takes away remembers nothing.
        for made in new {
            durable::sync_parent(made).map_err(failed(made))?;
        }
        // Who can change it decides what is put where.
        let facts = fs::metadata(path).map_err(failed(path))?;
        if facts.uid() != rustix::process::geteuid().as_raw() || facts.mode() & 0o022 != 0 {
            let reason = "it is not ours alone: others may change it";
            let error = io::Error::new(io::ErrorKind::PermissionDenied, reason);
            return Err(failed(path)(error));
        }
        let file = fs::OpenOptions::new().write(true).create(true).truncate(false).open(&lock);
        let file = file.map_err(failed(&lock))?;
        let mut tries = 0;
        loop {
            match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Self { path: path.to_owned(), _lock: file }),
                Err(rustix::io::Errno::WOULDBLOCK) if tries < LOCK_TRIES => {
                    tries += 1;
                    std::thread::sleep(LOCK_STEP);
                }
                Err(rustix::io::Errno::WOULDBLOCK) => {
                    return Err(ApplyError::InUse(path.to_owned()));
                }
                Err(errno) => return Err(failed(&lock)(errno.into())),
            }
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// What applying a package would come to, as far as that is known before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// The verdict, when nothing would be begun.
    pub verdict: Option<Verdict>,
    /// Of each step, why it would be left out, if it would be.
    pub not_applicable: Vec<Option<String>>,
}

/// Says what applying a package would come to, and touches nothing.
///
/// # Errors
/// When the state cannot be read.
pub fn preview(
    package: &Package,
    machine: &MachineFacts,
    state: &Path,
) -> Result<Preview, ApplyError> {
    let verdict = beforehand(package, machine, state)?;
    Ok(Preview { verdict, not_applicable: reasons(package, machine) })
}

/// What happens, as it happens.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// An earlier process was stopped in the middle of this package.
    Resumed,
    /// A step begins; its number, from 0.
    Begun(usize),
    /// A step is over.
    Ended(usize, &'a StepReceipt),
    /// A file set was put back, or could not be: why.
    PutBack(usize, Option<&'a str>),
}

/// Why a package was not carried to its end. What was done is in the journal; applying it again
/// goes on.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The instructions break a bound: they are not of a package.
    #[error("not the instructions of a package")]
    Bounds(#[from] BoundsError),
    /// Another process applies a package with the same state. Wait for it.
    #[error("another process applies a package with the state in {0}")]
    InUse(PathBuf),
    /// A package was begun and not finished, or this one with other instructions. Apply that one again
    /// first.
    #[error("{name} {version} was begun and is not finished; apply it again first, as it was")]
    Unfinished {
        /// Its name.
        name: String,
        /// Its version.
        version: String,
    },
    /// A file of the state directory cannot be used.
    #[error("cannot use {path}")]
    State {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The journal does not fit the package it names.
    #[error("the journal does not fit its package")]
    Plan(#[from] deploy_plan::JournalError),
    /// Files are in place in part, and can be put neither there nor back.
    #[error(transparent)]
    Files(#[from] FilesError),
}

/// Applies a package, or goes on with it, and says what became of it.
///
/// What it returns is durable in the state directory, and what was replaced is removed.
///
/// # Errors
/// See [`ApplyError`].
pub fn apply(
    application: &Application<'_>,
    tell: &mut dyn FnMut(Event<'_>),
) -> Result<Receipt, ApplyError> {
    let Application { package, machine, delivery, .. } = *application;
    let state = application.state.path();
    let instructions = blake3::hash(&package.encode()?).to_hex().to_string();
    let path = state.join("journal");
    if let Some(delivery) = delivery
        && let Some(receipt) = installed::delivered(state, delivery)?
        // One that is in the journal still is not over: what it replaced is to be removed.
        && Journal::open(&path)?.is_none_or(|(_, header, _)| header.instructions != instructions)
    {
        return Ok(receipt);
    }
    settle(state, SETTLE_WITHIN).map_err(failed(&state.join("running")))?;
    let (journal, header, entries) = match Journal::open(&path)? {
        Some((_, header, _)) if header.instructions != instructions => {
            let Header { name, version, .. } = header;
            return Err(ApplyError::Unfinished { name, version });
        }
        Some(found) => {
            tell(Event::Resumed);
            found
        }
        None => {
            if let Some(verdict) = beforehand(package, machine, state)? {
                let receipt = untouched(package, machine, verdict);
                installed::keep_receipt(state, &receipt, delivery)?;
                return Ok(receipt);
            }
            let header = Header {
                name: package.name.clone(),
                version: package.version.clone(),
                instructions,
                not_applicable: reasons(package, machine),
            };
            (Journal::create(&path, &header)?, header, Vec::new())
        }
    };
    let records: Vec<_> = entries.iter().map(Entry::record).collect();
    let rules = rules(package, &header.not_applicable);
    let plan = DeployPlan::resume(&rules, &records)?;
    let steps = vec![None; package.steps.len()];
    let mut work =
        Work { application, header, journal, steps, failed: BTreeMap::new(), kept_bytes: 0 };
    entries.iter().for_each(|entry| work.recall(entry));
    work.run(plan, tell)
}

/// What is known before anything is touched, and ends it there.
fn beforehand(
    package: &Package,
    machine: &MachineFacts,
    state: &Path,
) -> Result<Option<Verdict>, ApplyError> {
    if let Some(reason) = machine.lacks(&package.when) {
        return Ok(Some(Verdict::NotApplicable(reason)));
    }
    let there = installed(state)?;
    for required in &package.requires {
        let version = there.get(&required.name);
        let asked = required.version.as_deref();
        let fits = version.is_some_and(|version| asked.is_none_or(|asked| asked == version));
        if !fits {
            let has = version.map_or("it is not here".to_owned(), |it| format!("{it} is here"));
            let asked = asked.map_or(String::new(), |asked| format!(" {asked}"));
            let reason = format!("it needs {}{asked}, and {has}", required.name);
            return Ok(Some(Verdict::Failed(reason)));
        }
    }
    let conflict = package.conflicts.iter().find(|name| there.contains_key(*name));
    Ok(conflict.map(|name| Verdict::Failed(format!("it cannot be where {name} is"))))
}

/// Why each step does not apply, if it does not.
fn reasons(package: &Package, machine: &MachineFacts) -> Vec<Option<String>> {
    package.steps.iter().map(|step| machine.lacks(&step.when)).collect()
}

/// The receipt of a package of which nothing was begun.
fn untouched(package: &Package, machine: &MachineFacts, verdict: Verdict) -> Receipt {
    let of_step = |(step, reason): (&Step, Option<String>)| {
        let outcome = match (&verdict, reason) {
            (Verdict::NotApplicable(reason), _) => Outcome::NotApplicable(reason.clone()),
            (Verdict::Passed | Verdict::Failed(_), Some(reason)) => Outcome::NotApplicable(reason),
            (Verdict::Passed | Verdict::Failed(_), None) => Outcome::LeftOut,
        };
        never_begun(step, outcome)
    };
    let steps = package.steps.iter().zip(reasons(package, machine)).map(of_step).collect();
    let (package, version) = (package.name.clone(), package.version.clone());
    Receipt { package, version, verdict, steps }
}

fn never_begun(step: &Step, outcome: Outcome) -> StepReceipt {
    StepReceipt { name: step.name.clone(), outcome, begun_ms: 0, took: Duration::ZERO }
}

fn rules(package: &Package, not_applicable: &[Option<String>]) -> Vec<Rule> {
    let rule = |(number, step): (usize, &Step)| Rule {
        kind: match &step.action {
            Action::Files(_) => Kind::Files,
            Action::Script(script) => Kind::Script(match script.on_interrupt {
                OnInterrupt::Fail => deploy_plan::OnInterrupt::Fail,
                OnInterrupt::Repeat => deploy_plan::OnInterrupt::Repeat,
            }),
        },
        on_failure: match step.on_failure {
            OnFailure::Stop => deploy_plan::OnFailure::Stop,
            OnFailure::Continue => deploy_plan::OnFailure::Continue,
            OnFailure::RollBack => deploy_plan::OnFailure::RollBack,
        },
        applies: !matches!(not_applicable.get(number), Some(Some(_))),
    };
    package.steps.iter().enumerate().map(rule).collect()
}

/// A package under way.
struct Work<'a> {
    application: &'a Application<'a>,
    header: Header,
    journal: Journal,
    /// What is known of each step; what was begun and has no end yet is *interrupted*.
    steps: Vec<Option<StepReceipt>>,
    /// File sets that could not be put back, and why.
    failed: BTreeMap<usize, String>,
    /// Bytes of outputs that are kept so far.
    kept_bytes: usize,
}

impl Work<'_> {
    /// Takes over what an earlier process wrote.
    fn recall(&mut self, entry: &Entry) {
        match entry {
            Entry::Begun { step, at_ms } => self.begin(*step, *at_ms),
            Entry::Ended { step, .. } => {
                if let Some(receipt) = entry.receipt() {
                    self.end(*step, receipt);
                }
            }
            Entry::PutBack { step, failed } => self.put_back(*step, failed.clone()),
            Entry::Finished => {}
        }
    }

    fn run(
        mut self,
        mut plan: DeployPlan,
        tell: &mut dyn FnMut(Event<'_>),
    ) -> Result<Receipt, ApplyError> {
        let files = FilesAt::new(self.application.state.path());
        let tree = Root::open(self.application.tree).map_err(failed(self.application.tree))?;
        let verdict = loop {
            match plan.poll_task() {
                Task::Write(record) => {
                    let entry = self.entry(record);
                    self.journal.write(&entry)?;
                    plan.handle_written(record);
                    self.tell(record, tell);
                }
                Task::Place(StepNumber(number)) | Task::Run(StepNumber(number)) => {
                    let begun = Instant::now();
                    let outcome = self.carry_out(number, &files, &tree)?;
                    let succeeded = succeeded(&outcome);
                    let begun_ms = self.steps[number].as_ref().map_or(0, |step| step.begun_ms);
                    let name = self.application.package.steps[number].name.clone();
                    // As receipts tell it.
                    let micros = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
                    let took = Duration::from_micros(micros);
                    self.end(number, StepReceipt { name, outcome, begun_ms, took });
                    plan.handle_done(StepNumber(number), succeeded);
                }
                Task::PutBack(step) => {
                    let back = files.put_back(step.0);
                    plan.handle_put_back(
                        step,
                        if back.is_ok() { Back::Done } else { Back::Failed },
                    );
                    self.put_back(step.0, back.err());
                }
                Task::Finish(verdict) => break verdict,
            }
        };
        let receipt = self.receipt(&plan, verdict);
        let state = self.application.state.path();
        installed::keep_receipt(state, &receipt, self.application.delivery)?;
        match &receipt.verdict {
            Verdict::Passed => installed::add(state, &receipt.package, &receipt.version)?,
            Verdict::Failed(_) if self.is_as_before() => {}
            Verdict::Failed(_) | Verdict::NotApplicable(_) => {
                installed::remove(state, &receipt.package)?;
            }
        }
        for number in 0..self.steps.len() {
            // What somebody has to look at stays, and so does what cannot be removed: that is room
            // on the disk, and no reason to call the package unfinished.
            if self.failed.contains_key(&number) || files.forget(number).is_err() {
                files.leave(number).map_err(failed(state))?;
            }
        }
        self.journal.remove()?;
        Ok(receipt)
    }

    /// Whether what was there before is there again, or still.
    fn is_as_before(&self) -> bool {
        let outcomes = || self.steps.iter().flatten().map(|step| &step.outcome);
        let was_put_back = outcomes().any(|outcome| matches!(outcome, Outcome::PutBack(_)));
        let ran = |outcome: &Outcome| matches!(outcome, Outcome::Ran(_) | Outcome::Interrupted);
        let is_placed = outcomes().any(|outcome| matches!(outcome, Outcome::Placed(_)));
        self.failed.is_empty() && !is_placed && (was_put_back || !outcomes().any(ran))
    }

    fn carry_out(
        &mut self,
        number: usize,
        files: &FilesAt,
        tree: &Root,
    ) -> Result<Outcome, ApplyError> {
        let Application { package, state, launch, .. } = *self.application;
        let step = &package.steps[number];
        match &step.action {
            Action::Files(set) => match files.place(number, set, tree) {
                Ok(placed) => Ok(Outcome::Placed(placed)),
                Err(FilesError::NotPlaced(reason)) => Ok(Outcome::NotPlaced(reason)),
                Err(stuck @ FilesError::Stuck { .. }) => Err(stuck.into()),
            },
            Action::Script(script) => {
                let runner =
                    Runner { launch: launch.clone(), state: Some(state.path().to_owned()) };
                let facts = ScriptFacts {
                    package: package.name.clone(),
                    version: package.version.clone(),
                    step: step.name.clone(),
                    targets: package.targets().map(str::to_owned).collect(),
                };
                Ok(match runner.run(script, &facts, self.application.tree) {
                    Ok(mut ran) => {
                        self.shorten(&mut ran);
                        Outcome::Ran(ran)
                    }
                    Err(reason) => Outcome::NotStarted(reason.to_string()),
                })
            }
        }
    }

    /// Keeps no more of what scripts say than a receipt holds.
    fn shorten(&self, ran: &mut Ran) {
        let room = package::receipt::RECEIPT_BYTES_MAX.saturating_sub(self.kept_bytes);
        for output in [&mut ran.error, &mut ran.output] {
            output.bytes.truncate(room / 2);
        }
    }

    fn begin(&mut self, number: usize, at_ms: u64) {
        let step = &self.application.package.steps[number];
        // Of one that is begun again, the first beginning counts.
        let receipt = StepReceipt { begun_ms: at_ms, ..never_begun(step, Outcome::Interrupted) };
        self.steps[number].get_or_insert(receipt);
    }

    fn end(&mut self, number: usize, receipt: StepReceipt) {
        if let Outcome::Ran(ran) = &receipt.outcome {
            self.kept_bytes += ran.output.bytes.len() + ran.error.bytes.len();
        }
        self.steps[number] = Some(receipt);
    }

    fn put_back(&mut self, number: usize, why_not: Option<String>) {
        match why_not {
            Some(reason) => {
                self.failed.insert(number, reason);
            }
            None => {
                if let Some(step) = &mut self.steps[number]
                    && let Outcome::Placed(placed) = step.outcome
                {
                    step.outcome = Outcome::PutBack(placed);
                }
            }
        }
    }

    /// What is written of a record.
    fn entry(&mut self, record: Record) -> Entry {
        match record {
            Record::Begun(StepNumber(step)) => {
                let at_ms = now_ms();
                self.begin(step, at_ms);
                Entry::Begun { step, at_ms }
            }
            Record::Ended(StepNumber(step), ended) => {
                let receipt = self.steps[step].clone();
                let receipt = receipt.expect("what ended was begun");
                Entry::ended(StepNumber(step), ended, receipt)
                    .expect("its name and outcome were checked and shortened")
            }
            Record::PutBack(StepNumber(step), _) => {
                Entry::PutBack { step, failed: self.failed.get(&step).cloned() }
            }
            Record::Finished => Entry::Finished,
        }
    }

    fn tell(&self, record: Record, tell: &mut dyn FnMut(Event<'_>)) {
        match record {
            Record::Begun(step) => tell(Event::Begun(step.0)),
            Record::Ended(step, Ended::Succeeded | Ended::Failed | Ended::Interrupted) => {
                if let Some(receipt) = &self.steps[step.0] {
                    tell(Event::Ended(step.0, receipt));
                }
            }
            Record::PutBack(step, _) => {
                tell(Event::PutBack(step.0, self.failed.get(&step.0).map(String::as_str)));
            }
            Record::Finished => {}
        }
    }

    fn receipt(&self, plan: &DeployPlan, verdict: deploy_plan::Verdict) -> Receipt {
        let package = self.application.package;
        let of_step = |(number, step): (usize, &Step)| match plan.fate(StepNumber(number)) {
            Fate::NotApplicable => {
                let reason = self.header.not_applicable.get(number).cloned().flatten();
                never_begun(step, Outcome::NotApplicable(reason.unwrap_or_default()))
            }
            Fate::LeftOut | Fate::Open => never_begun(step, Outcome::LeftOut),
            Fate::Ended(_) | Fate::PutBack(_) => {
                let known = self.steps[number].clone();
                known.unwrap_or_else(|| never_begun(step, Outcome::Interrupted))
            }
        };
        let steps: Vec<_> = package.steps.iter().enumerate().map(of_step).collect();
        let verdict = match verdict {
            deploy_plan::Verdict::Passed => Verdict::Passed,
            deploy_plan::Verdict::Failed(StepNumber(number)) => {
                let mut reason = reason::of(self.application.package, number, &steps[number]);
                for (number, why) in &self.failed {
                    reason.push_str(&format!("; {} is not put back: {why}", steps[*number].name));
                }
                Verdict::Failed(reason)
            }
        };
        let (package, version) = (package.name.clone(), package.version.clone());
        let mut receipt = Receipt { package, version, verdict, steps };
        receipt.shorten();
        receipt
    }
}

fn succeeded(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Placed(_) => true,
        Outcome::Ran(ran) => ran.is_expected,
        Outcome::NotApplicable(_)
        | Outcome::LeftOut
        | Outcome::PutBack(_)
        | Outcome::NotPlaced(_)
        | Outcome::NotStarted(_)
        | Outcome::Interrupted => false,
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

pub(crate) fn failed(path: &Path) -> impl Fn(io::Error) -> ApplyError {
    move |source| ApplyError::State { path: path.to_owned(), source }
}

/// The last receipt of a package, as it was kept.
///
/// # Errors
/// When there is none, or it cannot be read.
pub fn receipt(state: &Path, package: &str) -> Result<Receipt, ApplyError> {
    let path = installed::receipt_path(state, package);
    let bytes = fs::read(&path).map_err(failed(&path))?;
    Receipt::decode(&bytes)
        .map_err(|error| failed(&path)(io::Error::new(io::ErrorKind::InvalidData, error)))
}

/// Forgets what became of a delivery: whoever sent it knows.
///
/// # Errors
/// When it cannot be removed.
pub fn forget(state: &Path, delivery: &str) -> Result<(), ApplyError> {
    installed::forget(state, delivery)
}

/// Writes a file of the state directory.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), ApplyError> {
    durable::write(path, bytes).map_err(failed(path))
}
