//! What a node does with its own store, without a hub.

use std::fs;
use std::process::Command;

use anyhow::Context as _;

use super::content::{same, write};
use super::{Hub, Scenario};
use crate::world::{World, remove};

/// A store with two trees; their ids are in files beside the folders.
fn two_trees(world: &World) -> anyhow::Result<()> {
    for (folder, version) in [("source", 1), ("other", 2)] {
        write(&world.path(folder), version)?;
        put(world, folder)?;
    }
    Ok(())
}

fn put(world: &World, folder: &str) -> anyhow::Result<()> {
    let done = world.ok("solo", &["put", folder])?;
    let tree = done["tree"].as_str().context("a tree")?;
    Ok(fs::write(world.path(&format!("{folder}.tree")), tree)?)
}

/// The store gives back what is in a folder.
fn is_kept(world: &World, folder: &str) -> anyhow::Result<()> {
    let tree = fs::read_to_string(world.path(&format!("{folder}.tree")))?;
    remove(&world.path("arrived"))?;
    world.ok("solo", &["get", &tree, "--to", "arrived"])?;
    same(&world.path("arrived"), &world.path(folder))
}

/// Another tree is put beside the first.
pub(super) struct Put;

impl Scenario for Put {
    fn name(&self) -> &'static str {
        "put"
    }

    fn hub(&self) -> Hub {
        Hub::Absent
    }

    fn prepare(&self, world: &mut World) -> anyhow::Result<()> {
        two_trees(world)?;
        // The same files with the same id, as a store has them that knows only one tree.
        remove(&world.path("solo"))?;
        put(world, "source")
    }

    fn roots(&self) -> &'static [&'static str] {
        &["solo"]
    }

    fn command(&self, world: &World) -> Command {
        world.command("solo", &["put", "other"])
    }

    fn always(&self, world: &World) -> anyhow::Result<()> {
        is_kept(world, "source")?;
        world.ok("solo", &["verify"]).map(|_| ())
    }

    fn done(&self, world: &World) -> anyhow::Result<()> {
        is_kept(world, "source")?;
        is_kept(world, "other")?;
        world.ok("solo", &["verify"]).map(|_| ())
    }
}

/// The first tree of a node that did not exist.
pub(super) struct FirstPut;

impl Scenario for FirstPut {
    fn name(&self) -> &'static str {
        "first-put"
    }

    fn hub(&self) -> Hub {
        Hub::Absent
    }

    fn prepare(&self, world: &mut World) -> anyhow::Result<()> {
        write(&world.path("source"), 1)?;
        put(world, "source")?;
        remove(&world.path("solo"))
    }

    fn roots(&self) -> &'static [&'static str] {
        &["solo"]
    }

    fn command(&self, world: &World) -> Command {
        world.command("solo", &["put", "source"])
    }

    fn done(&self, world: &World) -> anyhow::Result<()> {
        is_kept(world, "source")?;
        world.ok("solo", &["verify"]).map(|_| ())
    }
}

/// Garbage is collected where half of everything is.
pub(super) struct Collect;

impl Scenario for Collect {
    fn name(&self) -> &'static str {
        "gc"
    }

    fn hub(&self) -> Hub {
        Hub::Absent
    }

    fn prepare(&self, world: &mut World) -> anyhow::Result<()> {
        two_trees(world)?;
        // The folder's next version takes the root of the one before.
        write(&world.path("other"), 3)?;
        put(world, "other")
    }

    fn roots(&self) -> &'static [&'static str] {
        &["solo"]
    }

    fn command(&self, world: &World) -> Command {
        world.command("solo", &["gc", "--grace", "0"])
    }

    fn always(&self, world: &World) -> anyhow::Result<()> {
        self.done(world)
    }

    fn done(&self, world: &World) -> anyhow::Result<()> {
        is_kept(world, "source")?;
        is_kept(world, "other")?;
        world.ok("solo", &["verify"]).map(|_| ())
    }
}

/// A store whose index was lost is opened and checked.
pub(super) struct Verify;

impl Scenario for Verify {
    fn name(&self) -> &'static str {
        "verify"
    }

    fn hub(&self) -> Hub {
        Hub::Absent
    }

    fn prepare(&self, world: &mut World) -> anyhow::Result<()> {
        two_trees(world)?;
        remove(&world.path("solo/store/index.redb"))
    }

    fn roots(&self) -> &'static [&'static str] {
        &["solo"]
    }

    fn command(&self, world: &World) -> Command {
        world.command("solo", &["verify"])
    }

    fn always(&self, world: &World) -> anyhow::Result<()> {
        self.done(world)
    }

    fn done(&self, world: &World) -> anyhow::Result<()> {
        is_kept(world, "source")?;
        is_kept(world, "other")
    }
}
