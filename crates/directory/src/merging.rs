//! Which different names a file system takes for one.
//!
//! Where `Readme` and `README` are one file, unpacking a tree that has both would silently lose
//! one. So a destination is asked before, and names that would merge are refused.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization as _;

use crate::{AccessError, Dir, Root};

/// How a directory compares names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NameMerging {
    /// Names that differ only in case are one.
    pub case: bool,
    /// Names that differ only in how accents are encoded are one.
    pub unicode: bool,
}

impl NameMerging {
    /// Finds out by making files in the root's temporary directory.
    ///
    /// # Errors
    /// When they cannot be made.
    pub fn of(root: &Root) -> Result<Self, AccessError> {
        let dir = root.temp_dir()?;
        let number = rustix::process::getpid().as_raw_nonzero();
        let probe = |made: String, asked: String| merges(&dir, made.as_bytes(), asked.as_bytes());
        Ok(Self {
            case: probe(format!("case-probe-{number}"), format!("CASE-PROBE-{number}"))?,
            unicode: probe(format!("probe-\u{e9}-{number}"), format!("probe-e\u{301}-{number}"))?,
        })
    }

    /// Two names of one directory merge exactly when their keys are equal.
    #[must_use]
    pub fn key<'a>(&self, name: &'a [u8]) -> Cow<'a, [u8]> {
        if !self.case && !self.unicode {
            return Cow::Borrowed(name);
        }
        let Ok(text) = std::str::from_utf8(name) else {
            let folded = if self.case { name.to_ascii_lowercase() } else { name.to_vec() };
            return Cow::Owned(folded);
        };
        let text: String = if self.unicode { text.nfd().collect() } else { text.into() };
        // Upper case first: it folds letters that have two lower case forms, as sigma has.
        let text = if self.case { text.to_uppercase().to_lowercase() } else { text };
        let text: String = if self.unicode { text.nfd().collect() } else { text };
        Cow::Owned(text.into_bytes())
    }
}

fn merges(dir: &Dir, made: &[u8], asked: &[u8]) -> Result<bool, AccessError> {
    match dir.create_file(made) {
        Err(error) if !error.is_already_there() => return Err(error),
        Ok(_) | Err(_) => {}
    }
    let found = dir.stat(asked);
    dir.unlink(made)?;
    Ok(found.is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_equal_exactly_for_names_that_merge() {
        let both = NameMerging { case: true, unicode: true };
        assert_eq!(both.key("ÉCOLE.TXT".as_bytes()), both.key("e\u{301}cole.txt".as_bytes()));
        assert_eq!(both.key("ΣΑΣ".as_bytes()), both.key("σας".as_bytes()));
        assert_ne!(both.key(b"a"), both.key(b"b"));
        assert_eq!(both.key(b"A\xff"), both.key(b"a\xff"));
        let none = NameMerging::default();
        assert_ne!(none.key(b"A"), none.key(b"a"));
        let case = NameMerging { case: true, unicode: false };
        assert_ne!(case.key("é".as_bytes()), case.key("e\u{301}".as_bytes()));
    }

    #[test]
    fn a_probe_leaves_nothing_behind() {
        let folder = tempfile::tempdir().expect("temporary directory");
        let root = Root::open(folder.path()).expect("opens");
        let merging = NameMerging::of(&root).expect("probes");
        std::fs::write(folder.path().join("Name"), "").expect("writable");
        assert_eq!(merging.case, folder.path().join("nAME").exists());
        assert!(root.temp_dir().expect("opens").list().expect("lists").is_empty());
    }
}
