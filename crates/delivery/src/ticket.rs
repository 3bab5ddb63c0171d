//! All a recipient needs, in one line of text.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use content::DecodeError;
use content::cbor;

use crate::{DeliveryId, DeliverySecret};

const PREFIX: &str = "consign-delivery-1:";
const WHAT: &str = "ticket";
/// The longest URL of a hub, in bytes; that of invitations.
pub(crate) const URL_BYTES_MAX: usize = documents::invitation::URL_BYTES_MAX;

/// The longest ticket as text, in bytes.
pub const TICKET_BYTES_MAX: usize = 2048;

/// Where a delivery can be collected, how to recognise the hub, and the secret that opens it. Whoever has
/// it can collect the delivery.
#[derive(Clone, PartialEq, Eq)]
pub struct Ticket {
    /// Address of the hub: `http://…` or `https://…`.
    pub url: String,
    /// SHA-256 of the hub's certificate; all zero where none is pinned.
    pub fingerprint: [u8; 32],
    /// Which delivery.
    pub id: DeliveryId,
    /// What opens it.
    pub secret: DeliverySecret,
}

/// A text that is no ticket.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseTicketError {
    /// It does not begin as a ticket does. Copy the whole line that `consign send` printed.
    #[error("a ticket begins with {PREFIX}")]
    Prefix,
    /// It is longer than any ticket; it was not read.
    #[error("a ticket of {0} bytes; none is longer than {TICKET_BYTES_MAX}")]
    TooLarge(usize),
    /// Characters are missing or altered. Copy it again, whole.
    #[error("the ticket is cut short or altered")]
    Text,
    /// It holds something else than a ticket, or one of a newer version.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
}

impl Ticket {
    fn encode(&self) -> Vec<u8> {
        cbor::encode(|writer| {
            writer.array(5)?.u8(1)?.str(&self.url)?.bytes(&self.fingerprint)?;
            writer.bytes(self.id.as_bytes())?.bytes(self.secret.as_bytes())?;
            Ok(())
        })
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let read = |reader: &mut cbor::Reader<'_>| {
            reader.array_of(5)?;
            reader.version(1)?;
            let url = reader.text()?;
            let known = ["http://", "https://"].iter().any(|scheme| url.starts_with(scheme));
            // Printed to terminals and put into requests: visible ASCII only.
            if !known || url.len() > URL_BYTES_MAX || !url.bytes().all(|b| b.is_ascii_graphic()) {
                return Err(reader.invalid("an impossible address"));
            }
            let (url, fingerprint) = (url.to_owned(), reader.array()?);
            let id = DeliveryId::from_bytes(reader.array()?);
            let secret = DeliverySecret::from_bytes(reader.array()?);
            Ok(Self { url, fingerprint, id, secret })
        };
        cbor::decode_canonical(WHAT, bytes, read, Self::encode)
    }
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", URL_SAFE_NO_PAD.encode(self.encode()))
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ticket({} at {})", self.id, self.url)
    }
}

impl FromStr for Ticket {
    type Err = ParseTicketError;

    fn from_str(text: &str) -> Result<Self, ParseTicketError> {
        if text.len() > TICKET_BYTES_MAX {
            return Err(ParseTicketError::TooLarge(text.len()));
        }
        let coded = text.strip_prefix(PREFIX).ok_or(ParseTicketError::Prefix)?;
        let bytes = URL_SAFE_NO_PAD.decode(coded).map_err(|_| ParseTicketError::Text)?;
        Ok(Self::decode(&bytes)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(url: &str) -> Ticket {
        Ticket {
            url: url.into(),
            fingerprint: [2; 32],
            id: DeliveryId::from_bytes([3; 16]),
            secret: DeliverySecret::from_bytes([4; 32]),
        }
    }

    #[test]
    fn a_ticket_reads_as_it_was_written_and_nothing_less_does() {
        let ours = ticket("https://hub.example.org:8443");
        let text = ours.to_string();
        assert_eq!(text.parse(), Ok(ours.clone()));
        assert_eq!(format!("{ours:?}"), format!("Ticket({} at {})", ours.id, ours.url));
        for end in 0..text.len() {
            text[..end].parse::<Ticket>().expect_err("cut short");
        }
        assert_eq!("consign-invite-1:aa".parse::<Ticket>(), Err(ParseTicketError::Prefix));
        let long = format!("{PREFIX}{}", "A".repeat(TICKET_BYTES_MAX));
        assert_eq!(long.parse::<Ticket>(), Err(ParseTicketError::TooLarge(long.len())));
    }

    #[test]
    fn addresses_that_no_hub_has_are_refused() {
        let long = format!("https://{}", "h".repeat(URL_BYTES_MAX));
        for url in ["", "ftp://hub", "https://hub\u{1b}[2J", "https://h b", &long] {
            let text = ticket(url).to_string();
            assert!(text.parse::<Ticket>().is_err(), "{url}");
        }
    }
}
