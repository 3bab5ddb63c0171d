//! Who may publish beside the owner: what the owner signs, and what a reader remembers of it.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, ensure};

use super::content::{only_whole_files, same, write};
use super::nodes::{arrives, publish_first};
use super::{Hub, Scenario};
use crate::world::World;

/// A third node, `carl`; its key is in a file beside the folders.
fn carl_joins(world: &World) -> anyhow::Result<()> {
    publish_first(world)?;
    world.join("carl")?;
    let told = world.ok("carl", &["id"])?;
    Ok(fs::write(world.path("carl.key"), told["key"].as_str().context("a key")?)?)
}

fn carl(world: &World) -> String {
    fs::read_to_string(world.path("carl.key")).unwrap_or_default()
}

fn grant(world: &World) -> anyhow::Result<()> {
    world.ok("anna", &["grant", "team/site", &carl(world), "--publisher"]).map(|_| ())
}

/// Writes and publishes the next version as somebody.
fn publish(world: &World, who: &str, version: u64) -> anyhow::Result<()> {
    write(&world.path("source"), version)?;
    world.ok(who, &["publish", "source", "team/site", "--public"]).map(|_| ())
}

/// The owner names a publisher.
pub(super) struct Grant;

impl Scenario for Grant {
    fn name(&self) -> &'static str {
        "grant"
    }

    fn hub(&self) -> Hub {
        Hub::Fresh
    }

    fn prepare(&self, world: &mut World) -> anyhow::Result<()> {
        carl_joins(world)
    }

    fn roots(&self) -> &'static [&'static str] {
        &["anna"]
    }

    fn command(&self, world: &World) -> Command {
        world.command("anna", &["grant", "team/site", &carl(world), "--publisher"])
    }

    fn done(&self, world: &World) -> anyhow::Result<()> {
        publish(world, "carl", 2)?;
        arrives(world, "team/site", "source")
    }
}

/// The owner takes it back.
pub(super) struct Revoke;

impl Scenario for Revoke {
    fn name(&self) -> &'static str {
        "revoke"
    }

    fn hub(&self) -> Hub {
        Hub::Fresh
    }

    fn prepare(&self, world: &mut World) -> anyhow::Result<()> {
        carl_joins(world)?;
        grant(world)?;
        publish(world, "carl", 2)
    }

    fn roots(&self) -> &'static [&'static str] {
        &["anna"]
    }

    fn command(&self, world: &World) -> Command {
        world.command("anna", &["revoke", "team/site", &carl(world)])
    }

    /// A second time there is nothing to take back.
    fn repeats(&self) -> bool {
        false
    }

    fn done(&self, world: &World) -> anyhow::Result<()> {
        ensure!(publish(world, "carl", 3).is_err(), "carl still publishes");
        // The owner goes on, with the number after the last one it signed.
        publish(world, "anna", 3)?;
        arrives(world, "team/site", "source")?;
        grant(world)?;
        publish(world, "carl", 4)
    }
}

/// A reader gets a release that the owner did not sign itself.
pub(super) struct Delegated;

impl Scenario for Delegated {
    fn name(&self) -> &'static str {
        "delegated"
    }

    fn hub(&self) -> Hub {
        Hub::Steady
    }

    fn prepare(&self, world: &mut World) -> anyhow::Result<()> {
        carl_joins(world)?;
        world.ok("bert", &["get", "team/site", "--to", "copy"])?;
        fs::rename(world.path("source"), world.path("before"))?;
        grant(world)?;
        publish(world, "carl", 2)
    }

    fn roots(&self) -> &'static [&'static str] {
        &["bert", "copy"]
    }

    fn command(&self, world: &World) -> Command {
        world.command("bert", &["get", "team/site", "--to", "copy"])
    }

    fn always(&self, world: &World) -> anyhow::Result<()> {
        only_whole_files(&world.path("copy"), &[world.path("source"), world.path("before")])
    }

    fn done(&self, world: &World) -> anyhow::Result<()> {
        same(&world.path("copy"), &world.path("source"))
    }

    fn delivered(&self, world: &World) -> anyhow::Result<()> {
        self.always(world)?;
        super::content::holds(&world.path("copy"), &world.path("source"))
    }
}
