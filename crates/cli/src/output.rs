//! Facts to standard output, talk to standard error.

use std::io::{IsTerminal as _, Write as _};

use serde_json::Value;

/// How this run speaks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
    quiet: bool,
}

impl Output {
    pub(crate) fn new(json: bool, quiet: bool) -> Self {
        Self { json, quiet }
    }

    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// Whether moving progress makes sense.
    pub(crate) fn shows_bars(self) -> bool {
        !self.json && !self.quiet && std::io::stderr().is_terminal()
    }

    /// Whether progress should be said in plain lines.
    pub(crate) fn shows_lines(self) -> bool {
        !self.json && !self.quiet && !std::io::stderr().is_terminal()
    }

    /// A fact: `human` to people, `json` to programs.
    pub(crate) fn fact(self, human: impl AsRef<str>, json: &Value) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        let text = human.as_ref();
        let written = if self.json {
            writeln!(out, "{json}")
        } else if text.is_empty() {
            Ok(())
        } else {
            writeln!(out, "{text}")
        };
        written.and_then(|()| out.flush()).map_err(Into::into)
    }

    /// A remark for people.
    pub(crate) fn remark(self, text: impl AsRef<str>) {
        if !self.quiet && !self.json {
            eprintln!("{}", text.as_ref());
        }
    }

    /// Something that must not be missed, even with `--quiet`; with `--json` it is a line too.
    pub(crate) fn warn(self, text: impl AsRef<str>, json: &Value) -> anyhow::Result<()> {
        if self.json {
            return self.fact("", json);
        }
        eprintln!("{}", text.as_ref());
        Ok(())
    }
}

/// Bytes for people: decimal units, three digits.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];
    let (mut value, mut unit) = (count as f64, 0);
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    match unit {
        0 => format!("{count} B"),
        _ if value < 10.0 => format!("{value:.2} {}", UNITS[unit]),
        _ if value < 100.0 => format!("{value:.1} {}", UNITS[unit]),
        _ => format!("{value:.0} {}", UNITS[unit]),
    }
}

/// A number with thousands separated.
pub(crate) fn number(count: u64) -> String {
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

/// A path for people: what is not printable is escaped, so that a name cannot move the cursor.
pub(crate) fn path(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .chars()
        .flat_map(|character| {
            let hidden = character.is_control()
                || ('\u{202a}'..='\u{202e}').contains(&character)
                || ('\u{2066}'..='\u{2069}').contains(&character);
            let escaped: Vec<char> =
                if hidden { character.escape_unicode().collect() } else { vec![character] };
            escaped
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(
            [0, 999, 1_000, 1_234_567, 99_960_000, 5_000_000_000].map(bytes),
            ["0 B", "999 B", "1.00 kB", "1.23 MB", "100.0 MB", "5.00 GB"].map(String::from)
        );
        assert_eq!([0, 999, 1_000, 1_234_567].map(number), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn names_cannot_steer_the_terminal() {
        assert_eq!(path(b"a\x1b[2Jb\n"), "a\\u{1b}[2Jb\\u{a}");
        assert_eq!(path("x\u{202e}txt".as_bytes()), "x\\u{202e}txt");
        assert_eq!(path("größe".as_bytes()), "größe");
    }
}
