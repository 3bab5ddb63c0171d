//! What a node does with a hub.

use std::fs;
use std::process::Command;

use anyhow::ensure;

use super::content::{holds, only_whole_files, same, write};
use super::{Hub, Scenario};
use crate::world::{World, remove};

/// A publisher `anna` with one release, and a reader `bert`.
pub(super) fn publish_first(world: &World) -> anyhow::Result<()> {
    world.join("anna")?;
    world.join("bert")?;
    publish(world, "anna", 1)
}

/// Writes and publishes a version as somebody.
pub(super) fn publish(world: &World, who: &str, version: u64) -> anyhow::Result<()> {
    write(&world.path("source"), version)?;
    world.ok(who, &["publish", "source", "team/site", "--public"]).map(|_| ())
}

/// What `bert`'s like gets of a release is what is in a folder.
pub(super) fn arrives(world: &World, release: &str, folder: &str) -> anyhow::Result<()> {
    // A node that knows nothing yet and remembers nothing.
    remove(&world.path("probe"))?;
    remove(&world.path("arrived"))?;
    world.join("probe")?;
    world.ok("probe", &["get", release, "--to", "arrived"])?;
    same(&world.path("arrived"), &world.path(folder))
}

/// A first `get` into a new directory.
pub(super) struct Get;

impl Scenario for Get {
    fn name(&self) -> &'static str {
        "get"
    }

    fn hub(&self) -> Hub {
        Hub::Steady
    }

    fn prepare(&self, world: &mut World) -> anyhow::Result<()> {
        publish_first(world)
    }

    fn roots(&self) -> &'static [&'static str] {
        &["bert", "copy"]
    }

    fn command(&self, world: &World) -> Command {
        world.command("bert", &["get", "team/site", "--to", "copy"])
    }

    fn always(&self, world: &World) -> anyhow::Result<()> {
        only_whole_files(&world.path("copy"), &[world.path("source")])
    }

    fn done(&self, world: &World) -> anyhow::Result<()> {
        same(&world.path("copy"), &world.path("source"))
    }
}

/// A `get` of the next release over the one before.
pub(super) struct Update {
    pub(super) name: &'static str,
    /// Publishes the next release.
    pub(super) publish: fn(&World) -> anyhow::Result<()>,
}

/// Both releases are signed by the owner of the name.
pub(super) const UPDATE: Update =
    Update { name: "update", publish: |world| publish(world, "anna", 2) };

impl Scenario for Update {
    fn name(&self) -> &'static str {
        self.name
    }

    fn hub(&self) -> Hub {
        Hub::Steady
    }

    fn prepare(&self, world: &mut World) -> anyhow::Result<()> {
        publish_first(world)?;
        world.ok("bert", &["get", "team/site", "--to", "copy"])?;
        fs::rename(world.path("source"), world.path("before"))?;
        (self.publish)(world)
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

    /// Who does not remember which files the older release brought leaves them where they are.
    fn delivered(&self, world: &World) -> anyhow::Result<()> {
        self.always(world)?;
        holds(&world.path("copy"), &world.path("source"))
    }
}

/// A publisher's second release.
pub(super) struct Publish;

impl Scenario for Publish {
    fn name(&self) -> &'static str {
        "publish"
    }

    fn hub(&self) -> Hub {
        Hub::Fresh
    }

    fn prepare(&self, world: &mut World) -> anyhow::Result<()> {
        publish_first(world)?;
        fs::rename(world.path("source"), world.path("before"))?;
        write(&world.path("source"), 2)
    }

    fn roots(&self) -> &'static [&'static str] {
        &["anna"]
    }

    fn command(&self, world: &World) -> Command {
        world.command("anna", &["publish", "source", "team/site", "--public"])
    }

    fn done(&self, world: &World) -> anyhow::Result<()> {
        arrives(world, "team/site@1", "before")?;
        arrives(world, "team/site", "source")
    }
}

/// A node's first word to a hub.
pub(super) struct Register;

impl Scenario for Register {
    fn name(&self) -> &'static str {
        "register"
    }

    fn hub(&self) -> Hub {
        Hub::Fresh
    }

    fn prepare(&self, world: &mut World) -> anyhow::Result<()> {
        publish_first(world)?;
        let invitation = world.ok("nobody", &["invite", "--data", "hub"])?;
        let text = invitation["invitation"].as_str().unwrap_or_default();
        ensure!(!text.is_empty(), "no invitation: {invitation}");
        Ok(fs::write(world.path("invitation"), text)?)
    }

    fn roots(&self) -> &'static [&'static str] {
        &["dora"]
    }

    fn command(&self, world: &World) -> Command {
        let invitation = fs::read_to_string(world.path("invitation")).unwrap_or_default();
        world.command("dora", &["register", &invitation])
    }

    fn done(&self, world: &World) -> anyhow::Result<()> {
        world.ok("dora", &["get", "team/site", "--to", "fetched"])?;
        same(&world.path("fetched"), &world.path("source"))
    }
}

/// A copy that was damaged is repaired while half of it comes from another source.
pub(super) struct Repair;

impl Scenario for Repair {
    fn name(&self) -> &'static str {
        "repair"
    }

    fn hub(&self) -> Hub {
        Hub::Steady
    }

    fn prepare(&self, world: &mut World) -> anyhow::Result<()> {
        publish_first(world)?;
        world.ok("bert", &["get", "team/site", "--to", "copy"])?;
        // The mirror has one of the files that are broken, and the hub has all.
        fs::create_dir(world.path("mirror"))?;
        fs::copy(world.path("source/large.bin"), world.path("mirror/large.bin"))?;
        for (file, at) in [("large.bin", 70_000), ("large.bin", 160_000), ("same.bin", 9)] {
            let path = world.path("copy").join(file);
            let mut bytes = fs::read(&path)?;
            bytes[at] ^= 1;
            fs::write(path, bytes)?;
        }
        fs::remove_file(world.path("copy/docs/page-3")).map_err(Into::into)
    }

    fn roots(&self) -> &'static [&'static str] {
        &["bert", "copy"]
    }

    fn command(&self, world: &World) -> Command {
        world.command("bert", &["get", "team/site", "--to", "copy", "--source", "mirror"])
    }

    fn done(&self, world: &World) -> anyhow::Result<()> {
        same(&world.path("copy"), &world.path("source"))
    }
}
