//! A number and three words, with which a ticket is handed over once.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

/// The words; where they come from is said at the top of the file.
static WORDS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let lines = include_str!("../words.txt").lines();
    lines.filter(|line| !line.starts_with('#')).collect()
});

const WORD_BITS: u32 = 10;
const WORDS_IN_CODE: usize = 3;
const NUMBER_MIN: u16 = 1000;
const NUMBER_MAX: u16 = 9999;
/// No word is farther than this from one that was meant for it.
const SLIPS_MAX: usize = 2;

/// The longest text that is read as a code, in bytes.
pub const CODE_BYTES_MAX: usize = 64;

/// With what a ticket is handed over to somebody who has only heard it: `4821-acid-lemon-orbit`.
///
/// The number says to the hub which sender is meant. The words, 30 bits, are known to the sender and the
/// recipient alone; whoever has to guess them has one guess.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Code {
    number: u16,
    words: [u16; WORDS_IN_CODE],
}

/// A text that is no code. Nothing was sent, so nothing is lost: type it again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseCodeError {
    /// It is longer than any code; it was not read.
    #[error("a code of {0} bytes; none is longer than {CODE_BYTES_MAX}")]
    TooLarge(usize),
    /// It is not a number and three words.
    #[error("a code is a number of four digits and three words, as in 4821-acid-lemon-orbit")]
    Shape,
    /// A word is in no code: it was misheard or mistyped.
    #[error("{word:?} is in no code{}", nearest.map(|it| format!("; {it:?} is")).unwrap_or_default())]
    Word {
        /// As it was typed.
        word: String,
        /// What was probably meant.
        nearest: Option<&'static str>,
    },
}

/// The word with a number of ten bits; what is above them does not count.
#[must_use]
pub fn code_word(number: u16) -> &'static str {
    WORDS[usize::from(number) & ((1 << WORD_BITS) - 1)]
}

impl Code {
    /// A code from random bytes.
    #[must_use]
    pub fn from_random(random: [u8; 16]) -> Self {
        let [low, high] = [&random[..8], &random[8..]]
            .map(|half| u64::from_le_bytes(half.try_into().expect("half of 16 bytes")));
        let count = u64::from(NUMBER_MAX - NUMBER_MIN) + 1;
        // The remainder of 64 bits prefers no number by more than 2^-50.
        let number = NUMBER_MIN + (low % count) as u16;
        let word = |place: u32| (high >> (place * WORD_BITS)) as u16 & ((1 << WORD_BITS) - 1);
        Self { number, words: [word(0), word(1), word(2)] }
    }

    /// What the hub knows it by.
    #[must_use]
    pub const fn number(&self) -> u16 {
        self.number
    }

    /// Whether a text is rather meant as a code than as a ticket.
    #[must_use]
    pub fn is_meant_by(text: &str) -> bool {
        text.trim_start().starts_with(|first: char| first.is_ascii_digit())
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.number)?;
        self.words.iter().try_for_each(|word| write!(f, "-{}", WORDS[usize::from(*word)]))
    }
}

/// Hides the words: what is logged is no secret.
impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Code({}-..)", self.number)
    }
}

impl FromStr for Code {
    type Err = ParseCodeError;

    fn from_str(text: &str) -> Result<Self, ParseCodeError> {
        if text.len() > CODE_BYTES_MAX {
            return Err(ParseCodeError::TooLarge(text.len()));
        }
        let parts = text.split(|c: char| c == '-' || c.is_ascii_whitespace());
        let mut parts = parts.filter(|part| !part.is_empty());
        let digits = parts.next().filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
        let number = digits.and_then(|digits| digits.parse().ok());
        let number = number.filter(|number| (NUMBER_MIN..=NUMBER_MAX).contains(number));
        let number = number.ok_or(ParseCodeError::Shape)?;
        let typed: Vec<&str> = parts.collect();
        let typed: [&str; WORDS_IN_CODE] = typed.try_into().map_err(|_| ParseCodeError::Shape)?;
        let mut words = [0; WORDS_IN_CODE];
        for (word, typed) in words.iter_mut().zip(typed) {
            *word = place(&typed.to_ascii_lowercase())?;
        }
        Ok(Self { number, words })
    }
}

fn place(typed: &str) -> Result<u16, ParseCodeError> {
    if let Ok(place) = WORDS.binary_search(&typed) {
        return Ok(place as u16);
    }
    let distance = |word: &&str| strsim::osa_distance(word, typed);
    let nearest = WORDS.iter().copied().min_by_key(distance);
    let nearest = nearest.filter(|word| distance(word) <= SLIPS_MAX);
    Err(ParseCodeError::Word { word: typed.to_owned(), nearest })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_words_are_one_slip_apart_or_begin_alike() {
        assert_eq!(WORDS.len(), 1 << WORD_BITS);
        assert!(WORDS.is_sorted());
        let beginnings: BTreeSet<&str> = WORDS.iter().map(|word| &word[..4]).collect();
        assert_eq!(beginnings.len(), WORDS.len());
        for (at, word) in WORDS.iter().enumerate() {
            assert!(
                word.bytes().all(|byte| byte.is_ascii_lowercase()) && word.len() <= 6,
                "{word}"
            );
            for other in &WORDS[..at] {
                assert!(strsim::osa_distance(word, other) >= 2, "{word} and {other}");
            }
        }
    }

    #[test]
    fn a_code_reads_as_it_was_written_and_as_people_type_it() {
        let code = Code::from_random([0xa7; 16]);
        let text = code.to_string();
        assert_eq!(text.parse(), Ok(code));
        assert_eq!(text.to_uppercase().replace('-', "  ").parse(), Ok(code));
        assert_eq!(format!(" {text} \n").parse(), Ok(code));
        assert!(Code::is_meant_by(&text) && !Code::is_meant_by("consign-delivery-1:ab"));
        assert!(!format!("{code:?}").contains(text.split('-').nth(1).expect("a word")));
        assert_eq!(Code::from_random([0; 16]).to_string(), "1000-about-about-about");
        let last = Code::from_random([0xff; 16]);
        assert_eq!(last.words, [1023; 3]);
        assert!((NUMBER_MIN..=NUMBER_MAX).contains(&last.number()));
    }

    #[test]
    fn what_was_mistyped_is_named_before_anything_is_sent() {
        let wrong = |text: &str| text.parse::<Code>().expect_err("is no code");
        let word = |word: &str, nearest| ParseCodeError::Word { word: word.into(), nearest };
        assert_eq!(wrong("4821-acid-lemmon-orbit"), word("lemmon", Some("lemon")));
        assert_eq!(wrong("4821-acid-lemon-obrit"), word("obrit", Some("orbit")));
        assert_eq!(wrong("4821-acid-lemon-xyzzyx"), word("xyzzyx", None));
        assert_eq!(
            wrong("4821-acid-lemmon-orbit").to_string(),
            "\"lemmon\" is in no code; \"lemon\" is"
        );
        for shape in [
            "",
            "4821",
            "acid-lemon-orbit",
            "999-acid-lemon-orbit",
            "10000-acid-lemon-orbit",
            "+4821-acid-lemon-orbit",
            "4821-acid-lemon",
            "4821-acid-lemon-orbit-acid",
        ] {
            assert_eq!(wrong(shape), ParseCodeError::Shape, "{shape}");
        }
        let long = "4821-".repeat(20);
        assert_eq!(wrong(&long), ParseCodeError::TooLarge(long.len()));
    }
}
