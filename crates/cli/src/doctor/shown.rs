//! Texts that may be shown to strangers: the home directory is `~`, and passwords are left out.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// Shows paths and texts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shown {
    home: Option<PathBuf>,
}

impl Shown {
    pub(crate) fn new(home: Option<&OsStr>) -> Self {
        // With a home directory of `/` everything would be at home.
        let home = home.map(PathBuf::from).filter(|home| home.is_absolute());
        Self { home: home.filter(|home| home.parent().is_some()) }
    }

    /// A path as a word of a shell: `~` for the home directory, quoted where it must be.
    pub(crate) fn path(&self, path: &Path) -> String {
        let below = self.home.as_ref().and_then(|home| path.strip_prefix(home).ok());
        match below {
            Some(below) if below.as_os_str().is_empty() => "~".into(),
            Some(below) => format!("~/{}", word(below.as_os_str().as_bytes())),
            None => word(path.as_os_str().as_bytes()),
        }
    }

    /// A text that may name the home directory or hold a password in a URL.
    pub(crate) fn text(&self, text: &str) -> String {
        let mut text = without_passwords(text);
        if let Some(home) = self.home.as_ref().and_then(|home| home.to_str()) {
            text = text.replace(&format!("{home}/"), "~/");
        }
        text
    }
}

/// A word of a shell, quoted where it must be; what could steer a terminal is escaped.
pub(crate) fn word(bytes: &[u8]) -> String {
    let text = crate::output::path(bytes);
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:,@%~".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// Leaves out what stands before an `@` in the authority of each URL.
pub(crate) fn without_passwords(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        shown.push_str(before);
        let ends = |c: char| c == '/' || c.is_whitespace() || c == '"' || c == '\'';
        let end = after.find(ends).unwrap_or(after.len());
        let (authority, later) = after.split_at(end);
        match authority.rsplit_once('@') {
            Some((_, host)) => {
                shown.push_str("…@");
                shown.push_str(host);
            }
            None => shown.push_str(authority),
        }
        rest = later;
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn homes_and_passwords_do_not_show() {
        let shown = Shown::new(Some(OsStr::new("/home/anna")));
        assert_eq!(shown.path(Path::new("/home/anna/.local/state")), "~/.local/state");
        assert_eq!(shown.path(Path::new("/home/anna")), "~");
        assert_eq!(shown.path(Path::new("/home/annabel/x")), "/home/annabel/x");
        assert_eq!(shown.path(Path::new("/home/anna/my files")), "~/'my files'");
        assert_eq!(shown.text("cannot read /home/anna/x: no"), "cannot read ~/x: no");
        assert_eq!(
            shown.text("http://me:secret@proxy:8080/x and https://proxy"),
            "http://…@proxy:8080/x and https://proxy"
        );
        assert_eq!(Shown::new(Some(OsStr::new("/"))).path(Path::new("/etc")), "/etc");
    }

    #[test]
    fn words_survive_a_shell_and_a_terminal() {
        assert_eq!(word(b"/plain/path-1"), "/plain/path-1");
        assert_eq!(word(b"it's"), "'it'\\''s'");
        assert_eq!(word(b"a\x1b[2J"), "'a\\u{1b}[2J'");
    }
}
