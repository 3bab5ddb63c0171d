//! Challenges for sessions, without memory for those who only ask.
//!
//! A challenge is 16 random bytes and a 16-byte MAC over them, the asking key and the current
//! window of time, under a secret that lives as long as the process. So anybody may ask as
//! often as they like at no cost in memory; only challenges answered with a valid signature of
//! a registered key, or of a guest whose network may open another session, are remembered, until
//! their time is over, so that none is used twice. Several
//! front-ends of a hub have one secret, which follows from its key, and remember in the database.

use std::collections::HashMap;
use std::sync::Mutex;

use hub_api::limits::CHALLENGE_LIFETIME;

/// Issues and redeems challenges.
#[derive(Debug)]
pub(crate) struct Challenges {
    secret: [u8; 32],
    used: Mutex<HashMap<[u8; 32], u64>>,
}

impl Challenges {
    pub(crate) fn new() -> Result<Self, getrandom::Error> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret)?;
        Ok(Self { secret, used: Mutex::default() })
    }

    /// The same at all front-ends of the hub with this secret key. They remember in the database which were used.
    pub(crate) fn of_hub(secret: &[u8; 32]) -> Self {
        let secret = blake3::derive_key("consign 2026-11 challenges of front-ends", secret);
        Self { secret, used: Mutex::default() }
    }

    fn mac(&self, nonce: &[u8], key: &[u8; 32], window: u64) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new_keyed(&self.secret);
        hasher.update(nonce).update(key).update(&window.to_le_bytes());
        *hasher.finalize().as_bytes().first_chunk().expect("32 bytes")
    }

    /// A challenge for `key`.
    pub(crate) fn issue(&self, key: &[u8; 32], now: u64) -> Result<[u8; 32], getrandom::Error> {
        let mut challenge = [0; 32];
        getrandom::fill(&mut challenge[..16])?;
        let mac = self.mac(&challenge[..16], key, window(now));
        challenge[16..].copy_from_slice(&mac);
        Ok(challenge)
    }

    /// Whether this hub issued the challenge to `key` within its lifetime.
    pub(crate) fn is_open(&self, challenge: &[u8; 32], key: &[u8; 32], now: u64) -> bool {
        let current = window(now);
        [current, current.saturating_sub(1)].iter().any(|window| {
            let expected: [u8; 16] = self.mac(&challenge[..16], key, *window);
            // `blake3::Hash` compares in constant time.
            blake3::hash(&expected) == blake3::hash(&challenge[16..])
        })
    }

    /// Marks the challenge as used; returns whether it was not before. Call it only after the
    /// proof was verified.
    pub(crate) fn redeem(&self, challenge: [u8; 32], now: u64) -> bool {
        let mut used = self.used.lock().expect("nothing panics while it is held");
        let current = window(now);
        used.retain(|_, window| *window + 1 >= current);
        used.insert(challenge, current).is_none()
    }
}

/// When a challenge that is open now is so no more.
pub(crate) fn ends(now: u64) -> u64 {
    (window(now) + 2) * CHALLENGE_LIFETIME.as_secs()
}

/// A challenge is good in its window and the next: between one and two lifetimes.
fn window(now: u64) -> u64 {
    now / CHALLENGE_LIFETIME.as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 6_000_000;

    #[test]
    fn a_challenge_is_good_once_for_its_key_and_time() {
        let challenges = Challenges::new().expect("randomness");
        let challenge = challenges.issue(&[1; 32], NOW).expect("randomness");
        assert_ne!(challenge, challenges.issue(&[1; 32], NOW).expect("randomness"));
        let lifetime = CHALLENGE_LIFETIME.as_secs();
        assert!(challenges.is_open(&challenge, &[1; 32], NOW));
        assert!(challenges.is_open(&challenge, &[1; 32], NOW + lifetime));
        assert!(!challenges.is_open(&challenge, &[1; 32], NOW + 2 * lifetime));
        assert!(!challenges.is_open(&challenge, &[2; 32], NOW));
        let mut forged = challenge;
        forged[0] ^= 1;
        assert!(!challenges.is_open(&forged, &[1; 32], NOW));
        let other = Challenges::new().expect("randomness");
        assert!(!other.is_open(&challenge, &[1; 32], NOW));
        let [one, second, strange] = [1, 1, 2].map(|hub| Challenges::of_hub(&[hub; 32]));
        let common = one.issue(&[1; 32], NOW).expect("randomness");
        assert!(second.is_open(&common, &[1; 32], NOW) && !strange.is_open(&common, &[1; 32], NOW));
        assert!(second.is_open(&common, &[1; 32], ends(NOW) - lifetime - 1));
        assert!(!second.is_open(&common, &[1; 32], ends(NOW)));

        assert!(challenges.redeem(challenge, NOW));
        assert!(!challenges.redeem(challenge, NOW + lifetime));
    }

    #[test]
    fn used_challenges_are_forgotten_after_their_time() {
        let challenges = Challenges::new().expect("randomness");
        for number in 0..100 {
            challenges.redeem([number; 32], NOW);
        }
        challenges.redeem([200; 32], NOW + 3 * CHALLENGE_LIFETIME.as_secs());
        assert_eq!(challenges.used.lock().expect("not poisoned").len(), 1);
    }
}
