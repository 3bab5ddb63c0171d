//! What drives a browser in the tests of the console: a package from the npm registry.

use std::process::Command;

use anyhow::{Context as _, Result};

use xtask::shell;

/// The package and its lock file, which pins version and hash.
const FILES: [&str; 2] = ["package.json", "package-lock.json"];

/// Installs it under `target/tools`, where the tests look, unless it is there.
pub(crate) fn install() -> Result<()> {
    let from = shell::root().join("crates/cli/tests/console");
    let place = shell::target().join("tools/console");
    let lock = std::fs::read(from.join(FILES[1])).context("cannot read the lock file")?;
    let is_current = std::fs::read(place.join(FILES[1])).is_ok_and(|found| found == lock)
        && place.join("node_modules/playwright-core").is_dir();
    if is_current {
        return Ok(());
    }
    eprintln!("xtask: installing what drives a browser");
    std::fs::create_dir_all(&place).context("cannot make target/tools")?;
    for file in FILES {
        std::fs::copy(from.join(file), place.join(file))
            .with_context(|| format!("cannot copy {file}"))?;
    }
    // Nothing of it runs while it is installed: it brings no browser of its own.
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&place);
    shell::run(&mut npm).context("cannot install playwright-core from the npm registry")
}
