//! What `cargo xtask crash` runs: kills, failing calls, power cuts and bit rot, tried on the real program.
//!
//! What is tried and how it is judged is in the crate `faults`; here are the choice of points and
//! the table. Each finding names the arguments that try it again.

mod report;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use faults::{Campaign, Damage, Fault, Scenario, Tally, scenarios};

/// Every so many points the recovery is killed too, [`NESTED`] times one after the other.
const NESTED_EVERY: u64 = 8;
const NESTED: u64 = 5;
/// How many states of the disk are tried at each point of a power cut.
const SAMPLES: u64 = 4;
/// How many kinds of states there are: three plain ones, and as many that are drawn.
const KINDS: u64 = 6;

/// What was asked for.
#[derive(Debug)]
struct Options {
    scenarios: Vec<String>,
    faults: Vec<String>,
    /// How many points of each scenario; all of them when there is no number.
    points: Option<u64>,
    /// Only this one.
    at: Option<u64>,
    nested: Option<u64>,
    /// How many states of the disk after a power cut.
    samples: u64,
    /// Only this state of the disk, or this damage.
    sample: Option<u64>,
    /// Damage only this file.
    file: Option<PathBuf>,
    seed: u64,
    program: Option<PathBuf>,
    /// The document with the table, written anew after each scenario.
    report: Option<PathBuf>,
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Self> {
        let mut options = Self {
            scenarios: Vec::new(),
            faults: Vec::new(),
            points: Some(20),
            at: None,
            nested: None,
            samples: SAMPLES,
            sample: None,
            file: None,
            seed: 1,
            program: None,
            report: None,
        };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let value = arguments.next().with_context(|| format!("{argument} needs a value"))?;
            match argument.as_str() {
                "--scenario" => options.scenarios.push(value.clone()),
                "--faults" => options.faults.extend(value.split(',').map(str::to_owned)),
                "--points" if value == "all" => options.points = None,
                "--points" => options.points = Some(value.parse()?),
                "--at" => options.at = Some(value.parse()?),
                "--nested" => options.nested = Some(value.parse()?),
                "--sample" => options.sample = Some(value.parse()?),
                "--file" => options.file = Some(PathBuf::from(value)),
                "--samples" => options.samples = value.parse()?,
                "--seed" => options.seed = value.parse()?,
                "--program" => options.program = Some(PathBuf::from(value).canonicalize()?),
                "--report" => options.report = Some(PathBuf::from(value)),
                other => bail!("unknown: {other}"),
            }
        }
        Ok(options)
    }

    fn wants(&self, fault: &str) -> bool {
        self.faults.is_empty() || self.faults.iter().any(|wanted| wanted == fault)
    }

    /// Which states of the disk to try at a point: over neighbouring points, all kinds.
    fn samples(&self, point: u64) -> Vec<u64> {
        let stride = (KINDS / self.samples.max(1)).max(1);
        match self.sample {
            Some(sample) => vec![sample],
            None => (0..self.samples).map(|index| (point + index * stride) % KINDS).collect(),
        }
    }

    /// The points to try, spread over all that there are.
    fn points(&self, all: u64) -> Vec<u64> {
        match (self.at, self.points) {
            (Some(at), _) => vec![at],
            (None, Some(few)) if few < all => {
                let offset = self.seed % all.div_ceil(few);
                (0..few).map(|index| 1 + (index * all / few + offset) % all).collect()
            }
            (None, _) => (1..=all).collect(),
        }
    }
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let options = Options::parse(&arguments)?;
    let program = options.program.as_ref().context("which --program?")?;
    let known = scenarios::all();
    for name in &options.scenarios {
        ensure!(known.iter().any(|known| known.name() == name), "no scenario {name}");
    }
    println!("| scenario | calls | points tried | faults | findings | s |");
    println!("|---|---|---|---|---|---|");
    let mut found = 0;
    for scenario in known {
        let wanted = &options.scenarios;
        if wanted.is_empty() || wanted.iter().any(|name| name == scenario.name()) {
            found += try_all(scenario, program, &options)?;
        }
    }
    ensure!(found == 0, "{found} promises did not hold");
    Ok(())
}

fn try_all(scenario: &'static dyn Scenario, program: &Path, options: &Options) -> Result<usize> {
    let begun = Instant::now();
    let mut campaign = Campaign::new(scenario, program, options.seed)
        .with_context(|| scenario.name().to_owned())?;
    let points = options.points(campaign.points());
    let mut tally = Tally::default();
    let wants = |fault: &str| {
        options.wants(fault) && (fault == Fault::Kill.name() || !scenario.is_only_killed())
    };
    for point in &points {
        for fault in Fault::ALL.into_iter().filter(|fault| wants(fault.name())) {
            let deep = fault == Fault::Kill && point % NESTED_EVERY == 0;
            let nested = options.nested.unwrap_or(if deep { NESTED } else { 0 });
            tally.add(fault.name(), campaign.try_fault(*point, fault, nested));
        }
    }
    if wants(Fault::Unreadable.name()) {
        for point in options.points(campaign.reads()) {
            let tried = campaign.try_fault(point, Fault::Unreadable, options.nested.unwrap_or(0));
            tally.add(Fault::Unreadable.name(), tried);
        }
    }
    if wants("power") && scenario.knows_inodes() {
        for point in options.points(campaign.points() + 1) {
            for sample in options.samples(point) {
                let nested = options.nested.unwrap_or(0);
                tally.add("power", campaign.try_live_power_cut(point, sample, nested));
            }
        }
    } else if wants("power") {
        let recording = campaign.record().with_context(|| scenario.name().to_owned())?;
        for point in options.points(recording.points()) {
            for sample in options.samples(point) {
                let deep = point % NESTED_EVERY == sample % NESTED_EVERY;
                let nested = options.nested.unwrap_or(if deep { NESTED } else { 0 });
                tally.add("power", campaign.try_power_cut(&recording, point, sample, nested));
            }
        }
    }
    if wants("rot") {
        let files = match &options.file {
            Some(file) => vec![file.clone()],
            None => campaign.files()?,
        };
        for file in files {
            let kinds = 0..Damage::ALL.len();
            for kind in kinds.filter(|kind| options.sample.is_none_or(|it| it == *kind as u64)) {
                tally.add("rot", campaign.try_damage(&file, kind));
            }
        }
    }
    println!(
        "| {} | {} | {} | {} | {} | {:.0} |",
        scenario.name(),
        campaign.points(),
        points.len(),
        tally.total(),
        tally.findings.len(),
        begun.elapsed().as_secs_f64(),
    );
    if let Some(report) = &options.report {
        report::write(report, scenario, campaign.points(), &tally)?;
    }
    for finding in &tally.findings {
        eprintln!("{}\n  again: cargo xtask crash {}\n", finding.what, finding.again);
    }
    Ok(tally.findings.len())
}
