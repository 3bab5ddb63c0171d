//! Programs that tests need and a machine may lack.
//!
//! What lacks is said by name, and the test that needs it passes without having tested. `cargo
//! xtask test` installs all parts and sets `CONSIGN_REQUIRE_PARTS=1`, under which a lacking
//! part fails its test. What no installation changes, the machine's file systems or who runs the
//! tests, is said by [`skip_on_this_machine`] and fails nothing.

use std::path::{Path, PathBuf};

/// Where programs are that are not on everybody's search path.
const PLACES: [&str; 3] = ["/usr/sbin", "/sbin", "/usr/local/sbin"];

/// Where Debian keeps one version of PostgreSQL beside the other.
const POSTGRES_VERSIONS: &str = "/usr/lib/postgresql";

/// Where `program` is; says that the test is skipped when it is nowhere.
///
/// # Panics
/// If it is nowhere and parts are required.
#[must_use]
pub fn require(program: &str) -> Option<PathBuf> {
    let found = find(program);
    if found.is_none() {
        skip(program, "no such program on this machine");
    }
    found
}

/// Says that what needs `part` is skipped.
///
/// # Panics
/// If parts are required.
pub fn skip(part: &str, reason: &str) {
    let required = std::env::var_os("CONSIGN_REQUIRE_PARTS").is_some_and(|value| value == "1");
    assert!(!required, "{part} is required: {reason}");
    eprintln!("skipped: {part}: {reason}");
}

/// Says that `what` is skipped for what this machine is, not for a part it lacks: its file
/// system, its user's rights. Parts being required changes nothing about it.
pub fn skip_on_this_machine(what: &str, reason: &str) {
    eprintln!("skipped: {what}: {reason}");
}

/// Where `program` is.
#[must_use]
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain(PLACES.map(PathBuf::from));
    places.chain(postgres_versions()).map(|place| place.join(program)).find(|path| is_file(path))
}

fn is_file(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file())
}

/// The newest version first.
fn postgres_versions() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(POSTGRES_VERSIONS).into_iter().flatten().flatten();
    let numbered = entries.filter_map(|entry| {
        let number: u32 = entry.file_name().to_str()?.parse().ok()?;
        Some((number, entry.path().join("bin")))
    });
    let mut versions: Vec<_> = numbered.collect();
    versions.sort_unstable_by(|one, other| other.cmp(one));
    versions.into_iter().map(|(_, path)| path).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_exists_is_found_and_what_does_not_is_not() {
        assert!(super::find("sh").is_some_and(|path| path.ends_with("sh")));
        assert_eq!(super::find("no-such-program"), None);
    }
}
