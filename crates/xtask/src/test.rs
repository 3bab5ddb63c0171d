//! `cargo xtask test`: all tests of the workspace.

use anyhow::{Result, bail};

use crate::packages::{self, Need};
use crate::shell;

/// What the tests start besides our own programs.
const NEEDS: &[Need] = &[
    // ring, zstd and SQLite are compiled from C.
    Need { program: "cc", package: "build-essential" },
    // The hub is also asked by a client that is not ours.
    Need { program: "curl", package: "curl" },
];

/// Installs what is missing and runs everything, documentation examples first, so that the
/// runner's summary is the last thing said.
pub(crate) fn run() -> Result<()> {
    packages::install(NEEDS)?;
    if !shell::on_path("cargo-nextest") {
        // Runs documentation examples too.
        return shell::run(&mut shell::cargo(&["test", "--workspace", "--no-fail-fast"]));
    }
    let examples =
        shell::run(&mut shell::cargo(&["test", "--workspace", "--doc", "--no-fail-fast"]));
    let tests = shell::run(&mut shell::cargo(&["nextest", "run", "--workspace", "--no-fail-fast"]));
    match (examples, tests) {
        (Ok(()), Ok(())) => Ok(()),
        (Err(error), Ok(())) | (Ok(()), Err(error)) => Err(error),
        (Err(examples), Err(tests)) => bail!("{examples:#}; {tests:#}"),
    }
}
