//! `cargo xtask test`: all tests of the workspace.

use anyhow::{Result, bail};

use xtask::packages::{self, Need};
use xtask::shell;

use crate::{browser, fuzzer, package};

/// What the tests start besides our own programs.
const NEEDS: &[Need] = &[
    // ring, zstd and SQLite are compiled from C.
    Need { program: "cc", package: "build-essential" },
    // The hub is also asked by a client that is not ours.
    Need { program: "curl", package: "curl" },
    // The interface is fuzzed by a program from PyPI.
    Need { program: "python3", package: "python3-venv" },
    // The hub's other database.
    Need { program: "initdb", package: "postgresql" },
    // The hub's reverse proxy, and an authority for certificates.
    Need { program: "nginx", package: "nginx-light" },
    Need { program: "pebble", package: "pebble" },
    Need { program: "openssl", package: "openssl" },
    // Machines are kept apart in namespaces.
    Need { program: "ip", package: "iproute2" },
    // The proxy that lets a machine out.
    Need { program: "tinyproxy", package: "tinyproxy" },
    // The console is looked at in a browser, driven from Node.js.
    Need { program: "chromium", package: "chromium" },
    Need { program: "node", package: "nodejs" },
    Need { program: "npm", package: "npm" },
    // The package is looked at, and its units.
    Need { program: "lintian", package: "lintian" },
    Need { program: "systemd-analyze", package: "systemd" },
];

/// Under this setting a test whose part is missing fails instead of being skipped.
const REQUIRE_PARTS: (&str, &str) = ("CONSIGN_REQUIRE_PARTS", "1");

/// Installs what is missing and runs everything, documentation examples first, so that the
/// runner's summary is the last thing said.
pub(crate) fn run() -> Result<()> {
    packages::install(NEEDS)?;
    fuzzer::install()?;
    browser::install()?;
    package::tool()?;
    if !shell::on_path("cargo-nextest") {
        // Runs documentation examples too.
        return run_tests(&["test", "--workspace", "--no-fail-fast"]);
    }
    let examples = run_tests(&["test", "--workspace", "--doc", "--no-fail-fast"]);
    let tests = run_tests(&["nextest", "run", "--workspace", "--no-fail-fast"]);
    match (examples, tests) {
        (Ok(()), Ok(())) => Ok(()),
        (Err(error), Ok(())) | (Ok(()), Err(error)) => Err(error),
        (Err(examples), Err(tests)) => bail!("{examples:#}; {tests:#}"),
    }
}

fn run_tests(arguments: &[&str]) -> Result<()> {
    let (name, value) = REQUIRE_PARTS;
    shell::run(shell::cargo(arguments).env(name, value))
}
