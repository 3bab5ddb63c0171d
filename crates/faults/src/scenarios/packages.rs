//! A package is applied to the machine.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};

use super::content::{holds, same, write};
use super::{Hub, Scenario};
use crate::campaign::OUTPUT;
use crate::world::World;

/// A machine with one version, a folder with another, and the specification of a package.
fn prepare(world: &World, last: &str) -> anyhow::Result<()> {
    for directory in ["machine/app", "machine/shared", "before", "source", "shared"] {
        fs::create_dir_all(world.path(directory))?;
    }
    write(&world.path("before"), 1)?;
    write(&world.path("machine/app"), 1)?;
    write(&world.path("source"), 2)?;
    for (name, text) in [("machine/shared/other", "other"), ("machine/shared/changed", "before")] {
        fs::write(world.path(name), text)?;
    }
    for (name, text) in [("shared/changed", "after"), ("shared/added", "added")] {
        fs::write(world.path(name), text)?;
    }
    let machine = world.path("machine");
    let machine = machine.display();
    let text = format!(
        r#"
[package]
name = "tools"
version = "2"

[[step]]
name = "app"
files = "source"
target = "{machine}/app"
placing = "replace"
on-failure = "roll-back"

[[step]]
name = "shared"
files = "shared"
target = "{machine}/shared"
placing = "merge"
on-failure = "roll-back"

[[step]]
name = "last"
command = ["sh", "-c", "{last}"]
on-interrupt = "repeat"
on-failure = "roll-back"
"#
    );
    Ok(fs::write(world.path("package.toml"), text)?)
}

fn apply(world: &World) -> Command {
    world.command("bert", &["package", "apply", "package.toml", "--yes"])
}

/// Every name stands for what it was or what it is to be.
fn is_whole(world: &World) -> anyhow::Result<()> {
    let app = world.path("machine/app");
    let newer = same(&app, &world.path("source"));
    newer.or(same(&app, &world.path("before"))).context("the directory is no whole version")?;
    let text = fs::read_to_string(world.path("machine/shared/changed"))?;
    ensure!(["before", "after"].contains(&&*text), "changed is {text:?}");
    Ok(())
}

/// What is nobody's business is as it was.
fn is_alone(world: &World) -> anyhow::Result<()> {
    let text = fs::read_to_string(world.path("machine/shared/other"))?;
    ensure!(text == "other", "other is {text:?}");
    Ok(())
}

/// Nothing hidden is left on the machine, and nothing of a package under way in the state.
fn is_clean(world: &World) -> anyhow::Result<()> {
    let hidden = |directory: &Path| -> anyhow::Result<bool> {
        let names = fs::read_dir(directory)?.collect::<Result<Vec<_>, _>>()?;
        let known = |name: &str| name.starts_with(".consign-") || name.starts_with("set-");
        Ok(names.iter().any(|it| it.file_name().to_str().is_some_and(known)))
    };
    for directory in ["machine", "machine/shared", "bert/packages"] {
        ensure!(!hidden(&world.path(directory))?, "something is left in {directory}");
    }
    ensure!(!world.path("bert/packages/journal").exists(), "the journal is left");
    Ok(())
}

/// It passes.
pub(super) struct Apply;

impl Scenario for Apply {
    fn name(&self) -> &'static str {
        "apply"
    }

    fn hub(&self) -> Hub {
        Hub::Absent
    }

    fn knows_inodes(&self) -> bool {
        true
    }

    fn prepare(&self, world: &mut World) -> anyhow::Result<()> {
        prepare(world, "true")
    }

    fn roots(&self) -> &'static [&'static str] {
        &["bert", "machine"]
    }

    fn command(&self, world: &World) -> Command {
        apply(world)
    }

    fn always(&self, world: &World) -> anyhow::Result<()> {
        is_whole(world)
    }

    fn done(&self, world: &World) -> anyhow::Result<()> {
        same(&world.path("machine/app"), &world.path("source"))?;
        holds(&world.path("machine/shared"), &world.path("shared"))?;
        let installed = fs::read_to_string(world.path("bert/packages/installed"))?;
        ensure!(installed == r#"{"tools":"2"}"#, "{installed}");
        is_whole(world)?;
        is_alone(world)?;
        is_clean(world)
    }

    // What the machine had before may be what was damaged.
    fn delivered(&self, world: &World) -> anyhow::Result<()> {
        same(&world.path("machine/app"), &world.path("source"))?;
        holds(&world.path("machine/shared"), &world.path("shared"))?;
        is_clean(world)
    }
}

/// Its last step fails, and everything is as it was before.
pub(super) struct RollBack;

impl Scenario for RollBack {
    fn name(&self) -> &'static str {
        "package-roll-back"
    }

    fn hub(&self) -> Hub {
        Hub::Absent
    }

    fn knows_inodes(&self) -> bool {
        true
    }

    fn prepare(&self, world: &mut World) -> anyhow::Result<()> {
        prepare(world, "false")
    }

    fn roots(&self) -> &'static [&'static str] {
        &["bert", "machine"]
    }

    fn command(&self, world: &World) -> Command {
        let apply = apply(world);
        // Acknowledged is the receipt that says so, which ends with 1.
        let line = r#"out=$("$@"); code=$?; echo "$out"
            case "$code:$out" in
                1:*'"event":"receipt"'*) exit 0 ;;
                137:*) kill -9 $$ ;;
                *) exit $code ;;
            esac"#;
        let mut command = Command::new("/bin/sh");
        command.args(["-c", line, "sh"]);
        command.arg(apply.get_program()).args(apply.get_args());
        for (name, value) in apply.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.current_dir(world.path("")).stdin(std::process::Stdio::null());
        command
    }

    fn always(&self, world: &World) -> anyhow::Result<()> {
        is_whole(world)
    }

    fn done(&self, world: &World) -> anyhow::Result<()> {
        // Who was told that something is not put back is not promised that it is.
        let said = fs::read_to_string(world.beside(OUTPUT))?;
        if said.contains("is not put back") {
            return is_alone(world);
        }
        same(&world.path("machine/app"), &world.path("before"))?;
        let changed = fs::read_to_string(world.path("machine/shared/changed"))?;
        ensure!(changed == "before" && !world.path("machine/shared/added").exists(), "{changed}");
        is_whole(world)?;
        is_alone(world)?;
        is_clean(world)
    }

    // What comes back may be what was damaged.
    fn delivered(&self, world: &World) -> anyhow::Result<()> {
        is_clean(world)
    }
}
