//! Bytes inside JSON, as hexadecimal digits or base64url.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{Deserialize, Deserializer, Error as _};
use serde::{Serialize, Serializer};

/// A text that is not the one encoding of the bytes expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseTextError {
    /// Not exactly so many hexadecimal digits. The sender is at fault.
    #[error("expected {digits} hexadecimal digits")]
    Hex {
        /// How many digits there should be.
        digits: usize,
    },
    /// Not base64url without padding. The sender is at fault.
    #[error("expected base64url without padding")]
    Base64,
}

/// Exactly `N` bytes, in text as `2 N` lower-case hexadecimal digits.
///
/// Used for keys, ids and hashes. Upper-case digits are understood and never written.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hex<const N: usize>(pub [u8; N]);

impl<const N: usize> fmt::Display for Hex<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl<const N: usize> fmt::Debug for Hex<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hex({self})")
    }
}

impl<const N: usize> FromStr for Hex<N> {
    type Err = ParseTextError;

    fn from_str(text: &str) -> Result<Self, ParseTextError> {
        let mut bytes = [0; N];
        hex::decode_to_slice(text, &mut bytes)
            .map_err(|_| ParseTextError::Hex { digits: 2 * N })?;
        Ok(Self(bytes))
    }
}

impl<const N: usize> From<[u8; N]> for Hex<N> {
    fn from(bytes: [u8; N]) -> Self {
        Self(bytes)
    }
}

/// Any bytes, in text as base64url without padding (RFC 4648, section 5).
///
/// Used for signed documents and tokens. How long it may be is bounded by the body's limit.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Base64Bytes(pub Vec<u8>);

impl fmt::Display for Base64Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(&self.0))
    }
}

impl fmt::Debug for Base64Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Base64Bytes({} bytes)", self.0.len())
    }
}

impl FromStr for Base64Bytes {
    type Err = ParseTextError;

    fn from_str(text: &str) -> Result<Self, ParseTextError> {
        URL_SAFE_NO_PAD.decode(text).map(Self).map_err(|_| ParseTextError::Base64)
    }
}

impl From<Vec<u8>> for Base64Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<&[u8]> for Base64Bytes {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

/// A secret inside a message: the same in JSON, never shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Hidden<T>(pub T);

impl<T> fmt::Debug for Hidden<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hidden")
    }
}

/// A string, borrowed from the input where it holds no escapes.
fn text<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<std::borrow::Cow<'de, str>, D::Error> {
    struct TextVisitor;

    impl<'de> serde::de::Visitor<'de> for TextVisitor {
        type Value = std::borrow::Cow<'de, str>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }

        fn visit_borrowed_str<E: serde::de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
            Ok(text.into())
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
            Ok(text.to_owned().into())
        }
    }

    deserializer.deserialize_str(TextVisitor)
}

macro_rules! as_text {
    ($type:ty $(, [$($parameter:tt)*])?) => {
        impl$(<$($parameter)*>)? Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de, $($($parameter)*)?> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                text(deserializer)?.parse().map_err(D::Error::custom)
            }
        }
    };
}

as_text!(Hex<N>, [const N: usize]);
as_text!(Base64Bytes);

impl<T: Serialize> Serialize for Hidden<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Hidden<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self)
    }
}

#[cfg(feature = "openapi")]
mod schemas {
    use std::borrow::Cow;

    use utoipa::openapi::schema::{ObjectBuilder, Type};
    use utoipa::openapi::{RefOr, Schema};
    use utoipa::{PartialSchema, ToSchema};

    use super::{Base64Bytes, Hex};

    fn text(description: String, pattern: String) -> RefOr<Schema> {
        let text = ObjectBuilder::new().schema_type(Type::String);
        text.description(Some(description)).pattern(Some(pattern)).build().into()
    }

    impl<const N: usize> PartialSchema for Hex<N> {
        fn schema() -> RefOr<Schema> {
            let digits = 2 * N;
            let description = format!("{N} bytes as {digits} hexadecimal digits.");
            text(description, format!("^[0-9a-fA-F]{{{digits}}}$"))
        }
    }

    impl<const N: usize> ToSchema for Hex<N> {
        fn name() -> Cow<'static, str> {
            format!("Hex{N}").into()
        }
    }

    impl PartialSchema for Base64Bytes {
        fn schema() -> RefOr<Schema> {
            let description = "Bytes as base64url without padding.".to_owned();
            text(description, "^[0-9A-Za-z_-]*$".to_owned())
        }
    }

    impl ToSchema for Base64Bytes {
        fn name() -> Cow<'static, str> {
            "Base64Bytes".into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_one_text_and_come_back() {
        let hex = Hex([0x0a, 0xff]);
        assert_eq!(serde_json::to_string(&hex).expect("json"), r#""0aff""#);
        assert_eq!(serde_json::from_str::<Hex<2>>(r#""0aff""#).expect("hex"), hex);
        assert_eq!(serde_json::from_str::<Hex<2>>(r#""0\u0061ff""#).expect("escaped"), hex);
        let bytes = Base64Bytes(vec![0xfb, 0xff]);
        assert_eq!(serde_json::to_string(&bytes).expect("json"), r#""-_8""#);
        assert_eq!("-_8".parse(), Ok(bytes));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["0af", "0aff0", "0aff00", "zzzz", "", "é123"] {
            assert_eq!(text.parse::<Hex<2>>(), Err(ParseTextError::Hex { digits: 4 }), "{text}");
        }
        for text in ["+/8", "-_8=", "-_9", "-", "a b"] {
            assert_eq!(text.parse::<Base64Bytes>(), Err(ParseTextError::Base64), "{text}");
        }
        assert!(serde_json::from_str::<Hex<1>>("[10]").is_err());
    }

    #[test]
    fn a_secret_shows_in_json_only() {
        let secret = Hidden(Hex([7; 16]));
        assert!(!format!("{secret:?}").contains("07"));
        assert_eq!(serde_json::to_string(&secret).expect("json"), format!("\"{}\"", secret.0));
    }
}
