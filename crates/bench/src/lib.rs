//! `cargo xtask bench`: consign and its peers, alternately, on one machine.
//!
//! It drives the real `consign` binary by its command line. Only where a thousand processes would
//! measure the machine instead of the hub do [`crowd`] and [`mod@fleet`] speak to it through
//! `hub-client`, and [`idle`] by hand, each in a process of its own so that its cost is told apart.
//!
//! Absolute times do not carry from machine to machine; the ratio of two programs that took turns
//! does. Every run's result is compared with its source, file by file.
//!
//! Start with [`transfer`] (one file, many files) and [`trees`] (updates); [`community`],
//! [`packages`] and [`relays`] are about communities, [`deliveries`] about people; [`curves`] repeats the same work at growing sizes,
//! [`parameters`] with one parameter changed; [`row`] says what a measurement is, [`measure`] how it
//! is taken.

mod community;
mod consign;
mod contents;
mod crowd;
mod curves;
mod data;
mod deliveries;
mod desync;
mod fleet;
mod idle;
mod large;
mod load;
mod machine;
mod measure;
mod packages;
mod parameters;
mod peers;
mod proxy;
mod relays;
mod report;
mod row;
mod same;
mod session;
mod sources;
mod sshd;
mod transfer;
mod trees;
mod update;
mod wormhole;

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use self::row::Row;
use self::session::Session;
use xtask::shell;

/// What was asked for.
#[derive(Debug)]
struct Options {
    rows: Vec<String>,
    should_install_peers: bool,
    is_peers_only: bool,
    data: PathBuf,
    runs: usize,
    /// A program built before, to be measured instead of what the sources say now.
    program: Option<PathBuf>,
}

type Measured = fn(&Session) -> Result<Row>;

/// Every row, in the order of the table.
const ROWS: &[(&str, Measured)] = &[
    ("T1", transfer::one_large_file),
    ("T2", transfer::many_small_files),
    ("T3", trees::first_fetch),
    ("T4", trees::update),
    ("T5", trees::publish),
    ("T6", trees::nothing_changed),
    ("T7", large::memory),
    ("T8", large::killed),
    ("T9", sources::three_hubs),
    ("T10a", load::single_chunks),
    ("T10b", load::many_clients),
    ("T10c", load::beside_streams),
    ("T11", large::one_change_in_many),
    ("K1", community::idle_targets),
    ("K2", community::enqueue),
    ("K3a", community::wake),
    ("K3b", community::receipts),
    ("K3c", packages::real_nodes),
    ("K4", community::envelopes),
    ("K5", packages::sealed_update),
    ("K6", relays::cut_off),
    ("P1", deliveries::one_large_file),
    ("P2", deliveries::many_small_files),
    ("P3", deliveries::stalled),
    ("P4", deliveries::idle_people),
    ("P5", deliveries::swapped),
    ("P6", deliveries::killed_in_turn),
    ("S1", curves::files),
    ("S2", curves::bytes),
    ("S3", curves::clients),
    ("A1", parameters::batch),
    ("A2", parameters::window),
    ("A3", parameters::threads),
    ("A4", parameters::disk),
];

/// Measures the rows asked for and writes the report; or is the load that a row started.
///
/// # Errors
/// An option or a row that is not known, or why a row could not be measured.
pub fn run(arguments: &[String]) -> Result<()> {
    match arguments.split_first() {
        Some((load, rest)) if load == "crowd" => crowd::run(rest),
        Some((load, rest)) if load == "idle" => idle::run(rest),
        Some((load, rest)) if load == "fleet" => fleet::run(rest),
        _ => measure_rows(arguments),
    }
}

fn measure_rows(arguments: &[String]) -> Result<()> {
    let options = parse(arguments)?;
    let session = Session::open(&options)?;
    let mut results = report::Results::load(&options)?;
    for (id, measure) in ROWS {
        if !options.rows.is_empty() && !options.rows.iter().any(|row| is_called(id, row)) {
            continue;
        }
        eprintln!("xtask: {id}");
        let row = measure(&session).with_context(|| format!("row {id} cannot be measured"))?;
        results.put(row);
        // After every row: an interrupted run keeps what it has.
        results.save(&session)?;
    }
    Ok(())
}

/// Whether `row` names the row `id`, alone or with the other parts of its number.
fn is_called(id: &str, row: &str) -> bool {
    id == row || id.trim_end_matches(|last: char| last.is_ascii_lowercase()) == row
}

fn parse(arguments: &[String]) -> Result<Options> {
    let mut options = Options {
        rows: Vec::new(),
        should_install_peers: false,
        is_peers_only: false,
        data: shell::target().join("bench/data"),
        runs: 3,
        program: None,
    };
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().with_context(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--install-peers" => options.should_install_peers = true,
            "--peers-only" => options.is_peers_only = true,
            "--data" => options.data = PathBuf::from(value()?),
            "--runs" => options.runs = value()?.parse().context("--runs needs a number")?,
            "--program" => options.program = Some(PathBuf::from(value()?).canonicalize()?),
            row if ROWS.iter().any(|(id, _)| is_called(id, row)) => {
                options.rows.push(row.to_owned());
            }
            other => bail!("no row or option is called {other}"),
        }
    }
    if options.runs == 0 {
        bail!("--runs needs a number above zero");
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Options> {
        parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn rows_and_options_are_told_apart() {
        let options = parsed("T1 --data elsewhere T11 --runs 5 --install-peers").unwrap();
        assert_eq!(options.rows, ["T1", "T11"]);
        assert_eq!((options.data, options.runs), (PathBuf::from("elsewhere"), 5));
        assert!(options.should_install_peers && !options.is_peers_only);
    }

    #[test]
    fn a_number_names_all_of_its_parts() {
        let named = |row| ROWS.iter().filter(move |(id, _)| is_called(id, row)).map(|(id, _)| *id);
        assert!(named("T10").eq(["T10a", "T10b", "T10c"]) && named("T10b").eq(["T10b"]));
        assert!(named("T1").eq(["T1"]));
    }

    #[test]
    fn what_is_not_known_is_refused_by_name() {
        for (line, named) in [
            ("T99", "T99"),
            ("T10d", "T10d"),
            ("--fast", "--fast"),
            ("--data", "--data"),
            ("--runs 0", "--runs"),
        ] {
            assert!(parsed(line).unwrap_err().to_string().contains(named), "{line}");
        }
    }
}
