//! Growing, jittered delays between two tries of what failed.
//!
//! Pure: chance is a seed, and who waits keeps the time. Start reading at [`Delay`].

use std::time::Duration;

/// Doubles from the shortest to the longest delay; each one is drawn between half of it and all
/// of it.
#[derive(Debug, Clone)]
pub struct Delay {
    shortest: Duration,
    longest: Duration,
    failures: u32,
    state: u64,
}

impl Delay {
    /// Delays within `(shortest, longest)`, drawn by `seed`.
    #[must_use]
    pub fn new((shortest, longest): (Duration, Duration), seed: u64) -> Self {
        Self { shortest, longest, failures: 0, state: seed }
    }

    /// The delay after one more failure.
    pub fn next_delay(&mut self) -> Duration {
        let factor = 1u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        let full = self.shortest.saturating_mul(factor).min(self.longest);
        self.failures = self.failures.saturating_add(1);
        let half = full / 2;
        half + half.mul_f64(self.fraction())
    }

    /// How many failures there were since it went well.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// It went well: the next failure starts over.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// A number from 0 up to 1 (SplitMix64, Steele, Lea and Flood 2014).
    fn fraction(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        (mixed >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_longest_and_start_over() {
        let limits = (Duration::from_secs(1), Duration::from_secs(60));
        for seed in 0..100 {
            let mut delay = Delay::new(limits, seed);
            for failures in 0..80u32 {
                let full = Duration::from_secs(1 << failures.min(6)).min(limits.1);
                let drawn = delay.next_delay();
                assert!(drawn >= full / 2 && drawn <= full, "{drawn:?} of {full:?}");
            }
            delay.reset();
            assert!(delay.next_delay() <= limits.0);
        }
    }

    #[test]
    fn watchers_do_not_come_back_in_one_instant() {
        let limits = (Duration::from_secs(1), Duration::from_secs(60));
        let mut first: Vec<Duration> =
            (0..1000).map(|seed| Delay::new(limits, seed).next_delay()).collect();
        first.sort();
        first.dedup();
        assert!(first.len() > 990);
        // Spread over the half second they may take: no tenth of it holds more than a fifth.
        for tenth in 0..10 {
            let from = Duration::from_millis(500 + tenth * 50);
            let within = first
                .iter()
                .filter(|delay| **delay >= from && **delay < from + Duration::from_millis(50));
            assert!(within.count() < 200);
        }
    }
}
