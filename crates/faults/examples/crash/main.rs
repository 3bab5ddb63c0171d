//! What `cargo xtask crash` runs: kills, failing calls, power cuts and bit rot, tried on the real program.
//!
//! What is tried and how it is judged is in the crate `faults`; here are the choice of points and
//! the table. Each finding names the arguments that try it again.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use faults::{Campaign, Damage, Fault, Scenario, Tally, scenarios};

/// Every so many points the recovery is killed too, [`NESTED`] times one after the other.
const NESTED_EVERY: u64 = 8;
const NESTED: u64 = 5;
/// How many states of the disk are tried at each point of a power cut.
const SAMPLES: u64 = 4;

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
    /// Which states of the disk after a power cut.
    samples: Vec<u64>,
    /// Damage only this file.
    file: Option<PathBuf>,
    seed: u64,
    program: Option<PathBuf>,
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Self> {
        let mut options = Self {
            scenarios: Vec::new(),
            faults: Vec::new(),
            points: Some(20),
            at: None,
            nested: None,
            samples: (0..SAMPLES).collect(),
            file: None,
            seed: 1,
            program: None,
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
                "--sample" => options.samples = vec![value.parse()?],
                "--file" => options.file = Some(PathBuf::from(value)),
                "--samples" => options.samples = (0..value.parse()?).collect(),
                "--seed" => options.seed = value.parse()?,
                "--program" => options.program = Some(PathBuf::from(value).canonicalize()?),
                other => bail!("unknown: {other}"),
            }
        }
        Ok(options)
    }

    fn wants(&self, fault: &str) -> bool {
        self.faults.is_empty() || self.faults.iter().any(|wanted| wanted == fault)
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
    for point in &points {
        for fault in Fault::ALL.into_iter().filter(|fault| options.wants(fault.name())) {
            let deep = fault == Fault::Kill && point % NESTED_EVERY == 0;
            let nested = options.nested.unwrap_or(if deep { NESTED } else { 0 });
            tally.add(campaign.try_fault(*point, fault, nested));
        }
    }
    if options.wants("power") && !scenario.knows_inodes() {
        let recording = campaign.record().with_context(|| scenario.name().to_owned())?;
        for point in options.points(recording.points()) {
            for sample in &options.samples {
                let deep = point % NESTED_EVERY == sample % NESTED_EVERY;
                let nested = options.nested.unwrap_or(if deep { NESTED } else { 0 });
                tally.add(campaign.try_power_cut(&recording, point, *sample, nested));
            }
        }
    }
    if options.wants("rot") {
        let files = match &options.file {
            Some(file) => vec![file.clone()],
            None => campaign.files()?,
        };
        for file in files {
            let kinds = (0..Damage::ALL.len() as u64).collect();
            let kinds = if options.file.is_some() { &options.samples } else { &kinds };
            for kind in kinds {
                tally.add(campaign.try_damage(&file, usize::try_from(*kind)?));
            }
        }
    }
    println!(
        "| {} | {} | {} | {} | {} | {:.0} |",
        scenario.name(),
        campaign.points(),
        points.len(),
        tally.tried,
        tally.findings.len(),
        begun.elapsed().as_secs_f64(),
    );
    for finding in &tally.findings {
        eprintln!("{}\n  again: cargo xtask crash {}\n", finding.what, finding.again);
    }
    Ok(tally.findings.len())
}
