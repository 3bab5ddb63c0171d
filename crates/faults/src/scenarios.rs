//! The jobs that faults are tried on.

mod communities;
mod content;
mod hubs;
mod migration;
mod nodes;
mod packages;
mod rights;
mod stores;
mod watches;

use std::path::Path;
use std::process::Command;

use crate::world::World;

pub(crate) use content::Different;

/// What a scenario's hub is to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hub {
    /// There is none.
    Absent,
    /// The job only reads from it, so one runs for all faults.
    Steady,
    /// The job changes it: it is brought back and started anew for each fault.
    Fresh,
    /// Faults happen to it; the job is its client.
    Subject,
}

/// One job of the program.
pub trait Scenario: Sync {
    /// How it is called on a command line.
    fn name(&self) -> &'static str;

    /// What its hub is to it.
    fn hub(&self) -> Hub;

    /// Makes of an empty world, whose hub runs, the one that the job begins in.
    ///
    /// # Errors
    /// When a command fails.
    fn prepare(&self, world: &mut World) -> anyhow::Result<()>;

    /// Directories in the world whose changes count.
    fn roots(&self) -> &'static [&'static str];

    /// The job. Running it again must finish what was broken off.
    fn command(&self, world: &World) -> Command;

    /// Whether the job ends well when it is run again after it was done.
    fn repeats(&self) -> bool {
        true
    }

    /// Options of its hub.
    fn hub_options(&self) -> &'static [&'static str] {
        &[]
    }

    /// Whether it knows files by their inodes, so that a power cut must keep them.
    fn knows_inodes(&self) -> bool {
        false
    }

    /// Whether all that has to last is written by what is traced; a client that writes beside its
    /// hub is not.
    fn is_all_recorded(&self) -> bool {
        true
    }

    /// Whether kills are all that is tried on it.
    fn is_only_killed(&self) -> bool {
        false
    }

    /// Files that were delivered before and that the job takes as they are, whatever became of them.
    fn is_taken_as_it_is(&self, path: &Path) -> bool {
        let _ = path;
        false
    }

    /// What holds at every instant, whatever happened.
    ///
    /// # Errors
    /// When it does not.
    fn always(&self, world: &World) -> anyhow::Result<()> {
        let _ = world;
        Ok(())
    }

    /// What holds once the job has ended with 0.
    ///
    /// # Errors
    /// When it does not.
    fn done(&self, world: &World) -> anyhow::Result<()>;

    /// What holds once it has ended with 0 although what it remembers was damaged.
    ///
    /// # Errors
    /// When it does not.
    fn delivered(&self, world: &World) -> anyhow::Result<()> {
        self.done(world)
    }
}

/// All of them.
#[must_use]
pub fn all() -> Vec<&'static dyn Scenario> {
    vec![
        &nodes::Get,
        &nodes::UPDATE,
        &nodes::Publish,
        &nodes::Register,
        &stores::FirstPut,
        &stores::Put,
        &stores::Collect,
        &stores::Verify,
        &watches::Switch { exchange: false },
        &watches::Switch { exchange: true },
        &watches::Back,
        &hubs::Upload,
        &hubs::FirstStart,
        &hubs::Backup,
        &hubs::Restore,
        &hubs::Collect,
        &migration::Migrate,
        &nodes::Repair,
        &packages::Apply,
        &packages::RollBack,
        &rights::Grant,
        &rights::Revoke,
        &rights::DELEGATED,
        &communities::Target,
    ]
}
