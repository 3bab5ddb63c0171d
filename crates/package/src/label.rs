//! Labels of machines, and expressions over them.
//!
//! ```text
//! expression = both *( "|" both )
//! both       = term *( "&" term )
//! term       = "!" term / "(" expression ")" / label
//! label      = key [ "=" value ]
//! key        = 1*64 sign
//! value      = 0*64 sign
//! sign       = "A".."Z" / "a".."z" / "0".."9" / "." / "_" / "-"
//! ```
//!
//! Spaces, tabs and line ends may stand between all of these but within a label. `key` asks whether
//! the label is there, `key=value` for its value, which `key=` says is empty. `!` binds closest,
//! then `&`, then `|`. Parentheses and `!` may be [`DEPTH_MAX`] deep; as [`Expression`] shows
//! itself, an expression has at most [`EXPRESSION_BYTES_MAX`] bytes, and its text may have
//! [`TEXT_BYTES_MAX`].

mod parse;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

pub use self::parse::{ParseExpressionError, ParseLabelError};

/// The longest key and the longest value, in bytes: what other systems with labels allow.
pub const WORD_BYTES_MAX: usize = 64;
/// How deep parentheses and `!` may be: far more than anybody can read, far less than a stack takes.
pub const DEPTH_MAX: usize = 32;
/// The longest expression as it shows itself, in bytes.
pub const EXPRESSION_BYTES_MAX: usize = 1024;
/// The longest text of an expression, in bytes: room for spaces.
pub const TEXT_BYTES_MAX: usize = 4096;

/// Labels of one machine: a key, and a value that may be empty.
pub type Labels = BTreeMap<String, String>;

/// One label as it is written: `key` or `key=value`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Label {
    /// 1 to [`WORD_BYTES_MAX`] of `A-Za-z0-9._-`.
    pub key: String,
    /// 0 to [`WORD_BYTES_MAX`] of the same.
    pub value: String,
}

impl FromStr for Label {
    type Err = ParseLabelError;

    fn from_str(text: &str) -> Result<Self, ParseLabelError> {
        parse::label(text)
    }
}

/// Shows an empty value as `key`.
impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)?;
        if self.value.is_empty() { Ok(()) } else { write!(f, "={}", self.value) }
    }
}

/// Chooses machines by their labels: `site=berlin & !(lab | ring=0)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expression {
    /// The label is there, whatever its value.
    Has(String),
    /// The label is there with this value.
    Is(String, String),
    /// The other does not fit.
    Not(Box<Self>),
    /// All of them fit; two or more.
    All(Vec<Self>),
    /// One of them fits; two or more.
    Any(Vec<Self>),
}

impl Expression {
    /// Whether a machine with these labels is chosen.
    #[must_use]
    pub fn fits(&self, labels: &Labels) -> bool {
        match self {
            Self::Has(key) => labels.contains_key(key),
            Self::Is(key, value) => labels.get(key) == Some(value),
            Self::Not(other) => !other.fits(labels),
            Self::All(parts) => parts.iter().all(|part| part.fits(labels)),
            Self::Any(parts) => parts.iter().any(|part| part.fits(labels)),
        }
    }

    fn is_list(&self) -> bool {
        match self {
            Self::All(_) | Self::Any(_) => true,
            Self::Has(_) | Self::Is(..) | Self::Not(_) => false,
        }
    }
}

impl FromStr for Expression {
    type Err = ParseExpressionError;

    fn from_str(text: &str) -> Result<Self, ParseExpressionError> {
        parse::expression(text)
    }
}

/// Shows a text that parses to the same expression.
impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |part: &Self, is_bare: bool, f: &mut fmt::Formatter<'_>| {
            if is_bare { write!(f, "{part}") } else { write!(f, "({part})") }
        };
        match self {
            Self::Has(key) => f.write_str(key),
            Self::Is(key, value) => write!(f, "{key}={value}"),
            Self::Not(other) => {
                f.write_str("!")?;
                part(other, !other.is_list(), f)
            }
            Self::All(parts) => {
                for (index, one) in parts.iter().enumerate() {
                    f.write_str(if index == 0 { "" } else { " & " })?;
                    part(one, !one.is_list(), f)?;
                }
                Ok(())
            }
            Self::Any(parts) => {
                for (index, one) in parts.iter().enumerate() {
                    f.write_str(if index == 0 { "" } else { " | " })?;
                    part(one, !matches!(one, Self::Any(_)), f)?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
