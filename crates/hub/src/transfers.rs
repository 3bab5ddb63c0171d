//! What moves through the hub right now: uploads and fetches, by whom, how fast.
//!
//! A node sends and fetches in many short requests, so requests of one caller in one direction
//! are one transfer, which is listed until [`QUIET_TIME`] after the last of them. Nothing here
//! decides anything; it is there to be looked at.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use hub_db::{AccountKey, Caller};

/// Transfers kept at most; requests of callers beyond are served and not listed. More than there
/// are places for uploads and fetches by default.
const TRANSFERS_MAX: usize = 512;

/// How long a transfer stays listed without a request: a node pauses while it reads or writes.
const QUIET_TIME: Duration = Duration::from_secs(8);

/// Seconds over which a rate is averaged.
const WINDOW: usize = 5;

/// Which way the bytes go, seen from the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Direction {
    /// From a publisher to the hub.
    Upload,
    /// From the hub to a reader.
    Fetch,
}

/// Who sends or fetches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Who {
    /// Somebody without an account.
    Anonymous,
    /// The holder of a key.
    Account(AccountKey),
    /// A program with a token of an account.
    Token(AccountKey),
}

impl From<&Caller> for Who {
    fn from(caller: &Caller) -> Self {
        match caller {
            Caller::Anonymous => Self::Anonymous,
            Caller::Account { key, .. } => Self::Account(*key),
            Caller::Token { key, .. } => Self::Token(*key),
        }
    }
}

/// A transfer as it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Transfer {
    pub(crate) who: Who,
    pub(crate) direction: Direction,
    /// Bytes of frames since it began.
    pub(crate) bytes: u64,
    /// Bytes per second over the last seconds.
    pub(crate) rate: u64,
    /// How long ago it began.
    pub(crate) age: Duration,
    /// Requests that are open now.
    pub(crate) requests: u32,
}

/// Everything that moves.
#[derive(Debug, Default)]
pub(crate) struct Transfers(Mutex<HashMap<(Who, Direction), Record>>);

#[derive(Debug)]
struct Record {
    began: Instant,
    last: Instant,
    bytes: u64,
    requests: u32,
    /// Bytes of whole seconds since `began`, by second modulo the length.
    seconds: [u64; WINDOW + 1],
    /// The latest second that was written to.
    second: u64,
}

impl Record {
    fn new(now: Instant) -> Self {
        let seconds = [0; WINDOW + 1];
        Self { began: now, last: now, bytes: 0, requests: 0, seconds, second: 0 }
    }

    /// Empties the seconds that passed without a byte.
    fn advance(&mut self, now: Instant) {
        let second = now.saturating_duration_since(self.began).as_secs();
        let length = self.seconds.len() as u64;
        let passed = second.saturating_sub(self.second).min(length);
        for step in 1..=passed {
            self.seconds[((second - passed + step) % length) as usize] = 0;
        }
        self.second = self.second.max(second);
    }

    fn add(&mut self, bytes: u64, now: Instant) {
        self.advance(now);
        self.last = now;
        self.bytes += bytes;
        self.seconds[(self.second % self.seconds.len() as u64) as usize] += bytes;
    }

    /// Over the last whole seconds, or over its whole life while that is shorter.
    fn rate(&mut self, now: Instant) -> u64 {
        self.advance(now);
        let age = now.saturating_duration_since(self.began);
        if self.second < WINDOW as u64 {
            let millis = age.as_millis().max(1000);
            return (u128::from(self.bytes) * 1000 / millis).try_into().unwrap_or(u64::MAX);
        }
        let current = self.seconds[(self.second % self.seconds.len() as u64) as usize];
        (self.seconds.iter().sum::<u64>() - current) / WINDOW as u64
    }

    fn is_over(&self, now: Instant) -> bool {
        self.requests == 0 && now.saturating_duration_since(self.last) > QUIET_TIME
    }
}

/// A request that is part of a transfer; its end is the request's.
#[derive(Debug)]
pub(crate) struct Moving {
    transfers: Arc<Transfers>,
    key: (Who, Direction),
    is_listed: bool,
}

impl Transfers {
    fn lock(&self) -> MutexGuard<'_, HashMap<(Who, Direction), Record>> {
        self.0.lock().expect("nothing panics while it is held")
    }

    /// Notes that a request begins.
    pub(crate) fn begin(self: &Arc<Self>, who: Who, direction: Direction, now: Instant) -> Moving {
        let key = (who, direction);
        let mut records = self.lock();
        records.retain(|_, record| !record.is_over(now));
        let is_listed = records.contains_key(&key) || records.len() < TRANSFERS_MAX;
        if is_listed {
            let record = records.entry(key).or_insert_with(|| Record::new(now));
            record.requests += 1;
            record.last = now;
        }
        drop(records);
        Moving { transfers: Arc::clone(self), key, is_listed }
    }

    /// What moves, the fastest first.
    pub(crate) fn list(&self, now: Instant) -> Vec<Transfer> {
        let mut records = self.lock();
        records.retain(|_, record| !record.is_over(now));
        let mut list: Vec<Transfer> = records
            .iter_mut()
            .map(|((who, direction), record)| Transfer {
                who: *who,
                direction: *direction,
                bytes: record.bytes,
                rate: record.rate(now),
                age: now.saturating_duration_since(record.began),
                requests: record.requests,
            })
            .collect();
        drop(records);
        list.sort_by(|one, other| other.rate.cmp(&one.rate).then(other.age.cmp(&one.age)));
        list
    }
}

impl Moving {
    /// Bytes went by.
    pub(crate) fn add(&self, bytes: usize) {
        self.add_at(bytes as u64, Instant::now());
    }

    fn add_at(&self, bytes: u64, now: Instant) {
        if self.is_listed
            && let Some(record) = self.transfers.lock().get_mut(&self.key)
        {
            record.add(bytes, now);
        }
    }
}

impl Drop for Moving {
    fn drop(&mut self) {
        if self.is_listed
            && let Some(record) = self.transfers.lock().get_mut(&self.key)
        {
            record.requests = record.requests.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_is_all_requests_of_one_caller_and_goes_away_in_silence() {
        let transfers = Arc::new(Transfers::default());
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let first = transfers.begin(Who::Anonymous, Direction::Fetch, at(0));
        first.add_at(1_000, at(100));
        let second = transfers.begin(Who::Anonymous, Direction::Fetch, at(200));
        second.add_at(3_000, at(1_900));
        let list = transfers.list(at(2_000));
        let [transfer] = list[..] else { panic!("one transfer, not {list:?}") };
        assert_eq!((transfer.bytes, transfer.rate, transfer.requests), (4_000, 2_000, 2));
        assert_eq!((transfer.who, transfer.age), (Who::Anonymous, Duration::from_secs(2)));

        // An open request keeps it listed, however quiet; its rate goes to nothing.
        drop(first);
        let quiet = transfers.list(at(60_000))[0];
        assert_eq!((quiet.bytes, quiet.rate, quiet.requests), (4_000, 0, 1));
        drop(second);
        assert_eq!(transfers.list(at(60_000)), []);
    }

    #[test]
    fn the_rate_is_of_the_last_seconds() {
        let transfers = Arc::new(Transfers::default());
        let start = Instant::now();
        let moving = transfers.begin(Who::Anonymous, Direction::Upload, start);
        for second in 0..20 {
            let bytes = if second < 10 { 1_000 } else { 50_000 };
            moving.add_at(bytes, start + Duration::from_millis(second * 1000 + 500));
        }
        let rate = transfers.list(start + Duration::from_millis(20_000))[0].rate;
        assert_eq!(rate, 50_000);
        // Two seconds of silence count.
        let rate = transfers.list(start + Duration::from_millis(22_000))[0].rate;
        assert_eq!(rate, 30_000);
    }

    #[test]
    fn the_list_is_bounded() {
        let transfers = Arc::new(Transfers::default());
        let now = Instant::now();
        let open: Vec<Moving> = (0..TRANSFERS_MAX + 10)
            .map(|number| {
                let mut key = [0; 32];
                key[..8].copy_from_slice(&number.to_le_bytes());
                transfers.begin(Who::Account(AccountKey(key)), Direction::Fetch, now)
            })
            .collect();
        open.iter().for_each(|moving| moving.add_at(1, now));
        assert_eq!(transfers.list(now).len(), TRANSFERS_MAX);
        drop(open);
        assert_eq!(transfers.list(now + QUIET_TIME * 2), []);
    }
}
