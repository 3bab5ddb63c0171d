//! What communities and their peers are called.

use std::fmt;
use std::str::FromStr;

use content::DecodeError;
use content::cbor::{Fields, Reader};
use documents::{PublicKey, ReleaseName};

/// Names a community: 16 random bytes, shown as a UUID (RFC 9562, version 4).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommunityId([u8; 16]);

const FEED_PREFIX: &str = "c-";

/// A text that is no UUID. Copy the id again, whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected the id of a community, 32 hexadecimal digits in five groups")]
pub struct ParseIdError;

impl CommunityId {
    /// A new id out of random bytes.
    #[must_use]
    pub const fn from_random(mut bytes: [u8; 16]) -> Self {
        // Version and variant, RFC 9562, section 5.4.
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        Self(bytes)
    }

    /// Takes 16 bytes that are already an id.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The name under which a publisher's releases for this community stand at a hub. It is made of the
    /// key, so that a peer which takes over the name of another one begins anew.
    #[must_use]
    pub fn feed(&self, publisher: &PublicKey) -> ReleaseName {
        let name = format!("{FEED_PREFIX}{}/{publisher}", hex::encode(self.0));
        name.parse().expect("the digits of an id and a key fit a release's name")
    }

    /// The community and the publisher whose feed this is; `None` for any other name.
    #[must_use]
    pub fn of_feed(name: &ReleaseName) -> Option<(Self, PublicKey)> {
        let (community, publisher) = name.segments();
        let mut bytes = [0; 16];
        hex::decode_to_slice(community.strip_prefix(FEED_PREFIX)?, &mut bytes).ok()?;
        Some((Self(bytes), publisher.parse().ok()?))
    }

    /// Whether a name is one that only feeds have, sound or not: nobody else is to be given it.
    #[must_use]
    pub fn is_reserved(name: &ReleaseName) -> bool {
        let digits = name.segments().0.strip_prefix(FEED_PREFIX);
        digits.is_some_and(|digits| {
            digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
    }
}

impl fmt::Display for CommunityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = hex::encode(self.0);
        let groups = [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]];
        f.pad(&groups.join("-"))
    }
}

impl fmt::Debug for CommunityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CommunityId({self})")
    }
}

impl FromStr for CommunityId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let groups: Vec<&str> = text.split('-').collect();
        let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
        if lengths != [8, 4, 4, 4, 12] {
            return Err(ParseIdError);
        }
        let mut bytes = [0; 16];
        hex::decode_to_slice(groups.concat(), &mut bytes).map_err(|_| ParseIdError)?;
        Ok(Self(bytes))
    }
}

/// Begins to read a document: each has its version in field 0 and its community in field 1.
pub(crate) fn read_head(reader: &mut Reader<'_>) -> Result<(Fields, CommunityId), DecodeError> {
    let mut fields = reader.fields()?;
    fields.expect(reader, 0)?;
    reader.version(1)?;
    fields.expect(reader, 1)?;
    Ok((fields, CommunityId::from_bytes(reader.array()?)))
}

/// What a peer is called in its community: 1 to 64 of `a-z`, `0-9`, `.`, `_`, `-`, the first a letter
/// or digit. So a name is safe as a path and in a URL as it stands.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerName(Box<str>);

/// A text that is no name of a peer. Choose another.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a peer's name is 1 to 64 of a-z, 0-9 and ._- , and begins with a letter or digit")]
pub struct ParsePeerError;

impl PeerName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.text()?.parse().map_err(|error: ParsePeerError| reader.invalid(error.to_string()))
    }
}

impl FromStr for PeerName {
    type Err = ParsePeerError;

    fn from_str(text: &str) -> Result<Self, ParsePeerError> {
        let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let begins = text.as_bytes().first().is_some_and(plain);
        let fits = text.bytes().all(|byte| plain(&byte) || b"._-".contains(&byte));
        if begins && fits && text.len() <= 64 { Ok(Self(text.into())) } else { Err(ParsePeerError) }
    }
}

impl fmt::Display for PeerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for PeerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerName({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_as_it_is_shown() {
        let id = CommunityId::from_random([0xff; 16]);
        assert_eq!(id.to_string(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(id.to_string().parse(), Ok(id));
        for wrong in ["", "ffffffff-ffff-4fff-bfff-fffffffffff", "ffffffffffff4fffbfffffffffffffff"]
        {
            assert_eq!(wrong.parse::<CommunityId>(), Err(ParseIdError), "{wrong:?}");
        }
    }

    #[test]
    fn a_feed_tells_whose_it_is() {
        let id = CommunityId::from_bytes([7; 16]);
        let publisher = PublicKey::from_bytes([8; 32]);
        let feed = id.feed(&publisher);
        assert_eq!(CommunityId::of_feed(&feed), Some((id, publisher)));
        assert!(CommunityId::is_reserved(&feed));
        let digits = "07".repeat(16);
        for (other, reserved) in [
            ("c-07/anna".to_owned(), false),
            ("team/tools".to_owned(), false),
            (format!("c-zz{}/anna", &digits[2..]), false),
            (format!("c-{digits}/anna"), true),
        ] {
            let name: ReleaseName = other.parse().expect("a name");
            assert_eq!(CommunityId::of_feed(&name), None, "{other}");
            assert_eq!(CommunityId::is_reserved(&name), reserved, "{other}");
        }
    }

    #[test]
    fn names_of_peers_are_plain() {
        for wrong in ["", "-a", "A", "a/b", "ä", &"a".repeat(65)] {
            assert_eq!(wrong.parse::<PeerName>(), Err(ParsePeerError), "{wrong:?}");
        }
        assert!("a".repeat(64).parse::<PeerName>().is_ok());
    }
}
