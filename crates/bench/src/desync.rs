//! Getting desync where the distribution does not have it.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use xtask::shell;

/// The stable distribution has no desync: takes the one package from a later suite of the same
/// archive, by lists of its own, and unpacks it without installing anything.
pub(super) fn unpack(folder: &Path) -> Result<()> {
    let lists = folder.join("apt/lists");
    fs::create_dir_all(lists.join("partial"))?;
    fs::create_dir_all(folder.join("apt/archives/partial"))?;
    let known =
        ["indextargets", "--format", "$(ORIGIN) $(REPO_URI) $(SUITE)", "Created-By: Packages"];
    let known = shell::output(Command::new("apt-get").args(known))?;
    let archive = known
        .lines()
        .filter_map(|line| line.strip_prefix("Debian "))
        .find(|line| !line.contains("-security") && !line.contains("-updates"))
        .and_then(|line| line.split(' ').next())
        .context("apt knows no Debian archive")?;
    let source = folder.join("apt/sources.list");
    let keys = "/usr/share/keyrings/debian-archive-keyring.gpg";
    fs::write(&source, format!("deb [signed-by={keys}] {archive} forky main\n"))?;
    let options = [
        format!("Dir::Etc::sourcelist={}", source.display()),
        "Dir::Etc::sourceparts=/dev/null".to_owned(),
        format!("Dir::State::lists={}", lists.display()),
        format!("Dir::Cache={}", folder.join("apt").display()),
    ];
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.current_dir(folder);
        for option in &options {
            command.args(["-o", option]);
        }
        shell::output(command.args(arguments))
    };
    apt(&["update"])?;
    apt(&["download", "desync"])?;
    let package = fs::read_dir(folder)?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .context("apt downloaded nothing")?;
    shell::run(Command::new("dpkg-deb").arg("-x").arg(&package).arg(folder))?;
    let version = shell::output(Command::new("dpkg-deb").arg("-f").arg(&package).arg("Version"))?;
    fs::write(folder.join("version"), version)?;
    Ok(())
}
