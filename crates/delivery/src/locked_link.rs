//! A link that opens with a passphrase.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use ring::pbkdf2;

use crate::link::{LOCKED, ParseLinkError, read, write};
use crate::{DeliverySecret, Ticket};

/// What a guess is to cost, as OWASP advised in 2023; a fifth of a second.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(600_000).expect("more than none");

/// A link whose secret is masked by what a passphrase makes of the delivery's id. Whoever has it and not the
/// passphrase has to ask the hub about each guess: nothing in it tells a wrong one.
#[derive(Clone, PartialEq, Eq)]
pub struct LockedLink(Ticket);

impl LockedLink {
    /// Locks a ticket. The same passphrase gives the same link.
    #[must_use]
    pub fn lock(ticket: &Ticket, passphrase: &str) -> Self {
        Self(masked(ticket, passphrase))
    }

    /// The ticket that was locked, or one that opens nothing.
    #[must_use]
    pub fn unlock(&self, passphrase: &str) -> Ticket {
        masked(&self.0, passphrase)
    }
}

/// Once it masks, and once more it takes the mask off.
fn masked(ticket: &Ticket, passphrase: &str) -> Ticket {
    let mut stretched = [0; 32];
    let (algorithm, salt) = (pbkdf2::PBKDF2_HMAC_SHA256, ticket.id.as_bytes());
    pbkdf2::derive(algorithm, ITERATIONS, salt, passphrase.as_bytes(), &mut stretched);
    let mut secret = blake3::derive_key("consign delivery 1 link mask", &stretched);
    secret.iter_mut().zip(ticket.secret.as_bytes()).for_each(|(mask, byte)| *mask ^= byte);
    Ticket { secret: DeliverySecret::from_bytes(secret), ..ticket.clone() }
}

impl fmt::Display for LockedLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, LOCKED, &self.0)
    }
}

impl fmt::Debug for LockedLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LockedLink({} at {})", self.0.id, self.0.url)
    }
}

impl FromStr for LockedLink {
    type Err = ParseLinkError;

    fn from_str(text: &str) -> Result<Self, ParseLinkError> {
        match read(text)? {
            (LOCKED, ticket) => Ok(Self(ticket)),
            _ => Err(ParseLinkError::NotLocked),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DeliveryId, Link};

    fn ticket() -> Ticket {
        Ticket {
            url: "https://hub.example.org:8443".into(),
            fingerprint: [2; 32],
            id: DeliveryId::from_bytes([3; 16]),
            secret: DeliverySecret::from_bytes([4; 32]),
        }
    }

    #[test]
    fn a_passphrase_opens_what_it_locked_and_another_one_gives_nothing_away() {
        let locked = LockedLink::lock(&ticket(), "correct horse");
        let text = locked.to_string();
        assert_eq!(text.parse(), Ok(locked.clone()));
        assert_eq!(LockedLink::lock(&ticket(), "correct horse"), locked, "the same once more");
        assert_eq!(locked.unlock("correct horse"), ticket());
        let wrong = locked.unlock("correct house");
        assert_ne!(wrong.secret, ticket().secret);
        assert_eq!(
            (wrong.id, wrong.url),
            (ticket().id, ticket().url),
            "nothing tells that it is wrong"
        );
        assert_ne!(locked.0.secret, ticket().secret);
    }

    #[test]
    fn a_locked_link_is_not_taken_for_one_that_is_open() {
        let locked = LockedLink::lock(&ticket(), "").to_string();
        assert_eq!(locked.parse::<Link>(), Err(ParseLinkError::Locked));
        let plain = Link(ticket()).to_string();
        assert_eq!(plain.parse::<LockedLink>(), Err(ParseLinkError::NotLocked));
        for end in 0..locked.len() {
            locked[..end].parse::<LockedLink>().expect_err("cut short");
        }
    }
}
