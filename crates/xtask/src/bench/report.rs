//! What is written: every row as JSON, and the table for people.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::row::{CPU, Contender, Goal, Measure, Row, WALL, WIRE};
use super::session::Session;
use super::{Options, ROWS};
use crate::shell;

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
        let in_order = ROWS.iter().filter_map(|(id, _)| self.rows.get(*id));
        fs::write(&self.table, page(in_order, &machine(session)))?;
        eprintln!("xtask: wrote {}", self.table.display());
        Ok(())
    }
}

/// The date and hour, for people.
pub(super) fn now() -> String {
    let said = shell::output(Command::new("date").args(["-u", "+%Y-%m-%d %H:%M UTC"]));
    said.map_or_else(|_| "at an unknown time".to_owned(), |said| said.trim().to_owned())
}

fn page<'a>(rows: impl Iterator<Item = &'a Row>, machine: &str) -> String {
    let mut page = format!(
        "# Benchmarks\n\n\
         Written by `cargo xtask bench`; do not edit. Contenders take turns on one machine, on loopback, and every\n\
         result is compared with its source file by file. Times do not carry over to other machines; the ratios\n\
         count. Medians, with the smallest and largest in brackets; CPU is receiver + sender, user and system;\n\
         memory is the peak of receiver / sender; MB = 10^6 bytes.\n\n{machine}"
    );
    for row in rows {
        table(&mut page, row);
    }
    page
}

fn table(page: &mut String, row: &Row) {
    let mut line = |text: &str| {
        page.push_str(text);
        page.push('\n');
    };
    line(&format!("\n## {}: {}\n", row.id, row.title));
    line("| contender | runs | wall s | CPU s | memory MB | wire MB |");
    line("|---|---|---|---|---|---|");
    for contender in &row.contenders {
        line(&figures(contender));
    }
    line("\n| goal | at most | reached | |");
    line("|---|---|---|---|");
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
    let spread = |measure: Measure| {
        let values = || contender.samples.iter().filter_map(measure);
        let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(0.0, f64::max));
        let median = contender.median(measure).unwrap_or_default();
        if contender.samples.len() == 1 {
            format!("{median:.2}")
        } else {
            format!("{median:.2} ({low:.2}–{high:.2})")
        }
    };
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
        spread(WALL),
        contender.median(CPU).unwrap_or_default(),
        megabytes(client),
        megabytes(server),
    )
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
    format!("| {kind}{} | {} | {reached} | {verdict} |", goal.what, number(goal.limit))
}

/// The facts that the figures depend on.
fn machine(session: &Session) -> String {
    let mut facts = String::from("| machine | |\n|---|---|\n");
    let mut fact = |name: &str, value: &str| {
        if !value.is_empty() {
            let value = value.replace(['\n', '|'], " ");
            facts.push_str(&format!("| {name} | {value} |\n"));
        }
    };
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_once([':', '='])
            .map_or(String::new(), |(_, value)| value.trim().trim_matches('"').to_owned())
    };
    let said = |program: &str, arguments: &[&str]| {
        shell::output(Command::new(program).args(arguments).current_dir(shell::root()))
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kib: f64 = field(&read("/proc/meminfo"), "MemTotal")
        .trim_end_matches(" kB")
        .parse()
        .unwrap_or_default();
    fact("processor", &format!("{cores} × {}", field(&read("/proc/cpuinfo"), "model name")));
    fact("memory", &format!("{:.1} GiB", kib / f64::from(1 << 20)));
    fact(
        "system",
        &format!(
            "{}, Linux {}",
            field(&read("/etc/os-release"), "PRETTY_NAME"),
            said("uname", &["-r"])
        ),
    );
    let disk = Command::new("df").args(["--output=fstype"]).arg(session.data.root()).output();
    let disk =
        disk.map(|done| String::from_utf8_lossy(&done.stdout).into_owned()).unwrap_or_default();
    fact("file system of the data", disk.lines().nth(1).unwrap_or_default());
    fact(
        "load before the last row ended",
        &read("/proc/loadavg").split(' ').take(3).collect::<Vec<_>>().join(" "),
    );
    fact("compiler", &said("rustc", &["--version"]));
    fact("revision", &said("git", &["describe", "--always", "--dirty"]));
    fact("peers", &session.peers.versions().join(", "));
    let change = read(&session.data.root().join("tree2.json").to_string_lossy());
    fact(
        "TREE to TREE2",
        &change
            .replace(['{', '}', '"', '\n'], " ")
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" "),
    );
    facts
}

#[cfg(test)]
mod tests {
    use super::super::measure::Sample;
    use super::super::row::WALL;
    use super::*;

    #[test]
    fn a_page_shows_figures_verdicts_and_reasons() {
        let sample = |wall_s| Sample { wall_s, wire_bytes: Some(1_500_000), ..Sample::default() };
        let ours = Contender {
            name: "ours".into(),
            samples: vec![sample(1.0), sample(3.0)],
            absent: None,
        };
        let peer = Contender { name: "peer".into(), samples: vec![sample(4.0)], absent: None };
        let gone = Contender {
            name: "gone".into(),
            samples: Vec::new(),
            absent: Some("is not | here".into()),
        };
        let row = Row::new("T0", "nothing much", vec![ours, peer, gone])
            .ratio("wall", "ours", "peer", WALL, 0.5)
            .ratio("wall", "ours", "peer", WALL, 0.4)
            .beyond()
            .ratio("wall", "ours", "gone", WALL, 1.0);
        let page = page([&row].into_iter(), "");
        for expected in [
            "## T0: nothing much",
            "| ours | 2 | 2.00 (1.00–3.00) | 0.00 (0.00 + 0.00) | 0 / 0 | 1.500 |",
            "| gone | 0 | is not   here | | | |",
            "| ours: wall / peer | 0.500 × | 0.500 × | met |",
            "| beyond: ours: wall / peer | 0.400 × | 0.500 × | **missed** |",
            "| ours: wall / gone | 1.000 × | – | not measured |",
        ] {
            assert!(page.contains(expected), "{expected} is not in\n{page}");
        }
    }

    #[test]
    fn rows_survive_being_written_and_read() {
        let row = Row::new(
            "T1",
            "x",
            vec![Contender { name: "a".into(), samples: vec![], absent: None }],
        )
        .ratio("wall", "a", "a", WALL, 1.0);
        let again: Row = serde_json::from_slice(&serde_json::to_vec(&row).unwrap()).unwrap();
        assert_eq!((again.id, again.goals[0].reached), ("T1".to_owned(), None));
    }
}
