//! When a certificate is valid, read from its DER bytes and nothing else (RFC 5280, 4.1).
//!
//! A pinned certificate is trusted by its fingerprint whatever its dates say; but others who look
//! at it, browsers and proxies, do mind: a person is told, and a hub renews in time.

use crate::date::{UtcTime, decimal};

/// From when to when a certificate is valid, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// Not before.
    pub begins: u64,
    /// Not after.
    pub ends: u64,
}

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const EXPLICIT_0: u8 = 0xa0;

impl Validity {
    /// Reads the validity of a certificate; `None` when it is not where it belongs or before
    /// 1970. Nothing else of the certificate is checked, and nothing is allocated.
    #[must_use]
    pub fn of(certificate: &[u8]) -> Option<Self> {
        let (certificate, _) = element(certificate, SEQUENCE)?;
        let (mut body, _) = element(certificate, SEQUENCE)?;
        // version [0] EXPLICIT, optional; serial number, signature algorithm, issuer.
        if let Some((_, rest)) = element(body, EXPLICIT_0) {
            body = rest;
        }
        for tag in [INTEGER, SEQUENCE, SEQUENCE] {
            (_, body) = element(body, tag)?;
        }
        let (validity, _) = element(body, SEQUENCE)?;
        let (begins, rest) = time(validity)?;
        let (ends, _) = time(rest)?;
        Some(Self { begins, ends })
    }

    /// When to ask for the next certificate: when a third of this one's time is left.
    #[must_use]
    pub fn renewal(&self) -> u64 {
        self.ends.saturating_sub(self.ends.saturating_sub(self.begins) / 3)
    }
}

/// The contents of an element with this tag, and what follows it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    if found != tag {
        return None;
    }
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

/// `YYMMDDhhmmssZ`, or with four digits of the year.
fn time(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (text, rest, year_digits) = match element(bytes, UTC_TIME) {
        Some((text, rest)) => (text, rest, 2),
        None => element(bytes, GENERALIZED_TIME).map(|(text, rest)| (text, rest, 4))?,
    };
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (year, rest_of_text) = text.split_at_checked(year_digits)?;
    let year = match (decimal(year)?, year_digits) {
        (year, 4) => year,
        (year, _) if year < 50 => 2000 + year,
        (year, _) => 1900 + year,
    };
    let part = |at: usize| rest_of_text.get(at..at + 2).and_then(decimal);
    let time = UtcTime {
        year,
        month: part(0)?,
        day: part(2)?,
        hour: part(4)?,
        minute: part(6)?,
        second: part(8)?,
    };
    Some((time.seconds_since_1970()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(from: (i32, u8, u8), to: (i32, u8, u8)) -> Vec<u8> {
        let mut params = rcgen::CertificateParams::new(["hub".to_owned()]).expect("a name");
        params.not_before = rcgen::date_time_ymd(from.0, from.1, from.2);
        params.not_after = rcgen::date_time_ymd(to.0, to.1, to.2);
        let key = rcgen::KeyPair::generate().expect("a key");
        params.self_signed(&key).expect("a certificate").der().to_vec()
    }

    #[test]
    fn the_dates_of_a_certificate_are_read_in_both_encodings() {
        let near = Validity::of(&made((2000, 2, 29), (2000, 3, 30))).expect("valid");
        assert_eq!(near, Validity { begins: 951_782_400, ends: 954_374_400 });
        assert_eq!(near.renewal(), 954_374_400 - 10 * 86_400);
        let far = Validity::of(&made((2000, 2, 29), (2101, 1, 1))).expect("valid");
        assert_eq!(far, Validity { begins: 951_782_400, ends: 4_133_980_800 });
    }

    #[test]
    fn a_date_in_another_zone_is_not_read() {
        let mut whole = made((2000, 2, 29), (2001, 1, 1));
        let end = b"010101000000Z";
        let at = whole.windows(end.len()).position(|bytes| bytes == end).expect("the end");
        whole[at + end.len() - 1] = b'0';
        assert_eq!(Validity::of(&whole), None);
    }

    #[test]
    fn no_cut_or_flip_makes_it_panic() {
        let whole = made((2000, 1, 1), (2001, 1, 1));
        for end in 0..whole.len() {
            let _ = Validity::of(&whole[..end]);
        }
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 0xff;
            let _ = Validity::of(&flipped);
        }
        assert_eq!(Validity::of(&[]), None);
    }
}
