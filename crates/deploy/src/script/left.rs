//! Groups of a script, remembered until nothing is in them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::group::{self, Places};
use crate::scratch::is_name_of_ours;

/// Groups of a script: when this is dropped, whatever became of the supervisor, nothing is in them and
/// they are gone.
pub(super) struct Left<'a> {
    groups: &'a Places,
    note: Option<PathBuf>,
}

impl<'a> Left<'a> {
    /// Remembers them, should we be killed.
    pub(super) fn note(groups: &'a Places, state: Option<&Path>) -> io::Result<Self> {
        let note = state.map(groups_note);
        if let Some(note) = &note {
            fs::write(note, serde_json::to_vec(groups)?)?;
        }
        Ok(Self { groups, note })
    }
}

impl Drop for Left<'_> {
    fn drop(&mut self) {
        group::clear(self.groups);
        if let Some(note) = &self.note {
            drop(fs::remove_file(note));
        }
    }
}

/// Ends what a process that was killed left in groups.
pub(super) fn sweep(state: &Path) {
    let note = groups_note(state);
    let groups = fs::read(&note).ok();
    // A note that was torn by a power cut names nothing of ours; nor is anything left then.
    let groups = groups.and_then(|bytes| serde_json::from_slice::<Places>(&bytes).ok());
    if let Some(groups) = groups.filter(|groups| groups.all().all(is_name_of_ours)) {
        group::clear(&groups);
    }
    drop(fs::remove_file(&note));
}

fn groups_note(state: &Path) -> PathBuf {
    state.join("groups")
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use rustix::process::Pid;
    use testkit::parts::skip_on_this_machine;

    use super::*;
    use crate::script::limits::Bounds;
    use crate::script::{hierarchy, settle};

    #[test]
    fn what_is_left_in_groups_ends_before_anything_else_is_begun() {
        let uuid = fs::read_to_string("/proc/sys/kernel/random/uuid").expect("there");
        let groups = hierarchy::places().of(&format!("consign-script-{}", uuid.trim()));
        if groups.all().next().is_none() {
            return skip_on_this_machine("groups", "none can be made here");
        }
        let state = tempfile::tempdir().expect("a directory");
        // Somebody was killed with their supervisor, who has remembered this.
        std::mem::forget(Left::note(&groups, Some(state.path())).expect("noted"));
        let mut made = group::Group::make(&groups, &Bounds::default());
        let mut ours =
            Command::new("sleep").arg("1000").stdin(Stdio::null()).spawn().expect("starts");
        made.take_in(Pid::from_child(&ours));
        assert!(groups.all().all(Path::exists) && made.why().is_none(), "{made:?}");

        settle(state.path(), std::time::Duration::from_secs(60)).expect("settled");
        let status = ours.wait().expect("ours");
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9));
        assert!(!groups_note(state.path()).exists());
        // The kernel is done with a group when who was in it is reaped, which was ours to do.
        group::clear(&groups);
        assert!(!groups.all().any(Path::exists), "{groups:?}");
    }

    #[test]
    fn a_note_that_names_something_else_is_not_believed() {
        let state = tempfile::tempdir().expect("a directory");
        let other = state.path().join("consign-script-other");
        fs::create_dir(&other).expect("made");
        let places = Places { unified: Some(other.clone()), ..Places::default() };
        std::mem::forget(Left::note(&places, Some(state.path())).expect("noted"));
        sweep(state.path());
        assert!(other.exists() && !groups_note(state.path()).exists());
    }
}
