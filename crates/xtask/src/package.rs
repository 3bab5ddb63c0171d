//! `cargo xtask package`: the Debian package.
//!
//! Everything that goes into it is first laid out in `target/package/stage`, where the list in
//! `crates/cli/Cargo.toml` finds it; cargo-deb makes the package of that.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use xtask::shell;

/// Shells for which there are completions, and where those belong in the stage.
const COMPLETIONS: [(&str, &str); 3] =
    [("bash", "consign.bash"), ("zsh", "_consign"), ("fish", "consign.fish")];

/// Makes the package of a release build, or of `--program FILE`; prints where it is.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let (mut program, mut to) = (None, shell::target().join("package"));
    let mut rest = arguments.iter();
    while let Some(option) = rest.next() {
        let value = rest.next().with_context(|| format!("{option} takes a value"))?;
        match option.as_str() {
            "--program" => program = Some(PathBuf::from(value)),
            "--to" => to = PathBuf::from(value),
            _ => bail!("package knows --program FILE and --to DIR, not {option}"),
        }
    }
    let cargo_deb = tool()?;
    let program = match program {
        Some(program) => program,
        None => {
            shell::run(&mut shell::cargo(&["build", "--release", "--locked", "--package", "cli"]))?;
            shell::target().join("release/consign")
        }
    };
    stage(&program)?;
    fs::create_dir_all(&to)?;
    let mut deb = Command::new(cargo_deb);
    // Called as cargo calls it, with its own name first.
    deb.current_dir(shell::root()).args(["deb", "--package", "cli", "--no-build", "--output"]);
    shell::run(deb.arg(&to))
}

/// cargo-deb from the search path, from an earlier build, or built into the target directory.
pub(crate) fn tool() -> Result<PathBuf> {
    if shell::on_path("cargo-deb") {
        return Ok(PathBuf::from("cargo-deb"));
    }
    let tools = shell::target().join("tools");
    let built = tools.join("bin/cargo-deb");
    if !built.is_file() {
        eprintln!("xtask: building cargo-deb, once");
        // Without xz: nothing is packed with it here.
        let mut install =
            shell::cargo(&["install", "cargo-deb", "--locked", "--quiet", "--no-default-features"]);
        // It works for seconds: optimising it would take longer than it ever runs.
        shell::run(install.args(["--debug", "--root"]).arg(&tools))?;
    }
    Ok(built)
}

/// Lays out what goes into the package.
fn stage(program: &Path) -> Result<()> {
    let stage = shell::root().join("target/package/stage");
    if stage.is_dir() {
        fs::remove_dir_all(&stage)?;
    }
    let man = stage.join("man");
    fs::create_dir_all(&man)?;
    let own = stage.join("consign");
    fs::copy(program, &own).with_context(|| format!("cannot copy {}", program.display()))?;
    shell::run(Command::new(&own).arg("--quiet").arg("man").arg("--to").arg(&man))?;
    for page in fs::read_dir(&man)? {
        shell::run(Command::new("gzip").args(["-9", "--no-name"]).arg(page?.path()))?;
    }
    for (name, file) in COMPLETIONS {
        let script = shell::output(Command::new(&own).args(["completions", name]))?;
        fs::write(stage.join(file), script)?;
    }
    Ok(())
}
