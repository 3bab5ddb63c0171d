//! Guests: who sends by a code, a ticket or a link without an account, where the hub's operator lets them.
//!
//! A key costs nothing, so guests are counted by where they come from: one IPv4 address, or one IPv6 network
//! of 64 bits. [`Networks`] is pure. It is in memory alone: a hub that is started again begins to count anew.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hub_api::{DeliveryEnd, DeliveryParty, ProblemCode};

use crate::config::GuestConfig;
use crate::files::unix_now;
use crate::refusal::Refusal;

/// Networks that are counted at once; each takes some 60 bytes. Further ones are told to come again.
const NETWORKS_MAX: usize = 65_536;
/// Sessions that one network may open in a minute: each delivery needs one an hour.
const SESSIONS_PER_MINUTE_MAX: u32 = 30;
const MINUTE: u64 = 60;
const DAY: u64 = 24 * 3600;

/// Who may be a guest, and what each network took of it.
#[derive(Debug)]
pub(crate) struct Guests {
    networks: Mutex<Networks>,
}

impl Guests {
    pub(crate) fn new(config: GuestConfig) -> Self {
        let networks = Networks { bytes_max: config.bytes_per_day, of: HashMap::new() };
        Self { networks: Mutex::new(networks) }
    }

    /// Most bytes of one network in a day.
    pub(crate) fn bytes_max(&self) -> u64 {
        self.lock().bytes_max
    }

    /// A session for a guest from `network`.
    pub(crate) fn let_in(&self, network: IpAddr) -> Result<(), Refusal> {
        let let_in = self.lock().let_in(network, unix_now());
        let what = "the sessions of others without an account in your network first";
        let_in.map_err(|Later { seconds }| Refusal::too_many(what).after(seconds))
    }

    /// Refuses a delivery of so many bytes that a guest from `network` could not send whole today.
    pub(crate) fn check_room(&self, network: IpAddr, bytes: u64) -> Result<(), Refusal> {
        let mut networks = self.lock();
        let (left, most) = (networks.room(network, unix_now()), networks.bytes_max);
        if left >= bytes {
            return Ok(());
        }
        let what = format!(
            "without an account your network may send {most} bytes in a day, {left} of them are left, \
             and the delivery has {bytes}"
        );
        Err(Refusal::new(ProblemCode::GuestRefused, what))
    }

    /// Counts what a guest hands over; how its delivery ends when that is more than they may.
    pub(crate) fn count(&self, network: IpAddr, bytes: u64) -> Result<(), DeliveryEnd> {
        if !self.lock().count(network, bytes, unix_now()) {
            let reason =
                "its sender has no account, and sent as much in a day as the hub lets them";
            return Err(DeliveryEnd { by: DeliveryParty::Hub, reason: reason.to_owned() });
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Networks> {
        self.networks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What each network took lately.
#[derive(Debug)]
struct Networks {
    bytes_max: u64,
    of: HashMap<IpAddr, Used>,
}

/// What one network took in the minute and in the day that began then, in seconds since 1970.
#[derive(Debug, Clone, Copy)]
struct Used {
    minute: u64,
    sessions: u32,
    day: u64,
    bytes: u64,
}

/// Come again in so many seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Later {
    seconds: u64,
}

impl Networks {
    fn let_in(&mut self, network: IpAddr, now: u64) -> Result<(), Later> {
        let used = self.used(network, now)?;
        if used.sessions >= SESSIONS_PER_MINUTE_MAX {
            return Err(Later { seconds: (used.minute + MINUTE).saturating_sub(now) });
        }
        used.sessions += 1;
        Ok(())
    }

    /// What a network may still send today.
    fn room(&mut self, network: IpAddr, now: u64) -> u64 {
        let most = self.bytes_max;
        self.used(network, now).map_or(0, |used| most.saturating_sub(used.bytes))
    }

    /// Whether so much was left; nothing is counted when it was not.
    fn count(&mut self, network: IpAddr, bytes: u64, now: u64) -> bool {
        let most = self.bytes_max;
        let Ok(used) = self.used(network, now) else { return false };
        match used.bytes.checked_add(bytes).filter(|bytes| *bytes <= most) {
            Some(bytes) => {
                used.bytes = bytes;
                true
            }
            None => false,
        }
    }

    /// What `network` took, as of now.
    fn used(&mut self, network: IpAddr, now: u64) -> Result<&mut Used, Later> {
        if !self.of.contains_key(&network) && self.of.len() >= NETWORKS_MAX {
            self.of.retain(|_, used| used.is_of(now));
            if self.of.len() >= NETWORKS_MAX {
                return Err(Later { seconds: MINUTE });
            }
        }
        let unused = Used { minute: now, sessions: 0, day: now, bytes: 0 };
        let used = self.of.entry(network).or_insert(unused);
        if now.saturating_sub(used.minute) >= MINUTE {
            (used.minute, used.sessions) = (now, 0);
        }
        if now.saturating_sub(used.day) >= DAY {
            (used.day, used.bytes) = (now, 0);
        }
        Ok(used)
    }
}

impl Used {
    /// Whether anything of it still counts.
    fn is_of(&self, now: u64) -> bool {
        let day = self.bytes > 0 && now.saturating_sub(self.day) < DAY;
        let minute = self.sessions > 0 && now.saturating_sub(self.minute) < MINUTE;
        day || minute
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const NOW: u64 = 1_000_000;

    fn network(number: u32) -> IpAddr {
        Ipv4Addr::from(number).into()
    }

    fn networks() -> Networks {
        Networks { bytes_max: 100, of: HashMap::new() }
    }

    #[test]
    fn a_network_sends_so_much_in_a_day() {
        let mut networks = networks();
        assert_eq!(networks.room(network(1), NOW), 100);
        assert!(networks.count(network(1), 60, NOW));
        assert!(!networks.count(network(1), 41, NOW + 5), "more than is left");
        assert_eq!(networks.room(network(1), NOW + 5), 40);
        assert!(networks.count(network(1), 40, NOW + 5));
        assert!(!networks.count(network(1), 1, NOW + DAY - 1));
        assert!(!networks.count(network(1), u64::MAX, NOW), "no sum is too large");
        assert!(networks.count(network(2), 100, NOW + 5), "another one has its own");
        assert!(networks.count(network(1), 100, NOW + DAY), "the next day");
        assert!(!networks.count(network(1), 1, NOW), "a clock that goes back gives nothing back");
    }

    #[test]
    fn a_network_opens_so_many_sessions_in_a_minute() {
        let mut networks = networks();
        for _ in 0..SESSIONS_PER_MINUTE_MAX {
            assert_eq!(networks.let_in(network(1), NOW), Ok(()));
        }
        assert_eq!(networks.let_in(network(1), NOW + 20), Err(Later { seconds: MINUTE - 20 }));
        assert_eq!(networks.let_in(network(2), NOW + 20), Ok(()));
        assert_eq!(networks.let_in(network(1), NOW + MINUTE), Ok(()));
    }

    #[test]
    fn so_many_networks_are_counted_and_those_that_took_nothing_lately_are_forgotten() {
        let mut networks = networks();
        for number in 0..u32::try_from(NETWORKS_MAX).expect("few") {
            let used = networks.used(network(number), NOW).expect("there is room");
            used.bytes = 1;
        }
        let last = network(u32::MAX);
        assert_eq!(networks.let_in(last, NOW), Err(Later { seconds: MINUTE }));
        assert!(!networks.count(last, 1, NOW), "nothing is sent that is not counted");
        assert_eq!(networks.let_in(last, NOW + DAY), Ok(()));
        assert_eq!(networks.of.len(), 1);
    }
}
