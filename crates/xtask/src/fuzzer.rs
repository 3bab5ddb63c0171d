//! schemathesis: a fuzzer of HTTP interfaces that reads the OpenAPI document.

use std::process::Command;

use anyhow::{Context as _, Result};

use xtask::shell;

/// The version the tests were written with; another one finds other things on another day.
const VERSION: &str = "4.32.5";

/// Installs it under `target/tools`, where the test of the hub looks, unless it is there.
pub(crate) fn install() -> Result<()> {
    let place = shell::target().join("tools/schemathesis");
    let program = place.join("bin/schemathesis");
    let installed = Command::new(&program).arg("--version").output();
    let is_current = installed.is_ok_and(|said| {
        said.status.success() && String::from_utf8_lossy(&said.stdout).contains(VERSION)
    });
    if is_current {
        return Ok(());
    }
    eprintln!("xtask: installing schemathesis {VERSION}");
    shell::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&place))
        .context("schemathesis needs python3 with its venv module")?;
    let package = format!("schemathesis=={VERSION}");
    let mut pip = Command::new(place.join("bin/pip"));
    shell::run(pip.args(["install", "--quiet", "--disable-pip-version-check", &package]))
        .context("cannot install schemathesis from PyPI")
}
