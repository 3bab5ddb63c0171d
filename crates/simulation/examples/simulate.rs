//! What `cargo xtask simulate` runs: seeds, one after the other, until a promise does not hold.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use simulation::{Counts, simulate};

/// How much is said of a run that failed, unless all of it is asked for.
const LINES_MAX: usize = 60;

struct Options {
    seeds: u64,
    minutes: Option<u64>,
    first: u64,
    trace: bool,
}

fn parse(arguments: &[String]) -> Result<Options> {
    let mut options = Options { seeds: 500, minutes: None, first: 0, trace: false };
    let mut counted = false;
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let mut value = || -> Result<u64> {
            let text = arguments.next().with_context(|| format!("{argument} needs a number"))?;
            text.parse().with_context(|| format!("{argument} {text}"))
        };
        match argument.as_str() {
            "--seeds" => (options.seeds, counted) = (value()?, true),
            "--minutes" => options.minutes = Some(value()?),
            "--seed" => options.first = value()?,
            "--trace" => options.trace = true,
            other => bail!("unknown: {other}"),
        }
    }
    // One seed by itself is one to be looked at.
    if options.first != 0 && !counted && options.minutes.is_none() {
        options.seeds = 1;
    }
    Ok(options)
}

/// Notes a seed that failed, so that the ordinary tests run it from now on.
fn keep(seed: u64, violation: &str) -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kept-seeds.txt");
    let mut kept = fs::read_to_string(&path)?;
    let known = kept.lines().any(|line| line.split(' ').next() == Some(&*seed.to_string()));
    if !known {
        kept.push_str(&format!("{seed} {violation}\n"));
        fs::write(&path, kept)?;
    }
    Ok(())
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let options = parse(&arguments)?;
    let begun = Instant::now();
    let (mut runs, mut failed, mut virtual_time) = (0u64, Vec::new(), Duration::ZERO);
    let mut total = Counts::default();
    for seed in options.first.. {
        let go_on = match options.minutes {
            Some(minutes) => begun.elapsed() < Duration::from_secs(minutes * 60),
            None => runs < options.seeds,
        };
        if !go_on {
            break;
        }
        let outcome = simulate(seed, None, options.trace);
        runs += 1;
        virtual_time += outcome.lasted;
        total.add(&outcome.counts);
        if options.trace {
            outcome.lines.iter().for_each(|line| println!("{line}"));
            println!("seed {seed}: trace {}", outcome.trace);
        }
        if let Some(violation) = &outcome.violation {
            println!("seed {seed} failed {violation}");
            if !options.trace {
                let lines = simulate(seed, None, true).lines;
                let from = lines.len().saturating_sub(LINES_MAX);
                lines[from..].iter().for_each(|line| println!("  {line}"));
                println!("  again: cargo xtask simulate --seed {seed} --trace");
            }
            keep(seed, violation)?;
            failed.push(seed);
        }
    }
    println!(
        "{runs} seeds from {} in {:.0} s: {:.0} virtual hours, {total:?}",
        options.first,
        begun.elapsed().as_secs_f64(),
        virtual_time.as_secs_f64() / 3600.0,
    );
    if failed.is_empty() { Ok(()) } else { bail!("failed: {failed:?}") }
}
