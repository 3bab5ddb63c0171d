//! Facts to standard output, talk to standard error.

use std::io::{IsTerminal as _, Write as _};

use documents::UtcTime;
use serde_json::Value;

use crate::serving;

/// How this run speaks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
    quiet: bool,
    /// Facts may be coloured.
    colour: bool,
    /// Talk may be coloured.
    talk_colour: bool,
}

/// What a word is to stand out as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paint {
    Good,
    Warning,
    Bad,
    Faint,
    Strong,
    Name,
}

impl Output {
    pub(crate) fn new(json: bool, quiet: bool) -> Self {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let wanted = !json && !set("NO_COLOR") && !dumb;
        let colour = wanted && std::io::stdout().is_terminal();
        let talk_colour = wanted && std::io::stderr().is_terminal();
        Self { json, quiet, colour, talk_colour }
    }

    /// A part of a fact in a colour, where there are colours.
    pub(crate) fn paint(self, paint: Paint, text: String) -> String {
        if self.colour { painted(paint, &text) } else { text }
    }

    /// A part of a remark in a colour, where there are colours.
    pub(crate) fn paint_talk(self, paint: Paint, text: String) -> String {
        if self.talk_colour { painted(paint, &text) } else { text }
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

    /// Whether progress should be said in JSON. It is talk: facts alone go to standard output.
    pub(crate) fn shows_events(self) -> bool {
        self.json && !self.quiet
    }

    /// A fact: `human` to people, `json` to programs.
    pub(crate) fn fact(self, human: impl AsRef<str>, json: &Value) -> anyhow::Result<()> {
        let text = human.as_ref();
        if let Some(sent) = serving::fact(text, json) {
            return sent.map_err(Into::into);
        }
        let mut out = std::io::stdout().lock();
        let written = if self.json {
            writeln!(out, "{json}")
        } else if text.is_empty() {
            Ok(())
        } else {
            writeln!(out, "{text}")
        };
        written.and_then(|()| out.flush()).map_err(Into::into)
    }

    /// Contents, as they are.
    pub(crate) fn write(self, bytes: &[u8]) -> std::io::Result<()> {
        match serving::contents(bytes) {
            Some(sent) => sent,
            None => std::io::stdout().write_all(bytes),
        }
    }

    /// Whether neither progress nor remarks are wanted.
    pub(crate) fn is_quiet(self) -> bool {
        self.quiet
    }

    /// A remark for people.
    pub(crate) fn remark(self, text: impl AsRef<str>) {
        if serving::remark(text.as_ref()).is_some() {
            return;
        }
        if !self.quiet && !self.json {
            eprintln!("{}", text.as_ref());
        }
    }

    /// Something that must not be missed, even with `--quiet`; with `--json` it is a line too.
    pub(crate) fn warn(self, text: impl AsRef<str>, json: &Value) -> anyhow::Result<()> {
        if let Some(sent) = serving::warning(text.as_ref(), json) {
            return sent.map_err(Into::into);
        }
        if self.json {
            return self.fact("", json);
        }
        eprintln!("{}", text.as_ref());
        Ok(())
    }
}

fn painted(paint: Paint, text: &str) -> String {
    let code = match paint {
        Paint::Good => "32",
        Paint::Warning => "33",
        Paint::Bad => "31;1",
        Paint::Faint => "2",
        Paint::Strong => "1",
        Paint::Name => "36",
    };
    format!("\x1b[{code}m{text}\x1b[0m")
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

/// So many of something whose plural ends with an s.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", number(count))
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

/// Seconds since 1970 as a date and time.
pub(crate) fn utc(seconds: u64) -> String {
    let UtcTime { year, month, day, hour, minute, .. } = UtcTime::at(seconds);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
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
    fn seconds_become_dates() {
        assert_eq!(utc(0), "1970-01-01 00:00 UTC");
        assert_eq!(utc(951_782_400), "2000-02-29 00:00 UTC");
        assert_eq!(utc(1_795_132_799), "2026-11-19 23:59 UTC");
    }

    #[test]
    fn names_cannot_steer_the_terminal() {
        assert_eq!(path(b"a\x1b[2Jb\n"), "a\\u{1b}[2Jb\\u{a}");
        assert_eq!(path("x\u{202e}txt".as_bytes()), "x\\u{202e}txt");
        assert_eq!(path("größe".as_bytes()), "größe");
    }
}
