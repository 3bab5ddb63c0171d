//! The document with the table of all runs.
//!
//! A run replaces the cells of what it tried and leaves the others, so that one job or one fault
//! can be tried again, and a run that was broken off is not lost. The text around the table is
//! `report.md` beside this file, so that the document never says what nobody wrote there.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use faults::{Fault, Scenario, Tally, scenarios};

/// What stands in the text where the table belongs.
const PLACE: &str = "{{table}}\n";
const TEXT: &str = include_str!("report.md");

/// What a column has; how many were tried, and how many of them did not hold.
type Row = BTreeMap<String, (u64, u64)>;

/// Writes what came of one scenario into the document.
pub(crate) fn write(path: &Path, scenario: &dyn Scenario, calls: u64, tally: &Tally) -> Result<()> {
    let mut rows = match std::fs::read_to_string(path) {
        Ok(document) => parse(&document),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
        Err(error) => return Err(error).context("the report"),
    };
    let row = rows.entry(scenario.name().to_owned()).or_default();
    row.extend(tally.tried.iter().map(|(fault, counts)| ((*fault).to_owned(), *counts)));
    row.insert("calls".to_owned(), (calls, 0));
    std::fs::write(path, TEXT.replace(PLACE, &table(&rows))).context("the report")
}

/// The columns, in their order.
fn columns() -> Vec<&'static str> {
    let mut columns = vec!["calls"];
    columns.extend(Fault::ALL.map(Fault::name));
    columns.extend([Fault::Unreadable.name(), "power", "rot"]);
    columns
}

fn parse(document: &str) -> BTreeMap<String, Row> {
    let cells = |line: &str| -> Vec<String> {
        line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    let mut lines = document.lines().skip_while(|line| !line.starts_with("| job |"));
    let Some(header) = lines.next().map(cells) else { return BTreeMap::new() };
    let rows = lines.skip(1).take_while(|line| line.starts_with('|')).map(cells);
    rows.map(|row| {
        let counts = header.iter().zip(&row).skip(1);
        let counts = counts.filter_map(|(name, text)| Some((name.clone(), count(text)?)));
        (row[0].clone(), counts.collect())
    })
    .collect()
}

/// `12`, or `12 (3)` when 3 of them did not hold.
fn count(text: &str) -> Option<(u64, u64)> {
    match text.split_once(" (") {
        Some((count, found)) => {
            Some((count.parse().ok()?, found.trim_end_matches(')').parse().ok()?))
        }
        None => Some((text.parse().ok()?, 0)),
    }
}

fn table(rows: &BTreeMap<String, Row>) -> String {
    let columns = columns();
    let mut text = format!("| job | {} |\n|---|", columns.join(" | "));
    text += &"--:|".repeat(columns.len());
    let line = |name: &str, row: &Row| {
        let counts = columns.iter().map(|column| match row.get(*column) {
            None => "–".to_owned(),
            Some((count, 0)) => count.to_string(),
            Some((count, found)) => format!("{count} ({found})"),
        });
        format!("\n| {name} | {} |", counts.collect::<Vec<_>>().join(" | "))
    };
    let mut sum = Row::new();
    for scenario in scenarios::all() {
        let Some(row) = rows.get(scenario.name()) else { continue };
        text += &line(scenario.name(), row);
        for (column, (count, found)) in row {
            let total = sum.entry(column.clone()).or_default();
            *total = (total.0 + count, total.1 + found);
        }
    }
    text + &line("all", &sum) + "\n"
}
