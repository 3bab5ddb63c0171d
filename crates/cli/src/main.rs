//! `consign`: parse, call, print.
//!
//! One file per command under `commands`. What is printed goes through [`output::Output`]:
//! facts to standard output (as JSON lines with `--json`), talk to standard error. Errors
//! become exit codes and hints in `exit.rs` and nowhere else. Options come from the command
//! line, the environment and configuration files, in this order (`invocation.rs`, `config.rs`);
//! `doctor.rs` knows what can be wrong around a node.

mod args;
mod commands;
mod config;
mod database;
mod doctor;
mod exit;
mod invocation;
mod ledger;
mod output;
mod progress;
mod prompt;
mod proxy;
mod remote;
mod serving;
mod size;

use std::process::ExitCode;

use args::Command;
use invocation::{Invocation, NotUnderstood};
use output::Output;

/// What one thread takes and another gives back, as everything does that goes through a pipeline,
/// costs no lock here: with the C library's own allocator, waiting for those locks was a fifth of
/// publishing 130,000 unchanged files. `.cargo/config.toml` says how soon it gives memory back.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().collect();
    let json = words.iter().any(|word| word == "--json");
    let invocation = match invocation::parse(words) {
        Ok(invocation) => invocation,
        Err(NotUnderstood::Words(error)) => error.exit(),
        Err(NotUnderstood::Config(mistake)) => {
            return exit::report(&Output::new(json, false), &mistake.into());
        }
    };
    keep_quiet_of_damage();
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("CONSIGN_LOG")
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn")),
        )
        .with_writer(std::io::stderr)
        .init();
    let output = Output::new(invocation.args.json, invocation.args.quiet);
    match run(invocation, &output) {
        Ok(code) => code.into(),
        Err(error) => exit::report(&output, &error),
    }
}

/// Leaves panics that the store catches and reports as damage of its index to the store.
fn keep_quiet_of_damage() {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !store::catches_panics() {
            default(panic);
        }
    }));
}

fn run(invocation: Invocation, output: &Output) -> anyhow::Result<exit::Ended> {
    let Invocation { args, parser, matches, config } = invocation;
    // What needs neither a node nor a runtime.
    if let Command::Config(asked) = &args.command {
        return commands::config::run(*output, &asked.what, &parser, &matches, &config);
    }
    if let Command::Completions(asked) = &args.command {
        return commands::completions::completions(asked.shell, parser);
    }
    if let Command::Man(asked) = &args.command {
        return commands::completions::man(*output, &asked.to, parser);
    }
    if let Command::RunHook(asked) = &args.command {
        return commands::run_hook::run(asked);
    }
    if let Command::RunScript = &args.command {
        // A process that becomes a script must have no other thread.
        deploy::script::help()?;
        return Ok(exit::Ended::Done);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(commands::run(args, output, config));
    // Blocking reads of a cancelled command must not hold the process back.
    runtime.shutdown_background();
    result
}
