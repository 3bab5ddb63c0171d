//! Names of releases.

use std::fmt;
use std::str::FromStr;

/// What releases are published under, such as `team/tools`.
///
/// Two segments, each of 1 to 64 characters out of `a-z 0-9 . _ -`, the first a letter or a
/// digit. So a name is safe as a path and in a URL as it stands.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReleaseName(Box<str>);

/// A text that is no name of a release. Choose another.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseNameError {
    /// There is not exactly one slash. Names look like `team/tools`.
    #[error("a name has two parts with a slash between them, such as team/tools")]
    Segments,
    /// A part is empty or longer than 64 characters.
    #[error("each part of a name has 1 to 64 characters")]
    Length,
    /// A character that is not allowed, or not at that place.
    #[error("a name is made of a-z, 0-9 and ._- , and each part begins with a letter or digit")]
    Characters,
}

impl ReleaseName {
    /// The longest name in bytes.
    pub const BYTES_MAX: usize = 129;

    /// The whole name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the slash and the part behind it.
    #[must_use]
    pub fn segments(&self) -> (&str, &str) {
        self.0.split_once('/').expect("checked when it was made")
    }
}

impl FromStr for ReleaseName {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, ParseNameError> {
        let (first, second) = text.split_once('/').ok_or(ParseNameError::Segments)?;
        if second.contains('/') {
            return Err(ParseNameError::Segments);
        }
        for segment in [first, second] {
            if segment.is_empty() || segment.len() > 64 {
                return Err(ParseNameError::Length);
            }
            let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
            let begins = segment.as_bytes().first().is_some_and(plain);
            if !begins || !segment.bytes().all(|byte| plain(&byte) || b"._-".contains(&byte)) {
                return Err(ParseNameError::Characters);
            }
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for ReleaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for ReleaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReleaseName({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_names_come_back_as_they_were() {
        let longest = format!("{}/{}", "a".repeat(64), "9".repeat(64));
        for text in ["team/tools", "0/1", "a.b_c-d/x..y", &longest] {
            let name: ReleaseName = text.parse().expect("a name");
            assert_eq!(name.to_string(), text);
            assert!(text.len() <= ReleaseName::BYTES_MAX);
        }
        let name: ReleaseName = "team/tools".parse().expect("a name");
        assert_eq!(name.segments(), ("team", "tools"));
    }

    #[test]
    fn other_texts_are_refused_with_the_reason() {
        let parse = |text: &str| text.parse::<ReleaseName>();
        for text in ["", "team", "a/b/c", "a//b"] {
            assert_eq!(parse(text), Err(ParseNameError::Segments), "{text:?}");
        }
        for text in ["/", "/b", "a/", &format!("{}/b", "a".repeat(65))] {
            assert_eq!(parse(text), Err(ParseNameError::Length), "{text:?}");
        }
        for text in ["../b", "a/..", ".a/b", "-a/b", "A/b", "a/b c", "a/é", "a/b\0", "a/b%2f"] {
            assert_eq!(parse(text), Err(ParseNameError::Characters), "{text:?}");
        }
    }
}
