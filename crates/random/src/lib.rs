//! Numbers that look random and are the same for the same seed, on every run and machine.
//!
//! For tests, simulations, fault injection and made-up data; never for keys. The sequence does not
//! change: seeds that were kept because they once showed a fault, and data that was measured, are
//! named by it.

use std::time::Duration;

/// SplitMix64 (Steele, Lea and Flood 2014): passes the usual batteries, takes every seed, zero
/// included, and is five lines.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The sequence of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next_u64() % bound
    }

    /// A place in something of this length; 0 in what is empty.
    pub fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length.max(1) as u64)).expect("below a usize")
    }

    /// One of several; there must be one.
    pub fn pick<T: Copy>(&mut self, among: &[T]) -> T {
        among[self.index(among.len())]
    }

    /// Whether something that happens so many times in a thousand happens now.
    pub fn happens(&mut self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }

    /// A time of at least `from` and less than `to` milliseconds.
    pub fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from))
    }

    /// A length from `low` up to `high` bytes; each doubling is as likely as any other, as in
    /// real directories.
    pub fn length(&mut self, low: u64, high: u64) -> u64 {
        let unit = self.next_u64() as f64 / u64::MAX as f64;
        (low as f64 * (high as f64 / low as f64).powf(unit)) as u64
    }

    /// Bytes that no compressor shrinks.
    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length + 8);
        while bytes.len() < length {
            bytes.extend_from_slice(&self.next_u64().to_le_bytes());
        }
        bytes.truncate(length);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        assert_eq!(Random::new(1).bytes(37), Random::new(1).bytes(37));
        assert_ne!(Random::new(1).bytes(37), Random::new(2).bytes(37));
        let first = Random::new(0).next_u64();
        assert_eq!(first, 0xe220_a839_7b1d_cdaf, "first word of SplitMix64 from 0");
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
