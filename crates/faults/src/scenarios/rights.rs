//! Who may publish beside the owner: what the owner signs, and what a reader remembers of it.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, ensure};

use super::nodes::{Update, arrives, publish, publish_first};
use super::{Hub, Scenario};
use crate::world::World;

/// A third node, `carl`; its key is in a file beside the folders.
fn carl_joins(world: &World) -> anyhow::Result<()> {
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
        publish_first(world)?;
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
        publish_first(world)?;
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
pub(super) const DELEGATED: Update = Update {
    name: "delegated",
    publish: |world| {
        carl_joins(world)?;
        grant(world)?;
        publish(world, "carl", 2)
    },
};
