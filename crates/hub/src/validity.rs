//! From when to when a certificate is valid, read from its DER bytes (RFC 5280, 4.1).

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;

/// Seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Validity {
    /// Not before.
    pub(crate) begins: u64,
    /// Not after.
    pub(crate) ends: u64,
}

impl Validity {
    /// `None` when it is not where it belongs.
    pub(crate) fn of(certificate: &[u8]) -> Option<Self> {
        let (certificate, _) = element(certificate, SEQUENCE)?;
        let (mut body, _) = element(certificate, SEQUENCE)?;
        if let Some((_, rest)) = element(body, VERSION) {
            body = rest;
        }
        // Serial number, signature algorithm, issuer.
        for tag in [INTEGER, SEQUENCE, SEQUENCE] {
            (_, body) = element(body, tag)?;
        }
        let (validity, _) = element(body, SEQUENCE)?;
        let (begins, rest) = time(validity)?;
        let (ends, _) = time(rest)?;
        Some(Self { begins, ends })
    }

    /// When to ask for the next certificate: when a third of this one's time is left.
    pub(crate) fn renewal(&self) -> u64 {
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
    let (text, rest, is_short) = match element(bytes, UTC_TIME) {
        Some((text, rest)) => (text, rest, true),
        None => element(bytes, GENERALIZED_TIME).map(|(text, rest)| (text, rest, false))?,
    };
    let (year, text) = text.split_at_checked(if is_short { 2 } else { 4 })?;
    let year = match (number(year)?, is_short) {
        (year, true) if year < 50 => 2000 + year,
        (year, true) => 1900 + year,
        (year, false) => year,
    };
    let part = |at: usize| text.get(at..at + 2).and_then(number);
    let days = days_since_1970(year, part(0)?, part(2)?)?;
    let seconds = part(4)? * 3600 + part(6)? * 60 + part(8)?;
    Some((u64::try_from(days * 86_400 + seconds).ok()?, rest))
}

fn number(digits: &[u8]) -> Option<i64> {
    std::str::from_utf8(digits)
        .ok()
        .filter(|text| text.bytes().all(|b| b.is_ascii_digit()))?
        .parse()
        .ok()
}

/// Days from 1970-01-01 in the Gregorian calendar; years are counted from March, so that the
/// leap day is the last of its year.
fn days_since_1970(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
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
    fn dates_are_read_in_both_encodings() {
        let near = Validity::of(&made((2000, 2, 29), (2000, 3, 30))).expect("valid");
        assert_eq!(near, Validity { begins: 951_782_400, ends: 954_374_400 });
        assert_eq!(near.renewal(), 954_374_400 - 10 * 86_400);
        let far = Validity::of(&made((2000, 2, 29), (2101, 1, 1))).expect("valid");
        assert_eq!(far.ends, 4_133_980_800);
    }

    #[test]
    fn no_cut_makes_it_panic() {
        let whole = made((2000, 1, 1), (2001, 1, 1));
        for end in 0..whole.len() {
            let _ = Validity::of(&whole[..end]);
        }
        assert_eq!(Validity::of(&[]), None);
    }
}
