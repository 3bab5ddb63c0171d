//! A ticket as a link, which a browser opens.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::ticket::URL_BYTES_MAX;
use crate::{DeliveryId, DeliverySecret, TICKET_BYTES_MAX, Ticket};

/// Where a hub has the page on which deliveries are received.
const PAGE: &str = "/d/";
const PLAIN: &str = "1.";
pub(crate) const LOCKED: &str = "2.";
const SECRET_BYTES: usize = 32;
const FINGERPRINT_BYTES: usize = 32;
const CHECK_BYTES: usize = 4;

/// A ticket in another spelling: `URL/d/ID#1.KEY`. Browsers send what stands behind the `#` to nobody. Whoever has
/// it can collect the delivery.
#[derive(Clone, PartialEq, Eq)]
pub struct Link(pub Ticket);

/// A text that is no link of a delivery.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseLinkError {
    /// It is not the address of a delivery at a hub. Copy the whole link that `consign send --link` printed.
    #[error("the link of a delivery is an address, then {PAGE}, an id of 32 digits, a # and a key")]
    Address,
    /// It is longer than any link; it was not read.
    #[error("a link of {0} bytes; none is longer than {TICKET_BYTES_MAX}")]
    TooLarge(usize),
    /// It opens with a passphrase: read it as a [`LockedLink`](crate::LockedLink).
    #[error("the link is locked with a passphrase")]
    Locked,
    /// It does not open with a passphrase: read it as a [`Link`].
    #[error("the link is not locked")]
    NotLocked,
    /// A newer program wrote it. Upgrade to read it.
    #[error("the key of the link is of a kind that this program does not know")]
    Version,
    /// Characters are missing or altered. Copy it again, whole.
    #[error("the link is cut short or altered")]
    Text,
}

/// Finds what was altered on its way; the secret itself finds the rest.
fn check(id: DeliveryId, given: &[u8]) -> [u8; CHECK_BYTES] {
    let checked = [id.as_bytes().as_slice(), given].concat();
    let hash = blake3::derive_key("consign delivery 1 link check", &checked);
    *hash.first_chunk().expect("a hash is longer than the check")
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, PLAIN, &self.0)
    }
}

/// Writes a ticket whose secret is as it stands behind the `#`.
pub(crate) fn write(f: &mut fmt::Formatter<'_>, version: &str, ticket: &Ticket) -> fmt::Result {
    let Ticket { url, fingerprint, id, secret } = ticket;
    let mut given = secret.as_bytes().to_vec();
    if *fingerprint != [0; FINGERPRINT_BYTES] {
        given.extend_from_slice(fingerprint);
    }
    let check = check(*id, &given);
    given.extend_from_slice(&check);
    let url = url.trim_end_matches('/');
    write!(f, "{url}{PAGE}{id}#{version}{}", URL_SAFE_NO_PAD.encode(given))
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Link({} at {})", self.0.id, self.0.url)
    }
}

impl FromStr for Link {
    type Err = ParseLinkError;

    fn from_str(text: &str) -> Result<Self, ParseLinkError> {
        match read(text)? {
            (PLAIN, ticket) => Ok(Self(ticket)),
            _ => Err(ParseLinkError::Locked),
        }
    }
}

/// The version of a link, and the ticket with the secret as it stands behind the `#`.
pub(crate) fn read(text: &str) -> Result<(&'static str, Ticket), ParseLinkError> {
    if text.len() > TICKET_BYTES_MAX {
        return Err(ParseLinkError::TooLarge(text.len()));
    }
    let (address, key) = text.split_once('#').ok_or(ParseLinkError::Address)?;
    let (url, digits) = address.rsplit_once(PAGE).ok_or(ParseLinkError::Address)?;
    let known = ["http://", "https://"].iter().any(|scheme| {
        url.strip_prefix(scheme).is_some_and(|host| !host.is_empty() && !host.ends_with('/'))
    });
    // Printed to terminals and put into requests: visible ASCII only.
    if !known || url.len() > URL_BYTES_MAX || !url.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(ParseLinkError::Address);
    }
    let mut id = [0; 16];
    let is_lower = !digits.bytes().any(|digit| digit.is_ascii_uppercase());
    if !is_lower || hex::decode_to_slice(digits, &mut id).is_err() {
        return Err(ParseLinkError::Address);
    }
    let id = DeliveryId::from_bytes(id);
    let coded = |version| key.strip_prefix(version).map(|coded| (version, coded));
    let (version, coded) = coded(PLAIN).or_else(|| coded(LOCKED)).ok_or(ParseLinkError::Version)?;
    let bytes = URL_SAFE_NO_PAD.decode(coded).map_err(|_| ParseLinkError::Text)?;
    let (given, end) = bytes.split_last_chunk().ok_or(ParseLinkError::Text)?;
    let (secret, pinned) = given.split_first_chunk::<SECRET_BYTES>().ok_or(ParseLinkError::Text)?;
    let fingerprint = match pinned {
        [] => [0; FINGERPRINT_BYTES],
        pinned => pinned.try_into().map_err(|_| ParseLinkError::Text)?,
    };
    // One that pins nothing is written without.
    let is_one_spelling = pinned.is_empty() || fingerprint != [0; FINGERPRINT_BYTES];
    if !is_one_spelling || check(id, given) != *end {
        return Err(ParseLinkError::Text);
    }
    let secret = DeliverySecret::from_bytes(*secret);
    Ok((version, Ticket { url: url.to_owned(), fingerprint, id, secret }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(url: &str, fingerprint: [u8; 32]) -> Link {
        let id = DeliveryId::from_bytes([3; 16]);
        let secret = DeliverySecret::from_bytes([4; 32]);
        Link(Ticket { url: url.into(), fingerprint, id, secret })
    }

    #[test]
    fn a_link_reads_as_it_was_written_and_nothing_less_does() {
        for fingerprint in [[0; 32], [2; 32]] {
            let ours = link("https://hub.example.org:8443", fingerprint);
            let text = ours.to_string();
            assert_eq!(text.parse(), Ok(ours.clone()));
            assert_eq!(format!("{ours:?}"), format!("Link({} at {})", ours.0.id, ours.0.url));
            for end in 0..text.len() {
                text[..end].parse::<Link>().expect_err("cut short");
            }
            let long = format!("{text}{}", "A".repeat(TICKET_BYTES_MAX));
            assert_eq!(long.parse::<Link>(), Err(ParseLinkError::TooLarge(long.len())));
        }
        let slash = link("https://hub.example.org/", [0; 32]).to_string();
        assert_eq!(slash.parse(), Ok(link("https://hub.example.org", [0; 32])));
    }

    #[test]
    fn a_letter_that_changed_on_its_way_is_found() {
        let text = link("https://hub", [2; 32]).to_string();
        let from = text.find(PAGE).expect("there");
        for at in from..text.len() {
            let other = if text.as_bytes()[at] == b'7' { "8" } else { "7" };
            let altered = [&text[..at], other, &text[at + 1..]].concat();
            altered.parse::<Link>().expect_err(&altered);
        }
    }

    #[test]
    fn addresses_that_no_hub_has_are_refused() {
        let long = format!("https://{}", "h".repeat(URL_BYTES_MAX));
        for url in ["", "ftp://hub", "https://", "https://hub\u{1b}[2J", "https://h b", &long] {
            let text = link(url, [0; 32]).to_string();
            assert_eq!(text.parse::<Link>(), Err(ParseLinkError::Address), "{url}");
        }
        let newer = link("https://hub", [0; 32]).to_string().replace("#1.", "#3.");
        assert_eq!(newer.parse::<Link>(), Err(ParseLinkError::Version));
    }
}
