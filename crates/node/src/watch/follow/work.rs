//! What a watch does about one release: fetch it, switch to it, run the hook.

use std::path::Path;
use std::sync::{Arc, Mutex};

use checkout::{CheckoutOptions, CheckoutProgress};
use node_api::status::{WatchState, WatchStatus};
use watch_plan::Wanted;

use super::{FollowError, WatchEvent, waiting};
use crate::hubs::HubChoiceError;
use crate::state::Node;
use crate::tree::{TreeError, TreeSpec};
use crate::watch::hook::{HookFacts, Launch};
use crate::watch::releases::{Origin, Releases};
use crate::watch::{WatchSpec, lock};

/// One fetch, switch and hook.
pub(super) struct Work {
    pub(super) node: Arc<Node>,
    pub(super) spec: WatchSpec,
    pub(super) status: Arc<Mutex<WatchStatus>>,
    pub(super) progress: Arc<CheckoutProgress>,
    pub(super) launch: Launch,
    pub(super) wanted: Wanted,
    pub(super) releases: Arc<tokio::sync::Mutex<Releases>>,
}

impl Work {
    /// Does it; returns the release that is current then.
    pub(super) async fn run(&self, say: &impl Fn(WatchEvent)) -> Result<u64, FollowError> {
        let mut releases = self.releases.lock().await;
        let current = releases.current()?;
        let sequence = match self.wanted {
            // It was checked when it was fetched: going back must not need the hub.
            Wanted::Release(sequence) if releases.keeps(sequence, self.spec.publisher.as_ref()) => {
                sequence
            }
            Wanted::Newest | Wanted::Release(_) => self.fetch(&mut releases).await?,
        };
        let refused = self.wanted == Wanted::Newest && releases.refused() == Some(sequence);
        // A run that was killed after its switch left the rest to do, its hook for example.
        if current != Some(sequence) && !refused {
            releases.switch(sequence)?;
            let (name, release) = (self.spec.name.to_string(), sequence);
            say(WatchEvent::Switched { name, release, previous: current, rolled_back: false });
        }
        let hooked = self.hook(&mut releases, say).await;
        let pruned = releases.prune(self.spec.keep, None);
        // That old releases cannot be removed must not hide that the hook failed.
        hooked?;
        pruned?;
        Ok(releases.current()?.unwrap_or(sequence))
    }

    /// Fetches what is wanted beside the current release; returns its number.
    async fn fetch(&self, releases: &mut Releases) -> Result<u64, FollowError> {
        let sequence = match self.wanted {
            Wanted::Newest => None,
            Wanted::Release(sequence) => Some(sequence),
        };
        let spec = TreeSpec::Release { name: self.spec.name.clone(), sequence };
        let (capability, publisher) = (self.spec.capability.as_ref(), self.spec.publisher.as_ref());
        let hub = self.spec.hub.as_deref();
        let found = self.node.find_tree(&spec, hub, capability, publisher, &[]).await?;
        let (Some(manifest), Some(owner)) = (&found.release, &found.owner) else {
            let none = HubChoiceError::NoneKnown;
            return Err(TreeError::HubChoice(none).into());
        };
        let (sequence, origin) = (manifest.sequence, Origin::of(manifest, owner));
        releases.check_origin(sequence, &origin)?;
        let current = releases.current()?;
        let refused = self.wanted == Wanted::Newest && releases.refused() == Some(sequence);
        if current == Some(sequence) || refused || releases.kept().contains(&sequence) {
            return Ok(sequence);
        }
        // Half a release that nobody wants any more makes room.
        releases.prune(self.spec.keep, Some(sequence))?;
        let base = current.map(|current| checkout::Base {
            directory: releases.path_of(current),
            state: releases.memory_of(current),
        });
        let options = CheckoutOptions { base, ..CheckoutOptions::default() };
        let (to, memory) = (releases.path_of(sequence), releases.memory_of(sequence));
        found.check_out(&to, &memory, options, &self.progress).await?;
        releases.completed(sequence, origin)?;
        Ok(sequence)
    }

    /// Runs the hook if one is due; goes back to the release before if it fails and is to.
    pub(super) async fn hook(
        &self,
        releases: &mut Releases,
        say: &impl Fn(WatchEvent),
    ) -> Result<(), FollowError> {
        let Some(due) = releases.hook_due() else { return Ok(()) };
        let Some(hook) = &self.spec.hook else { return Ok(releases.hook_done()?) };
        {
            let mut status = lock(&self.status);
            status.state = WatchState::Hook;
            status.waits_for = waiting(&self.spec, WatchState::Hook, None);
        }
        let name = self.spec.name.to_string();
        let facts = |release, previous, rollback| HookFacts {
            name: name.clone(),
            release,
            previous,
            current: releases_path(&self.spec.to),
            rollback,
        };
        let (directory, log) = (releases.directory().to_owned(), releases.hook_log());
        let rollback_log = log.with_extension("rollback.log");
        // Due since a rollback that was cut off: there is nothing to go back to once more.
        let back = due.previous.is_some() && due.previous == releases.refused();
        let log = if back { &rollback_log } else { &log };
        let first = facts(due.release, due.previous, back);
        let Err(source) = hook.run(&first, &directory, log, &self.launch).await else {
            return Ok(releases.hook_done()?);
        };
        let may_go_back = hook.rollback && !back;
        let previous = due.previous.filter(|it| may_go_back && releases.kept().contains(it));
        let Some(previous) = previous else {
            releases.hook_done()?;
            return Err(FollowError::Hook { name, release: due.release, source });
        };
        releases.roll_back(due, previous)?;
        say(WatchEvent::Switched {
            name: name.clone(),
            release: previous,
            previous: Some(due.release),
            rolled_back: true,
        });
        // What it restarts must be restarted with the old files too; how that ends is in the log.
        let again = facts(previous, Some(due.release), true);
        if let Err(error) = hook.run(&again, &directory, &rollback_log, &self.launch).await {
            tracing::warn!(%name, %error, "the hook failed for the release before as well");
        }
        releases.hook_done()?;
        Err(FollowError::RolledBack { name, release: due.release, source })
    }
}

fn releases_path(to: &Path) -> std::path::PathBuf {
    to.join("current")
}
