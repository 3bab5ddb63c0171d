//! What is wrong with a specification, where, and what to write instead.

use std::fmt::Write as _;
use std::ops::Range;

/// What kind of mistake it is. The texts are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// It is no TOML.
    Syntax,
    /// There is no such key.
    UnknownKey,
    /// A key that has to be there is not.
    MissingKey,
    /// The key takes a value of another type.
    WrongType,
    /// The key does not take this value.
    WrongValue,
    /// Two things that exclude each other.
    Conflict,
    /// It is longer, or there are more, than may be.
    TooLong,
    /// A variable that is not defined.
    Variable,
    /// What it names on the publisher's disk is missing, or cannot be read.
    Source,
}

impl Code {
    /// The stable text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::UnknownKey => "unknown-key",
            Self::MissingKey => "missing-key",
            Self::WrongType => "wrong-type",
            Self::WrongValue => "wrong-value",
            Self::Conflict => "conflict",
            Self::TooLong => "too-long",
            Self::Variable => "variable",
            Self::Source => "source",
        }
    }
}

/// A mistake in a specification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What kind it is.
    pub code: Code,
    /// Where it is, in bytes from the start.
    pub span: Range<usize>,
    /// The line, from 1.
    pub line: usize,
    /// The column, in characters, from 1.
    pub column: usize,
    /// How many characters of this line it is about; at least 1.
    pub length: usize,
    /// What is wrong.
    pub message: String,
    /// What to write instead, where that can be said.
    pub help: Option<String>,
}

/// Most characters of a line that are shown.
const SHOWN_MAX: usize = 120;
/// Most characters of a message: it may name a text that is too long.
const MESSAGE_MAX: usize = 300;

impl Diagnostic {
    /// A mistake at `span` of `text`, in bytes.
    #[must_use]
    pub fn new(
        text: &str,
        code: Code,
        span: Range<usize>,
        mut message: String,
        help: Option<String>,
    ) -> Self {
        if let Some((cut, _)) = message.char_indices().nth(MESSAGE_MAX) {
            message.truncate(cut);
            message.push('…');
        }
        let start = text.floor_char_boundary(span.start);
        let end = text.ceil_char_boundary(span.end.max(start));
        let before = &text[..start];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let first_line = text[start..end].lines().next().unwrap_or_default();
        Self {
            code,
            span: start..end,
            line: 1 + before.matches('\n').count(),
            column: 1 + text[line_start..start].chars().count(),
            length: first_line.chars().count().max(1),
            message,
            help,
        }
    }

    /// The mistake with its line and what to do, as compilers show it. `text` is what was parsed.
    #[must_use]
    pub fn render(&self, file: &str, text: &str) -> String {
        let line = text.lines().nth(self.line - 1).unwrap_or_default();
        // A window on a line that is longer than anybody reads, with the mistake in it.
        let skipped = (self.column - 1).saturating_sub(SHOWN_MAX / 2);
        let skipped = if line.chars().count() <= SHOWN_MAX { 0 } else { skipped };
        let shown: String = line.chars().skip(skipped).take(SHOWN_MAX).map(printable).collect();
        let indent = self.column - 1 - skipped;
        let carets = self.length.min(SHOWN_MAX.saturating_sub(indent)).max(1);
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        let mut told = format!("error: {}\n", printable_text(&self.message));
        // Writing to a text cannot fail.
        let _ = writeln!(told, "{margin}--> {file}:{}:{}", self.line, self.column);
        let _ = writeln!(told, "{margin} |");
        let _ = writeln!(told, "{number} | {shown}");
        let _ = writeln!(told, "{margin} | {}{}", " ".repeat(indent), "^".repeat(carets));
        if let Some(help) = &self.help {
            let _ = writeln!(told, "{margin} = help: {}", printable_text(help));
        }
        told
    }
}

/// What cannot be printed takes the place of one character all the same, and steers no terminal.
fn printable(character: char) -> char {
    match character {
        '\t' => ' ',
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        control if control.is_control() => '\u{fffd}',
        other => other,
    }
}

fn printable_text(text: &str) -> String {
    text.chars().map(printable).collect()
}
