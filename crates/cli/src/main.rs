//! `consign`: parse, call, print.
//!
//! One file per command under `commands`. What is printed goes through [`output::Output`]:
//! facts to standard output (as JSON lines with `--json`), talk to standard error. Errors
//! become exit codes and hints in `exit.rs` and nowhere else.

mod args;
mod commands;
mod exit;
mod output;
mod progress;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let args = args::Args::parse();
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("CONSIGN_LOG")
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn")),
        )
        .with_writer(std::io::stderr)
        .init();
    let output = output::Output::new(args.json, args.quiet);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return exit::report(&output, &anyhow::Error::new(error)),
    };
    let result = runtime.block_on(commands::run(args, &output));
    // Blocking reads of a cancelled command must not hold the process back.
    runtime.shutdown_background();
    match result {
        Ok(code) => code.into(),
        Err(error) => exit::report(&output, &error),
    }
}
