//! From text to labels and expressions.

use super::{DEPTH_MAX, EXPRESSION_BYTES_MAX, Expression, Label, TEXT_BYTES_MAX, WORD_BYTES_MAX};

/// A text that is no label. Write `key` or `key=value`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseLabelError {
    /// There is no key. Write one before the `=`.
    #[error("a label has a key of 1 to {WORD_BYTES_MAX} characters")]
    NoKey,
    /// A character that is in no label, or a second `=`. Leave it out.
    #[error(
        "{found:?} at byte {offset}: a label is made of A-Z, a-z, 0-9 and ._- and one = between key and value"
    )]
    Character {
        /// Where it is, in bytes from the start.
        offset: usize,
        /// The character.
        found: char,
    },
    /// Key or value is too long. Shorten it.
    #[error("the word at byte {offset} is longer than {WORD_BYTES_MAX} characters")]
    TooLong {
        /// Where the word begins, in bytes from the start.
        offset: usize,
    },
}

/// A text that is no expression over labels. It is for whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseExpressionError {
    /// Something else belongs here.
    #[error("{} at byte {offset}, where {expected} belongs", found.map_or_else(|| "the end".to_owned(), |sign| format!("{sign:?}")))]
    Unexpected {
        /// Where it is, in bytes from the start.
        offset: usize,
        /// What is there; `None` is the end.
        found: Option<char>,
        /// What belongs there.
        expected: &'static str,
    },
    /// A parenthesis that is not closed. Close it.
    #[error("the parenthesis at byte {offset} is not closed")]
    Open {
        /// Where it is, in bytes from the start.
        offset: usize,
    },
    /// A key or value is too long. Shorten it.
    #[error("the word at byte {offset} is longer than {WORD_BYTES_MAX} characters")]
    WordTooLong {
        /// Where the word begins, in bytes from the start.
        offset: usize,
    },
    /// Parentheses and `!` are too deep. Write it flatter, for example with fewer `!`.
    #[error("parentheses and ! are more than {DEPTH_MAX} deep at byte {offset}")]
    TooDeep {
        /// Where the first too many is, in bytes from the start.
        offset: usize,
    },
    /// The whole is too long. Give the machines that are meant a label of their own.
    #[error("the expression is longer than {EXPRESSION_BYTES_MAX} bytes")]
    TooLong,
}

impl ParseExpressionError {
    /// Where the mistake is, in bytes from the start of the text.
    #[must_use]
    pub fn offset(&self) -> usize {
        match self {
            Self::Unexpected { offset, .. }
            | Self::Open { offset }
            | Self::WordTooLong { offset }
            | Self::TooDeep { offset } => *offset,
            Self::TooLong => 0,
        }
    }
}

fn is_sign(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._-".contains(&byte)
}

pub(super) fn label(text: &str) -> Result<Label, ParseLabelError> {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    let wrong = |(offset, sign): &(usize, char)| {
        !(u8::try_from(*sign).is_ok_and(is_sign) || *offset == key.len() && *sign == '=')
    };
    if let Some((offset, found)) = text.char_indices().find(wrong) {
        return Err(ParseLabelError::Character { offset, found });
    }
    if key.is_empty() {
        return Err(ParseLabelError::NoKey);
    }
    for (offset, word) in [(0, key), (key.len() + 1, value)] {
        if word.len() > WORD_BYTES_MAX {
            return Err(ParseLabelError::TooLong { offset });
        }
    }
    Ok(Label { key: key.to_owned(), value: value.to_owned() })
}

pub(super) fn expression(text: &str) -> Result<Expression, ParseExpressionError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(ParseExpressionError::TooLong);
    }
    let mut parser = Parser { text, at: 0 };
    let parsed = parser.any(0)?;
    if parser.at < text.len() {
        return Err(parser.unexpected("& or |, or the end,"));
    }
    // What is stored and sent is the text that the value shows.
    if parsed.to_string().len() > EXPRESSION_BYTES_MAX {
        return Err(ParseExpressionError::TooLong);
    }
    Ok(parsed)
}

/// Stands behind the spaces that follow what was read.
struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn unexpected(&self, expected: &'static str) -> ParseExpressionError {
        let found = self.text[self.at..].chars().next();
        ParseExpressionError::Unexpected { offset: self.at, found, expected }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_spaces(&mut self) {
        while self.peek().is_some_and(|byte| b" \t\r\n".contains(&byte)) {
            self.at += 1;
        }
    }

    /// Takes this sign, and spaces behind it, if it comes next.
    fn take(&mut self, sign: u8) -> bool {
        let is_next = self.peek() == Some(sign);
        if is_next {
            self.at += 1;
            self.skip_spaces();
        }
        is_next
    }

    fn any(&mut self, depth: usize) -> Result<Expression, ParseExpressionError> {
        let mut parts = vec![self.all(depth)?];
        while self.take(b'|') {
            parts.push(self.all(depth)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expression::Any(parts) })
    }

    fn all(&mut self, depth: usize) -> Result<Expression, ParseExpressionError> {
        let mut parts = vec![self.term(depth)?];
        while self.take(b'&') {
            parts.push(self.term(depth)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expression::All(parts) })
    }

    fn term(&mut self, depth: usize) -> Result<Expression, ParseExpressionError> {
        self.skip_spaces();
        let offset = self.at;
        let is_deeper = self.peek().is_some_and(|sign| b"!(".contains(&sign));
        if is_deeper && depth == DEPTH_MAX {
            return Err(ParseExpressionError::TooDeep { offset });
        }
        if self.take(b'!') {
            return Ok(Expression::Not(Box::new(self.term(depth + 1)?)));
        }
        if self.take(b'(') {
            let inner = self.any(depth + 1)?;
            if self.take(b')') {
                return Ok(inner);
            }
            return Err(match self.peek() {
                None => ParseExpressionError::Open { offset },
                Some(_) => self.unexpected("& or | or a closing parenthesis"),
            });
        }
        let key = self.word()?;
        if key.is_empty() {
            return Err(self.unexpected("a label, ! or a parenthesis"));
        }
        let found = if self.peek() == Some(b'=') {
            self.at += 1;
            Expression::Is(key, self.word()?)
        } else {
            Expression::Has(key)
        };
        self.skip_spaces();
        Ok(found)
    }

    fn word(&mut self) -> Result<String, ParseExpressionError> {
        let offset = self.at;
        while self.peek().is_some_and(is_sign) {
            self.at += 1;
        }
        let word = &self.text[offset..self.at];
        if word.len() > WORD_BYTES_MAX {
            return Err(ParseExpressionError::WordTooLong { offset });
        }
        Ok(word.to_owned())
    }
}
