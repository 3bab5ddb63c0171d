//! Numbers, times, names and paths for people.

use std::fmt::Write as _;

use documents::UtcTime;

const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];

/// A number of bytes in decimal units with three digits, and its unit.
#[must_use]
pub fn bytes_and_unit(count: u64) -> (String, &'static str) {
    let (mut value, mut unit) = (count as f64, 0);
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let number = match unit {
        0 => count.to_string(),
        _ if value < 10.0 => format!("{value:.2}"),
        _ if value < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    };
    (number, UNITS[unit])
}

/// As the command line writes it: `1.23 MB`. The space does not break.
#[must_use]
pub fn bytes(count: u64) -> String {
    let (number, unit) = bytes_and_unit(count);
    format!("{number}\u{a0}{unit}")
}

/// Thousands apart.
#[must_use]
pub fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A count with its noun: `1 release`, `2 releases`.
#[must_use]
pub fn counted(number: u64, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{}\u{a0}{noun}{ending}", count(number))
}

/// Seconds as the largest unit that fits: `5 s`, `12 min`, `3 h`, `8 days`.
#[must_use]
pub fn duration(seconds: u64) -> String {
    match seconds {
        0..=59 => format!("{seconds}\u{a0}s"),
        60..=3_599 => format!("{}\u{a0}min", seconds / 60),
        3_600..=172_799 => format!("{}\u{a0}h", seconds / 3_600),
        _ => counted(seconds / 86_400, "day"),
    }
}

/// A moment: how long ago or ahead, and exactly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// `3 h ago`, `in 2 days`, `just now`.
    pub relative: String,
    /// `2026-11-21 08:14 UTC`.
    pub exact: String,
    /// `2026-11-21T08:14:03Z`, for programs.
    pub iso: String,
}

impl Moment {
    /// A time as it is seen at `now`, both in unix seconds.
    #[must_use]
    pub fn new(time: u64, now: u64) -> Self {
        let relative = if time.abs_diff(now) < 10 {
            "just now".to_owned()
        } else if time < now {
            format!("{} ago", duration(now - time))
        } else {
            format!("in {}", duration(time - now))
        };
        let UtcTime { year, month, day, hour, minute, second } = UtcTime::at(time);
        let date = format!("{year:04}-{month:02}-{day:02}");
        Self {
            relative,
            exact: format!("{date} {hour:02}:{minute:02} UTC"),
            iso: format!("{date}T{hour:02}:{minute:02}:{second:02}Z"),
        }
    }
}

/// Bytes of a name or path as text that shows what they are: bytes that are no UTF-8, control
/// characters and those that turn the direction of writing become escapes, so that no name looks
/// like another one.
#[must_use]
pub fn shown(bytes: &[u8]) -> String {
    shown_but(bytes, |_| false)
}

/// The same for what a program wrote: its lines and tabs stay.
#[must_use]
pub fn shown_lines(bytes: &[u8]) -> String {
    shown_but(bytes, |character| matches!(character, '\n' | '\t'))
}

fn shown_but(bytes: &[u8], stays: impl Fn(char) -> bool) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if is_misleading(character) && !stays(character) {
                text.extend(character.escape_unicode());
            } else {
                text.push(character);
            }
        }
        for byte in chunk.invalid() {
            write!(text, "\\x{byte:02x}").expect("a string takes everything");
        }
    }
    text
}

fn is_misleading(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{2069}' | '\u{feff}'
        )
}

/// A public key, short: sixteen digits tell accounts apart.
#[must_use]
pub fn handle(key: &[u8; 32]) -> String {
    hex::encode(&key[..8])
}

/// Permissions as `ls` writes them: `rwxr-xr-x`.
#[must_use]
pub fn mode(mode: u32) -> String {
    let mut text = String::with_capacity(9);
    for (place, letter) in "rwxrwxrwx".chars().enumerate() {
        text.push(if mode & (0o400 >> place) == 0 { '-' } else { letter });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        let shown = [0, 999, 1_000, 1_234_567, 99_960_000, 5_000_000_000].map(bytes);
        let shown = shown.map(|text| text.replace('\u{a0}', " "));
        assert_eq!(shown, ["0 B", "999 B", "1.00 kB", "1.23 MB", "100.0 MB", "5.00 GB"]);
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([1, 2].map(|number| counted(number, "file")), ["1\u{a0}file", "2\u{a0}files"]);
    }

    #[test]
    fn moments_are_dates_of_the_calendar() {
        let of = |time| Moment::new(time, 1_000_000_000).iso;
        assert_eq!(of(0), "1970-01-01T00:00:00Z");
        assert_eq!(of(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(of(1_709_164_800), "2024-02-29T00:00:00Z");
        assert_eq!(of(4_107_542_399), "2100-02-28T23:59:59Z");
        assert_eq!(of(4_107_542_400), "2100-03-01T00:00:00Z");
        let relative = |time| Moment::new(time, 100_000).relative.replace('\u{a0}', " ");
        assert_eq!(relative(99_995), "just now");
        assert_eq!(relative(99_000), "16 min ago");
        assert_eq!(relative(100_000 + 90_000), "in 25 h");
        assert_eq!(relative(100_000 + 86_400 * 3), "in 3 days");
    }

    #[test]
    fn names_show_what_they_are() {
        assert_eq!(shown("Grüße 本.txt".as_bytes()), "Grüße 本.txt");
        assert_eq!(shown(b"a\xffb\nc"), "a\\xffb\\u{a}c");
        assert_eq!(shown_lines(b"a\tb\r\n\x1b[2J\xff"), "a\tb\\u{d}\n\\u{1b}[2J\\xff");
        assert_eq!(shown("gpj.\u{202e}exe".as_bytes()), "gpj.\\u{202e}exe");
    }

    #[test]
    fn modes_read_like_those_of_ls() {
        assert_eq!([0o755, 0o640, 0].map(mode), ["rwxr-xr-x", "rw-r-----", "---------"]);
    }
}
