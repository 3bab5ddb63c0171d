//! The step from one release to another in a watched directory.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

use super::content::{same, write};
use super::nodes::publish_first;
use super::{Hub, Scenario};
use crate::world::World;

/// A directory in which release 1 is current, and release 2 is there to be had.
fn follow_first(world: &World, more: &[&str]) -> anyhow::Result<()> {
    publish_first(world)?;
    world.ok("bert", &[&["watch", "team/site", "--to", "site", "--once"], more].concat())?;
    fs::rename(world.path("source"), world.path("before"))?;
    write(&world.path("source"), 2)?;
    world.ok("anna", &["publish", "source", "team/site", "--public"]).map(|_| ())
}

/// `current` is the one or the other, whole.
fn is_whole(world: &World) -> anyhow::Result<()> {
    let current = world.path("site/current");
    let newer = same(&current, &world.path("source"));
    let older = same(&current, &world.path("before"));
    newer.or(older).context("current is no whole release")
}

/// The newer release becomes current.
pub(super) struct Switch {
    /// By an exchange of directories rather than of a link.
    pub(super) exchange: bool,
}

impl Scenario for Switch {
    fn name(&self) -> &'static str {
        if self.exchange { "exchange" } else { "switch" }
    }

    fn hub(&self) -> Hub {
        Hub::Steady
    }

    fn knows_inodes(&self) -> bool {
        self.exchange
    }

    fn prepare(&self, world: &mut World) -> anyhow::Result<()> {
        follow_first(world, if self.exchange { &["--exchange"] } else { &[] })
    }

    fn roots(&self) -> &'static [&'static str] {
        &["bert", "site"]
    }

    fn command(&self, world: &World) -> Command {
        let mut command = world.command("bert", &["watch", "team/site", "--to", "site", "--once"]);
        if self.exchange {
            command.arg("--exchange");
        }
        command
    }

    fn always(&self, world: &World) -> anyhow::Result<()> {
        is_whole(world)
    }

    fn done(&self, world: &World) -> anyhow::Result<()> {
        same(&world.path("site/current"), &world.path("source"))
    }
}

/// Back to the release before, which is still there.
pub(super) struct Back;

impl Scenario for Back {
    fn name(&self) -> &'static str {
        "roll-back"
    }

    fn hub(&self) -> Hub {
        Hub::Steady
    }

    fn prepare(&self, world: &mut World) -> anyhow::Result<()> {
        follow_first(world, &[])?;
        world.ok("bert", &["watch", "team/site", "--to", "site", "--once"]).map(|_| ())
    }

    fn roots(&self) -> &'static [&'static str] {
        &["bert", "site"]
    }

    fn command(&self, world: &World) -> Command {
        world.command("bert", &["watch", "team/site", "--to", "site", "--to-release", "1"])
    }

    fn is_taken_as_it_is(&self, path: &Path) -> bool {
        // A release that was kept is what one goes back to in a hurry: it is not read again.
        path.starts_with("site/releases")
    }

    fn always(&self, world: &World) -> anyhow::Result<()> {
        is_whole(world)
    }

    fn done(&self, world: &World) -> anyhow::Result<()> {
        same(&world.path("site/current"), &world.path("before"))
    }
}
