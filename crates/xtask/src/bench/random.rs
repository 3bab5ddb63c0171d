//! Numbers that look random and are the same on every run and machine.

use std::io::{self, Write};

/// SplitMix64: passes the usual batteries, one multiplication chain a word, and is five lines.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// A number below `bound`, which is not zero.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// A length from `low` up to `high` bytes; each doubling is as likely as any other, as in
    /// real directories.
    pub(super) fn length(&mut self, low: u64, high: u64) -> u64 {
        let unit = self.next() as f64 / u64::MAX as f64;
        (low as f64 * (high as f64 / low as f64).powf(unit)) as u64
    }

    /// Bytes that no compressor shrinks.
    pub(super) fn bytes(&mut self, length: u64) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length as usize + 8);
        while (bytes.len() as u64) < length {
            bytes.extend_from_slice(&self.next().to_le_bytes());
        }
        bytes.truncate(length as usize);
        bytes
    }

    /// Words of a small vocabulary: text to a compressor.
    pub(super) fn text(&mut self, length: u64) -> Vec<u8> {
        const WORDS: [&str; 16] = [
            "the ",
            "chunk ",
            "of ",
            "a ",
            "release ",
            "is ",
            "named ",
            "by ",
            "its ",
            "hash ",
            "and ",
            "verified ",
            "before ",
            "use.\n",
            "Every ",
            "byte ",
        ];
        let mut text = Vec::with_capacity(length as usize + 16);
        while (text.len() as u64) < length {
            let word = self.next();
            text.extend_from_slice(WORDS[(word % 16) as usize].as_bytes());
            if word >> 60 == 0 {
                text.extend_from_slice(format!("{:x} ", word >> 32).as_bytes());
            }
        }
        text.truncate(length as usize);
        text
    }

    /// Writes `length` bytes that no compressor shrinks, without holding them.
    pub(super) fn pour(&mut self, mut length: u64, out: &mut impl Write) -> io::Result<()> {
        while length > 0 {
            let part = length.min(1 << 20);
            out.write_all(&self.bytes(part))?;
            length -= part;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        assert_eq!(Random::new(1).bytes(37), Random::new(1).bytes(37));
        assert_ne!(Random::new(1).bytes(37), Random::new(2).bytes(37));
        assert_eq!(Random::new(0).next(), 0xe220_a839_7b1d_cdaf, "first word of SplitMix64 from 0");
    }

    #[test]
    fn lengths_stay_within_their_bounds_and_near_their_mean() {
        let mut random = Random::new(3);
        let lengths: Vec<u64> = (0..20_000).map(|_| random.length(200, 32_768)).collect();
        assert!(lengths.iter().all(|length| (200..=32_768).contains(length)));
        let total: u64 = lengths.iter().sum();
        assert!((120_000_000..135_000_000).contains(&total), "{total}");
    }
}
