//! What is written: every row as JSON, and the table for people.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::machine::{self, machine};
use super::row::{
    Bound, CLIENT_MIB, CPU, Contender, FIGURE, Goal, Measure, Row, SERVER_MIB, WALL, WIRE,
};
use super::session::Session;
use super::{Options, ROWS};
use xtask::shell;

/// The rows of this and of earlier runs.
#[derive(Debug)]
pub(super) struct Results {
    file: PathBuf,
    table: PathBuf,
    rows: BTreeMap<String, Row>,
}

impl Results {
    /// Starts from what earlier runs measured. With the peers alone nothing earlier counts, and
    /// the table stays apart from the repository's.
    pub(super) fn load(options: &Options) -> Result<Self> {
        let folder = shell::target().join("bench");
        fs::create_dir_all(&folder)?;
        if options.is_peers_only {
            let (file, table) = (folder.join("peers.json"), folder.join("peers.md"));
            return Ok(Self { file, table, rows: BTreeMap::new() });
        }
        let file = folder.join("results.json");
        let rows = match fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .with_context(|| format!("{} is not ours; remove it", file.display()))?,
            Err(_) => BTreeMap::new(),
        };
        Ok(Self { file, table: shell::root().join("docs/benchmarks.md"), rows })
    }

    pub(super) fn put(&mut self, row: Row) {
        self.rows.insert(row.id.clone(), row);
    }

    pub(super) fn save(&self, session: &Session) -> Result<()> {
        fs::write(&self.file, serde_json::to_vec_pretty(&self.rows)?)?;
        if let Some(folder) = self.table.parent() {
            fs::create_dir_all(folder)?;
        }
        let ids = ROWS.iter().map(|(id, _)| *id);
        let earlier = fs::read_to_string(&self.table).unwrap_or_default();
        let in_order: Vec<Shown<'_>> = ids.filter_map(|id| self.shown(id, &earlier)).collect();
        fs::write(&self.table, page(&in_order, &machine(session)))?;
        eprintln!("xtask: wrote {}", self.table.display());
        Ok(())
    }

    /// A row as it was measured here, else as the page has it already: from another checkout.
    fn shown<'a>(&'a self, id: &'static str, earlier: &str) -> Option<Shown<'a>> {
        let measured = self.rows.get(id).map(Shown::Measured);
        measured.or_else(|| Shown::kept(id, earlier))
    }
}

/// What the page says of one row.
enum Shown<'a> {
    Measured(&'a Row),
    /// The section, and the lines of the table of peaks.
    Kept(String, String),
}

impl Shown<'_> {
    fn kept(id: &str, page: &str) -> Option<Self> {
        let begins = format!("{id}: ");
        let mut sections = page.split("\n## ").skip(1);
        let section = sections.find(|section| section.starts_with(&begins))?;
        let of_row = format!("| {id} | ");
        let of_row = |line: &&str| line.starts_with(&of_row);
        let peaks = page.split_once(PEAKS).map_or("", |(_, peaks)| peaks);
        let peaks = peaks.lines().filter(of_row).map(|line| format!("{line}\n")).collect();
        Some(Self::Kept(format!("\n## {}\n", section.trim_end()), peaks))
    }
}

/// The date and hour, and what was measured, for people.
pub(super) fn now() -> String {
    let said = shell::output(Command::new("date").args(["-u", "+%Y-%m-%d %H:%M UTC"]));
    let date = said.map_or_else(|_| "at an unknown time".to_owned(), |said| said.trim().to_owned());
    format!("{date}, revision {}", machine::revision())
}

/// What the table of peaks is headed by.
const PEAKS: &str = "\n## Peak memory of consign in every row\n\n";

fn page(rows: &[Shown<'_>], machine: &str) -> String {
    let mut page = format!(
        "# Benchmarks\n\n\
         Written by `cargo xtask bench`; do not edit. Contenders take turns on one machine, on loopback, and every\n\
         result is compared with its source file by file. Times do not carry over to other machines; the ratios\n\
         count. Free memory is touched before every run, because a virtual machine gets it back from its host slowly.\n\
         Medians, with the smallest and largest in brackets; CPU is receiver + sender, user and system;\n\
         memory is the peak of receiver / sender; MB = 10^6 bytes. A row stays until it is measured again; the\n\
         machine is that of the newest.\n\n{machine}"
    );
    for row in rows {
        match row {
            Shown::Measured(row) => table(&mut page, row),
            Shown::Kept(section, _) => page.push_str(section),
        }
    }
    peaks(&mut page, rows);
    page.push_str(include_str!("parameters.md"));
    page
}

/// The peaks of our side in every row, beside each other.
fn peaks(page: &mut String, rows: &[Shown<'_>]) {
    let mut lines = String::new();
    for row in rows {
        match row {
            Shown::Measured(row) => peaks_of(&mut lines, row),
            Shown::Kept(_, peaks) => lines.push_str(peaks),
        }
    }
    if lines.is_empty() {
        return;
    }
    page.push_str(PEAKS);
    page.push_str("| row | contender | node MiB | hub MiB |\n|---|---|---|---|\n");
    page.push_str(&lines);
}

fn peaks_of(page: &mut String, row: &Row) {
    for contender in row.contenders.iter().filter(|one| one.is_ours) {
        let peak = |of: Measure| contender.samples.iter().filter_map(of).fold(0.0, f64::max);
        let (node, hub) = (peak(CLIENT_MIB), peak(SERVER_MIB));
        let shown = |mib: f64| if mib > 0.0 { format!("{mib:.0}") } else { "–".to_owned() };
        let name = &contender.name;
        page.push_str(&format!("| {} | {name} | {} | {} |\n", row.id, shown(node), shown(hub)));
    }
}

fn table(page: &mut String, row: &Row) {
    let mut line = |text: &str| {
        page.push_str(text);
        page.push('\n');
    };
    line(&format!("\n## {}: {}\n", row.id, row.title));
    let own = row.figure.as_ref().map_or_else(String::new, |figure| format!(" {figure} |"));
    line(&format!("| contender | runs | wall s | CPU s | memory MB | wire MB |{own}"));
    line(&format!("|---|---|---|---|---|---|{}", if own.is_empty() { "" } else { "---|" }));
    for contender in &row.contenders {
        let own = if own.is_empty() {
            String::new()
        } else {
            format!(" {} |", spread(contender, FIGURE))
        };
        line(&format!("{}{own}", figures(contender)));
    }
    if !row.goals.is_empty() {
        line("\n| goal | limit | reached | |");
        line("|---|---|---|---|");
    }
    for goal in &row.goals {
        line(&judged(goal));
    }
    line("");
    for note in &row.notes {
        line(note);
    }
    line(&format!("Measured {}.", row.measured));
}

fn figures(contender: &Contender) -> String {
    let name = &contender.name;
    if contender.samples.is_empty() {
        let why = contender.absent.as_deref().unwrap_or("not run").replace(['\n', '|'], " ");
        return format!("| {name} | 0 | {why} | | | |");
    }
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    let peak = |of: fn(&super::measure::Sample) -> u64| {
        contender.samples.iter().map(of).max().unwrap_or(0)
    };
    let (client, server) = (peak(|one| one.client_rss_bytes), peak(|one| one.server_rss_bytes));
    let client_cpu = contender.median(|one| Some(one.client_cpu_s)).unwrap_or_default();
    let server_cpu = contender.median(|one| Some(one.server_cpu_s)).unwrap_or_default();
    let wire =
        contender.median(WIRE).map_or_else(String::new, |bytes| format!("{:.3}", bytes / 1e6));
    let failed = contender.absent.as_ref().map_or("", |_| ", then failed");
    format!(
        "| {name} | {}{failed} | {} | {:.2} ({client_cpu:.2} + {server_cpu:.2}) | {:.0} / {:.0} | {wire} |",
        contender.samples.len(),
        spread(contender, WALL),
        contender.median(CPU).unwrap_or_default(),
        megabytes(client),
        megabytes(server),
    )
}

/// The median, with the smallest and largest of several; nothing when it was not measured.
fn spread(contender: &Contender, measure: Measure) -> String {
    let Some(median) = contender.median(measure) else { return String::new() };
    let values: Vec<f64> = contender.samples.iter().filter_map(measure).collect();
    if values.len() == 1 {
        return format!("{median:.2}");
    }
    let (low, high) = values
        .iter()
        .fold((f64::INFINITY, 0.0), |(low, high), value| (value.min(low), value.max(high)));
    format!("{median:.2} ({low:.2}–{high:.2})")
}

fn judged(goal: &Goal) -> String {
    let kind = if goal.is_beyond { "beyond: " } else { "" };
    let number = |value: f64| {
        // Bytes are whole; ratios, seconds and MiB have two or three digits worth reading.
        if goal.unit == "B" {
            format!("{value:.0} {}", goal.unit)
        } else {
            format!("{value:.3} {}", goal.unit)
        }
    };
    let reached = goal.reached.map_or_else(|| "–".to_owned(), number);
    let verdict = match goal.is_met() {
        Some(true) => "met",
        Some(false) => "**missed**",
        None => "not measured",
    };
    let bound = match goal.bound {
        Bound::AtMost => "≤",
        Bound::AtLeast => "≥",
    };
    format!("| {kind}{} | {bound} {} | {reached} | {verdict} |", goal.what, number(goal.limit))
}

#[cfg(test)]
mod tests {
    use super::super::measure::Sample;
    use super::super::row::WALL;
    use super::*;

    #[test]
    fn a_page_shows_figures_verdicts_and_reasons() {
        let sample = |wall_s| Sample {
            wall_s,
            server_rss_bytes: 2 << 20,
            wire_bytes: Some(1_500_000),
            figure: Some(wall_s * 10.0),
            ..Sample::default()
        };
        let ours = Contender {
            name: "ours".into(),
            is_ours: true,
            samples: vec![sample(1.0), sample(3.0)],
            ..Contender::default()
        };
        let peer =
            Contender { name: "peer".into(), samples: vec![sample(4.0)], ..Contender::default() };
        let gone = Contender {
            name: "gone".into(),
            absent: Some("is not | here".into()),
            ..Contender::default()
        };
        let row = Row::new("T0", "nothing much", vec![ours, peer, gone])
            .ratio("wall", "ours", "peer", WALL, 0.5)
            .ratio("wall", "ours", "peer", WALL, 0.4)
            .beyond()
            .ratio("wall", "ours", "gone", WALL, 1.0)
            .figure("spins/s")
            .at_least("spins", "ours", FIGURE, 25.0, "spins/s");
        let page = page(&[Shown::Measured(&row)], "");
        for expected in [
            "## T0: nothing much",
            "| contender | runs | wall s | CPU s | memory MB | wire MB | spins/s |",
            "| ours | 2 | 2.00 (1.00–3.00) | 0.00 (0.00 + 0.00) | 0 / 2 | 1.500 | 20.00 (10.00–30.00) |",
            "| gone | 0 | is not   here | | | |  |",
            "| ours: wall / peer | ≤ 0.500 × | 0.500 × | met |",
            "| beyond: ours: wall / peer | ≤ 0.400 × | 0.500 × | **missed** |",
            "| ours: wall / gone | ≤ 1.000 × | – | not measured |",
            "| ours: spins | ≥ 25.000 spins/s | 20.000 spins/s | **missed** |",
            "| T0 | ours | – | 2 |",
        ] {
            assert!(page.contains(expected), "{expected} is not in\n{page}");
        }
        assert!(!page.contains("| T0 | peer |"), "a peer's peak is not ours\n{page}");
    }

    #[test]
    fn a_row_that_was_measured_elsewhere_stays_as_it_is() {
        let row = |id: &str| {
            let samples = vec![Sample { server_rss_bytes: 3 << 20, ..Sample::default() }];
            let ours = Contender { name: "ours".into(), is_ours: true, samples, absent: None };
            Row::new(id, "work", vec![ours]).note("Noted.")
        };
        let (first, other, last) = (row("T1"), row("T11"), row("T2"));
        let all = [Shown::Measured(&first), Shown::Measured(&other), Shown::Measured(&last)];
        let before = page(&all, "");
        let kept = |id| Shown::kept(id, &before);
        let again = page(&[kept("T1").unwrap(), Shown::Measured(&other), kept("T2").unwrap()], "");
        assert_eq!(again, before);
        assert!(kept("T3").is_none());
    }

    #[test]
    fn rows_survive_being_written_and_read() {
        let row = Row::new("T1", "x", vec![Contender { name: "a".into(), ..Contender::default() }])
            .ratio("wall", "a", "a", WALL, 1.0);
        let again: Row = serde_json::from_slice(&serde_json::to_vec(&row).unwrap()).unwrap();
        assert_eq!((again.id, again.goals[0].reached), ("T1".to_owned(), None));
    }
}
