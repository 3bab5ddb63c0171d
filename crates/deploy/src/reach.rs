//! Opens absolute paths of a machine so that no other user decides where they lead.
//!
//! The rule: a symbolic link on the way is followed when root made it or we did, and refused
//! when anybody else did. So `/var/run` works, and a link that a user put in a directory of their
//! own leads nowhere. Directories are opened one by one and held; what is done beneath the last
//! one happens in that very directory, whatever is renamed afterwards.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags, StatxFlags, openat, readlinkat, statx};
use rustix::io::Errno;

/// As many links as the kernel follows.
const LINKS_MAX: usize = 40;

/// Why a path of the machine cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReachError {
    /// Somebody else decides where it leads. Name the place it is to lead to instead.
    #[error("{path} leads over {link}, a symbolic link of another user")]
    Foreign { path: String, link: String },
    /// It does not exist, or may not be opened.
    #[error("cannot open {path}: {source}")]
    System { path: String, source: io::Error },
}

impl ReachError {
    /// Whether something on the way does not exist.
    pub(crate) fn is_not_found(&self) -> bool {
        match self {
            Self::System { source, .. } => source.kind() == io::ErrorKind::NotFound,
            Self::Foreign { .. } => false,
        }
    }
}

/// Opens `path`, which is absolute, for operations alone (`O_PATH`).
pub(crate) fn open(path: &Path) -> Result<OwnedFd, ReachError> {
    let shown = || path.display().to_string();
    let failed = |errno: Errno| ReachError::System { path: shown(), source: errno.into() };
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let root = || rustix::fs::open(c"/", flags | OFlags::DIRECTORY, Mode::empty());
    let mut way = vec![root().map_err(failed)?];
    let mut names = names(path.as_os_str().as_encoded_bytes());
    let mut links = 0;
    while let Some(name) = names.pop() {
        if name == b".." {
            if way.len() > 1 {
                way.pop();
            }
            continue;
        }
        let from = way.last().expect("the root stays").as_fd();
        let opened = openat(from, &*name, flags, Mode::empty()).map_err(failed)?;
        let facts =
            statx(&opened, c"", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS).map_err(failed)?;
        if rustix::fs::FileType::from_raw_mode(facts.stx_mode.into())
            != rustix::fs::FileType::Symlink
        {
            way.push(opened);
            continue;
        }
        if facts.stx_uid != 0 && facts.stx_uid != rustix::process::geteuid().as_raw() {
            let link = String::from_utf8_lossy(&name).into_owned();
            return Err(ReachError::Foreign { path: shown(), link });
        }
        links += 1;
        if links > LINKS_MAX {
            return Err(failed(Errno::LOOP));
        }
        let target = readlinkat(&opened, c"", Vec::new()).map_err(failed)?.into_bytes();
        if target.starts_with(b"/") {
            way.truncate(1);
        }
        names.extend(self::names(&target));
    }
    Ok(way.pop().expect("the root stays"))
}

/// Names of a path, the first one last.
fn names(path: &[u8]) -> Vec<Vec<u8>> {
    let names = path.split(|byte| *byte == b'/').filter(|name| !name.is_empty() && *name != b".");
    names.rev().map(<[u8]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, symlink};

    use super::*;

    fn inode(path: &Path) -> Option<u64> {
        let fd = open(path).ok()?;
        let facts = statx(&fd, c"", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS).ok()?;
        Some(facts.stx_ino)
    }

    #[test]
    fn links_of_our_own_lead_where_the_kernel_goes() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = |name: &str| directory.path().join(name);
        std::fs::create_dir_all(path("a/b")).expect("made");
        symlink("a/../a/./b", path("relative")).expect("linked");
        symlink(path("a"), path("absolute")).expect("linked");
        symlink("loop", path("loop")).expect("linked");
        for name in ["a/b", "relative", "absolute/b", "absolute/../a/b"] {
            let there = std::fs::metadata(path(name)).expect("there").ino();
            assert_eq!(inode(&path(name)), Some(there), "{name}");
        }
        assert_eq!(inode(&path("loop")), None);
        assert!(open(&path("a/none")).expect_err("missing").is_not_found());
    }

    #[test]
    fn a_link_of_another_user_is_not_followed() {
        if !rustix::process::geteuid().is_root() {
            return testkit::parts::skip_on_this_machine("links of others", "needs root");
        }
        let directory = tempfile::tempdir().expect("a directory");
        let path = |name: &str| directory.path().join(name);
        std::fs::create_dir(path("a")).expect("made");
        symlink("a", path("link")).expect("linked");
        std::os::unix::fs::lchown(path("link"), Some(65534), None).expect("given away");
        let refused = open(&path("link"));
        assert!(matches!(refused, Err(ReachError::Foreign { .. })), "{refused:?}");
    }
}
