//! Programs that come from the system's package archive.

use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::shell;

/// A program and the Debian package that brings it.
pub struct Need {
    /// Name on the search path.
    pub program: &'static str,
    /// Name in the archive.
    pub package: &'static str,
}

/// Installs what is missing, without asking, as root or through sudo.
pub fn install(needs: &[Need]) -> Result<()> {
    let packages: Vec<&str> =
        needs.iter().filter(|need| !is_here(need.program)).map(|need| need.package).collect();
    if packages.is_empty() {
        return Ok(());
    }
    let wanted = packages.join(" ");
    if !shell::on_path("apt-get") {
        bail!("install these with your package manager: {wanted}");
    }
    eprintln!("xtask: installing {wanted}");
    let install = || shell::run(apt()?.args(["install", "--yes", "--quiet"]).args(&packages));
    // The lists of a fresh machine are empty or old; they are worth a download only then.
    if install().is_err() {
        shell::run(apt()?.args(["update", "--quiet"]))?;
        install().with_context(|| format!("cannot install {wanted}"))?;
    }
    Ok(())
}

/// Where Debian keeps PostgreSQL, each version in a directory of its own, off the search path.
const POSTGRES_VERSIONS: &str = "/usr/lib/postgresql";

fn is_here(program: &str) -> bool {
    let mut versions = std::fs::read_dir(POSTGRES_VERSIONS).into_iter().flatten().flatten();
    shell::on_path(program) || versions.any(|it| it.path().join("bin").join(program).is_file())
}

/// `apt-get` with the rights to change the machine.
fn apt() -> Result<Command> {
    let is_root = shell::output(Command::new("id").arg("-u"))?.trim() == "0";
    let mut command = if is_root {
        Command::new("apt-get")
    } else if shell::on_path("sudo") {
        let mut command = Command::new("sudo");
        command.args(["--non-interactive", "--preserve-env=DEBIAN_FRONTEND", "apt-get"]);
        command
    } else {
        bail!("installing packages needs root, or sudo");
    };
    command.env("DEBIAN_FRONTEND", "noninteractive");
    Ok(command)
}
