//! Power cuts: the job is recorded once, then what the disk may hold at each point is tried.
//!
//! Of a job that knows files by their inodes a record is no help: it is run up to each point, and
//! what it left is made what the disk may hold.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use anyhow::Context as _;
use random::Random;

use crate::call::Call;
use crate::campaign::{BEFORE, CLIENT, Campaign, Finding};
use crate::disk::{Log, Recorder, Survivors};
use crate::scenarios::Hub;
use crate::tracer::{Verdict, Watch};
use crate::world::remove;

/// The world after the job.
const AFTER: &str = "after";

/// What the job did to the disk.
#[derive(Debug)]
pub struct Recording {
    log: Log,
    points: u64,
    /// The first call before which the hub had heard of the job.
    heard: u64,
    /// What the job's client said.
    said: Vec<u8>,
}

impl Recording {
    /// How many points there are: before each call, and after the last one.
    #[must_use]
    pub fn points(&self) -> u64 {
        self.points
    }
}

impl Campaign {
    /// Runs the job once and records it.
    ///
    /// # Errors
    /// When it does what the model of the disk does not know.
    pub fn record(&mut self) -> anyhow::Result<Recording> {
        self.begin(BEFORE)?;
        let recorder = Recorder::new(&self.world.path("."), &self.roots())?;
        let boot = self.next_boot()?;
        let listener = Listener::new(recorder.clone(), self.world.path("hub"));
        let heard = Arc::clone(&listener.heard);
        let attempt = self.attempt(listener, Some(boot))?;
        self.judge(&attempt)?;
        anyhow::ensure!(attempt.is_acknowledged(), "fails when it is recorded");
        self.world.keep(AFTER)?;
        let (log, calls) = recorder.finish()?;
        let said = fs::read(self.world.beside(CLIENT)).unwrap_or_default();
        Ok(Recording { log, points: calls + 1, heard: heard.load(Relaxed), said })
    }

    /// Cuts the power before a call, writes one of the states the disk may be left in, and
    /// recovers.
    ///
    /// # Errors
    /// When a promise does not hold.
    pub fn try_power_cut(
        &mut self,
        recording: &Recording,
        number: u64,
        sample: u64,
        nested: u64,
    ) -> Result<bool, Finding> {
        self.try_cut((number, sample, nested), |campaign, survivors, random| {
            campaign.after_cut(recording, number, survivors, random, nested).map(|()| true)
        })
    }

    /// Runs the job up to a call, cuts the power there and recovers; whether it came so far.
    ///
    /// # Errors
    /// When a promise does not hold.
    pub fn try_live_power_cut(
        &mut self,
        number: u64,
        sample: u64,
        nested: u64,
    ) -> Result<bool, Finding> {
        self.try_cut((number, sample, nested), |campaign, survivors, random| {
            campaign.cut_live(number, survivors, random, nested)
        })
    }

    /// Cuts the power in the way that the numbers draw, which a finding names.
    fn try_cut(
        &mut self,
        (number, sample, nested): (u64, u64, u64),
        cut: impl FnOnce(&mut Self, Survivors, &mut Random) -> anyhow::Result<bool>,
    ) -> Result<bool, Finding> {
        let mut random = Random::new(self.seed ^ (number << 32) ^ (sample << 16));
        let survivors = Survivors::of(sample, &mut random);
        cut(self, survivors, &mut random).map_err(|error| {
            let tried = format!("power cut before {number}, {survivors:?}");
            let again = format!("--faults power --at {number} --sample {sample} --nested {nested}");
            self.finding(&tried, &again, &error)
        })
    }

    /// A file that names another boot: after a cut the machine is started again.
    fn next_boot(&self) -> anyhow::Result<PathBuf> {
        let boot = self.world.beside("boot");
        fs::write(&boot, "00000000-0000-0000-0000-00000000dead\n")?;
        Ok(boot)
    }

    fn cut_live(
        &mut self,
        number: u64,
        survivors: Survivors,
        random: &mut Random,
        nested: u64,
    ) -> anyhow::Result<bool> {
        self.begin(BEFORE)?;
        let recorder = Recorder::new(&self.world.path("."), &self.roots())?;
        let boot = self.next_boot()?;
        let cutter = Cutter { recorder: recorder.clone(), number };
        let attempt = self.attempt(cutter, Some(boot))?;
        self.judge(&attempt)?;
        let inodes = recorder.inodes();
        let (log, calls) = recorder.finish()?;
        let aside = self.world.beside("aside");
        remove(&aside)?;
        fs::create_dir(&aside)?;
        let remains = log.cut(number, survivors, random);
        remains
            .arrange(&self.world.path("."), &self.roots(), &inodes, &aside)
            .context("arranging what is left")?;
        self.recovers(attempt.is_acknowledged(), number, nested)?;
        Ok(calls + 1 >= number)
    }

    fn after_cut(
        &mut self,
        recording: &Recording,
        number: u64,
        survivors: Survivors,
        random: &mut Random,
        nested: u64,
    ) -> anyhow::Result<()> {
        let is_done = number >= recording.points;
        // What others remember of the job must fit to what was recorded of it: a client must not
        // know more than its hub, and a hub hears of nothing before it is told.
        let others = match self.scenario.hub() {
            Hub::Subject if !is_done => BEFORE,
            Hub::Fresh if number < recording.heard => BEFORE,
            Hub::Subject | Hub::Fresh | Hub::Steady | Hub::Absent => AFTER,
        };
        self.begin(others)?;
        fs::write(self.world.beside(CLIENT), &recording.said)?;
        for root in self.roots() {
            remove(&root)?;
        }
        let remains = recording.log.cut(number, survivors, random);
        remains.write_to(&self.world.path(".")).context("writing what is left")?;
        // After its last call the job has said that it is done, and so that all of it lasts.
        self.recovers(is_done && self.scenario.is_all_recorded(), number, nested)
    }
}

/// Records what comes before a call, and kills there.
struct Cutter {
    recorder: Recorder,
    number: u64,
}

impl Watch for Cutter {
    fn before(&mut self, number: u64, call: &Call) -> Verdict {
        if number >= self.number { Verdict::Kill } else { self.recorder.before(number, call) }
    }

    fn after(&mut self, call: &Call, result: i64) {
        self.recorder.after(call, result);
    }
}

/// A recorder that notices when the hub has changed its database.
struct Listener {
    recorder: Recorder,
    hub: PathBuf,
    at_first: Vec<(u64, i64, i64)>,
    /// The number of the first call after that; the greatest number until then.
    heard: Arc<AtomicU64>,
}

impl Listener {
    fn new(recorder: Recorder, hub: PathBuf) -> Self {
        let mut listener =
            Self { recorder, hub, at_first: Vec::new(), heard: Arc::new(u64::MAX.into()) };
        listener.at_first = listener.stamps();
        listener
    }

    fn stamps(&self) -> Vec<(u64, i64, i64)> {
        let files = ["hub.sqlite", "hub.sqlite-wal"].map(|name| self.hub.join(name));
        let found = files.iter().filter_map(|path| path.metadata().ok());
        found.map(|found| (found.size(), found.mtime(), found.mtime_nsec())).collect()
    }
}

impl Watch for Listener {
    fn before(&mut self, number: u64, call: &Call) -> Verdict {
        if self.heard.load(Relaxed) == u64::MAX && self.stamps() != self.at_first {
            self.heard.store(number, Relaxed);
        }
        self.recorder.before(number, call)
    }

    fn after(&mut self, call: &Call, result: i64) {
        self.recorder.after(call, result);
    }
}
