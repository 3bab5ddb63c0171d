//! The node that runs on this machine, if one does: its socket, its version, what it waits for.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use deploy::script::{CanLimit, Hindrance, can_confine, can_limit_of};
use node::control::{self, ControlError};
use node_api::Status as NodeStatus;

use super::{Finding, Fix, Surroundings};
use crate::output::utc;

/// A wait is mentioned after this long: below it is everyday life.
const WAIT_MENTIONED_S: u64 = 600;

/// What was seen of the node.
pub(crate) struct NodeLook {
    socket: PathBuf,
    /// Who owns the socket; `None` when there is none.
    owner: Option<u32>,
    status: Result<Option<NodeStatus>, ControlError>,
    /// Seconds since 1970 of the look.
    now: u64,
}

impl NodeLook {
    /// The node's process, if it answers.
    pub(super) fn process(&self) -> Option<u32> {
        self.status.as_ref().ok()?.as_ref().map(|status| status.process)
    }
}

/// Looks at the node of a state directory.
pub(super) async fn look(state: &Path, patience: Duration) -> NodeLook {
    let socket = control::socket_path(state);
    let owner = std::fs::symlink_metadata(&socket).ok().map(|facts| facts.uid());
    let asked = tokio::time::timeout(patience, control::status(state)).await;
    let status = asked.unwrap_or_else(|_| Err(ControlError::Silent { path: socket.clone() }));
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    NodeLook { socket, owner, status, now }
}

fn seen(around: &Surroundings) -> Result<&NodeLook, Finding> {
    around.node_look.as_ref().ok_or_else(|| Finding::skipped("there is no state directory"))
}

/// The node's own words; skipped when there is no node to ask.
fn told(around: &Surroundings) -> Result<(&NodeLook, &NodeStatus), Finding> {
    let look = seen(around)?;
    match &look.status {
        Ok(Some(status)) => Ok((look, status)),
        Ok(None) => Err(Finding::skipped("no node runs; commands do without")),
        Err(error) => Err(Finding::skipped(around.shown.text(&error.to_string()))),
    }
}

pub(super) fn socket_owner(around: &Surroundings) -> Finding {
    let look = match seen(around) {
        Ok(look) => look,
        Err(skipped) => return skipped,
    };
    let me = rustix::process::geteuid().as_raw();
    let path = around.path(&look.socket);
    let foreign = matches!(look.status, Err(ControlError::NotAllowed { .. }));
    match look.owner {
        None => Finding::ok("there is no socket"),
        Some(owner) if owner != me && owner != 0 || foreign => Finding::fail(
            format!("{path} is of user {owner}, and this is user {me}"),
            format!(
                "run consign as user {owner}, or name a state directory of your own: --state DIR"
            ),
        ),
        Some(_) => Finding::ok(format!("{path} is ours")),
    }
}

pub(super) fn socket_stale(around: &Surroundings) -> Finding {
    let look = match seen(around) {
        Ok(look) => look,
        Err(skipped) => return skipped,
    };
    let path = around.path(&look.socket);
    // Looked at again: a repair may have removed it.
    let owner = look.owner.filter(|_| std::fs::symlink_metadata(&look.socket).is_ok());
    match (&look.status, owner) {
        (_, None) => Finding::ok("there is no socket"),
        (Ok(None), Some(_)) => Finding::warn(
            format!("{path} is left from a node that ended without cleaning up"),
            format!("rm {path} (or start the node: consign node)"),
        )
        .or_fix(Fix::RemoveSocket(look.socket.clone())),
        (Err(error @ (ControlError::Silent { .. } | ControlError::Frame(_))), _) => Finding::fail(
            around.shown.text(&error.to_string()),
            "restart it: systemctl --user restart consign-node, or end its process and run consign node",
        ),
        (Ok(Some(status)), _) => {
            Finding::ok(format!("process {} answers at {path}", status.process))
        }
        (Err(_), _) => Finding::skipped("named by node-socket-owner or node-version"),
    }
}

pub(super) fn version(around: &Surroundings) -> Finding {
    let look = match seen(around) {
        Ok(look) => look,
        Err(skipped) => return skipped,
    };
    match &look.status {
        Err(error @ ControlError::Skew { process, .. }) => Finding::fail(
            error.to_string(),
            format!("restart it: systemctl --user restart consign-node, or kill {process}"),
        ),
        Ok(Some(status)) => Finding::ok(format!("the node has our version, {}", status.version)),
        Ok(None) => Finding::skipped("no node runs; commands do without"),
        Err(_) => Finding::skipped("it was not told"),
    }
}

pub(super) fn waiting(around: &Surroundings) -> Finding {
    let (look, status) = match told(around) {
        Ok(both) => both,
        Err(skipped) => return skipped,
    };
    let jobs =
        status.jobs.iter().filter_map(|job| Some((job.what.as_str(), job.waits_for.as_ref()?)));
    let own = status.waits_for.iter().map(|waits| ("the node", waits));
    let longest = own.chain(jobs).min_by_key(|(_, waits)| waits.since);
    match longest {
        Some((who, waits)) if look.now.saturating_sub(waits.since) > WAIT_MENTIONED_S => {
            Finding::warn(
                format!("{who} waits since {} for {}", utc(waits.since), waits.what),
                format!("consign status; {}", waits.next),
            )
        }
        Some((who, waits)) => Finding::ok(format!("{who} waits for {}", waits.what)),
        None => Finding::ok("it waits for nothing"),
    }
}

/// Scripts run where the node runs that follows a community; what another command starts is held to
/// what that command can.
pub(super) fn script_limits(around: &Surroundings) -> Finding {
    let (_, status) = match told(around) {
        Ok(both) => both,
        Err(skipped) => return skipped,
    };
    if status.communities.is_empty() {
        return Finding::skipped("the node follows no community: nobody sends it scripts");
    }
    if !can_confine() {
        return Finding::warn(
            "this kernel cannot hold scripts to what they may write: those whose step has `writes` are not \
             started, and the others write wherever their user may",
            "run Linux 6.2 or later with landlock among the modules of /sys/kernel/security/lsm",
        );
    }
    match can_limit_of(status.process) {
        Ok((can, hindrance)) => judge_limits(can, hindrance.as_ref(), |path| around.path(path)),
        Err(error) => {
            Finding::skipped(format!("process {} cannot be looked at: {error}", status.process))
        }
    }
}

fn judge_limits(
    can: CanLimit,
    hindrance: Option<&Hindrance>,
    shown: impl Fn(&Path) -> String,
) -> Finding {
    let Some(hindrance) = hindrance else {
        return Finding::ok("it can limit the memory and the processes of scripts");
    };
    let limits = [(can.memory, "memory"), (can.processes, "processes")];
    let lacks: Vec<&str> = limits.iter().filter(|(has, _)| !has).map(|(_, what)| *what).collect();
    let lacks = format!("the node cannot limit the {} of scripts", lacks.join(" and "));
    const UNIT: &str = "systemctl edit consign-node, or with --user for one user's node, and put \
                        Delegate=yes below [Service]; then restart it";
    match hindrance {
        Hindrance::NoHierarchy => Finding::warn(
            format!("{lacks}: no hierarchy of control groups is mounted where it runs"),
            "run the node outside of the container, or give the container a cgroup 2 of its own: \
             podman run --cgroupns=private, docker run --cgroupns=private",
        ),
        Hindrance::NotHandedOver { group } => Finding::warn(
            format!("{lacks}: the group {} was not handed over to it", shown(group)),
            UNIT,
        ),
        Hindrance::Without { controllers } => Finding::warn(
            format!("{lacks}: its group has no controller {}", controllers.join(" and no ")),
            "systemctl edit user@.service and put Delegate=cpu memory pids below [Service]; then \
             log in again",
        ),
    }
}

pub(super) fn watch_failing(around: &Surroundings) -> Finding {
    let (_, status) = match told(around) {
        Ok(both) => both,
        Err(skipped) => return skipped,
    };
    let failing = status.watches.iter().find_map(|watch| Some((watch, watch.last_error.as_ref()?)));
    match failing {
        None => Finding::ok(format!("{} names are followed", status.watches.len())),
        Some((watch, error)) => {
            let again = watch.next_try.map(|at| format!("; tries again at {}", utc(at)));
            Finding::warn(
                around.shown.text(&format!(
                    "{} into {}: {error}{}",
                    watch.name,
                    watch.to,
                    again.unwrap_or_default()
                )),
                format!(
                    "consign get {} --to DIR shows the cause; consign status follows it",
                    watch.name
                ),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Status;

    #[test]
    fn what_holds_no_scripts_is_named_with_the_way_out() {
        let can = |groups, memory, processes| CanLimit { groups, memory, processes };
        let judge = |can, hindrance: Option<Hindrance>| {
            judge_limits(can, hindrance.as_ref(), |path| path.display().to_string())
        };
        assert_eq!(judge(can(true, true, true), None).status, Status::Ok);
        let group = PathBuf::from("/sys/fs/cgroup/system.slice/x.service");
        for (can, hindrance, saw, next) in [
            (
                can(false, false, false),
                Hindrance::NotHandedOver { group },
                "memory and processes of scripts: the group /sys/fs/cgroup/system.slice/x.service",
                "Delegate=yes",
            ),
            (can(false, false, false), Hindrance::NoHierarchy, "no hierarchy", "cgroupns"),
            (
                can(true, false, true),
                Hindrance::Without { controllers: vec!["memory"] },
                "limit the memory of scripts: its group has no controller memory",
                "memory pids",
            ),
        ] {
            let finding = judge(can, Some(hindrance));
            assert_eq!(finding.status, Status::Warn);
            assert!(finding.evidence.contains(saw), "{}", finding.evidence);
            assert!(finding.next.as_ref().is_some_and(|it| it.contains(next)), "{finding:?}");
        }
    }
}
