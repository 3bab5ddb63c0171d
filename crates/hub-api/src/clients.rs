//! Which versions of the program a hub wants its clients to be.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Longest place: what fits on a line and in a QR code.
const PLACE_BYTES_MAX: usize = 200;

/// A version of the program: three numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientVersion {
    /// What is compatible has the same one, from 1 on.
    pub major: u32,
    /// What is compatible has the same one, before 1.0.
    pub minor: u32,
    /// Repairs.
    pub patch: u32,
}

/// Where a version is to be had: the address of a page or a file, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place(String);

/// What a hub wants of its clients, as its administrator set it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ClientVersions {
    /// The newest version there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub newest: Option<ClientVersion>,
    /// Where it is to be had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub place: Option<Place>,
    /// The oldest version that the hub answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub minimum: Option<ClientVersion>,
}

/// What is no version, or no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseClientsError {
    /// A version is three numbers with full stops in between.
    #[error("a version is three numbers, as 1.2.3")]
    Version,
    /// A place begins with `https://` or `http://` and has 200 printable characters of ASCII at most.
    #[error("a place is an address that begins with https://, of 200 characters at most")]
    Place,
}

impl ClientVersion {
    /// The version of this program.
    #[must_use]
    pub fn own() -> Self {
        env!("CARGO_PKG_VERSION").parse().expect("the workspace has a version of three numbers")
    }
}

impl FromStr for ClientVersion {
    type Err = ParseClientsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split('.').map(number);
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(Some(major)), Some(Some(minor)), Some(Some(patch)), None) => {
                Ok(Self { major, minor, patch })
            }
            _ => Err(ParseClientsError::Version),
        }
    }
}

/// One spelling for each number.
fn number(text: &str) -> Option<u32> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let is_short = text == "0" || !text.starts_with('0');
    if is_plain && is_short { text.parse().ok() } else { None }
}

impl fmt::Display for ClientVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl Place {
    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Place {
    type Err = ParseClientsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let is_one = rest.is_some_and(|rest| !rest.is_empty())
            && text.len() <= PLACE_BYTES_MAX
            && text.bytes().all(|byte| byte.is_ascii_graphic());
        if is_one { Ok(Self(text.to_owned())) } else { Err(ParseClientsError::Place) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! as_text {
    ($($name:ident),*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    )*};
}

as_text!(ClientVersion, Place);

impl ClientVersions {
    /// The newest version, if that is newer than `own`.
    #[must_use]
    pub fn newer_than(&self, own: ClientVersion) -> Option<ClientVersion> {
        self.newest.filter(|newest| *newest > own)
    }

    /// The oldest version that the hub answers, if `own` is older.
    #[must_use]
    pub fn too_old(&self, own: ClientVersion) -> Option<ClientVersion> {
        self.minimum.filter(|minimum| own < *minimum)
    }

    /// Whether nothing is wanted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Where to get what is wanted, as the end of a sentence.
    #[must_use]
    pub fn at_place(&self) -> String {
        self.place.as_ref().map(|place| format!(": {place}")).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_three_numbers_and_compare_as_such() {
        let version = |text: &str| text.parse::<ClientVersion>();
        for text in ["0.0.0", "0.1.0", "1.20.3", "4294967295.0.0"] {
            assert_eq!(version(text).expect("is one").to_string(), text);
        }
        for text in [
            "",
            "1",
            "1.2",
            "1.2.3.4",
            "1.2.",
            "01.2.3",
            "+1.2.3",
            "1.2.3-rc1",
            "1.2.3\n",
            " 1.2.3",
            "4294967296.0.0",
            "1.2.\u{663}",
            "\u{1b}[31m1.2.3",
        ] {
            assert_eq!(version(text), Err(ParseClientsError::Version), "{text:?}");
        }
        assert!(version("0.10.0").expect("is one") > version("0.9.9").expect("is one"));
    }

    #[test]
    fn a_place_is_an_address_on_one_line() {
        for text in ["https://example.org/consign", "http://10.0.0.1:80/"] {
            assert_eq!(text.parse::<Place>().expect("is one").as_str(), text);
        }
        let long = format!("https://{}", "a".repeat(PLACE_BYTES_MAX));
        for text in [
            "",
            "https://",
            "ftp://example.org",
            "javascript:alert(1)",
            "https://a b",
            "https://a\n",
            "https://a\u{1b}[2J",
            "https://\u{202e}gro",
            &long,
        ] {
            assert_eq!(text.parse::<Place>(), Err(ParseClientsError::Place), "{text:?}");
        }
    }

    #[test]
    fn what_is_wanted_is_compared_with_what_there_is() {
        let text = r#"{"newest":"0.3.0","place":"https://example.org/","minimum":"0.2.0"}"#;
        let wanted: ClientVersions = serde_json::from_str(text).expect("json");
        assert_eq!(serde_json::to_string(&wanted).expect("json"), text);
        let at = |minor| ClientVersion { major: 0, minor, patch: 0 };
        assert_eq!(wanted.too_old(at(1)), Some(at(2)));
        assert_eq!((wanted.too_old(at(2)), wanted.newer_than(at(2))), (None, Some(at(3))));
        assert_eq!((wanted.too_old(at(3)), wanted.newer_than(at(3))), (None, None));
        assert_eq!(wanted.newer_than(at(4)), None);
        for text in [r#"{"newest":"\u001b[2J"}"#, r#"{"place":"https://a\nb"}"#, r#"{"minimum":3}"#]
        {
            assert!(serde_json::from_str::<ClientVersions>(text).is_err(), "{text}");
        }
        assert!(ClientVersion::own() > ClientVersion { major: 0, minor: 0, patch: 0 });
    }
}
