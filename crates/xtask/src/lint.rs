//! `cargo xtask lint`: what a machine can judge without running the product.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};

use xtask::shell;

type Check = fn() -> Result<()>;

/// Runs every check, also after one has failed, and names those that failed at the end.
pub(crate) fn run() -> Result<()> {
    let checks: [(&str, Check); 5] = [
        ("formatting", formatting),
        ("clippy", clippy),
        ("dependency directions", directions),
        ("documentation", documentation),
        ("supply chain", supply_chain),
    ];
    let mut failed = Vec::new();
    for (name, check) in checks {
        eprintln!("xtask: {name}");
        if let Err(error) = check() {
            eprintln!("xtask: {name}: {error:#}");
            failed.push(name);
        }
    }
    if failed.is_empty() { Ok(()) } else { bail!("failed: {}", failed.join(", ")) }
}

fn formatting() -> Result<()> {
    shell::run(&mut shell::cargo(&["fmt", "--all", "--check"]))
}

fn clippy() -> Result<()> {
    shell::run(&mut shell::cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ]))
}

fn directions() -> Result<()> {
    // With the features of the whole workspace, as the tests are built: nothing is built twice.
    let arguments = ["test", "--quiet", "--workspace", "--test", "dependencies", "--locked"];
    shell::run(&mut shell::cargo(&arguments))
}

fn documentation() -> Result<()> {
    let arguments = ["doc", "--workspace", "--no-deps", "--document-private-items", "--locked"];
    // These pages are for those who work on the crates: a crate's head leads into its private parts.
    let flags = "-D warnings -A rustdoc::private_intra_doc_links";
    shell::run(shell::cargo(&arguments).env("RUSTDOCFLAGS", flags))
}

/// Licences, sources and duplicates always; advisories when their database can be reached.
fn supply_chain() -> Result<()> {
    let Some(deny) = cargo_deny() else {
        eprintln!(
            "xtask: skipped: licences, bans, sources and advisories (cargo-deny cannot be had here)"
        );
        return Ok(());
    };
    for manifest in ["Cargo.toml", "fuzz/Cargo.toml"] {
        let mut check = Command::new(&deny);
        check.current_dir(shell::root()).args(["--manifest-path", manifest]);
        check.args(["--config", "deny.toml", "check", "--hide-inclusion-graph"]);
        shell::run(check.args(["licenses", "bans", "sources"]))?;
    }
    let mut fetch = Command::new(&deny);
    if let Err(error) = shell::output(fetch.current_dir(shell::root()).args(["fetch", "db"])) {
        let why = format!("{error:#}");
        let why = why.lines().next().unwrap_or_default();
        eprintln!("xtask: skipped: advisories (no advisory database can be reached: {why})");
        return Ok(());
    }
    let mut check = Command::new(&deny);
    shell::run(check.current_dir(shell::root()).args(["check", "--disable-fetch", "advisories"]))
}

/// cargo-deny from the search path, from an earlier build, or built into the target directory.
fn cargo_deny() -> Option<PathBuf> {
    if shell::on_path("cargo-deny") {
        return Some(PathBuf::from("cargo-deny"));
    }
    let tools = shell::target().join("tools");
    let built = tools.join("bin/cargo-deny");
    if !built.is_file() {
        eprintln!("xtask: building cargo-deny, once");
        // It works for a second: optimising it would take longer than it ever runs.
        let mut install =
            shell::cargo(&["install", "cargo-deny", "--locked", "--quiet", "--debug", "--root"]);
        if let Err(error) = shell::run(install.arg(&tools)) {
            eprintln!("xtask: {error:#}");
            return None;
        }
    }
    Some(built)
}
