//! Places for what waits in memory until a client has taken it, so shared that no caller has all
//! of them.
//!
//! A caller waits for a place of its own share first, and only then for one of all: whoever holds
//! much waits for itself and not in the way of others.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use axum::http::HeaderMap;
use bytes::Bytes;
use hub_db::{AccountKey, Caller};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::addresses::counted_as;
use crate::app::App;
use crate::peer::Peer;
use crate::refusal::Refusal;

/// An answer up to this length needs no place: connections bound how many there are.
pub(crate) const SMALL_BYTES_MAX: usize = 64 << 10;

/// Bytes of answers that one unit of [`Places::answers`] stands for.
const UNIT_BYTES: usize = 64 << 10;

/// A caller has at most one of so many parts of the places.
const PARTS: usize = 4;

/// Below so many callers none is looked for that has gone.
const SHARES_MIN: usize = 64;

/// Whose share it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Sharer {
    /// An account, with all its tokens.
    Account(AccountKey),
    /// Everybody without an account at one IPv4 address or in one IPv6 network of 64 bits.
    Address(IpAddr),
    /// A session of the console, by the hash of its secret.
    Session([u8; 32]),
}

impl Sharer {
    /// Whether it is of somebody without an account.
    pub(crate) fn is_guest(self) -> bool {
        matches!(self, Self::Address(_))
    }
}

/// Places that callers share.
pub(crate) struct Places {
    all: Arc<Semaphore>,
    share: usize,
    shares: Mutex<Shares>,
}

/// What had no place left in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Full {
    /// The caller's own share.
    Share,
    /// All of them together.
    All,
}

/// The share of each caller that holds a place or waits for one.
struct Shares {
    of: HashMap<Sharer, Arc<Semaphore>>,
    /// Callers at which those that have gone are looked for.
    sweep_at: usize,
}

/// One place or several; dropping it gives them back.
#[derive(Debug)]
pub(crate) struct Place {
    _of_all: OwnedSemaphorePermit,
    _of_share: OwnedSemaphorePermit,
}

impl Places {
    /// Shares out the places of `all`, of which there are `count`.
    pub(crate) fn new(all: Arc<Semaphore>, count: usize) -> Self {
        let shares = Shares { of: HashMap::new(), sweep_at: SHARES_MIN };
        Self { all, share: (count / PARTS).max(1), shares: Mutex::new(shares) }
    }

    /// Room for answers of so many bytes in all.
    pub(crate) fn answers(bytes_max: usize) -> Self {
        let units = bytes_max / UNIT_BYTES;
        Self::new(Arc::new(Semaphore::new(units.max(1))), units)
    }

    /// `count` places at once, though never more than a share has; waits no longer than `until`.
    async fn several(&self, sharer: Sharer, count: usize, until: Instant) -> Result<Place, Full> {
        let count = u32::try_from(count.min(self.share)).unwrap_or(u32::MAX);
        let open = "the semaphore is never closed";
        let of_share = timeout_at(until, self.share_of(sharer).acquire_many_owned(count)).await;
        let of_share = of_share.map_err(|_| Full::Share)?.expect(open);
        let of_all = timeout_at(until, Arc::clone(&self.all).acquire_many_owned(count)).await;
        let of_all = of_all.map_err(|_| Full::All)?.expect(open);
        Ok(Place { _of_all: of_all, _of_share: of_share })
    }

    fn try_several(&self, sharer: Sharer, count: usize) -> Option<Place> {
        let count = u32::try_from(count.min(self.share)).unwrap_or(u32::MAX);
        let of_share = self.share_of(sharer).try_acquire_many_owned(count).ok()?;
        let of_all = Arc::clone(&self.all).try_acquire_many_owned(count).ok()?;
        Some(Place { _of_all: of_all, _of_share: of_share })
    }

    fn share_of(&self, sharer: Sharer) -> Arc<Semaphore> {
        let mut shares = self.shares.lock().expect("nothing panics while it is held");
        if shares.of.len() >= shares.sweep_at {
            // Whoever holds a place or waits for one holds its semaphore too.
            shares.of.retain(|_, share| Arc::strong_count(share) > 1);
            shares.sweep_at = (shares.of.len() * 2).max(SHARES_MIN);
        }
        let share = shares.of.entry(sharer).or_insert_with(|| Arc::new(Semaphore::new(self.share)));
        Arc::clone(share)
    }
}

/// Bytes with the place they take.
struct Held {
    bytes: Bytes,
    _place: Place,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Place {
    /// `bytes` that keep the place for as long as anything of them is in memory: a connection
    /// buffers a body, and has not sent it when it drops it.
    pub(crate) fn hold(self, bytes: Bytes) -> Bytes {
        if bytes.len() <= SMALL_BYTES_MAX {
            return bytes;
        }
        Bytes::from_owner(Held { bytes, _place: self })
    }
}

fn units(bytes: usize) -> usize {
    bytes.div_ceil(UNIT_BYTES).max(1)
}

impl App {
    /// Whose share a request of `caller` counts to.
    pub(crate) fn sharer(&self, caller: &Caller, peer: Peer, headers: &HeaderMap) -> Sharer {
        match caller {
            Caller::Account { key, .. } | Caller::Token { key, .. } => Sharer::Account(*key),
            Caller::Anonymous => {
                Sharer::Address(counted_as(peer.client(headers, &self.trusted_proxies)))
            }
        }
    }

    /// Waits for a place among the fetches.
    pub(crate) async fn fetch_turn(&self, sharer: Sharer) -> Result<Place, Refusal> {
        self.wait(&self.fetch_places, sharer, 1).await
    }

    /// Waits for a place among the segments that come for lockers.
    pub(crate) async fn locker_turn(&self, sharer: Sharer) -> Result<Place, Refusal> {
        self.wait(&self.locker_places, sharer, 1).await
    }

    /// Waits for room for an answer of up to `bytes`.
    pub(crate) async fn room(&self, bytes: usize, sharer: Sharer) -> Result<Place, Refusal> {
        self.wait(&self.answers, sharer, units(bytes)).await
    }

    /// The same if there is room now.
    pub(crate) fn try_room(&self, bytes: usize, sharer: Sharer) -> Option<Place> {
        self.answers.try_several(sharer, units(bytes))
    }

    /// Who is told to come again learns whether it waits for others or for itself.
    async fn wait(&self, places: &Places, sharer: Sharer, count: usize) -> Result<Place, Refusal> {
        let until = Instant::now() + self.limits.turn_time;
        places.several(sharer, count, until).await.map_err(|full| match full {
            Full::Share => Refusal::too_many("as many transfers at once as one caller may have"),
            Full::All => Refusal::busy("too many transfers at once"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sharer(number: u8) -> Sharer {
        Sharer::Account(AccountKey([number; 32]))
    }

    #[test]
    fn a_caller_has_a_quarter_at_most_and_leaves_the_rest_to_others() {
        let all = Arc::new(Semaphore::new(8));
        let places = Places::new(Arc::clone(&all), 8);
        let held: Vec<_> = (0..2).map(|_| places.try_several(sharer(1), 1)).collect();
        assert!(held.iter().all(Option::is_some));
        assert!(places.try_several(sharer(1), 1).is_none());
        let others: Vec<_> = (2..5).map(|number| places.try_several(sharer(number), 9)).collect();
        assert!(others.iter().all(Option::is_some), "more than a share is cut to one");
        assert!(places.try_several(sharer(9), 1).is_none(), "all are taken");
        drop(held);
        assert_eq!(all.available_permits(), 2);
        assert!(places.try_several(sharer(9), 1).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_in_vain_learns_for_whom() {
        let places = Places::new(Arc::new(Semaphore::new(4)), 4);
        let soon = || Instant::now() + std::time::Duration::from_secs(1);
        let own = places.try_several(sharer(1), 1).expect("a place");
        assert_eq!(places.several(sharer(1), 1, soon()).await.err(), Some(Full::Share));
        let others: Vec<_> = (2..5).map(|number| places.try_several(sharer(number), 1)).collect();
        assert!(others.iter().all(Option::is_some));
        assert_eq!(places.several(sharer(9), 1, soon()).await.err(), Some(Full::All));
        drop(own);
        assert!(places.several(sharer(9), 1, soon()).await.is_ok());
    }

    #[test]
    fn callers_that_have_gone_are_forgotten() {
        let places = Places::new(Arc::new(Semaphore::new(8)), 8);
        let stays = places.try_several(sharer(1), 2).expect("a place");
        for number in 0..10_000u32 {
            let address = IpAddr::from(number.to_be_bytes());
            drop(places.try_several(Sharer::Address(address), 1));
        }
        assert!(places.shares.lock().expect("not poisoned").of.len() <= SHARES_MIN);
        assert!(places.try_several(sharer(1), 1).is_none(), "its share is still taken");
        drop(stays);
        assert!(places.try_several(sharer(1), 1).is_some());
    }

    #[test]
    fn a_place_is_held_as_long_as_any_of_its_bytes() {
        let places = Places::answers(16 * UNIT_BYTES);
        let large = Bytes::from(vec![7; 3 * UNIT_BYTES]);
        let place = places.try_several(sharer(1), 3).expect("room");
        let mut held = place.hold(large.clone());
        assert_eq!(held, large);
        let end = held.split_off(2 * UNIT_BYTES);
        drop(held);
        assert_eq!(places.all.available_permits(), 13);
        drop(end);
        assert_eq!(places.all.available_permits(), 16);
        // What is small gives its place back at once.
        let small = places.try_several(sharer(1), 1).expect("room").hold(Bytes::from_static(b"x"));
        assert_eq!(places.all.available_permits(), 16);
        drop(small);
    }
}
