//! The machine that the figures of a report depend on.

use std::fs;
use std::process::Command;

use super::session::Session;
use xtask::shell;

/// Most memory that is touched before a run: more than any run needs.
const TOUCHED_BYTES_MAX: u64 = 6 << 30;

/// Touches free memory, so that it is the machine's own when a run begins.
///
/// A virtual machine gives free memory back to its host and gets it again page by page, which takes
/// ten times as long as writing to it. Without this, whoever ran after a pause would pay for it: the
/// same copy of 2 GiB took from 0.4 to 5.6 s.
pub(super) fn touch_memory() {
    let said = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = said.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok());
    let bytes = (kib.unwrap_or(0) * 1024 / 3).min(TOUCHED_BYTES_MAX);
    let memory = vec![1_u8; usize::try_from(bytes).unwrap_or(0)];
    drop(std::hint::black_box(memory));
}

/// What the sources are, by the version control.
pub(super) fn revision() -> String {
    let mut describe = Command::new("git");
    describe.args(["describe", "--always", "--dirty"]).current_dir(shell::root());
    shell::output(&mut describe).unwrap_or_default().trim().to_owned()
}

/// The facts that the figures depend on.
pub(super) fn machine(session: &Session) -> String {
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
    fact("revision", &revision());
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
