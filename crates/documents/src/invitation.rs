//! All a newcomer needs to register with a hub, in one line of text.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use content::DecodeError;

use crate::cbor;

const PREFIX: &str = "consign-invite-1:";
const WHAT: &str = "invitation";

/// The longest URL an invitation holds, in bytes.
pub const URL_BYTES_MAX: usize = 1024;

/// The longest invitation as text, in bytes.
pub const INVITATION_BYTES_MAX: usize = 2048;

/// Where a hub is, how to recognise it, and the one-time right to register there.
#[derive(Clone, PartialEq, Eq)]
pub struct Invitation {
    /// Address of the hub: `http://…` or `https://…`.
    pub url: String,
    /// SHA-256 of the hub's certificate, see [`certificate_fingerprint`]; all zero for a hub
    /// behind plain HTTP.
    pub fingerprint: [u8; 32],
    /// Good for one registration.
    pub secret: [u8; 16],
}

/// A text that is no invitation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseInvitationError {
    /// It does not begin as an invitation does. Copy the whole line that `consign invite`
    /// printed.
    #[error("an invitation begins with {PREFIX}")]
    Prefix,
    /// It is longer than any invitation; it was not read.
    #[error("an invitation of {0} bytes; none is longer than {INVITATION_BYTES_MAX}")]
    TooLarge(usize),
    /// Characters are missing or altered. Copy it again, whole.
    #[error("the invitation is cut short or altered")]
    Text,
    /// It holds something else than an invitation, or one of a newer version.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
}

/// SHA-256 of a certificate's DER bytes: what clients pin.
#[must_use]
pub fn certificate_fingerprint(der: &[u8]) -> [u8; 32] {
    let digest = ring::digest::digest(&ring::digest::SHA256, der);
    digest.as_ref().try_into().expect("SHA-256 gives 32 bytes")
}

impl Invitation {
    fn encode(&self) -> Vec<u8> {
        cbor::encode(|writer| {
            writer.array(4)?.u8(1)?.str(&self.url)?;
            writer.bytes(&self.fingerprint)?.bytes(&self.secret)?;
            Ok(())
        })
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let read = |reader: &mut cbor::Reader<'_>| {
            reader.array_of(4)?;
            reader.version(1)?;
            let url = reader.text()?;
            let known = ["http://", "https://"].iter().any(|scheme| url.starts_with(scheme));
            // Printed to terminals and put into requests: visible ASCII only.
            if !known || url.len() > URL_BYTES_MAX || !url.bytes().all(|b| b.is_ascii_graphic()) {
                return Err(reader.invalid("an impossible address"));
            }
            let (fingerprint, secret) = (reader.array()?, reader.array()?);
            Ok(Self { url: url.to_owned(), fingerprint, secret })
        };
        cbor::decode_canonical(WHAT, bytes, read, Self::encode)
    }
}

impl fmt::Display for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", URL_SAFE_NO_PAD.encode(self.encode()))
    }
}

impl fmt::Debug for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Invitation(to {})", self.url)
    }
}

impl FromStr for Invitation {
    type Err = ParseInvitationError;

    fn from_str(text: &str) -> Result<Self, ParseInvitationError> {
        if text.len() > INVITATION_BYTES_MAX {
            return Err(ParseInvitationError::TooLarge(text.len()));
        }
        let coded = text.strip_prefix(PREFIX).ok_or(ParseInvitationError::Prefix)?;
        let bytes = URL_SAFE_NO_PAD.decode(coded).map_err(|_| ParseInvitationError::Text)?;
        Ok(Self::decode(&bytes)?)
    }
}

#[cfg(test)]
mod tests;
