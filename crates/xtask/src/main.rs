//! Repository tasks, run as `cargo xtask TASK`.
//!
//! Everything a person or a machine does to this repository again and again is a task here, so
//! that there is one way to do it. Tasks decide nothing about the product. What needs its crates is
//! an example of a crate beside this one: `bench`, `faults`, `simulation`.
//!
//! Start with [`mod@test`] and [`mod@lint`].

mod browser;
mod fuzz;
mod fuzzer;
mod lint;
mod models;
mod package;
mod screenshots;
mod test;

use std::process::ExitCode;

use xtask::shell;

const USAGE: &str = "\
Usage: cargo xtask TASK

  test                 install what the tests need, then run all of them
  lint                 formatting, clippy, dependency directions, documentation, licences
  package [--program FILE] [--to DIR]
                       make the Debian package
  bench [ROW...] [--install-peers] [--data DIR] [--runs N] [--program FILE] [--peers-only]
                       measure consign and its peers alternately (rows: T1 T2 T3 T4 T5 T6 T7 T8 T9 T10a T10b
                       T10c T11 K1 K2 K3a K3b K3c K4 K5 K6 P1 P2 P3 P4 P5 P6 S1 S2 S3 A1 A2 A3 A4; T10 means all three;
                       none named means all); writes docs/benchmarks.md
  crash [--scenario NAME] [--points N|all] [--faults NAME,NAME] [--at N] [--nested N] [--seed S]
        [--samples N] [--program FILE] [--report FILE]
                       kill, starve and damage the program at every point, see whether its promises hold;
                       the report is docs/crash-tests.md
  simulate [--seeds N|--minutes N] [--seed S] [--trace]
                       run hub, publishers and nodes in virtual time over links that fail: 500 seeds from 0,
                       others, or one from S; --trace tells all that happens
  fuzz [TARGET...] [--minutes N] [--total-minutes N] [--keep] | TARGET --input FILE
                       give every decoder bad input, led by what it reaches (a minute each, unless told
                       otherwise); --keep writes the shortest inputs that reach all of it to the corpus
  models [--cases N]   try 10,000 random histories of store, fetch and checkout against reference models
  screenshots [--program FILE]
                       draw the terminal pictures of the README into docs/images
";

/// Measures consign and its peers.
fn bench(arguments: &[String]) -> anyhow::Result<()> {
    let mut run = shell::cargo(&["run", "--locked", "--package", "bench", "--example", "bench"]);
    shell::run(run.arg("--").args(arguments))
}

/// Tries faults on the program of these sources, or on the one that is named.
fn crash(arguments: &[String]) -> anyhow::Result<()> {
    let mut run = shell::cargo(&["run", "--locked", "--package", "faults", "--example", "crash"]);
    run.arg("--").args(arguments);
    if !arguments.iter().any(|argument| argument == "--program") {
        shell::run(&mut shell::cargo(&["build", "--locked", "--package", "cli"]))?;
        run.arg("--program").arg(shell::target().join("debug/consign"));
    }
    shell::run(&mut run)
}

/// Runs worlds of the simulation.
fn simulate(arguments: &[String]) -> anyhow::Result<()> {
    let mut run =
        shell::cargo(&["run", "--locked", "--package", "simulation", "--example", "simulate"]);
    shell::run(run.arg("--").args(arguments))
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.split_first() {
        Some((task, [])) if task == "test" => test::run(),
        Some((task, [])) if task == "lint" => lint::run(),
        Some((task, rest)) if task == "package" => package::run(rest),
        Some((task, rest)) if task == "bench" => bench(rest),
        Some((task, rest)) if task == "crash" => crash(rest),
        Some((task, rest)) if task == "simulate" => simulate(rest),
        Some((task, rest)) if task == "fuzz" => fuzz::run(rest),
        Some((task, rest)) if task == "models" => models::run(rest),
        Some((task, rest)) if task == "screenshots" => screenshots::run(rest),
        Some((task, _)) if task == "help" || task == "--help" => {
            print!("{USAGE}");
            Ok(())
        }
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
