//! Tries faults on one scenario and judges what is left.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use nix::sys::signal::Signal;
use random::Random;

use crate::fault::{Fault, Injector};
use crate::scenarios::{Hub, Scenario};
use crate::tracer::{Ended, Program, Tracing, Watch};
use crate::world::{PATIENCE, World};

/// The world before the job.
pub(crate) const BEFORE: &str = "before";
/// What the job's client said.
pub(crate) const CLIENT: &str = "client";
/// What the traced process said.
pub(crate) const OUTPUT: &str = "output";
/// The exit codes that `consign --help` documents.
pub(crate) const DOCUMENTED: [i32; 11] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 130];
const NO_SPACE: i32 = 9;
/// How long a client may find out for itself that its hub is gone.
const LAST_WORDS: Duration = Duration::from_millis(200);
const STEP: Duration = Duration::from_millis(5);

/// A promise that did not hold.
#[derive(Debug)]
pub struct Finding {
    /// What was tried, and what went wrong.
    pub what: String,
    /// The arguments of `cargo xtask crash` that try it again.
    pub again: String,
}

/// What came of the faults that were tried.
#[derive(Debug, Default)]
pub struct Tally {
    /// Faults that happened, by their names on a command line, and at how many of them something
    /// did not hold.
    pub tried: BTreeMap<&'static str, (u64, u64)>,
    /// What did not hold.
    pub findings: Vec<Finding>,
}

impl Tally {
    /// Adds the result of one try.
    pub fn add(&mut self, fault: &'static str, tried: Result<bool, Finding>) {
        let (count, found) = self.tried.entry(fault).or_default();
        match tried {
            Ok(happened) => *count += u64::from(happened),
            Err(finding) => {
                (*count, *found) = (*count + 1, *found + 1);
                self.findings.push(finding);
            }
        }
    }

    /// Faults that happened, of all kinds.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.tried.values().map(|(count, _)| count).sum()
    }
}

/// One scenario in a world of its own.
pub struct Campaign {
    pub(crate) scenario: &'static dyn Scenario,
    pub(crate) world: World,
    pub(crate) points: u64,
    reads: u64,
    pub(crate) seed: u64,
}

/// How a run of the job ended.
pub(crate) struct Attempt {
    /// What faults happen to: the command, or the hub it speaks to.
    subject: Ended,
    /// The command, when it is not the subject.
    client: Option<i32>,
    said: String,
}

impl Attempt {
    /// The job said that it is done.
    pub(crate) fn is_acknowledged(&self) -> bool {
        match self.client {
            Some(code) => code == 0,
            None => self.subject == Ended::Code(0),
        }
    }
}

impl Campaign {
    /// Prepares the scenario's world and counts its points.
    ///
    /// # Errors
    /// When the job fails without any fault.
    pub fn new(scenario: &'static dyn Scenario, program: &Path, seed: u64) -> anyhow::Result<Self> {
        let mut world = World::new(program)?;
        if scenario.hub() != Hub::Absent || scenario.name() == "restore" {
            world.start_hub()?;
        }
        scenario.prepare(&mut world).context("preparing")?;
        world.kill_hub();
        world.hub_options = scenario.hub_options();
        world.keep(BEFORE)?;
        if scenario.hub() == Hub::Steady {
            world.start_hub()?;
        }
        let mut campaign = Self { scenario, world, points: 0, reads: 0, seed };
        campaign.begin(BEFORE)?;
        let counter = Injector::default();
        let attempt = campaign.attempt_with(counter.clone(), None, true)?;
        campaign.judge(&attempt)?;
        ensure!(attempt.is_acknowledged(), "fails without any fault: {}", attempt.said);
        campaign.open()?;
        scenario.done(&campaign.world).context("without any fault")?;
        campaign.points = counter.seen().calls;
        campaign.reads = counter.seen().reads;
        Ok(campaign)
    }

    /// How many calls the job makes that change a file.
    #[must_use]
    pub fn points(&self) -> u64 {
        self.points
    }

    /// How many calls it makes that read one.
    #[must_use]
    pub fn reads(&self) -> u64 {
        self.reads
    }

    /// Lets a fault happen at a call, kills `nested` recoveries one after the other, and recovers;
    /// whether the job came as far as the call.
    ///
    /// # Errors
    /// When a promise does not hold.
    pub fn try_fault(&mut self, number: u64, fault: Fault, nested: u64) -> Result<bool, Finding> {
        let injector = Injector::at(number, fault);
        let tried = self.faulted(&injector, number, fault, nested);
        let hit = injector.seen().hit;
        tried.map(|()| hit.is_some()).map_err(|error| {
            self.finding(
                &format!("{} at {}", fault.name(), hit.unwrap_or_else(|| number.to_string())),
                &format!("--faults {} --at {number} --nested {nested}", fault.name()),
                &error,
            )
        })
    }

    pub(crate) fn finding(&self, tried: &str, again: &str, error: &anyhow::Error) -> Finding {
        let name = self.scenario.name();
        Finding {
            what: format!("{name}: {tried}: {error:#}"),
            again: format!("--scenario {name} --seed {} {again}", self.seed),
        }
    }

    fn faulted(
        &mut self,
        injector: &Injector,
        number: u64,
        fault: Fault,
        nested: u64,
    ) -> anyhow::Result<()> {
        self.begin(BEFORE)?;
        let attempt = self.attempt_with(injector.clone(), None, fault == Fault::Unreadable)?;
        self.judge(&attempt)?;
        // SQLite has other words for it where it opens and maps its files, and their copies.
        let is_sqlites =
            |hit: &String| [".sqlite", "database.tmp"].iter().any(|it| hit.contains(it));
        let hit = injector.seen().hit.filter(|hit| !is_sqlites(hit));
        if fault.is_full_disk() && hit.is_some() {
            let code = attempt.subject;
            let says = [Ended::Code(0), Ended::Code(NO_SPACE)].contains(&code);
            ensure!(says, "a full disk is not named as one, but {code:?}: {}", attempt.said);
        }
        self.recovers(attempt.is_acknowledged(), number, nested)
    }

    /// Recovers, as a user would: by the same command once more.
    pub(crate) fn recovers(
        &mut self,
        is_acknowledged: bool,
        number: u64,
        nested: u64,
    ) -> anyhow::Result<()> {
        let mut random = Random::new(self.seed ^ (number << 20));
        // Looking opens things and so recovers by itself: not before each recovery.
        if is_acknowledged || (nested == 0 && random.below(2) == 0) {
            self.open()?;
            if is_acknowledged {
                self.scenario.done(&self.world).context("it was acknowledged")?;
            } else {
                self.scenario.always(&self.world).context("right after it")?;
            }
            self.close();
        }
        for depth in 1..=nested {
            let at = 1 + random.below(self.points);
            let killed = self.attempt(Injector::at(at, Fault::Kill), None)?;
            self.judge(&killed).with_context(|| format!("recovery {depth}, killed at {at}"))?;
            if killed.is_acknowledged() && !self.scenario.repeats() {
                break;
            }
        }
        self.open()?;
        let output = self.scenario.command(&self.world).output()?;
        let said = [output.stdout, output.stderr].concat();
        fs::write(self.world.beside(CLIENT), &said)?;
        let said = String::from_utf8_lossy(&said);
        let done = self.scenario.done(&self.world).context("run again");
        let may_refuse = done.is_ok() && !self.scenario.repeats();
        ensure!(
            may_refuse || output.status.success(),
            "run again it ends with {}: {said}",
            output.status
        );
        done
    }

    /// Brings the world back to how it was kept.
    pub(crate) fn begin(&mut self, kept: &str) -> anyhow::Result<()> {
        let is_steady = self.scenario.hub() == Hub::Steady;
        if !is_steady {
            self.world.kill_hub();
        }
        self.world.restore(kept, is_steady)?;
        self.start_fresh()
    }

    fn start_fresh(&mut self) -> anyhow::Result<()> {
        if self.scenario.hub() == Hub::Fresh { self.world.start_hub() } else { Ok(()) }
    }

    /// Makes sure that a hub runs, if there is one.
    pub(crate) fn open(&mut self) -> anyhow::Result<()> {
        if self.scenario.hub() == Hub::Subject {
            self.world.kill_hub();
            self.world.start_hub()?;
        }
        Ok(())
    }

    fn close(&mut self) {
        if self.scenario.hub() == Hub::Subject {
            self.world.kill_hub();
        }
    }

    pub(crate) fn roots(&self) -> Vec<PathBuf> {
        self.scenario.roots().iter().map(|root| self.world.path(root)).collect()
    }

    /// Runs the job once, traced.
    pub(crate) fn attempt(
        &mut self,
        watch: impl Watch,
        boot: Option<PathBuf>,
    ) -> anyhow::Result<Attempt> {
        self.attempt_with(watch, boot, false)
    }

    fn attempt_with(
        &mut self,
        watch: impl Watch,
        boot: Option<PathBuf>,
        reads: bool,
    ) -> anyhow::Result<Attempt> {
        // One that is recorded is to be cut off where it told its client that all is done.
        let end = if boot.is_some() { Signal::SIGKILL } else { Signal::SIGTERM };
        let is_hub = self.scenario.hub() == Hub::Subject;
        if is_hub {
            self.world.kill_hub();
        }
        let output = self.world.beside(OUTPUT);
        let command =
            if is_hub { self.world.hub_command() } else { self.scenario.command(&self.world) };
        let program = Program { command, output: output.clone(), roots: self.roots(), reads, boot };
        let tracing = Tracing::start(program, watch)?;
        let (subject, client) = if is_hub {
            serve(
                tracing,
                &output,
                self.scenario.command(&self.world),
                &self.world.beside(CLIENT),
                end,
            )?
        } else {
            (tracing.wait(PATIENCE)?, None)
        };
        let mut said = fs::read_to_string(&output)?;
        if is_hub {
            said += &fs::read_to_string(self.world.beside(CLIENT)).unwrap_or_default();
        }
        Ok(Attempt { subject, client, said })
    }

    /// Whether it ended as documented.
    pub(crate) fn judge(&self, attempt: &Attempt) -> anyhow::Result<()> {
        let said = &attempt.said;
        ensure!(!said.contains("panicked"), "a panic: {said}");
        match attempt.subject {
            Ended::Signal(Signal::SIGKILL) => {}
            Ended::Signal(signal) => bail!("ended by {signal}: {said}"),
            Ended::Code(code) => {
                ensure!(DOCUMENTED.contains(&code), "undocumented exit code {code}: {said}");
                let says_why = code == 0 || said.contains("\"error\"");
                ensure!(says_why, "ended with {code} and does not say why: {said}");
            }
        }
        Ok(())
    }
}

/// Lets a client work with a hub that is traced, and ends the hub.
fn serve(
    hub: Tracing,
    output: &Path,
    mut command: Command,
    said: &Path,
    end: Signal,
) -> anyhow::Result<(Ended, Option<i32>)> {
    let begun = Instant::now();
    while !fs::read_to_string(output)?.contains("listening") {
        if !hub.runs_after(STEP) {
            return Ok((hub.wait(PATIENCE)?, Some(-1)));
        }
        ensure!(begun.elapsed() < PATIENCE, "the hub does not listen");
    }
    let file = fs::File::create(said)?;
    let mut client = Running(command.stdout(file.try_clone()?).stderr(file).spawn()?);
    let mut is_alone = None;
    let code = loop {
        if let Some(status) = client.0.try_wait()? {
            break status.code();
        }
        if is_alone.is_none() && !hub.runs_after(STEP) {
            is_alone = Some(Instant::now());
        } else {
            std::thread::sleep(STEP);
        }
        if is_alone.is_some_and(|since: Instant| since.elapsed() > LAST_WORDS) {
            break None;
        }
        ensure!(begun.elapsed() < 2 * PATIENCE, "the client waits for ever");
    };
    drop(client);
    hub.signal(end);
    Ok((hub.wait(PATIENCE)?, Some(code.unwrap_or(-1))))
}

/// A process that ends with us.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
