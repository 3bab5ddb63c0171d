//! How many files the process may have open, for connections are files to the system.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::HubLimits;

/// Files left to the store, the database and whatever else the process does.
const RESERVED: u64 = 512;

/// Raises what this process may have open as far as the system lets it without privileges;
/// returns the limit in force, `None` without one.
///
/// The low limit that processes begin with is for programs that use `select`.
fn raise() -> Option<u64> {
    let before = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: before.maximum, maximum: before.maximum };
    match setrlimit(Resource::Nofile, wanted) {
        Ok(()) => before.maximum,
        Err(error) => {
            tracing::warn!(%error, "cannot raise the limit on open files");
            before.current
        }
    }
}

/// The limits with no more connections than files can be opened for, and no more event streams
/// than leave room for requests.
pub(crate) fn fit(mut limits: HubLimits) -> HubLimits {
    let open_files_max = raise();
    let connections_max = connections(open_files_max, limits.connections_max);
    if connections_max < limits.connections_max {
        tracing::warn!(
            connections_max,
            wanted = limits.connections_max,
            open_files_max,
            "the limit on open files allows fewer connections; raise it (ulimit -Hn, LimitNOFILE=)"
        );
    }
    limits.connections_max = connections_max;
    limits.event_streams_max = limits.event_streams_max.min(connections_max - connections_max / 4);
    limits
}

fn connections(open_files_max: Option<u64>, wanted: usize) -> usize {
    let Some(files) = open_files_max else { return wanted };
    let files = files.saturating_sub(RESERVED).max(files / 2);
    wanted.min(usize::try_from(files).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_files_to_the_store() {
        assert_eq!(connections(None, 16_384), 16_384);
        assert_eq!(connections(Some(1 << 20), 16_384), 16_384);
        assert_eq!(connections(Some(4096), 16_384), 3584);
        assert_eq!(connections(Some(1024), 16_384), 512);
        assert_eq!(connections(Some(256), 16_384), 128);
        assert_eq!(connections(Some(256), 4), 4);
    }

    #[test]
    fn streams_leave_room_for_requests() {
        let limits = HubLimits { connections_max: 8, ..HubLimits::default() };
        assert_eq!(fit(limits).event_streams_max, 6);
        let limits = HubLimits { connections_max: 1, ..HubLimits::default() };
        assert_eq!(fit(limits).event_streams_max, 1);
    }
}
