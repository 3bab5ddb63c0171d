//! What a person is called at a hub.

use std::fmt;
use std::str::FromStr;

use content::DecodeError;
use content::cbor::Reader;

/// The shortest handle, in characters.
const CHARS_MIN: usize = 3;
/// The longest handle, in characters.
const CHARS_MAX: usize = 32;

/// What a person is called at a hub: 3 to 32 of `a-z`, `0-9`, `.`, `_`, `-`, the first a letter. So a
/// handle is safe in a URL as it stands, and none looks like the digits of a key.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle(Box<str>);

/// A text that is no handle. Choose another.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a handle is 3 to 32 of a-z, 0-9 and ._- , and begins with a letter")]
pub struct ParseHandleError;

impl Handle {
    /// The handle.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.text()?.parse().map_err(|error: ParseHandleError| reader.invalid(error.to_string()))
    }
}

impl FromStr for Handle {
    type Err = ParseHandleError;

    fn from_str(text: &str) -> Result<Self, ParseHandleError> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
        let fits = text.bytes().all(|byte| plain(byte) || b"._-".contains(&byte));
        let length = (CHARS_MIN..=CHARS_MAX).contains(&text.len());
        if begins && fits && length { Ok(Self(text.into())) } else { Err(ParseHandleError) }
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_are_short_plain_words() {
        for good in ["ann", "anna.meier", "a-b_c.9", &"x".repeat(32)] {
            assert_eq!(
                good.parse::<Handle>().map(|handle| handle.to_string()),
                Ok(good.to_owned())
            );
        }
        for bad in
            ["", "an", "Anna", "9to5", ".ann", "ann ", "ann\n", "änna", "a/b", &"x".repeat(33)]
        {
            assert_eq!(bad.parse::<Handle>(), Err(ParseHandleError), "{bad:?}");
        }
    }
}
