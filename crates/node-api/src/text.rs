//! Bytes that nearly always are UTF-8, readable in JSON when they are.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An argument or a path. In JSON it is a string when it is UTF-8, else `{"hex": "…"}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Text(Vec<u8>);

impl Text {
    /// The bytes as the system takes them.
    #[must_use]
    pub fn as_os_str(&self) -> &OsStr {
        OsStr::from_bytes(&self.0)
    }

    /// The bytes as a path.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        Path::new(self.as_os_str())
    }

    /// The bytes for people: what is not UTF-8 is replaced.
    #[must_use]
    pub fn to_shown(&self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }
}

impl From<OsString> for Text {
    fn from(text: OsString) -> Self {
        Self(text.into_vec())
    }
}

impl From<PathBuf> for Text {
    fn from(path: PathBuf) -> Self {
        Self(path.into_os_string().into_vec())
    }
}

impl From<&Path> for Text {
    fn from(path: &Path) -> Self {
        Self(path.as_os_str().as_bytes().to_vec())
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Form {
    Readable(String),
    Raw { hex: String },
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let form = match std::str::from_utf8(&self.0) {
            Ok(text) => Form::Readable(text.to_owned()),
            Err(_) => Form::Raw { hex: hex::encode(&self.0) },
        };
        form.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Form::deserialize(deserializer)? {
            Form::Readable(text) => Ok(Self(text.into_bytes())),
            Form::Raw { hex } => hex::decode(hex).map(Self).map_err(serde::de::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_travel_and_readable_ones_stay_readable() {
        for bytes in [&b"plain"[..], "größe".as_bytes(), b"\xff\xfe not utf-8", b""] {
            let text = Text::from(OsStr::from_bytes(bytes).to_owned());
            let json = serde_json::to_string(&text).expect("serializes");
            assert_eq!(json.starts_with('"'), std::str::from_utf8(bytes).is_ok(), "{json}");
            assert_eq!(serde_json::from_str::<Text>(&json).expect("comes back"), text);
        }
        assert!(serde_json::from_str::<Text>("{\"hex\":\"f\"}").is_err());
    }
}
