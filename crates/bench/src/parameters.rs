//! A1 to A4: one parameter changed at a time, the rest as the program has it.
//!
//! A program of its own does each job, `testkit`'s example `parameters`: a setting is no option of
//! `consign`, and would not become one for being measured.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use super::measure::{self, Sample};
use super::row::{Row, Runner};
use super::session::Session;
use xtask::shell;

/// A contender's name and the words for it; FROM is a directory to read, TO a path to write to, and
/// `--chosen true` has the program refuse settings that are not its defaults.
type Trial = (&'static str, &'static str);

/// Over a line of 20 ms and 100 MiB/s, where a request's delay costs as much as 2 MiB.
const BATCH: [Trial; 6] = [
    ("requests of 1 MiB", "fetch --request-kib 1024 --delay-ms 20 --rate-kib 102400"),
    ("requests of 2 MiB", "fetch --request-kib 2048 --delay-ms 20 --rate-kib 102400"),
    ("requests of 4 MiB", "fetch --request-kib 4096 --delay-ms 20 --rate-kib 102400"),
    (
        "requests of 8 MiB (chosen)",
        "fetch --request-kib 8192 --delay-ms 20 --rate-kib 102400 --chosen true",
    ),
    ("requests of 16 MiB", "fetch --request-kib 16384 --delay-ms 20 --rate-kib 102400"),
    ("requests of 32 MiB", "fetch --request-kib 32768 --delay-ms 20 --rate-kib 102400"),
];

/// What is asked for ahead: in seconds of a slow line, in requests of a fast one, and how much may
/// wait to be written.
const WINDOW: [Trial; 12] = [
    ("slow line, 0.2 s ahead", "fetch --window-ms 200 --mib 16 --delay-ms 150 --rate-kib 4096"),
    ("slow line, 0.75 s ahead", "fetch --window-ms 750 --mib 16 --delay-ms 150 --rate-kib 4096"),
    (
        "slow line, 1.5 s ahead (chosen)",
        "fetch --window-ms 1500 --mib 16 --delay-ms 150 --rate-kib 4096 --chosen true",
    ),
    ("slow line, 6 s ahead", "fetch --window-ms 6000 --mib 16 --delay-ms 150 --rate-kib 4096"),
    ("fast line, 1 request at once", "fetch --requests 1 --delay-ms 50 --rate-kib 102400"),
    ("fast line, 2 requests at once", "fetch --requests 2 --delay-ms 50 --rate-kib 102400"),
    (
        "fast line, 4 requests at once (chosen)",
        "fetch --requests 4 --delay-ms 50 --rate-kib 102400 --chosen true",
    ),
    ("fast line, 8 requests at once", "fetch --requests 8 --delay-ms 50 --rate-kib 102400"),
    ("no line, 2 MiB unwritten", "fetch --unwritten-mib 2"),
    ("no line, 8 MiB unwritten", "fetch --unwritten-mib 8"),
    ("no line, 16 MiB unwritten (chosen)", "fetch --unwritten-mib 16 --chosen true"),
    ("no line, 64 MiB unwritten", "fetch --unwritten-mib 64"),
];

/// Threads that read and hash, and threads that verify and write.
const THREADS: [Trial; 9] = [
    ("read by 1 thread", "read --from FROM --threads 1"),
    ("read by 2 threads", "read --from FROM --threads 2"),
    ("read by 4 threads", "read --from FROM --threads 4"),
    ("read by 8 threads", "read --from FROM --threads 8"),
    ("read by a thread a processor (chosen)", "read --from FROM --chosen true"),
    ("written by 1 thread", "checkout --from FROM --to TO --workers 1"),
    ("written by 2 threads (chosen)", "checkout --from FROM --to TO --workers 2 --chosen true"),
    ("written by 4 threads", "checkout --from FROM --to TO --workers 4"),
    ("written by 8 threads", "checkout --from FROM --to TO --workers 8"),
];

/// The system calls alone; these are no settings of the program, so nothing checks what is chosen.
const DISK: [Trial; 14] = [
    ("pieces of 4 KiB", "write --to TO --piece-kib 4"),
    ("pieces of 64 KiB (chosen)", "write --to TO --piece-kib 64"),
    ("pieces of 1 MiB", "write --to TO --piece-kib 1024"),
    ("pieces of 8 MiB", "write --to TO --piece-kib 8192"),
    ("64 KiB, nothing sent on early", "write --to TO --write-back false"),
    ("64 KiB, room reserved before", "write --to TO --reserve true"),
    ("every file synced", "sync --to TO --each 1"),
    ("synced after 64 files", "sync --to TO --each 64"),
    ("synced after 512 files", "sync --to TO --each 512"),
    ("synced after 4,096 files (chosen)", "sync --to TO --each 4096"),
    ("synced after all", "sync --to TO --each 8192"),
    ("copied by the kernel (chosen)", "copy --to TO --by kernel"),
    ("copied in pieces of 64 KiB", "copy --to TO --by program --piece-kib 64"),
    ("copied in pieces of 1 MiB", "copy --to TO --by program --piece-kib 1024"),
];

/// A1: how much one request asks for.
pub(super) fn batch(session: &Session) -> Result<Row> {
    let row = row(session, "A1", "256 MiB over a line of 20 ms and 100 MiB/s", &BATCH)?;
    Ok(row.note("The line is a timer, and what comes is verified and forgotten."))
}

/// A2: how much is asked for ahead.
pub(super) fn window(session: &Session) -> Result<Row> {
    let row = row(session, "A2", "what is asked for ahead", &WINDOW)?;
    Ok(row.note(
        "Slow: 16 MiB over 150 ms and 4 MiB/s; fast: 256 MiB over 50 ms and 100 MiB/s; none: 256 MiB from memory. \
         Otherwise as A1.",
    ))
}

/// A3: threads.
pub(super) fn threads(session: &Session) -> Result<Row> {
    let row = row(session, "A3", "SMALL read and hashed; SMALL written and synced", &THREADS)?;
    Ok(row.note("What is written comes from memory; plan, names and times are part of it."))
}

/// A4: how contents reach the disk.
pub(super) fn disk(session: &Session) -> Result<Row> {
    let title =
        "256 MiB in one file; 8,192 files of 16 KiB; 256 MiB copied; all durable in the end";
    let row = row(session, "A4", title, &DISK)?;
    Ok(row.note(
        "The calls a checkout makes, by themselves. A checkout writes whole chunks, 64 KiB stand for those, sends 8 MiB \
         on at a time and syncs after 4,096 files or 64 MiB.",
    ))
}

/// What the program says a job cost.
#[derive(Deserialize)]
struct Cost {
    wall_s: f64,
    cpu_s: f64,
    memory_bytes: u64,
}

fn build() -> Result<PathBuf> {
    let arguments = ["build", "--release", "--locked", "--package", "testkit"];
    shell::run(shell::cargo(&arguments).args(["--example", "parameters"]))?;
    Ok(shell::target().join("release/examples/parameters"))
}

fn row(session: &Session, id: &str, title: &str, trials: &[Trial]) -> Result<Row> {
    let program = &build()?;
    let runners = trials.iter().map(|(name, words)| {
        let runner: Runner<'_> = Box::new(move || trial(program, words, session));
        (*name, runner)
    });
    let mut contenders = session.alternate(runners.collect(), Vec::new());
    for contender in &mut contenders {
        // No way to use consign: its peaks of memory are another table.
        contender.is_ours = false;
    }
    Ok(Row::new(id, title, contenders))
}

/// Does one job once.
fn trial(program: &Path, words: &str, session: &Session) -> Result<Sample> {
    let mut command = Command::new(program);
    for word in words.split(' ') {
        match word {
            "FROM" => command.arg(session.data.small()?),
            "TO" => command.arg(session.data.scratch("parameters")?.join("to")),
            word => command.arg(word),
        };
    }
    let (sample, said) = measure::run(&mut command, "", &[])?;
    let cost: Cost = serde_json::from_str(said.trim()).with_context(|| format!("{said:?}"))?;
    // What the job needed before it began is not part of it.
    Ok(Sample {
        wall_s: cost.wall_s,
        client_cpu_s: cost.cpu_s,
        client_rss_bytes: cost.memory_bytes,
        ..sample
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_called_chosen_is_checked_where_it_is_a_setting() {
        for (name, words) in BATCH.iter().chain(&WINDOW).chain(&THREADS) {
            assert_eq!(name.ends_with("(chosen)"), words.ends_with("--chosen true"), "{name}");
        }
        for trials in [&BATCH[..], &WINDOW, &THREADS, &DISK] {
            assert!(trials.iter().any(|(name, _)| name.ends_with("(chosen)")));
        }
    }
}
