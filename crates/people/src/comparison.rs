//! Words by which two people make sure that each knows the other.

use std::fmt;

use crate::Identity;

const PURPOSE: &str = "consign 2026-11-22 comparison of two people, version 1";
const WORD_BITS: usize = 10;
const WORDS: usize = 9;

/// Nine words that are the same for both when each has the other's identity: 90 bits, so nobody makes an
/// identity that has the words of another one. To be read to each other by another way than the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Comparison([u16; WORDS]);

impl Comparison {
    /// Of two people, in either order.
    #[must_use]
    pub fn of(one: Identity, other: Identity) -> Self {
        let (first, second) = if one <= other { (one, other) } else { (other, one) };
        let both = [&first.as_bytes()[..], second.as_bytes()].concat();
        let derived = blake3::derive_key(PURPOSE, &both);
        let bits = u128::from_le_bytes(derived[..16].try_into().expect("half of 32 bytes"));
        let mask = (1 << WORD_BITS) - 1;
        Self(std::array::from_fn(|at| (bits >> (at * WORD_BITS)) as u16 & mask))
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, word) in self.0.iter().enumerate() {
            let gap = match at {
                0 => "",
                _ if at % 3 == 0 => "  ",
                _ => " ",
            };
            write!(f, "{gap}{}", delivery::code_word(*word))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use documents::DocumentHash;

    use super::*;

    #[test]
    fn both_see_the_same_words_and_anybody_else_gives_others() {
        let identity = |byte| DocumentHash::from_bytes([byte; 32]);
        let (anna, ben, eve) = (identity(1), identity(2), identity(3));
        let words = Comparison::of(anna, ben);
        assert_eq!(words, Comparison::of(ben, anna));
        assert_eq!(words.to_string().split_whitespace().count(), WORDS);
        for other in [Comparison::of(anna, eve), Comparison::of(eve, ben)] {
            let same = words.0.iter().zip(other.0).filter(|(one, other)| **one == *other).count();
            assert!(same < 3, "{words} and {other}");
        }
    }
}
