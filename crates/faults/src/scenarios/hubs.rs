//! What a hub does.

use std::fs;
use std::process::Command;

use super::content::{noise, write};
use super::nodes::{arrives, publish_first};
use super::{Hub, Scenario};
use crate::world::{World, remove};

/// The hub takes the second release of a name.
pub(super) struct Upload;

impl Scenario for Upload {
    fn name(&self) -> &'static str {
        "upload"
    }

    fn hub(&self) -> Hub {
        Hub::Subject
    }

    fn prepare(&self, world: &mut World) -> anyhow::Result<()> {
        publish_first(world)?;
        fs::rename(world.path("source"), world.path("before"))?;
        write(&world.path("source"), 2)
    }

    fn roots(&self) -> &'static [&'static str] {
        &["hub"]
    }

    fn command(&self, world: &World) -> Command {
        world.command("anna", &["publish", "source", "team/site", "--public"])
    }

    fn always(&self, world: &World) -> anyhow::Result<()> {
        arrives(world, "team/site@1", "before")
    }

    fn done(&self, world: &World) -> anyhow::Result<()> {
        arrives(world, "team/site@1", "before")?;
        arrives(world, "team/site", "source")
    }
}

/// A hub makes its database, its certificate and its store.
pub(super) struct FirstStart;

impl Scenario for FirstStart {
    fn name(&self) -> &'static str {
        "first-start"
    }

    fn hub(&self) -> Hub {
        Hub::Subject
    }

    fn prepare(&self, world: &mut World) -> anyhow::Result<()> {
        world.kill_hub();
        remove(&world.path("hub"))
    }

    fn roots(&self) -> &'static [&'static str] {
        &["hub"]
    }

    fn command(&self, world: &World) -> Command {
        world.command("nobody", &["invite", "--data", "hub"])
    }

    fn is_all_recorded(&self) -> bool {
        // The invitation is written by the client, into the database of the hub.
        false
    }

    fn done(&self, world: &World) -> anyhow::Result<()> {
        // What was handed out before the fault still opens the same hub.
        let said = fs::read_to_string(world.beside(crate::campaign::CLIENT))?;
        let invitation: serde_json::Value = serde_json::from_str(&said)?;
        world.ok("zoe", &["register", invitation["invitation"].as_str().unwrap_or_default()])?;
        publish_first(world)?;
        arrives(world, "team/site", "source")
    }
}

/// A second backup of a running hub, brought up to date.
pub(super) struct Backup;

impl Scenario for Backup {
    fn name(&self) -> &'static str {
        "backup"
    }

    fn hub(&self) -> Hub {
        Hub::Steady
    }

    fn prepare(&self, world: &mut World) -> anyhow::Result<()> {
        publish_first(world)?;
        world.ok("nobody", &["hub", "backup", "--data", "hub", "--to", "backup"])?;
        fs::rename(world.path("source"), world.path("before"))?;
        write(&world.path("source"), 2)?;
        world.ok("anna", &["publish", "source", "team/site", "--public"]).map(|_| ())
    }

    fn roots(&self) -> &'static [&'static str] {
        &["backup"]
    }

    fn command(&self, world: &World) -> Command {
        world.command("nobody", &["hub", "backup", "--data", "hub", "--to", "backup"])
    }

    fn always(&self, world: &World) -> anyhow::Result<()> {
        restores(world)
    }

    fn done(&self, world: &World) -> anyhow::Result<()> {
        restores(world)
    }
}

/// Restoring says by itself whether every chunk of every release is there.
fn restores(world: &World) -> anyhow::Result<()> {
    remove(&world.path("restored"))?;
    let restored =
        world.ok("nobody", &["hub", "restore", "--from", "backup", "--data", "restored"])?;
    anyhow::ensure!(restored["releases"].as_u64() >= Some(1), "{restored}");
    Ok(())
}

/// A hub's data is made of a backup.
pub(super) struct Restore;

impl Scenario for Restore {
    fn name(&self) -> &'static str {
        "restore"
    }

    fn hub(&self) -> Hub {
        Hub::Absent
    }

    fn prepare(&self, world: &mut World) -> anyhow::Result<()> {
        publish_first(world)?;
        world.ok("nobody", &["hub", "backup", "--data", "hub", "--to", "backup"])?;
        Ok(())
    }

    fn roots(&self) -> &'static [&'static str] {
        &["restored"]
    }

    fn command(&self, world: &World) -> Command {
        world.command("nobody", &["hub", "restore", "--from", "backup", "--data", "restored"])
    }

    fn repeats(&self) -> bool {
        false
    }

    fn done(&self, world: &World) -> anyhow::Result<()> {
        let packs = |data: &str| world.path(data).join("store/packs/00000000.pack");
        let (restored, lost) = (fs::read(packs("restored"))?, fs::read(packs("hub"))?);
        anyhow::ensure!(restored == lost, "the pack is another one");
        // What was restored can be backed up, restored and checked like any hub.
        remove(&world.path("again"))?;
        world.ok("nobody", &["hub", "backup", "--data", "restored", "--to", "again"])?;
        remove(&world.path("twice"))?;
        world.ok("nobody", &["hub", "restore", "--from", "again", "--data", "twice"]).map(|_| ())
    }
}

/// A hub lets go of a release, and of the chunks that nothing else needs.
pub(super) struct Collect;

impl Scenario for Collect {
    fn name(&self) -> &'static str {
        "hub-gc"
    }

    fn hub(&self) -> Hub {
        Hub::Subject
    }

    fn hub_options(&self) -> &'static [&'static str] {
        &["--collect-every", "200"]
    }

    fn prepare(&self, world: &mut World) -> anyhow::Result<()> {
        publish_first(world)?;
        // Most of the pack goes, so that the rest moves to another one.
        write(&world.path("source"), 2)?;
        fs::write(world.path("source/bulk"), noise(9, 900_000))?;
        world.ok("anna", &["publish", "source", "team/site", "--public"])?;
        write(&world.path("source"), 3)?;
        world.ok("anna", &["publish", "source", "team/site", "--public"])?;
        world.ok("anna", &["keep", "team/site", "--last", "1"])?;
        world.kill_hub();
        // Chunks of this day are not collected.
        let pack = fs::File::options().write(true).open(world.path(PACK))?;
        let before = std::time::SystemTime::now() - std::time::Duration::from_hours(72);
        Ok(pack.set_modified(before)?)
    }

    fn roots(&self) -> &'static [&'static str] {
        &["hub"]
    }

    /// Waits until the pack is gone.
    fn command(&self, world: &World) -> Command {
        let mut command = Command::new("/bin/sh");
        let wait = "n=0; while [ -e \"$0\" ]; do n=$((n+1)); [ $n -lt 80 ] || exit 1; sleep 0.1; done; sleep 0.2";
        command.arg("-c").arg(wait).arg(world.path(PACK)).current_dir(world.path(""));
        command
    }

    fn always(&self, world: &World) -> anyhow::Result<()> {
        arrives(world, "team/site", "source")
    }

    fn done(&self, world: &World) -> anyhow::Result<()> {
        anyhow::ensure!(!world.path(PACK).exists(), "the pack came back");
        arrives(world, "team/site", "source")
    }
}

/// What holds the chunks of all releases.
const PACK: &str = "hub/store/packs/00000000.pack";
